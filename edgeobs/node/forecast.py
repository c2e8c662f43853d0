"""When something that shrinks will be gone: a trail of its values and a line through them. Pure."""

from collections.abc import Sequence
from itertools import combinations
from statistics import median

Trail = tuple[tuple[float, float], ...]
"""(seconds, value), oldest first."""
EVERY_S = 60.0
KEPT = 60
"""An hour, a value a minute."""
LEAST_S = 600.0
"""Seconds that a trail must span before it says anything."""


def remembered(trail: Trail, at_s: float, value: float) -> Trail:
    """With a new value, if a minute has passed since the last; time that went back begins anew."""
    if trail and at_s < trail[-1][0]:
        trail = ()
    if trail and at_s - trail[-1][0] < EVERY_S:
        return trail
    return (*trail[-(KEPT - 1) :], (at_s, value))


def slope(trail: Trail) -> float:
    """Value per second: the median over all pairs (Theil 1950, Sen 1968); a deleted file does not move it."""
    rises = [(v - u) / (t - s) for (s, u), (t, v) in combinations(trail, 2) if t > s]
    return median(rises) if rises else 0.0


def gone_in_s(trail: Trail) -> float | None:
    """Seconds from the last value until 0; None: it does not shrink, or too little is known.

    That it shrank on the whole must be so as well, from the first to the last value.
    """
    if len(trail) < 2 or trail[-1][0] - trail[0][0] < LEAST_S or trail[-1][1] >= trail[0][1]:
        return None
    falls = -slope(trail)
    return trail[-1][1] / falls if falls > 0 else None


def trails(known: dict[str, Trail], values: Sequence[tuple[str, float]], at_s: float) -> dict[str, Trail]:
    """The trails of what is there now; of what is gone nothing is kept."""
    return {name: remembered(known.get(name, ()), at_s, value) for name, value in values}
