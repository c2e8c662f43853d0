"""The compiled bank: one loop over the samples; `bank_columns` does the same in columns.

The mathematics of `sample` and `law` is compiled from their own text.
"""

from typing import Any

import numpy as np

from edgeobs import jit
from edgeobs.detect import law, sample, season, shapes
from edgeobs.detect.memory import (
    BUCKET,
    BUCKETS,
    BYTES_AT,
    COUNT,
    DAY_AT,
    DAYS,
    DAYS_AT,
    HOURS_AT,
    LAGS,
    NO_BUCKET,
    PAST,
    REALS_AT,
    SCALE,
    SHAPES,
    SHAPES_AT,
    SUM,
    TIME_AT,
    UNKNOWN,
    UNSEEN,
    USES,
    USUAL,
)
from edgeobs.detect.sample import (
    FIELDS,
    INTERVAL,
    LONG_MEAN,
    LONG_SD,
    NOVELTY,
    RESOLUTION,
    SIZE,
    WHOLE_NUMBERS,
    WHOLE_SD,
    N,
)

_FIELDS = len(FIELDS)
_SINGLE = np.float32
_NONE = 1 << 30


def _pick(condition: Any, yes: Any, no: Any) -> Any:  # noqa: ARG001 - Numba asks for the names
    return lambda condition, yes, no: yes if condition else no


def _at_most(x: Any, limit: Any) -> Any:  # noqa: ARG001
    return lambda x, limit: min(limit, x)


def _at_least(x: Any, limit: Any) -> Any:  # noqa: ARG001
    return lambda x, limit: max(limit, x)


def _some(condition: Any) -> Any:  # noqa: ARG001
    return lambda condition: condition


jit.means_when_compiled(law.pick, _pick)
jit.means_when_compiled(law.some, _some)
jit.means_when_compiled(law.at_most, _at_most)
jit.means_when_compiled(law.at_least, _at_least)
# fmt: off
for each in (
    law.floor, law.spread, law.ratio, law.doubt, law.learn_level, law.learn_whole, law.learn_season,
    law.decades, law.learn_tail, law.flat, law.join, sample.broken, sample.strongest, sample.learn_tail,
    sample.learn_hours, sample.learn_values, sample.learn_runs, sample.step,
):
    # fmt: on
    jit.callable_when_compiled(each)


@jit.compiled
def _usual(day: Any, hours: Any, days: Any, phase: float) -> tuple[float, float, bool]:
    """As `season.usual`."""
    bucket = int(phase)
    here = np.float64(hours[HOURS_AT + bucket])
    if days[DAYS_AT + DAYS] < season.READY or here == UNSEEN:
        return 0.0, 0.0, False
    within = phase - bucket
    there = np.float64(hours[HOURS_AT + (bucket + BUCKETS + (-1 if within < 0.5 else 1)) % BUCKETS])
    share = 1.0 if there == UNSEEN else 1.0 - abs(within - 0.5)
    base, scale = np.float64(day[DAY_AT + USUAL]), np.float64(day[DAY_AT + SCALE]) / season.GRAIN
    return base + scale * (share * here + (1.0 - share) * there), base + scale * here, True


@jit.compiled
def _fold(day: Any, hours: Any, days: Any, past: int, usual: float, scale: float) -> None:
    """As `season.fold`."""
    if day[DAY_AT + SCALE] == 0:
        day[DAY_AT + USUAL], day[DAY_AT + SCALE] = usual, max(scale, 1e-30)
    away = season.GRAIN * (np.float64(day[DAY_AT + SUM]) - day[DAY_AT + USUAL])
    mean = away / np.float64(day[DAY_AT + SCALE])
    if abs(mean) > season.MOST:
        wider = 2.0 * abs(mean) / season.MOST
        for k in range(HOURS_AT, HOURS_AT + BUCKETS):
            if hours[k] != UNSEEN:
                hours[k] = np.int16(np.rint(hours[k] / wider))
        day[DAY_AT + SCALE] = np.float64(day[DAY_AT + SCALE]) * wider
        mean = away / np.float64(day[DAY_AT + SCALE])
    old = np.float64(hours[HOURS_AT + past])
    rate = max(1.0 / (days[DAYS_AT + DAYS] + 1.0), season.SLOWEST)
    new = mean if old == UNSEEN else old + rate * (mean - old)
    hours[HOURS_AT + past] = np.int16(np.rint(min(max(new, -season.MOST), season.MOST)))


