"""Why a sample scores what it does: one series' views taken apart, from what the bank remembers of it.

The same functions of `law`, `shapes` and `season` as in `sample.step`, on a copy; a test holds the two equal.
"""

from typing import Any, NamedTuple

import numpy as np

from edgeobs.detect import law, sample, season, shapes
from edgeobs.detect.daytime import Phase
from edgeobs.detect.memory import DAYS, PAST, UNKNOWN, Memory
from edgeobs.detect.sample import (
    AGAIN,
    INTERVAL,
    JOINED_E,
    JOINED_T,
    LAST,
    LONG_E,
    LONG_MEAN,
    LONG_SD,
    LONG_T,
    NOVELTY,
    RESOLUTION,
    SAME,
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
    SMOOTHED,
    WHOLE_SD,
    N,
)
from edgeobs.signals import VIEWS, Floats


class View(NamedTuple):
    """What one view makes of a sample. NaN: it expects no value, or cannot say yet."""

    name: str
    """One of `VIEWS`."""
    expected: float
    spread: float
    """One standard deviation, as this view has it."""
    decades: float
    """How improbable by this view alone, ≥ 0."""
    square: float
    """What it adds to the square of ``joined``: decades², of a flatline `law.FLAT_WEIGHT` of it."""


class Explanation(NamedTuple):
    """One sample of one series, were it the next."""

    value: float
    expected: float
    """What the bank expects, by the view that knows the value best; NaN while the series is too young."""
    spread: float
    score: float
    """Calibrated: decades in [0, 20]; 0 while the series is too young."""
    view: str
    """The most surprised view, of `VIEWS`; empty: nothing surprises."""
    joined: float
    """√Σ square over the views, before the past of the series says what that is worth."""
    smoothed: float
    """Exponential mean of ``joined`` with this sample in it; ``score`` weighs the sum of the two."""
    views: tuple[View, ...]
    n: int
    """Samples learned, since the beginning or since the series was learned anew."""
    interval_s: float
    """Usual seconds between samples."""
    days: int
    """Days that its time of day was seen."""

    def shares(self) -> tuple[float, ...]:
        """Of each view in ``joined``²: they sum to 1, or are all 0."""
        whole = sum(view.square for view in self.views)
        return tuple(view.square / whole if whole else 0.0 for view in self.views)


def explain(memory: Memory, number: int, time_ns: int, value: float, phase: Phase) -> Explanation:
    """Score a value as the next of a series, and say by what; nothing is learned.

    Parameters
    ----------
    memory
        Of a bank; read only. KeyError when it has no series ``number``.
    time_ns, value
        The sample: Unix nanoseconds; finite, or ValueError, and within ±1e37, as the bank cuts it.
    phase
        Of series at times, as `daytime.phase` has it.

    """
    if not 0 <= number < len(memory):
        raise KeyError(number)
    if not np.isfinite(value):
        raise ValueError(f"value: expected a finite number, found {value}")
    row = memory.rows[number : number + 1].copy()
    r = np.concatenate([row["reals"], row["bytes"]], axis=1, dtype=np.float64).T.copy()
    value = float(np.float32(value))
    gap = np.where(r[N] > 0, np.maximum(time_ns - row["at_ns"], 0) * 1e-9, 0.0)
    seen = _Seen(row, r, value, sample.broken(r, gap), law.floor(r[SIZE], r[RESOLUTION]))
    level = _level(seen)
    hour = _hour(seen, phase(np.array([number], np.int32), np.array([time_ns], np.int64)))
    views = (level, _drift(seen), hour, _shape(seen), _flat(seen))
    joined, smoothed, score = _joined(seen, views)
    best = hour if hour.spread < level.spread else level  # NaN is not less
    strongest = sample.strongest(*(np.array([view.decades]) for view in views))
    return Explanation(
        value, best.expected, max(best.spread, law.NARROWEST), score,
        VIEWS[int(strongest[0])] if score > 0.0 else "", joined, smoothed, views,
        int(r[N, 0]), float(r[INTERVAL, 0]), int(row["days"][0, DAYS]),
    )  # fmt: skip


class _Seen(NamedTuple):
    """A sample, and a copy of what was known before it in columns of one."""

    row: Any
    r: Any
    value: float
    broken: Any
    least: Any


def _view(name: str, expected: Any, spread: Any, decades: Any, weight: float = 1.0) -> View:
    found = float(decades[0])
    return View(name, float(expected[0]), float(spread[0]), found, weight * found * found)


