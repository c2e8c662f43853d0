"""Reads this machine once per interval and hands the bytes to a sender."""

import os
import platform
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import psutil

from edgeobs.node.derive import bound, latencies
from edgeobs.node.otlp import encode
from edgeobs.node.read import READERS, Found
from edgeobs.node.readings import Reading
from edgeobs.node.settings import Settings
from edgeobs.signals import SECOND

MISSING = (OSError, AttributeError, KeyError, ValueError, IndexError)
"""What a kernel that lacks a file, or spells it otherwise, makes a reader raise."""


class Collector:
    """What this machine is doing, as OTLP.

    Parameters
    ----------
    settings
        Whose name it bears, and how much of it.
    readers
        What is read, by name. One that fails is left out this time, and counted; the others go on.

    """

    def __init__(self, settings: Settings, readers: Mapping[str, Callable[[], Found]] = READERS) -> None:
        self.settings = settings
        self.readers = readers
        self.resource = resource(settings)
        self.failures: Counter[str] = Counter()
        self.start_ns = int(psutil.boot_time() * SECOND)
        self._before: list[Reading] = []

    def readings(self) -> list[Reading]:
        """Everything that can be read now, bounded, and what follows from it and the reading before."""
        now: list[Reading] = []
        left_out = 0
        for name, read in self.readers.items():
            try:
                found, beyond = bound(read(), self.settings.at_most)
            except MISSING:
                self.failures[name] += 1
                continue
            now += found
            left_out += beyond
        derived = [*latencies(self._before, now), *self._own(left_out)]
        self._before = now
        return now + derived

    def collect(self, now_ns: int) -> bytes:
        """One ``ExportMetricsServiceRequest``, stamped ``now_ns``."""
        return encode(self.resource, self.readings(), now_ns, self.start_ns, scope="edgeobs.node")

    def _own(self, left_out: int) -> Iterator[Reading]:
        yield Reading("edgeobs.node.left_out", "gauge", "{thing}", left_out)
        for name, failed in sorted(self.failures.items()):
            yield Reading("edgeobs.node.read.failures", "counter", "{failure}", failed, (("reader", name),))


def resource(settings: Settings) -> dict[str, str | bool]:
    """Who this machine is."""
    host = socket.gethostname()
    known: dict[str, str | bool] = {
        "service.name": "edgeobs-node",
        "host.name": host,
        "host.arch": _ARCH.get(platform.machine(), platform.machine()),
        "os.type": platform.system().lower(),
        "k8s.node.name": settings.node or os.environ.get("NODE_NAME") or host,
        "topology.kubernetes.io/zone": settings.zone,
        "k8s.cluster.name": settings.cluster,
    }
    return {name: value for name, value in known.items() if value}


def collect(settings: Settings, put: Callable[[bytes], None], stop: threading.Event) -> None:
    """Collect every interval until ``stop``; a collection that took too long is not made up for."""
    collector = Collector(settings)
    due = time.monotonic()
    while True:
        put(collector.collect(time.time_ns()))
        due = max(due + settings.interval_s, time.monotonic())
        if stop.wait(due - time.monotonic()):
            return


_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm32", "armv6l": "arm32", "i686": "x86"}
"""What the kernel calls a machine → OpenTelemetry's ``host.arch``; others keep the kernel's name."""
