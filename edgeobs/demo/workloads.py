"""What runs on the nodes of the simulated site: unlike one another, as edge boxes are. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sin
from typing import NamedTuple

_MOST_AT_ONCE = 1.5  # of a burst; a gateway that is well turns the rest away, and is never swamped


class Mood(NamedTuple):
    """What moves a node's demand at one moment."""

    t: float  # seconds since the site began
    phase: float  # the node's own, in [0, 1)
    drift: float  # a slowly wandering normal value of unit variance
    burst: float  # ≥ 0: visitors that come at once and leave within seconds
    flip: float  # −1 or 1, changing at random


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One kind of node: the machine, and what is asked of it at full demand."""

    demand: Callable[[Mood], float]  # share of the machine that is wanted; clipped to [0.005, 0.97] later
    model: str = "industrial PC, 8 cores"
    arch: str = "amd64"
    cores: int = 8
    memory_gib: float = 16
    memory_used: float = 0.4  # share
    requests: float = 200  # per second
    request_s: float = 0.02  # median duration when nothing waits
    disk_per_request: float = 0.05  # operations that a request waits for
    reads: float = 40  # disk operations per second
    writes: float = 80
    service_s: float = 0.0004  # of one disk operation on an empty queue
    op_bytes: float = 16384
    bytes_in: float = 2000  # per request
    bytes_out: float = 9000
    heat: float = 28  # °C above the surroundings at full demand
    warming_s: float = 60  # time constant of the temperature
    filling: float = 0  # share of the data disk per second


def _video(m: Mood) -> float:
    return 0.5 + 0.14 * sin(2 * pi * (m.t / 600 + m.phase)) + 0.03 * m.drift


def _gateway(m: Mood) -> float:
    return 0.2 + 0.04 * m.drift + 0.3 * min(m.burst, _MOST_AT_ONCE)


def _database(m: Mood) -> float:
    checkpoint = 0.12 if (m.t + 30 * m.phase) % 30 < 3 else 0.0
    return 0.35 + 0.05 * m.drift + checkpoint


def _idle(m: Mood) -> float:
    return 0.03 + 0.006 * m.drift


def _batch(m: Mood) -> float:
    period = 20 + 20 * m.phase
    return (0.7 if (m.t + period * m.phase) % period < period / 4 else 0.08) + 0.02 * m.drift


def _steady(m: Mood) -> float:
    return 0.4 + 0.07 * m.drift


def _noisy(m: Mood) -> float:
    return 0.4 + 0.2 * m.flip + 0.08 * m.drift


WORKLOADS: dict[str, Workload] = {
    "video": Workload(
        demand=_video,
        model="GPU box, 12 cores",
        cores=12,
        memory_gib=32,
        memory_used=0.6,
        requests=60,
        request_s=0.045,
        bytes_in=60_000,
        bytes_out=800,
        writes=150,
        heat=35,
    ),
    "gateway": Workload(demand=_gateway, requests=900, request_s=0.006, disk_per_request=0.01, writes=30),
    "database": Workload(
        demand=_database,
        memory_gib=64,
        memory_used=0.7,
        requests=400,
        request_s=0.004,
        disk_per_request=0.8,
        reads=250,
        writes=350,
        service_s=0.0003,
    ),
    "idle": Workload(demand=_idle, model="spare PC, 4 cores", cores=4, memory_gib=8, memory_used=0.15),
    "batch": Workload(demand=_batch, requests=25, request_s=0.3, disk_per_request=2, reads=120, writes=200),
    "arm": Workload(
        demand=_steady,
        model="ARM board, 4 cores",
        arch="arm64",
        cores=4,
        memory_gib=4,
        memory_used=0.55,
        requests=50,
        request_s=0.03,
        reads=5,
        writes=12,
        service_s=0.004,
        heat=42,
        warming_s=25,
    ),
    "noisy": Workload(demand=_noisy, requests=120),
    "filling": Workload(demand=_steady, requests=80, writes=160, filling=1e-4),
}

LAYOUT: tuple[str, ...] = (
    *("video", "arm", "idle", "gateway", "batch", "database", "idle", "video", "arm", "idle"),
    *("video", "noisy", "arm", "idle", "batch", "gateway", "database", "idle", "video", "arm"),
    *("idle", "database", "video", "batch", "filling", "gateway", "arm", "database", "batch", "video"),
)
"""The workload of edge-01, edge-02, …, in order."""
