"""What two banks learned of the same series, as one: what nodes will need to share what they know. Pure.

Means and deviations join as Chan, Golub and LeVeque (1979) join parts of a sample: exactly, where a part
weighs as much as the samples it holds, which for a running mean is as many as it remembers. Tails are means
of exceedances and join by weight. What cannot be averaged, the course of the last minutes, the hours of the
day and shapes, is that of the bank that knows more.
"""

from typing import NamedTuple

import numpy as np

from edgeobs.detect import law, memory
from edgeobs.detect.contract import State
from edgeobs.detect.memory import DAYS, Memory
from edgeobs.detect.sample import (
    AGAIN,
    JOINED_E,
    JOINED_T,
    LONG_E,
    LONG_MEAN,
    LONG_SD,
    LONG_T,
    NOVELTY,
    RESOLUTION,
    SEASON_E,
    SEASON_N,
    SEASON_SD,
    SEASON_T,
    SHAPE_E,
    SHAPE_T,
    SHORT_E,
    SHORT_MEAN,
    SHORT_SD,
    SHORT_T,
    SIZE,
    WHOLE,
    WHOLE_SD,
    N,
)
from edgeobs.signals import Bools, Floats

_PAIRS = (
    (SHORT_MEAN, SHORT_SD, law.SHORT),
    (LONG_MEAN, LONG_SD, law.LONG),
    (WHOLE, WHOLE_SD, law.ALL),
)
_AVERAGED = (SIZE, SHORT_T, SHORT_E, LONG_T, LONG_E, SHAPE_T, SHAPE_E, JOINED_T, JOINED_E, NOVELTY, AGAIN)
_SEASON = (SEASON_T, SEASON_E, SEASON_SD, SEASON_N)
_MOST = 1e6


class _Part(NamedTuple):
    """One bank's real numbers, float64[n, fields], and what each series of it weighs, float64[n]."""

    reals: Floats
    weight: Floats


def merged(one: State, other: State) -> State:
    """One `SeriesBank` state of two, series by series.

    Parameters
    ----------
    one, other
        As `SeriesBank.state` gives them; row ``i`` of both is the same series. The shorter lacks the rest.

    Returns
    -------
    State
        It restores like any other; which of the two comes first makes no difference but for rounding, and
        where both know equally much.

    Raises
    ------
    ValueError
        One of them is no state of such a bank.

    """
    a, b = memory.restored(one), memory.restored(other)
    rows = max(len(a), len(b))
    a, b = _first(memory.grow(a, rows), rows), _first(memory.grow(b, rows), rows)
    later = _knows_more(b, a)
    made = Memory(np.where(later, b.rows, a.rows))
    made.reals[:] = _reals(made, a, b)
    mine, theirs = a.days[:, DAYS], b.days[:, DAYS]
    seasoned = (theirs > mine) | ((theirs == mine) & later)
    for held, which in ((a, np.flatnonzero(~seasoned)), (b, np.flatnonzero(seasoned))):
        for part in ("day", "hours", "count", "days", "rest"):
            made.rows[part][which] = held.rows[part][which]
        made.reals[which[:, None], _SEASON] = held.reals[which[:, None], _SEASON]
    return memory.state(made)


def _first(held: Memory, rows: int) -> Memory:
    return Memory(held.rows[:rows])


def _knows_more(b: Memory, a: Memory) -> Bools:
    mine, theirs = a.reals[:, N], b.reals[:, N]
    later: Bools = (theirs > mine) | ((theirs == mine) & (b.at_ns > a.at_ns))
    return later


def _reals(made: Memory, a: Memory, b: Memory) -> Floats:
    found = made.reals.astype(np.float64)
    one, other = _part(a), _part(b)
    for mean, spread, most in _PAIRS:
        found[:, mean], found[:, spread] = _joined(one, other, mean, spread, most)
    for field in _AVERAGED:
        found[:, field] = _averaged(one, other, field)
    found[:, N] = np.minimum(one.weight + other.weight, _MOST)
    smallest = np.minimum(one.reals[:, RESOLUTION], other.reals[:, RESOLUTION])
    largest = np.maximum(one.reals[:, RESOLUTION], other.reals[:, RESOLUTION])
    found[:, RESOLUTION] = np.where(smallest > 0, smallest, largest)  # 0: it never changed
    return np.clip(found, np.finfo(np.float32).min, np.finfo(np.float32).max)


def _part(held: Memory) -> _Part:
    reals = held.reals.astype(np.float64)
    return _Part(reals, reals[:, N])


def _joined(a: _Part, b: _Part, mean: int, spread: int, most: float) -> tuple[Floats, Floats]:
    share = _share(a, b, most)
    apart = b.reals[:, mean] - a.reals[:, mean]
    middle = a.reals[:, mean] + share * apart
    within = (1 - share) * a.reals[:, spread] ** 2 + share * b.reals[:, spread] ** 2
    return middle, np.sqrt(within + share * (1 - share) * apart**2)


def _averaged(a: _Part, b: _Part, field: int) -> Floats:
    share = _share(a, b, np.inf)
    return (1 - share) * a.reals[:, field] + share * b.reals[:, field]


def _share(a: _Part, b: _Part, most: float) -> Floats:
    """How much the second weighs, in [0, 1]; nothing where neither knows anything."""
    mine, theirs = np.minimum(a.weight, most), np.minimum(b.weight, most)
    whole = mine + theirs
    share: Floats = np.divide(theirs, whole, out=np.zeros_like(whole), where=whole > 0)
    return share
