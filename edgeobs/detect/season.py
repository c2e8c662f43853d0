"""What is usual at a time of day, 24 means a series, and how days of rest differ from that; in columns.

A bucket is folded in once a day, when its hour is over: sample by sample, a fault that fills its bucket would
be what is usual there. Means are whole numbers of a unit that grows when one does not fit.

A day of rest has six more, its differences from the hours of the other days, four hours each. They count once
hours of both kinds of day have confirmed it: of a day of rest that its mean is much nearer with the
difference, of another that it is much nearer without.
"""

import numpy as np
from numpy.typing import NDArray

from edgeobs.detect.law import NARROWEST
from edgeobs.detect.memory import (
    BUCKET,
    BUCKETS,
    DAYS,
    NO_BUCKET,
    REST_WON,
    RESTS,
    SUM,
    UNIT,
    UNKNOWN,
    UNSEEN,
    USUAL,
    WORK_WON,
    Memory,
)
from edgeobs.signals import Bools, Floats, Int64s

READY = 3
"""Days completed before a time of day means anything."""
SLOWEST = 0.1  # of the way to the day's mean, however many days
GRAIN = 10  # powers of two by which a unit is finer than the first spread
MOST = 32767.0
COARSE = 8192.0
"""Where every hour is below this, the unit is halved at the end of the day."""
ZERO_POWER = 128
UNITS = np.ldexp(1.0, np.arange(256) - (ZERO_POWER + GRAIN))
"""By `UNIT`: what one is worth."""
WIDE = BUCKETS // RESTS
STEP = 128.0
"""Units that one of a day of rest is worth."""
MOST_STEPS = 127.0
MOST_COUNT = 32767.0
_NONE = np.zeros(0, np.int64)
REST_RATE = 1.0 / 6.0
"""Of the way to what an hour of rest shows; by a whole step at least, since less would be rounded to none."""
CLEAR = 0.5
"""Times the other distance: nearer than that, an hour confirms its kind of day."""
WON, MOST_WON = 48, 96
"""Hours by which each kind of day must be confirmed, and which are remembered at most."""


def usual(memory: Memory, phase: Floats) -> tuple[Floats, Floats, Bools]:
    """Usual value of each row at a phase (as `daytime.phase`): interpolated, of the bucket; whether known."""
    hours, days, resting = memory.hours, memory.days, phase >= BUCKETS
    hour, apart = phase, np.zeros(1)
    if resting.any():
        hour = np.where(resting, phase - BUCKETS, phase)
        if (differs := resting & pays(days)).any():
            apart = np.where(differs, rest_apart(memory.rest, hour), 0.0)
    bucket = hour.astype(np.intp)
    within = hour - bucket
    every = np.arange(len(hours))
    beside = np.where(within < 0.5, bucket - 1, bucket + 1) % BUCKETS
    here, there = hours[every, bucket].astype(np.float64), hours[every, beside].astype(np.float64)
    known = (days[:, DAYS] >= READY) & (here != UNSEEN)
    share = np.where(there == UNSEEN, 1.0, 1.0 - np.abs(within - 0.5))
    base, unit = memory.day[:, USUAL].astype(np.float64), UNITS[days[:, UNIT]]
    return (
        base + unit * (share * here + (1.0 - share) * there + apart),
        base + unit * (here + apart),
        known,
    )


def pays(days: NDArray[np.uint8]) -> Bools:
    """Whether days of rest are known to differ."""
    return (days[:, REST_WON] >= WON) & (days[:, WORK_WON] >= WON)


def rest_apart(rest: NDArray[np.int8], hour: Floats) -> Floats:
    """Units by which a day of rest differs at an hour of the day, interpolated."""
    at = hour / WIDE - 0.5
    below = np.floor(at)
    share, slot, every = at - below, below.astype(np.intp), np.arange(len(rest))
    one, other = rest[every, slot % RESTS], rest[every, (slot + 1) % RESTS]
    one, other = (np.where(each == UNKNOWN, 0.0, each.astype(np.float64)) for each in (one, other))
    return np.asarray(STEP * ((1.0 - share) * one + share * other))


def learn(memory: Memory, phase: Floats, value: Floats, usual: Floats, scale: Floats) -> Int64s:
    """Add a sample to each row's bucket of now, folding in one that is over; the first begins at ``usual``.

    It says of which rows days of rest differ from now on: what is usual around them is to be learned anew.
    """
    bucket, differ = phase.astype(np.uint8), _NONE
    over = np.flatnonzero(memory.days[:, BUCKET] != bucket)
    if len(over):
        differ = turn(memory, over, bucket[over].astype(np.int64), usual[over], scale[over])
    n = memory.count + 1.0
    memory.day[:, SUM] += (value - memory.day[:, SUM]) / n
    memory.count[:] = np.minimum(n, MOST_COUNT)
    return differ