def _told(when: Any, expected: Any, spread: Any) -> tuple[Any, Any]:
    """What is expected and its spread; NaN otherwise."""
    return np.where(when, expected, np.nan), np.where(when, spread, np.nan)


def _most(r: Any) -> Any:
    """Decades of level and drift at most; less for a series that never moved."""
    return np.where(r[RESOLUTION] <= 0.0, 2.0 * np.log10(r[N] + 1.0), 1e3)


def _level(seen: _Seen) -> View:
    r = seen.r
    narrow = law.spread(r[SHORT_SD], law.SHORT_SHARE, r[WHOLE_SD], seen.least)
    x = _surprise(law.ratio(seen.value - r[SHORT_MEAN], narrow), r[N])
    decades = np.minimum(law.decades(x, r[SHORT_T], r[SHORT_E]), _most(r))
    return _view("level", *_told(r[N] >= law.WARM, r[SHORT_MEAN], narrow), decades)


def _drift(seen: _Seen) -> View:
    r = seen.r
    x = _surprise(_apart(seen), r[N])
    decades = np.minimum(law.decades(x, r[LONG_T], r[LONG_E]), _most(r))
    return _view("drift", *_told(r[N] >= law.WARM, r[LONG_MEAN], _wide(seen)), decades)


def _hour(seen: _Seen, phase: Floats) -> View:
    r, row = seen.r, seen.row
    hour, bucket, known = season.usual(Memory(row), phase)
    nearer = np.where(np.abs(seen.value - bucket) < np.abs(seen.value - hour), bucket, hour)
    daily = law.spread(r[SEASON_SD], 0.0, r[WHOLE_SD], seen.least)
    hours = np.where(known, r[SEASON_N], 0.0)
    x = _surprise(law.ratio(seen.value - nearer, daily), hours)
    told = known & (hours >= law.WARM) & (r[N] >= law.WARM)
    return _view("time of day", *_told(told, nearer, daily), law.decades(x, r[SEASON_T], r[SEASON_E]))


def _shape(seen: _Seen) -> View:
    """It expects what the nearest known shape makes of the values before."""
    r, row = seen.r, seen.row["shapes"].copy()
    row[seen.broken, PAST:] = UNKNOWN
    shape, whole = shapes.newest(row, _apart(seen))
    distance, which, full = shapes.nearest(row, shape)
    odd = shapes.surprise(distance, r[NOVELTY], whole & full, r[N])
    decades = law.decades(np.sqrt(np.maximum(odd, 0.0)), r[SHAPE_T], r[SHAPE_E])
    nearest = row[:, PAST].astype(np.float64) + row[0, which]  # its first step, from the newest value
    unit = _wide(seen) / shapes.GRAIN
    spread = unit * np.sqrt(r[NOVELTY] + shapes.LEAST)
    return _view("shape", *_told(odd >= 0.0, r[LONG_MEAN] + unit * nearest, spread), decades)


def _flat(seen: _Seen) -> View:
    """It expects no value, only that the last one does not go on for so long."""
    r = seen.r
    same = np.where((seen.value == r[LAST]) & (r[N] > 0), np.where(seen.broken, 0.0, r[SAME]) + 1.0, 0.0)
    decades = law.flat(np.where(r[RESOLUTION] <= 0.0, 0.0, same), r[AGAIN], r[N])
    none = np.array([np.nan])
    return _view("flatline", none, none, decades, law.FLAT_WEIGHT)


def _joined(seen: _Seen, views: tuple[View, ...]) -> tuple[float, float, float]:
    """√ of the sum of squares, its exponential mean with this sample in it, and the calibrated score."""
    r = seen.r
    joined = np.sqrt(np.array([sum(view.square for view in views)]))
    before = np.where(seen.broken, 0.0, r[SMOOTHED])
    smoothed = before + law.SMOOTH * (joined - before)
    found = law.decades(joined + smoothed, r[JOINED_T], r[JOINED_E] * law.JOINED_WIDER)
    found = np.where(found < 2.0, 0.25 * found**3, found)
    score = np.where(r[N] >= law.WARM, np.minimum(found, law.MOST), 0.0)
    return float(joined[0]), float(smoothed[0]), float(score[0])


def _wide(seen: _Seen) -> Any:
    return law.spread(seen.r[LONG_SD], law.LONG_SHARE, seen.r[WHOLE_SD], seen.least)


def _apart(seen: _Seen) -> Any:
    return law.ratio(seen.value - seen.r[LONG_MEAN], _wide(seen))


def _surprise(away: Any, n: Any) -> Any:
    return np.sqrt(np.abs(away) * law.doubt(n, 1.0 / (n + 1.0)))
