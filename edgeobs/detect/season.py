"""What is usual at a time of day: 24 means a series, in columns.

A bucket is folded in once a day, when its hour is over: sample by sample, a fault that fills its bucket would
be what is usual there. Means are kept in thousandths of a scale that grows when one does not fit.
"""

import numpy as np
from numpy.typing import NDArray

from edgeobs.detect.memory import BUCKET, BUCKETS, COUNT, DAYS, NO_BUCKET, SCALE, SUM, UNSEEN, USUAL
from edgeobs.signals import Bools, Floats

READY = 3
"""Days completed before a time of day means anything."""
SLOWEST = 0.1  # of the way to the day's mean, however many days
GRAIN = 1000.0
MOST = 32767.0


def usual(
    hours: NDArray[np.int16], day: NDArray[np.float32], days: NDArray[np.uint8], phase: Floats
) -> tuple[Floats, Floats, Bools]:
    """Usual value at a phase of the day (buckets, [0, 24)): interpolated, of the bucket; whether known."""
    bucket = phase.astype(np.intp)
    within = phase - bucket
    every = np.arange(len(hours))
    beside = np.where(within < 0.5, bucket - 1, bucket + 1) % BUCKETS
    here, there = hours[every, bucket].astype(np.float64), hours[every, beside].astype(np.float64)
    known = (days[:, DAYS] >= READY) & (here != UNSEEN)
    share = np.where(there == UNSEEN, 1.0, 1.0 - np.abs(within - 0.5))
    base, scale = day[:, USUAL].astype(np.float64), day[:, SCALE].astype(np.float64) / GRAIN
    return base + scale * (share * here + (1.0 - share) * there), base + scale * here, known


def learn(
    hours: NDArray[np.int16],
    day: NDArray[np.float32],
    days: NDArray[np.uint8],
    phase: Floats,
    value: Floats,
    usual: Floats,
    scale: Floats,
) -> None:
    """Add a sample to the bucket of now, folding in the one that is over; the first begins at ``usual``."""
    bucket = phase.astype(np.int64)
    over = np.flatnonzero(days[:, BUCKET] != bucket)
    if len(over):
        fold(hours, day, days, over, usual, scale)
        past = days[over, BUCKET].astype(np.int64)
        wrapped = over[(past != NO_BUCKET) & (bucket[over] < past)]
        days[wrapped, DAYS] = np.minimum(days[wrapped, DAYS].astype(np.int64) + 1, 255)
        days[over, BUCKET] = bucket[over]
        day[over, SUM] = day[over, COUNT] = 0.0
    n = day[:, COUNT].astype(np.float64)
    day[:, SUM] = day[:, SUM] + (value - day[:, SUM]) / (n + 1.0)
    day[:, COUNT] = n + 1.0


def fold(
    hours: NDArray[np.int16],
    day: NDArray[np.float32],
    days: NDArray[np.uint8],
    over: NDArray[np.intp],
    usual: Floats,
    scale: Floats,
) -> None:
    at = over[day[over, COUNT] > 0]
    first = at[day[at, SCALE] == 0]
    day[first, USUAL], day[first, SCALE] = usual[first], np.maximum(scale[first], 1e-30)
    bucket = days[at, BUCKET].astype(np.intp)
    mean = GRAIN * (day[at, SUM].astype(np.float64) - day[at, USUAL]) / day[at, SCALE].astype(np.float64)
    for i in np.flatnonzero(np.abs(mean) > MOST).tolist():
        wider = 2.0 * abs(float(mean[i])) / MOST
        row = hours[at[i]]
        hours[at[i]] = np.where(row == UNSEEN, UNSEEN, np.rint(row / wider))
        day[at[i], SCALE] = np.float64(day[at[i], SCALE]) * wider
        mean[i] = GRAIN * (np.float64(day[at[i], SUM]) - day[at[i], USUAL]) / np.float64(day[at[i], SCALE])
    old = hours[at, bucket].astype(np.float64)
    rate = np.maximum(1.0 / (days[at, DAYS] + 1.0), SLOWEST)
    new = np.where(old == UNSEEN, mean, old + rate * (mean - old))
    hours[at, bucket] = np.rint(np.clip(new, -MOST, MOST))
