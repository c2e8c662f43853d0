"""Joules from what sensors tell, and whose they are. Pure, but for the ledger's own memory.

A counter of energy wraps; a power is integrated over time; an interval in which nothing was read counts for
nothing. Of a node's energy a pod gets its share of the processor time that the node *could* have given: what
nobody used stays the node's. Kepler (from 0.10 on) splits active energy in the same proportion.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

LONGEST_S = 120.0
"""Seconds between two readings beyond which a power says nothing about the time between them."""
MOST_W = 5000.0
"""Watts that no counter of one node's energy exceeds: more is a reset, not a wrap."""
_MICRO = 1e-6


class Meter(NamedTuple):
    """``joules`` since it was begun; ``level`` is what the sensor said at ``at_s``: µJ of a counter, or W."""

    joules: float
    level: float
    at_s: float


def counted(meter: Meter | None, level_uj: float, span_uj: float, now_s: float) -> Meter:
    """A counter's new level, in µJ.

    Parameters
    ----------
    span_uj
        Where it wraps to 0 (``max_energy_range_uj``); 0: it does not. One wrap is seen, more between two
        readings are not: at 262 kJ, which is usual, and 200 W read it every 20 minutes at least.

    """
    if meter is None:
        return Meter(0.0, level_uj, now_s)
    grown = level_uj - meter.level
    if grown < 0:
        grown += span_uj + 1 if span_uj > 0 else meter.level  # without a span it began again at 0
    joules = grown * _MICRO
    if not 0 <= joules <= MOST_W * max(now_s - meter.at_s, 1.0):
        joules = 0.0
    return Meter(meter.joules + joules, level_uj, now_s)


def integrated(meter: Meter | None, watts: float, now_s: float) -> Meter:
    """A power's new value: the mean of this and the one before (trapezoid), times the time between."""
    if meter is None:
        return Meter(0.0, watts, now_s)
    passed = now_s - meter.at_s
    joules = (meter.level + watts) / 2 * passed if 0 <= passed <= LONGEST_S else 0.0
    return Meter(meter.joules + max(joules, 0.0), watts, now_s)


def shares(used_s: Mapping[str, float], offered_s: float) -> dict[str, float]:
    """Of what was offered, how much each used: each in [0, 1], together at most 1.

    Parameters
    ----------
    used_s
        Processor seconds that each used; what is negative (a counter that began again) counts as nothing.
    offered_s
        Processors times the seconds that passed.

    """
    used = {name: max(seconds, 0.0) for name, seconds in used_s.items()}
    whole = max(offered_s, sum(used.values()))  # the two clocks are not read at the same moment
    return {name: seconds / whole if whole > 0 else 0.0 for name, seconds in used.items()}


class Account(NamedTuple):
    """A pod's: processor seconds and joules so far."""

    cpu_s: float
    joules: float


@dataclass(slots=True)
class Ledger:
    """What a node's sensors and pods have come to."""

    meters: dict[str, Meter] = field(default_factory=dict)
    host_j: float = 0.0
    measured: bool = False
    """Whether anything tells the node's energy."""
    pods: dict[str, Account] = field(default_factory=dict)
    _spent_s: float = 0.0
    _split: tuple[float, float] | None = None  # host_j and when, as of the last split

    def count(self, name: str, level_uj: float, span_uj: float, now_s: float) -> float:
        """Take a counter's level; the joules since the last."""
        return self._take(name, counted(self.meters.get(name), level_uj, span_uj, now_s))

    def integrate(self, name: str, watts: float, now_s: float) -> float:
        """Take a power; the joules since the last."""
        return self._take(name, integrated(self.meters.get(name), watts, now_s))

    def spend(self, joules: float, now_s: float) -> float | None:
        """Add to what the node as a whole has used; the mean power since the last time, W."""
        passed = now_s - self._spent_s if self.measured else 0.0
        self.host_j += joules
        self.measured, self._spent_s = True, now_s
        return joules / passed if passed > 0 else None

    def split(self, cpu_s: Mapping[str, float], processors: int, now_s: float) -> None:
        """Give the pods that are there their part of what the node has used since the last time."""
        before, self._split = self._split, (self.host_j, now_s)
        spent, passed = (self.host_j - before[0], now_s - before[1]) if before else (0.0, 0.0)
        known = {uid: account for uid, account in self.pods.items() if uid in cpu_s}
        used = {uid: cpu_s[uid] - account.cpu_s for uid, account in known.items()}
        part = shares(used, processors * passed)
        self.pods = {
            uid: Account(total, known[uid].joules + spent * part[uid] if uid in known else 0.0)
            for uid, total in cpu_s.items()
        }

    def _take(self, name: str, meter: Meter) -> float:
        before = self.meters.get(name)
        self.meters[name] = meter
        return meter.joules - (before.joules if before else 0.0)
