"""The simulated site: 30 nodes in 3 zones, as OTLP. Pure: the same seed and times, the same bytes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from edgeobs.demo.box import BOUNDS, Box
from edgeobs.demo.faults import Fault, Wear, wear
from edgeobs.demo.workloads import LAYOUT, WORKLOADS
from edgeobs.node.otlp import encode
from edgeobs.node.readings import Distribution, Reading
from edgeobs.signals import SECOND, Labels

ZONES = ("a", "b", "c")
CLUSTER = "demo"

_DISK: Labels = (("system.device", "sda"),)
_LAN: Labels = (("network.interface.name", "eth0"),)
_DATA: Labels = (("system.device", "sda2"), ("system.filesystem.mountpoint", "/data"))
_ROUTE: Labels = (("http.request.method", "POST"), ("http.route", "/v1/work"))


class Report(NamedTuple):
    """What one node sends at one moment."""

    node: str
    zone: str
    body: bytes


class Site:
    """Thirty boxes. Each has its own random numbers, so that a fault of one changes nothing in another.

    Parameters
    ----------
    seed
        Which site of all.
    start_s
        When it begins, Unix seconds.

    """

    def __init__(self, seed: int, start_s: float = 1_700_000_000.0) -> None:
        self.start_s = self._last_s = start_s
        self.names = [f"edge-{number:02d}" for number in range(1, len(LAYOUT) + 1)]
        self.boxes = [
            Box(WORKLOADS[kind], np.random.default_rng([seed, number])) for number, kind in enumerate(LAYOUT)
        ]

    def step(self, t: float, faults: Sequence[Fault] = ()) -> list[Report]:
        """What every node that still speaks sends at ``t``: Unix seconds, ascending, at most 10 s apart."""
        dt = min(max(t - self._last_s, 0.01), 10.0)
        self._last_s = t
        reports = []
        for name, kind, box in zip(self.names, LAYOUT, self.boxes, strict=True):
            box.step(t - self.start_s, dt, worn(name, faults, t))
            if not is_dark(zone_of(name), faults, t):
                body = encode(_resource(name, kind), readings(box), _ns(t), _ns(self.start_s), scope="demo")
                reports.append(Report(name, zone_of(name), body))
        return reports


def zone_of(name: str) -> str:
    """Nodes stand in the zones by turns."""
    return ZONES[int(name.removeprefix("edge-")) % len(ZONES)]


def is_dark(zone: str, faults: Sequence[Fault], t: float) -> bool:
    """Whether a zone cannot send at ``t``."""
    return any(f.kind == "dark" and f.target == zone and f.on(t) for f in faults)


def readings(box: Box) -> Iterator[Reading | Distribution]:
    """A box as its collector would read it, with the resolution that a kernel has."""
    for mode, seconds in box.cpu.items():
        yield Reading("system.cpu.time", "counter", "s", round(seconds, 2), (("cpu.mode", mode),))
    yield Reading("system.cpu.load_average.1m", "gauge", "{thread}", round(box.load, 2))
    yield from _memory(box)
    yield from _storage(box)
    yield from _network(box)
    for resource, stalled in box.stall.items():
        labels = (("system.linux.pressure.kind", "some"), ("system.linux.pressure.resource", resource))
        yield Reading("system.linux.pressure.time", "counter", "s", round(stalled, 6), labels)
        recent = round(box.recent[resource], 4)
        yield Reading("system.linux.pressure.ratio", "gauge", "1", recent, labels)
    yield Reading("hw.temperature", "gauge", "Cel", round(box.degrees * 2) / 2, (("hw.id", "soc"),))
    yield Reading("system.process.count", "updown", "{process}", box.processes)
    yield Reading("http.server.active_requests", "updown", "{request}", round(box.active), _ROUTE[:1])
    counts = tuple(int(n) for n in box.buckets)
    yield Distribution("http.server.request.duration", "s", BOUNDS, counts, box.duration_sum_s, _ROUTE)


def _memory(box: Box) -> Iterator[Reading]:
    total = box.work.memory_gib * 2**30
    used = round(total * box.memory_used / 4096) * 4096
    cached = round((total - used) * 0.6 / 4096) * 4096
    states = {"used": used, "cached": cached, "free": total - used - cached}
    for state, value in states.items():
        yield Reading("system.memory.usage", "updown", "By", value, (("system.memory.state", state),))
    yield Reading("system.memory.linux.available", "updown", "By", total - used)
    yield Reading("system.memory.utilization", "gauge", "1", used / total)


def _storage(box: Box) -> Iterator[Reading]:
    for way, (operations, took_s, moved) in box.disk.items():
        labels = (("disk.io.direction", way), *_DISK)
        yield Reading("system.disk.io", "counter", "By", float(moved), labels)
        yield Reading("system.disk.operations", "counter", "{operation}", float(operations), labels)
        yield Reading("system.disk.operation_time", "counter", "s", round(float(took_s), 3), labels)
    yield Reading("system.disk.io_time", "counter", "s", round(box.disk_busy_s, 3), _DISK)
    yield Reading("system.disk.pending_operations", "updown", "{operation}", round(box.queue), _DISK)
    yield Reading("system.linux.disk.latency", "gauge", "s", round(box.latency_s, 6), _DISK)
    yield Reading("system.linux.disk.errors", "counter", "{error}", box.disk_errors, _DISK)
    yield Reading("system.filesystem.utilization", "gauge", "1", round(box.full, 5), _DATA)


def _network(box: Box) -> Iterator[Reading]:
    for way, (moved, packets, errors, dropped) in box.net.items():
        labels = (*_LAN, ("network.io.direction", way))
        yield Reading("system.network.io", "counter", "By", float(moved), labels)
        yield Reading("system.network.packet.count", "counter", "{packet}", float(packets), labels)
        yield Reading("system.network.errors", "counter", "{error}", float(errors), labels)
        yield Reading("system.network.packet.dropped", "counter", "{packet}", float(dropped), labels)


def _resource(name: str, kind: str) -> dict[str, str | bool]:
    work = WORKLOADS[kind]
    return {
        "service.name": kind,
        "k8s.cluster.name": CLUSTER,
        "k8s.node.name": name,
        "topology.kubernetes.io/zone": zone_of(name),
        "edgeobs.simulated": True,
        "host.name": name,
        "host.arch": work.arch,
        "device.model.name": work.model,
        "os.type": "linux",
    }


def worn(name: str, faults: Sequence[Fault], t: float) -> Wear:
    """How a node's disk is at ``t``."""
    disk = [f for f in faults if f.kind in {"disk", "cut"} and f.target == name and f.on(t)]
    return wear(disk[0], t) if disk else Wear(1.0, 0.0)


def _ns(t: float) -> int:
    return round(t * SECOND)