@jit.compiled
def _learn_season(
    day: Any, hours: Any, days: Any, phase: float, value: float, usual: float, scale: float
) -> None:
    """As `season.learn`."""
    bucket, past = int(phase), int(days[DAYS_AT + BUCKET])
    if past != bucket:
        if day[DAY_AT + COUNT] > 0:
            _fold(day, hours, days, past, usual, scale)
        if past != NO_BUCKET and bucket < past:
            days[DAYS_AT + DAYS] = min(int(days[DAYS_AT + DAYS]) + 1, 255)
        days[DAYS_AT + BUCKET] = bucket
        day[DAY_AT + SUM] = day[DAY_AT + COUNT] = 0.0
    n = np.float64(day[DAY_AT + COUNT])
    day[DAY_AT + SUM] = day[DAY_AT + SUM] + (value - day[DAY_AT + SUM]) / (n + 1.0)
    day[DAY_AT + COUNT] = n + 1.0


@jit.compiled
def _newest(row: Any, z: float, shape: Any) -> bool:
    """As `shapes.newest`; the shape is written into ``shape``."""
    known = True
    before = z
    for lag in range(LAGS - 1):
        past = np.float64(row[SHAPES_AT + PAST + lag])
        known = known and past != UNKNOWN
        shape[lag] = before - past
        before = past
    shape[LAGS - 1] = before
    return known


@jit.compiled
def _nearest(row: Any, shape: Any) -> tuple[float, int, bool]:
    """As `shapes.nearest`, and whether all are in use. No branch, and single precision: eight at a time.

    It is exact: distances are whole numbers, and with their place in four bits below 2²³.
    """
    a, b, c, d = _SINGLE(shape[0]), _SINGLE(shape[1]), _SINGLE(shape[2]), _SINGLE(shape[3])
    best, least = np.int32(_NONE), np.int8(127)
    for k in range(SHAPES):
        at = SHAPES_AT + k
        e, f = _SINGLE(row[at]) - a, _SINGLE(row[at + SHAPES]) - b
        g, h = _SINGLE(row[at + 2 * SHAPES]) - c, _SINGLE(row[at + 3 * SHAPES]) - d
        found = (e * e + f * f + g * g + h * h) * _SINGLE(16.0) + _SINGLE(k)
        uses = row[at + USES]
        least = min(least, uses)
        best = min(best, np.int32(found) if uses > 0 else np.int32(_NONE))
    return np.float64(best >> 4) if best < _NONE else np.inf, int(best & 15), bool(least > 0)


@jit.compiled
def _learn_shape(row: Any, shape: Any, best: float, which: int, novelty: float) -> None:
    """As `shapes.learn`."""
    uses = SHAPES_AT + USES
    if best > shapes.VIGILANCE * novelty:
        place = 0
        for k in range(SHAPES):
            if row[uses + k] < row[uses + place]:
                place = k
        if row[uses + place] <= 1:
            for lag in range(LAGS):
                row[SHAPES_AT + lag * SHAPES + place] = np.int8(shape[lag])
            row[uses + place] = 1
        else:
            row[uses + place] = int(row[uses + place]) * 9 // 10
        return
    for lag in range(LAGS):
        at = SHAPES_AT + lag * SHAPES + which
        old = np.float64(row[at])
        row[at] = np.int8(np.rint(old + (shape[lag] - old) / shapes.SLOW))
    if row[uses + which] >= shapes.MOST_USES:
        for k in range(SHAPES):
            if row[uses + k] > 1:
                row[uses + k] = int(row[uses + k]) // 2
    row[uses + which] += 1


@jit.compiled
def _read(reals: Any, small: Any, r: Any) -> None:
    for k in range(WHOLE_NUMBERS):
        r[k] = reals[REALS_AT + k]
    for k in range(WHOLE_NUMBERS, _FIELDS):
        r[k] = small[BYTES_AT + k - WHOLE_NUMBERS]