def turn(memory: Memory, over: Int64s, bucket: Int64s, usual: Floats, scale: Floats) -> Int64s:
    """Begin ``bucket`` where another is ``over``, by row; what it says is what `learn` says."""
    past, before = memory.days[over, BUCKET].astype(np.int64), pays(memory.days[over])
    some = memory.count[over] > 0
    fold(memory, over[some], past[some], usual[some], scale[some])
    differ = over[~before & pays(memory.days[over])]
    memory.days[differ, REST_WON] = memory.days[differ, WORK_WON] = MOST_WON
    wrapped = over[(past != NO_BUCKET) & (bucket % BUCKETS < past % BUCKETS)]
    memory.days[wrapped, DAYS] = np.minimum(memory.days[wrapped, DAYS].astype(np.int64) + 1, 255)
    sharpen(memory, wrapped)
    memory.days[over, BUCKET] = bucket
    memory.day[over, SUM] = memory.count[over] = 0
    return differ


def fold(memory: Memory, at: Int64s, past: Int64s, usual: Floats, scale: Floats) -> None:
    """Make hours that are over, ``past`` (24 more on a day of rest), part of what is usual."""
    hour, resting = past % BUCKETS, past >= BUCKETS
    first = memory.days[at, UNIT] == 0
    memory.day[at[first], USUAL] = usual[first]
    memory.days[at[first], UNIT] = np.frexp(np.maximum(scale[first], NARROWEST))[1] + ZERO_POWER
    away = memory.day[at, SUM].astype(np.float64) - memory.day[at, USUAL]
    mean = away / UNITS[memory.days[at, UNIT]]
    while len(far := np.flatnonzero(np.abs(mean) > MOST)):
        coarsen(memory, at[far])
        mean[far] *= 0.5
    old, days = memory.hours[at, hour].astype(np.float64), memory.days[at]
    apart = rest_apart(memory.rest[at], hour + np.float64(0.5))
    ready = (old != UNSEEN) & (days[:, DAYS] >= READY)
    mean = np.where(ready & resting & pays(days), mean - apart, mean)
    confirm(memory, at[ready], past[ready], (away / UNITS[days[:, UNIT]] - old)[ready], apart[ready])
    rate = np.maximum(1.0 / (days[:, DAYS] + 1.0), SLOWEST)
    new = np.where(old == UNSEEN, mean, old + rate * (mean - old))
    memory.hours[at, hour] = np.rint(np.clip(new, -MOST, MOST))


def confirm(memory: Memory, at: Int64s, past: Int64s, away: Floats, apart: Floats) -> None:
    """Whether hours, so far from what is usual, confirm their kind of day; of a day of rest it is learned."""
    slot, resting = past % BUCKETS // WIDE, past >= BUCKETS
    steps = memory.rest[at, slot].astype(np.float64)
    known = steps != UNKNOWN
    with_it, without = np.abs(away - apart), np.abs(away)
    right, wrong = np.where(resting, with_it, without), np.where(resting, without, with_it)
    kind = np.where(resting, REST_WON, WORK_WON)
    won = memory.days[at, kind].astype(np.int64)
    won += np.where(known & (right < CLEAR * wrong), 1, np.where(known & (right >= wrong), -1, 0))
    memory.days[at, kind] = np.clip(won, 0, MOST_WON)
    more = (away - apart) / STEP
    move = np.where(np.abs(REST_RATE * more) < 1.0, np.clip(more, -1.0, 1.0), REST_RATE * more)
    new = np.rint(np.clip(np.where(known, steps + move, away / STEP), -MOST_STEPS, MOST_STEPS))
    memory.rest[at[resting], slot[resting]] = new[resting]


def coarsen(memory: Memory, at: Int64s) -> None:
    """A unit is twice as much."""
    hours, rest = memory.hours[at], memory.rest[at]
    memory.hours[at] = np.where(hours == UNSEEN, UNSEEN, np.rint(hours * 0.5))
    memory.rest[at] = np.where(rest == UNKNOWN, UNKNOWN, np.rint(rest * 0.5))
    memory.days[at, UNIT] += 1


def sharpen(memory: Memory, at: Int64s) -> None:
    """A unit is half as much, where all of the day still fits."""
    hours, rest = memory.hours[at], memory.rest[at]
    farthest = np.abs(np.where(hours == UNSEEN, 0, hours)).max(axis=1, initial=0)
    apart = np.abs(np.where(rest == UNKNOWN, 0, rest)).max(axis=1, initial=0)
    fits = (farthest < COARSE) & (apart < COARSE / STEP) & (memory.days[at, UNIT] > 1)
    at, hours, rest = at[fits], hours[fits], rest[fits]
    memory.hours[at] = np.where(hours == UNSEEN, UNSEEN, hours * 2)
    memory.rest[at] = np.where(rest == UNKNOWN, UNKNOWN, rest * 2)
    memory.days[at, UNIT] -= 1
