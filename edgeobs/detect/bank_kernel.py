"""The compiled bank: one loop over the samples; `bank_columns` does the same in columns.

The mathematics of `sample` and `law` is compiled from their own text.
"""

import math
from typing import Any

import numpy as np

from edgeobs import jit
from edgeobs.detect import law, sample, season, shapes
from edgeobs.detect.memory import (
    BUCKET,
    BUCKETS,
    BYTES_AT,
    COUNT_AT,
    DAY_AT,
    DAYS,
    DAYS_AT,
    HOURS_AT,
    LAGS,
    NO_BUCKET,
    PAST,
    REALS_AT,
    REST_AT,
    REST_WON,
    RESTS,
    SHAPES,
    SHAPES_AT,
    SUM,
    TIME_AT,
    UNIT,
    UNKNOWN,
    UNSEEN,
    USES,
    USUAL,
    WORK_WON,
)
from edgeobs.detect.sample import (
    FIELDS,
    INTERVAL,
    LONG_MEAN,
    LONG_SD,
    NOVELTY,
    RESOLUTION,
    SEASON_N,
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
    law.decades, law.learn_tail, law.flat, law.join, sample.broken, sample.strongest,
    sample.learn_tail, sample.learn_view, sample.learn_hours, sample.learn_values, sample.learn_runs,
    sample.step,
):
    # fmt: on
    jit.callable_when_compiled(each)


@jit.compiled
def _pays(small: Any) -> bool:
    """As `season.pays`."""
    return bool(small[DAYS_AT + REST_WON] >= season.WON and small[DAYS_AT + WORK_WON] >= season.WON)


@jit.compiled
def _rest_apart(row: Any, hour: float) -> float:
    """As `season.rest_apart`."""
    at = hour / season.WIDE - 0.5
    slot = int(np.floor(at))
    share = at - slot
    one = row[REST_AT + (slot + RESTS) % RESTS]
    other = row[REST_AT + (slot + 1) % RESTS]
    below = 0.0 if one == UNKNOWN else np.float64(one)
    above = 0.0 if other == UNKNOWN else np.float64(other)
    return season.STEP * ((1.0 - share) * below + share * above)


@jit.compiled
def _usual(reals: Any, hours: Any, small: Any, row: Any, phase: float) -> tuple[float, float, bool]:
    """As `season.usual`."""
    if small[DAYS_AT + DAYS] < season.READY:
        return 0.0, 0.0, False
    hour = phase - BUCKETS if phase >= BUCKETS else phase
    bucket = int(hour)
    here = np.float64(hours[HOURS_AT + bucket])
    if here == UNSEEN:
        return 0.0, 0.0, False
    within = hour - bucket
    there = np.float64(hours[HOURS_AT + (bucket + BUCKETS + (-1 if within < 0.5 else 1)) % BUCKETS])
    share = 1.0 if there == UNSEEN else 1.0 - abs(within - 0.5)
    apart = _rest_apart(row, hour) if phase >= BUCKETS and _pays(small) else 0.0
    base, unit = np.float64(reals[DAY_AT + USUAL]), season.UNITS[small[DAYS_AT + UNIT]]
    return base + unit * (share * here + (1.0 - share) * there + apart), base + unit * (here + apart), True


@jit.compiled
def _fold(
    reals: Any, hours: Any, small: Any, row: Any, past: int, usual: float, scale: float
) -> None:
    """As `season.fold`."""
    if small[DAYS_AT + UNIT] == 0:
        reals[DAY_AT + USUAL] = usual
        small[DAYS_AT + UNIT] = math.frexp(max(scale, law.NARROWEST))[1] + season.ZERO_POWER
    mean: float = np.float64(reals[DAY_AT + SUM]) - reals[DAY_AT + USUAL]
    mean = mean / season.UNITS[small[DAYS_AT + UNIT]]
    while abs(mean) > season.MOST:
        _coarsen(hours, small, row)
        mean = mean * 0.5
    at = HOURS_AT + past % BUCKETS
    old = np.float64(hours[at])
    if old != UNSEEN and small[DAYS_AT + DAYS] >= season.READY:
        away, apart = mean - old, _rest_apart(row, past % BUCKETS + 0.5)
        if past >= BUCKETS and _pays(small):
            mean = mean - apart
        _confirm(small, row, past, away, apart)
    rate = max(1.0 / (small[DAYS_AT + DAYS] + 1.0), season.SLOWEST)
    new = mean if old == UNSEEN else old + rate * (mean - old)
    hours[at] = np.int16(np.rint(min(max(new, -season.MOST), season.MOST)))


