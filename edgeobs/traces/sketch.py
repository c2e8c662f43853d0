"""Durations as DDSketches of all units at once: sorted keys and how often each occurred.

A duration in (g^(i−1), g^i] nanoseconds, g = (1 + α) / (1 − α), is told as 2g^i / (g + 1), so that a quantile
is within α = 1 % of the duration that has its rank, whatever the durations are. Sketches merge by adding
counts: pods into a service, intervals into a minute, nodes into a site, with nothing lost. Source: Masson,
Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019.

A key holds the unit, the bucket and whether the call failed, so that sorting keys is all there is to do.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edgeobs.signals import Bools, Floats, Int64s

ALPHA = 0.01
"""Greatest relative error of a quantile."""

QUANTILES = (0.5, 0.9, 0.99)
_GAMMA = (1 + ALPHA) / (1 - ALPHA)
_UNKNOWN, _NOTHING = 0, 1  # buckets without a duration, and of 0 ns; g^0 is in the next
_BITS = 12  # of a bucket: int64's largest needs 2,184 of them


class Sketch(NamedTuple):
    """How often what occurred; merged with others by `merged`."""

    key: Int64s  # ascending, each once
    calls: Int64s

    @staticmethod
    def none() -> "Sketch":
        """Nothing."""
        return Sketch(np.zeros(0, np.int64), np.zeros(0, np.int64))


class Summary(NamedTuple):
    """A row a unit, ascending; quantiles are NaN where no duration was known."""

    unit: Int64s
    calls: Int64s
    failed: Int64s
    timed: Int64s  # calls whose duration is known
    seconds: tuple[Floats, ...]  # one for each of `QUANTILES`


def keys(unit: Int64s, duration_ns: Int64s, failed: Bools) -> Int64s:
    """One a call; a duration below 0 is unknown. ``unit`` is in [0, 2^49)."""
    with np.errstate(divide="ignore"):
        exponent = np.ceil(np.log(np.maximum(duration_ns, 0)) * (1 / np.log(_GAMMA)))
    bucket = np.where(duration_ns > 0, exponent + (_NOTHING + 1), duration_ns + _NOTHING)
    place = np.maximum(bucket, _UNKNOWN).astype(np.int64)
    made: Int64s = unit << (_BITS + 1) | place << 1 | failed
    return made


def counted(found: Int64s) -> Sketch:
    """Of keys in any order."""
    key, count = np.unique(found, return_counts=True)
    return Sketch(key, count.astype(np.int64))


def merged(parts: Sequence[Sketch]) -> Sketch:
    """All of them as one."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Sketch.none()
    key, inverse = np.unique(np.concatenate([p.key for p in parts]), return_inverse=True)
    count = np.bincount(inverse, np.concatenate([p.calls for p in parts]), len(key))
    return Sketch(key, count.astype(np.int64))


def units(sketch: Sketch) -> Int64s:
    """Whose each row is."""
    return sketch.key >> (_BITS + 1)


def moved(sketch: Sketch, unit: Int64s) -> Sketch:
    """The same rows as those of other units, one a row; what becomes equal is joined."""
    key = unit << (_BITS + 1) | sketch.key & ((1 << (_BITS + 1)) - 1)
    unique, inverse = np.unique(key, return_inverse=True)
    return Sketch(unique, np.bincount(inverse, sketch.calls, len(unique)).astype(np.int64))


def summary(sketch: Sketch) -> Summary:
    """Calls, failures and quantiles of every unit in it."""
    key, count = sketch
    unit, bucket = units(sketch), key >> 1 & ((1 << _BITS) - 1)
    if not len(key):
        return Summary(unit, count, count, count, tuple(np.zeros(0) for _ in QUANTILES))
    first = np.flatnonzero(np.r_[True, unit[1:] != unit[:-1]])
    known = np.where(bucket > _UNKNOWN, count, 0)
    timed, upto = np.add.reduceat(known, first), np.cumsum(known)
    before = upto[first] - known[first]
    return Summary(
        unit[first],
        np.add.reduceat(count, first),
        np.add.reduceat(np.where(key & 1, count, 0), first),
        timed,
        tuple(_quantile(q, bucket, timed, before, upto) for q in QUANTILES),
    )


def _quantile(q: float, bucket: Int64s, timed: Int64s, before: Int64s, upto: Int64s) -> Floats:
    """Seconds at rank q(n − 1), rounded down, of each unit."""
    rank = np.floor(q * np.maximum(timed - 1, 0)).astype(np.int64)
    at = np.minimum(np.searchsorted(upto, before + rank + 1), len(upto) - 1)
    exponent = bucket[at] - (_NOTHING + 1.0)
    told = np.where(exponent >= 0, 2 / (_GAMMA + 1) * _GAMMA ** np.maximum(exponent, 0), 0.0)
    return np.where(timed > 0, told / 1e9, np.nan)
