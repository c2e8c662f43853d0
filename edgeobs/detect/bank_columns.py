"""The bank in NumPy: samples of series that differ, all at once; `bank_kernel` does the same one by one."""

import numpy as np

from edgeobs.detect import law, sample, season, shapes
from edgeobs.detect.memory import PAST, ROW, UNKNOWN, Memory, wipe_season
from edgeobs.detect.sample import (
    LONG_MEAN,
    LONG_SD,
    NOVELTY,
    RESOLUTION,
    SEASON_N,
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
    held = _rows(memory, series)
    r = np.concatenate([held.reals.T, held.bytes.T], dtype=np.float64)
    n = r[N].copy()
    gap = np.where(n > 0, np.maximum(time_ns - held.at_ns, 0) * 1e-9, 0.0)
    least = law.floor(r[SIZE], r[RESOLUTION])
    wide = law.spread(r[LONG_SD], law.LONG_SHARE, r[WHOLE_SD], least)
    apart = law.ratio(value - r[LONG_MEAN], wide)
    row = held.shapes.copy()
    row[sample.broken(r, gap), PAST:] = UNKNOWN
    shape, whole = shapes.newest(row, apart)
    distance, which, full = shapes.nearest(row, shape)
    odd = shapes.surprise(distance, r[NOVELTY], whole & full, n)
    hour, bucket, seasonal = season.usual(held, phase)
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
    wipe_season(held, np.flatnonzero(r[N] == 0))
    r[SEASON_N, season.learn(held, phase, value, r[WHOLE], np.maximum(r[WHOLE_SD], least))] = 0.0
    held.shapes[:], held.at_ns[:] = row, time_ns
    held.reals[:], held.bytes[:] = r[:WHOLE_NUMBERS].T, r[WHOLE_NUMBERS:].T
    if not np.may_share_memory(held.rows, memory.rows):
        memory.seen_as(np.int64)[series] = held.seen_as(np.int64)
    return outputs


def _rows(memory: Memory, series: Int32s) -> Memory:
    """Their rows where they lie, when they lie side by side, as those of one sender do; else copies."""
    first, n = int(series[0]), len(series)
    if int(series[-1]) - first == n - 1 and bool((series[1:] > series[:-1]).all()):
        return Memory(memory.rows[first : first + n])
    return Memory(memory.seen_as(np.int64)[series].view(ROW)[:, 0])
