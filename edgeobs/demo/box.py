"""One simulated node: demand in, what its kernel and its service would count out. Pure."""

from math import erf, exp, log, sqrt

import numpy as np

from edgeobs.demo.faults import Wear
from edgeobs.demo.workloads import Mood, Workload

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the request durations' buckets, seconds."""

_DEPTH = 128.0  # operations that may wait for a disk before whoever asks is slowed down
_SPIKE_EVERY_S = 14_400.0  # a harmless spike of a few seconds, per node: abnormal, and nothing to act upon
_SETTLING_S = 300
_SPREAD = 0.5  # log-standard deviation of request durations


class Box:
    """A node's state; everything that a counter counts only grows.

    Attributes
    ----------
    cpu
        Seconds per mode, all cores.
    disk
        Per direction: operations, seconds that operations took, bytes.
    buckets
        Requests by duration, one more than `BOUNDS`.

    """

    def __init__(self, work: Workload, rng: np.random.Generator) -> None:
        self.work, self._rng = work, rng
        self._phase = float(rng.random())
        self._drift = float(rng.standard_normal())
        self._burst, self._flip, self._spike_until = 0.0, 1.0, -1.0
        self.demand = 0.3
        up = float(rng.uniform(1e5, 4e6))  # seconds since boot
        busy = up * work.cores
        self.cpu = {
            "user": 0.2 * busy,
            "system": 0.05 * busy,
            "iowait": 0.01 * busy,
            "interrupt": 0.005 * busy,
        }
        self.cpu["idle"] = busy - sum(self.cpu.values())
        self.disk = {"read": np.zeros(3), "write": np.zeros(3)}
        self.disk_busy_s = self.disk_errors = 0.0
        self.queue = self.latency_s = self.utilisation = 0.0
        self.net = {"receive": np.zeros(4), "transmit": np.zeros(4)}  # bytes, packets, errors, dropped
        self.stall = {"cpu": 0.0, "memory": 0.0, "io": 0.0}  # seconds
        self.recent = {"cpu": 0.0, "memory": 0.0, "io": 0.0}  # share of the last 10 s
        self.load = 0.3 * work.cores
        self.degrees = 24 + 0.3 * work.heat
        self.memory_used = work.memory_used
        self.full = float(rng.uniform(0.3, 0.7))
        self.processes = int(rng.integers(90, 260))
        self.buckets = np.zeros(len(BOUNDS) + 1, np.int64)
        self.duration_sum_s = self.active = 0.0
        for past in range(-_SETTLING_S, 0, 5):  # its service has run for long when the site begins
            self.step(past, 5.0, Wear(1.0, 0.0))

    def step(self, t: float, dt: float, wear: Wear) -> None:
        """Let ``dt`` seconds pass, up to ``t`` seconds since the site began."""
        self._wander(t, dt)
        asked = self._rng.poisson(self.work.requests * self.demand * dt)
        self._use_disk(dt, wear)
        self._serve(int(asked), dt)
        self._compute(dt)
        self._talk(int(asked), dt)
        self._settle(dt)

    def _wander(self, t: float, dt: float) -> None:
        rng = self._rng
        keep = exp(-dt / 20)
        self._drift = keep * self._drift + sqrt(1 - keep**2) * float(rng.standard_normal())
        self._burst *= exp(-dt / 4)
        if rng.random() < dt / 15:
            self._burst += float(rng.exponential(0.6))
        if rng.random() < dt / 20:
            self._flip = -self._flip
        if rng.random() < dt / _SPIKE_EVERY_S:
            self._spike_until = t + float(rng.uniform(3, 8))
        wanted = self.work.demand(Mood(t, self._phase, self._drift, self._burst, self._flip))
        wanted += 0.3 * (t < self._spike_until) + 0.01 * float(rng.standard_normal())
        self.demand = min(max(wanted, 0.005), 0.97)

    def _use_disk(self, dt: float, wear: Wear) -> None:
        """A single server with a bounded queue; what waits in it waits its turn (Little's law)."""
        service = self.work.service_s * wear.slower * exp(0.1 * float(self._rng.standard_normal()))
        eager = (0.2 + 0.8 * self.demand) * dt
        asked = {
            "read": float(self._rng.poisson(self.work.reads * eager)),
            "write": float(self._rng.poisson(self.work.writes * eager)),
        }
        arrived = sum(asked.values())
        done = min(self.queue + arrived, dt / service)
        self.queue = min(self.queue + arrived - done, _DEPTH)
        self.utilisation = min(done * service / dt, 1.0)
        self.latency_s = service * (1 / (1 - min(self.utilisation, 0.95)) + self.queue)
        for way, n in asked.items():
            share = round(done * n / arrived) if arrived else 0
            self.disk[way] += (share, share * self.latency_s, share * self.work.op_bytes)
        self.disk_busy_s += dt * self.utilisation
        self.disk_errors += float(self._rng.poisson(wear.errors * dt))

    def _serve(self, asked: int, dt: float) -> None:
        crowded = 1 + 0.5 * self.demand / (1 - self.demand)
        median = self.work.request_s * crowded + self.work.disk_per_request * self.latency_s
        below = [0.5 + 0.5 * erf(log(bound / median) / (_SPREAD * sqrt(2))) for bound in BOUNDS]
        shares = np.clip(np.diff([0.0, *below, 1.0]), 0.0, 1.0)
        self.buckets += self._rng.multinomial(asked, shares / shares.sum())
        self.duration_sum_s += asked * median * exp(_SPREAD**2 / 2)
        self.active = asked / dt * median * exp(_SPREAD**2 / 2)

    def _compute(self, dt: float) -> None:
        whole = dt * self.work.cores
        used = self.demand * whole
        waiting = min(0.4 * self.utilisation, 0.9) * (whole - used)
        spent = {"user": 0.74 * used, "system": 0.22 * used, "interrupt": 0.04 * used, "iowait": waiting}
        spent["idle"] = whole - used - waiting
        for mode, seconds in spent.items():
            self.cpu[mode] += seconds

    def _talk(self, asked: int, dt: float) -> None:
        for way, size in (("receive", self.work.bytes_in), ("transmit", self.work.bytes_out)):
            moved = float(round((asked * size + 3000 * dt) * exp(0.08 * float(self._rng.standard_normal()))))
            lost = float(self._rng.poisson(0.002 * dt)), float(self._rng.poisson(0.02 * self.demand * dt))
            self.net[way] += (moved, round(moved / 900), *lost)

    def _settle(self, dt: float) -> None:
        """What follows the rest slowly."""
        starved = {
            "cpu": 0.3 * max(self.demand - 0.5, 0.0) + 0.01 * self.demand,
            "memory": 0.0,
            "io": min(0.2 * self.utilisation**2 + 0.7 * min(self.queue / 20, 1.0), 1.0),
        }
        for resource, share in starved.items():
            self.stall[resource] += share * dt
            self.recent[resource] += (1 - exp(-dt / 10)) * (share - self.recent[resource])
        runnable = self.demand * self.work.cores + min(self.queue, 40.0)
        self.load += (1 - exp(-dt / 60)) * (runnable - self.load)
        noise = 0.2 * float(self._rng.standard_normal())
        goal = 24 + self.work.heat * self.demand + noise
        self.degrees += (1 - exp(-dt / self.work.warming_s)) * (goal - self.degrees)
        wander = 0.0015 * float(self._rng.standard_normal()) * sqrt(dt)
        back = 0.02 * dt * (self.work.memory_used + 0.05 * self.demand - self.memory_used)
        self.memory_used = min(max(self.memory_used + back + wander, 0.02), 0.95)
        self.full = min(self.full + self.work.filling * dt, 0.99)
        self.processes = max(40, self.processes + int(self._rng.integers(-2, 3)) * (self._rng.random() < 0.3))
