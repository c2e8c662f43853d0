"""The bank in NumPy: samples of series that differ, all at once; `bank_kernel` does the same one by one."""

import numpy as np

from edgeobs.detect import law, sample, season, shapes
from edgeobs.detect.memory import PAST, UNKNOWN, Memory, wipe_season
from edgeobs.detect.sample import (
    LONG_MEAN,
    LONG_SD,
    NOVELTY,
    RESOLUTION,
    SIZE,
    WHOLE,
    WHOLE_NUMBERS,
    WHOLE_SD,
    N,
)
from edgeobs.signals import Floats, Int32s, Int64s


def run(
    memory: Memory, series: Int32s, time_ns: Int64s, phase: Floats, value: Floats, *, learn: bool
) -> tuple[Floats, Floats, Floats, Floats]:
    """Score, expected, spread and view of each; no series occurs twice."""
    r = np.concatenate([memory.reals[series], memory.bytes[series]], axis=1, dtype=np.float64).T.copy()
    n = r[N].copy()
    gap = np.where(n > 0, np.maximum(time_ns - memory.at_ns[series], 0) * 1e-9, 0.0)
    least = law.floor(r[SIZE], r[RESOLUTION])
    wide = law.spread(r[LONG_SD], law.LONG_SHARE, r[WHOLE_SD], least)
    apart = law.ratio(value - r[LONG_MEAN], wide)
    row, hours, day, days = (
        memory.shapes[series],
        memory.hours[series],
        memory.day[series],
        memory.days[series],
    )
    row[sample.broken(r, gap), PAST:] = UNKNOWN
    shape, whole = shapes.newest(row, apart)
    distance, which = shapes.nearest(row, shape)
    odd = shapes.surprise(row, distance, r[NOVELTY], whole, n)
    hour, bucket, seasonal = season.usual(hours, day, days, phase)
    score, expected, spread, view = sample.step(
        r, value, gap, least, wide, apart, hour, bucket, seasonal, odd
    )
    warm = n >= law.WARM
    outputs = (
        score,
        np.where(warm, expected, np.nan),
        np.where(warm, np.maximum(spread, law.NARROWEST), np.nan),
        view,
    )
    if not learn:
        return outputs
    learns = whole & warm
    shapes.learn(row, shape, distance, which, r[NOVELTY], learns)
    r[NOVELTY] = shapes.learn_novelty(r[NOVELTY], distance, n, learns)
    shapes.remember(row, apart)
    memory.shapes[series] = row
    memory.hours[series], memory.day[series], memory.days[series] = hours, day, days
    anew = series[r[N] == 0]
    if len(anew):
        wipe_season(memory, anew)
        hours, day, days = memory.hours[series], memory.day[series], memory.days[series]
    season.learn(hours, day, days, phase, value, r[WHOLE], np.maximum(r[WHOLE_SD], least))
    memory.hours[series], memory.day[series], memory.days[series] = hours, day, days
    memory.reals[series] = r[:WHOLE_NUMBERS].T
    memory.bytes[series] = r[WHOLE_NUMBERS:].T
    memory.at_ns[series] = time_ns
    return outputs