@jit.compiled
def _write(reals: Any, small: Any, r: Any) -> None:
    for k in range(WHOLE_NUMBERS):
        reals[REALS_AT + k] = r[k]
    for k in range(WHOLE_NUMBERS, _FIELDS):
        small[BYTES_AT + k - WHOLE_NUMBERS] = np.uint8(r[k])


@jit.compiled
def _remember(row: Any, z: float, after_gap: bool) -> None:
    """As `shapes.remember`; after a gap there is no past."""
    for lag in range(LAGS - 2, 0, -1):
        row[SHAPES_AT + PAST + lag] = UNKNOWN if after_gap else row[SHAPES_AT + PAST + lag - 1]
    row[SHAPES_AT + PAST] = np.int8(z)


@jit.compiled
def _learn_novelty(r: Any, best: float, n: float) -> None:
    """As `shapes.learn_novelty`."""
    if best < np.inf:
        a = max(1.0 / (n - law.WARM + 1.0), 1.0 / law.LONG)
        r[NOVELTY] = r[NOVELTY] + a * (min(best, 9.0 * r[NOVELTY] + 1.0) - r[NOVELTY])


@jit.compiled
def _forget_season(reals: Any, hours: Any, small: Any) -> None:
    """As `memory.wipe_season`."""
    for k in range(BUCKETS):
        hours[HOURS_AT + k] = UNSEEN
    for k in range(4):
        reals[DAY_AT + k] = 0.0
    small[DAYS_AT + BUCKET], small[DAYS_AT + DAYS] = NO_BUCKET, 0


@jit.compiled
def run(
    as64: Any, as32: Any, as16: Any, as8: Any, signed: Any, series: Any, time_ns: Any, phase: Any, value: Any,
    learn: bool, r: Any, shape: Any, score: Any, expected: Any, spread: Any, view: Any,
    interval: Any,
) -> None:  # fmt: skip
    """Score samples in order, and learn them if asked.

    ``as64`` … ``signed`` are the rows of `memory.ROW` as int64, float32, int16, uint8 and int8; ``r`` and
    ``shape`` are scratch.
    """
    for i in range(len(series)):
        s, x = series[i], value[i]
        reals, hours, small, row = as32[s], as16[s], as8[s], signed[s]
        _read(reals, small, r)
        n = r[N]
        gap = max(time_ns[i] - as64[s, TIME_AT], 0) * 1e-9 if n > 0 else 0.0
        least = law.floor(r[SIZE], r[RESOLUTION])
        wide = law.spread(r[LONG_SD], law.LONG_SHARE, r[WHOLE_SD], least)
        apart = law.ratio(x - r[LONG_MEAN], wide)
        z = np.rint(min(max(apart * shapes.GRAIN, -shapes.FARTHEST), shapes.FARTHEST))
        after_gap = sample.broken(r, gap)
        whole = _newest(row, z, shape) and not after_gap
        best, which, full = _nearest(row, shape)
        odd = np.sqrt(best / (r[NOVELTY] + shapes.LEAST)) if whole and full and n >= 2.0 * law.WARM else -1.0
        hour, bucket, seasonal = _usual(reals, hours, small, phase[i])
        found, should, width, by = sample.step(r, x, gap, least, wide, apart, hour, bucket, seasonal, odd)
        warm = n >= law.WARM
        score[i], view[i] = found, np.int8(by)
        expected[i] = should if warm else np.nan
        spread[i] = max(width, law.NARROWEST) if warm else np.nan
        if not learn:
            interval[i] = reals[REALS_AT + INTERVAL]
            continue
        if whole and warm:
            _learn_shape(row, shape, best, which, r[NOVELTY])
            _learn_novelty(r, best, n)
        _remember(row, z, after_gap)
        if r[N] == 0.0:
            _forget_season(reals, hours, small)
        _learn_season(reals, hours, small, phase[i], x, r[sample.WHOLE], max(r[WHOLE_SD], least))
        _write(reals, small, r)
        as64[s, TIME_AT] = time_ns[i]
        interval[i] = reals[REALS_AT + INTERVAL]