@jit.compiled
def _confirm(small: Any, row: Any, past: int, away: float, apart: float) -> None:
    """As `season.confirm`."""
    at, resting = REST_AT + past % BUCKETS // season.WIDE, past >= BUCKETS
    steps = np.float64(row[at])
    if steps != UNKNOWN:
        right, wrong = abs(away), abs(away - apart)
        won = DAYS_AT + WORK_WON
        if resting:
            right, wrong, won = wrong, right, DAYS_AT + REST_WON
        if right < season.CLEAR * wrong:
            small[won] = min(int(small[won]) + 1, season.MOST_WON)
        elif right >= wrong:
            small[won] = max(int(small[won]) - 1, 0)
    if resting:
        new = away / season.STEP
        if steps != UNKNOWN:
            move = season.REST_RATE * ((away - apart) / season.STEP)
            if abs(move) < 1.0:
                move = min(max((away - apart) / season.STEP, -1.0), 1.0)
            new = steps + move
        row[at] = np.int8(np.rint(min(max(new, -season.MOST_STEPS), season.MOST_STEPS)))


@jit.compiled
def _coarsen(hours: Any, small: Any, row: Any) -> None:
    """As `season.coarsen`."""
    for k in range(HOURS_AT, HOURS_AT + BUCKETS):
        if hours[k] != UNSEEN:
            hours[k] = np.int16(np.rint(hours[k] * 0.5))
    for k in range(REST_AT, REST_AT + RESTS):
        if row[k] != UNKNOWN:
            row[k] = np.int8(np.rint(row[k] * 0.5))
    small[DAYS_AT + UNIT] += 1


@jit.compiled
def _sharpen(hours: Any, small: Any, row: Any) -> None:
    """As `season.sharpen`."""
    if small[DAYS_AT + UNIT] <= 1:
        return
    for k in range(HOURS_AT, HOURS_AT + BUCKETS):
        if hours[k] != UNSEEN and abs(np.float64(hours[k])) >= season.COARSE:
            return
    for k in range(REST_AT, REST_AT + RESTS):
        if row[k] != UNKNOWN and abs(np.float64(row[k])) >= season.COARSE / season.STEP:
            return
    for k in range(HOURS_AT, HOURS_AT + BUCKETS):
        if hours[k] != UNSEEN:
            hours[k] = 2 * hours[k]
    for k in range(REST_AT, REST_AT + RESTS):
        if row[k] != UNKNOWN:
            row[k] = 2 * row[k]
    small[DAYS_AT + UNIT] -= 1


@jit.compiled
def _turn(
    reals: Any, hours: Any, small: Any, row: Any, bucket: int, past: int, usual: float, scale: float
) -> bool:
    """What `season.learn` does when an hour is over; whether days of rest differ from now on."""
    before = _pays(small)
    if hours[COUNT_AT] > 0:
        _fold(reals, hours, small, row, past, usual, scale)
    differ = not before and _pays(small)
    if differ:
        small[DAYS_AT + REST_WON] = small[DAYS_AT + WORK_WON] = season.MOST_WON
    if past != NO_BUCKET and bucket % BUCKETS < past % BUCKETS:
        small[DAYS_AT + DAYS] = min(int(small[DAYS_AT + DAYS]) + 1, 255)
        _sharpen(hours, small, row)
    small[DAYS_AT + BUCKET] = bucket
    reals[DAY_AT + SUM], hours[COUNT_AT] = 0.0, 0
    return differ


@jit.compiled
def _learn_hour(reals: Any, hours: Any, value: float) -> None:
    """As the rest of `season.learn`."""
    n = np.float64(hours[COUNT_AT]) + 1.0
    reals[DAY_AT + SUM] = reals[DAY_AT + SUM] + (value - reals[DAY_AT + SUM]) / n
    hours[COUNT_AT] = np.int16(min(n, season.MOST_COUNT))


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
def _forget_season(reals: Any, hours: Any, small: Any, row: Any) -> None:
    """As `memory.wipe_season`."""
    for k in range(BUCKETS):
        hours[HOURS_AT + k] = UNSEEN
    for k in range(RESTS):
        row[REST_AT + k] = UNKNOWN
    for k in range(5):
        small[DAYS_AT + k] = 0
    reals[DAY_AT + USUAL], reals[DAY_AT + SUM], hours[COUNT_AT] = 0.0, 0.0, 0
    small[DAYS_AT + BUCKET] = NO_BUCKET


@jit.compiled
def run(
    as64: Any, as32: Any, as16: Any, as8: Any, signed: Any, series: Any, time_ns: Any,
    phase: Any, value: Any, learn: bool, r: Any, shape: Any, score: Any, expected: Any, spread: Any,
    view: Any, interval: Any,
) -> None:  # fmt: skip
    """Score samples in order, and learn them if asked.

    ``as64`` … ``signed`` are the rows of `memory.ROW` as int64, float32, int16, uint8 and int8;
    ``r`` and ``shape`` are scratch.
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
        hour, bucket, seasonal = _usual(reals, hours, small, row, phase[i])
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
            _forget_season(reals, hours, small, row)
        hour_now, past = int(phase[i]), int(small[DAYS_AT + BUCKET])
        if hour_now != past and _turn(
            reals, hours, small, row, hour_now, past, r[sample.WHOLE], max(r[WHOLE_SD], least)
        ):
            r[SEASON_N] = 0.0
        _learn_hour(reals, hours, x)
        _write(reals, small, r)
        as64[s, TIME_AT] = time_ns[i]
        interval[i] = reals[REALS_AT + INTERVAL]
