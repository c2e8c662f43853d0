"""Reads this machine once per interval and hands the bytes to a sender."""

import os
import platform
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from edgeobs.node.derive import latencies
from edgeobs.node.health import problems
from edgeobs.node.host import Host
from edgeobs.node.kmsg import KernelLog
from edgeobs.node.names import SINCE_START
from edgeobs.node.node_exporter import renamed
from edgeobs.node.otlp import encode
from edgeobs.node.readings import SECOND, Reading
from edgeobs.node.rounds import Rounds
from edgeobs.node.settings import Health, Settings
from edgeobs.node.sources.table import Source, sources
from edgeobs.node.watch import Tell, Watch


class Collector:
    """What this machine is doing, as readings and as OTLP.

    Parameters
    ----------
    settings
        Whose name it bears, and how much of it.
    read
        Sources by name; all of them by default.
    health
        When something is a problem.
    tell
        Gets the checks' verdicts each time they were made.

    ``more`` may be added to: what else there is to tell at each collection.
    """

    def __init__(
        self,
        settings: Settings,
        read: Mapping[str, Source] | None = None,
        health: Health | None = None,
        tell: Tell | None = None,
    ) -> None:
        self.settings = settings
        self.resource = resource(settings)
        self.host = Host(settings)
        table = sources() if read is None else read
        kernel = next((each.read for each in table.values() if isinstance(each.read, KernelLog)), KernelLog())
        self.rounds = Rounds(self.host, table)
        self.watch = Watch(health or Health(), kernel, tell)
        self.more: list[Callable[[], Iterable[Reading]]] = []
        self.start_ns, self.began_ns = int(_boot_s(self.host) * SECOND), time.time_ns()
        self._before: list[Reading] = []
        self._derived: list[Reading] = []
        self._lock = threading.Lock()

    def readings(self) -> list[Reading]:
        """What is new, bounded, and what follows from it and the reading before."""
        with self._lock:
            now = self.rounds.read()
            more = [reading for each in self.more for reading in each()]
            self._derived = [*latencies(self._before, now), *self.rounds.own(), *more]
            self._before = now
            self.watch.look(lambda: self.rounds.newest(self.settings.interval_s), self.host.clock())
            return self._spelt([*now, *self._derived, *problems(self.watch.verdicts)])

    def newest(self) -> list[Reading]:
        """The last of every source that is not too old, for whoever asks between two collections."""
        with self._lock:
            known = self.rounds.newest(self.settings.interval_s)
            return self._spelt([*known, *self._derived, *problems(self.watch.verdicts)])

    def collect(self, now_ns: int) -> bytes:
        """One ``ExportMetricsServiceRequest``, stamped ``now_ns``."""
        began = dict.fromkeys(SINCE_START, self.began_ns)
        return encode(self.resource, self.readings(), now_ns, self.start_ns, "edgeobs.node", began)

    def _spelt(self, readings: list[Reading]) -> list[Reading]:
        return list(renamed(readings)) if self.settings.node_exporter_names else readings


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


def collect(collector: Collector, put: Callable[[bytes], None] | None, stop: threading.Event) -> None:
    """Collect every interval until ``stop``; a collection that took too long is not made up for.

    Parameters
    ----------
    put
        Where the bytes go; None: nowhere, what is read waits to be scraped.

    """
    due = time.monotonic()
    while True:
        if put is None:
            collector.readings()
        else:
            put(collector.collect(time.time_ns()))
        due = max(due + collector.settings.interval_s, time.monotonic())
        if stop.wait(due - time.monotonic()):
            return


def _boot_s(host: Host) -> float:
    """When the machine was started, Unix seconds; now, where the kernel does not tell."""
    try:
        lines: Iterator[str] = iter(host.text(f"{host.proc}/stat").splitlines())
        return next(float(line.split()[1]) for line in lines if line.startswith("btime "))
    except (OSError, StopIteration):
        return time.time()


_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm32", "armv6l": "arm32", "i686": "x86"}
"""What the kernel calls a machine → OpenTelemetry's ``host.arch``; others keep the kernel's name."""
