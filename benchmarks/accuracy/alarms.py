"""One alarm stage for every detector, and what it tells at a given number of false alarms a series and day.

An alarm opens at the first sample whose score reaches the threshold and stays open until `HOLD_NS` have
passed without another. An event is a maximal run of labelled samples.

- Caught: an alarm opens or is still open within the event. Whoever was called before is already looking.
- False: no sample of the alarm at or above the threshold lies in an event, give or take the tolerance. Being
  held open into an event redeems no alarm. For every full day outside events that an alarm, true or false,
  stays open it is one false alarm more: one that never closes would catch everything and be never wrong.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.accuracy.data import DAY, Node, Series
from benchmarks.accuracy.ranking import runs
from edgeobs import jit
from edgeobs.signals import SECOND, Bools, Floats, Int64s

HOLD_NS = 12 * 3600 * SECOND
TOLERANCE = 3
"""Samples around an event where an alarm is not false, though it catches nothing there: experts mark by eye,
and a smoothed score trails."""
MORE, FADE_NS = 0.2, 3 * DAY
"""Share by which an opening raises the threshold of the next, and the time in which that fades to a third:
who is called again and again asks for more. Only where openings are what counts (NAB)."""
RATES = (0.02, 0.05, 0.1, 0.25)


class Operating(NamedTuple):
    """What one threshold for all series gives."""

    rate: float  # false alarms a series and day that were allowed
    threshold: float  # alarms open at or above it; inf where even the highest score is too often wrong
    recall: float  # share of events caught
    precision: float  # share of alarms that a sample within an event proves; NaN without alarms
    delay_s: float  # median over caught events, from the event's first sample; NaN without
    false_alarms: float  # a series and day, as found


def operating_points(
    series: Sequence[Series | Node],
    scores: Sequence[Floats],
    rates: Sequence[float] = RATES,
    hold_ns: int = HOLD_NS,
    tolerance: int = TOLERANCE,
) -> list[Operating]:
    """For each rate the lowest threshold at which, and above which, no more alarms are false than it allows.

    Above too, because under a very low one all alarms of a series become one.
    """
    joined = _join(series, scores, tolerance)
    limit = max(rates) * joined.days
    # Most samples are far below any threshold that counts, and sorting them is most of the work.
    for part in (16, 1):
        order = _highest(joined.score, len(joined.score) // part)
        alarm = np.arange(len(joined.score)), np.arange(len(joined.score)), np.arange(len(joined.score))
        over, true = np.zeros((2, len(joined.score)), np.bool_)
        false = np.empty(len(order))
        columns = joined.score, joined.time_ns, joined.first, joined.near, joined.outside
        done = _grow(order, *columns, hold_ns, limit, *alarm, over, true, false)
        if done < len(order):
            break
    falling = joined.score[order[:done]]
    complete = np.append(falling[1:] != falling[:-1], True)  # a threshold takes all of its equals
    thresholds, counts = falling[complete], np.maximum.accumulate(false[:done][complete])
    found = []
    for rate in rates:
        fit = int(np.searchsorted(counts, rate * joined.days, side="right"))
        found.append(_at(series, scores, thresholds[fit - 1] if fit else np.inf, rate, hold_ns, tolerance))
    return found


def at_threshold(
    series: Sequence[Series | Node],
    scores: Sequence[Floats],
    threshold: float | Sequence[float],
    hold_ns: int = HOLD_NS,
    tolerance: int = TOLERANCE,
) -> Operating:
    """What a threshold, or one for each series, gives; ``rate`` is NaN."""
    return _at(series, scores, threshold, float("nan"), hold_ns, tolerance)


def openings(
    time_ns: Int64s, score: Floats, threshold: float, hold_ns: int = HOLD_NS, more: float = MORE
) -> Int64s:
    """Rows at which an alarm opens; each asks ``more`` of the threshold of the next, fading in days."""
    over = np.flatnonzero(score >= threshold)
    opens = np.zeros(len(over), np.bool_)
    _open(time_ns[over], score[over], threshold, hold_ns, more, opens)
    return over[opens]


def days(series: Sequence[Series | Node]) -> float:
    """Series-days that were watched, from each one's first sample to its last."""
    return sum(float(s.time_ns[-1] - s.time_ns[0]) for s in series) / DAY


class _Joined(NamedTuple):
    score: Floats
    time_ns: Int64s
    first: Int64s  # row at which the series of a row begins
    near: Bools
    outside: Int64s  # ns outside events, from the beginning of the row's series to the row
    days: float


def _join(series: Sequence[Series | Node], scores: Sequence[Floats], tolerance: int) -> _Joined:
    length = [len(s.time_ns) for s in series]
    return _Joined(
        np.concatenate([np.asarray(x, np.float64) for x in scores]),
        np.concatenate([s.time_ns for s in series]),
        np.repeat(np.cumsum([0, *length[:-1]]), length),
        np.concatenate([_widened(s.label, tolerance) for s in series]),
        np.concatenate([_outside(s) for s in series]),
        days(series),
    )


def _highest(score: Floats, count: int) -> Int64s:
    """Rows of at least the ``count`` highest scores, with all their equals, falling."""
    least = np.partition(score, len(score) - count)[len(score) - count] if 0 < count < len(score) else -np.inf
    rows = np.flatnonzero(score >= least)
    return rows[np.argsort(-score[rows], kind="stable")]


def _outside(one: Series | Node) -> Int64s:
    return np.cumsum(np.where(one.label, 0, np.diff(one.time_ns, prepend=one.time_ns[:1])))


def _widened(label: Bools, tolerance: int) -> Bools:
    near = label.copy()
    for away in range(1, tolerance + 1):
        near[away:] |= label[:-away]
        near[:-away] |= label[away:]
    return near


def _at(
    series: Sequence[Series | Node], scores: Sequence[Floats], threshold: float | Sequence[float],
    rate: float, hold_ns: int, tolerance: int,
) -> Operating:  # fmt: skip
    events = alarms = wrong = false = 0
    delays: list[float] = []
    each = np.broadcast_to(np.asarray(threshold, np.float64), len(series))
    for one, score, limit in zip(series, scores, each, strict=True):
        over = np.flatnonzero(score >= limit)
        opens = np.flatnonzero(np.diff(one.time_ns[over], prepend=one.time_ns[:1] - hold_ns - 1) > hold_ns)
        if len(over):
            true = np.logical_or.reduceat(_widened(one.label, tolerance)[over], opens)
            outside = _outside(one)
            open_ns = outside[over[np.append(opens[1:], len(over)) - 1]] - outside[over[opens]]
            alarms, wrong = alarms + len(opens), wrong + int((~true).sum())
            false += int((~true).sum() + (open_ns // DAY).sum())
        for first, last in runs(one.label):
            events += 1
            begin = one.time_ns[first]
            at = int(np.searchsorted(over, first))  # the first sample over the threshold from here on
            if at and begin - one.time_ns[over[at - 1]] <= hold_ns:
                delays.append(0.0)
            elif at < len(over) and over[at] <= last:
                delays.append(float(one.time_ns[over[at]] - begin) / SECOND)
    return Operating(
        rate,
        float(each[0]) if len(each) else float("nan"),
        len(delays) / events if events else float("nan"),
        1 - wrong / alarms if alarms else float("nan"),
        float(np.median(delays)) if delays else float("nan"),
        false / days(series),
    )


@jit.compiled
def _open(time_ns: Int64s, score: Floats, threshold: float, hold_ns: int, more: float, opens: Bools) -> None:
    """Mark the rows (all at or above the threshold) at which an alarm opens."""
    last, opened, raised = np.int64(-(2**62)), np.int64(0), 0.0
    for i in range(len(score)):
        if time_ns[i] - last > hold_ns:  # a clock that steps back opens nothing
            now = raised * np.exp(-(time_ns[i] - opened) / FADE_NS)
            if score[i] < threshold * (1.0 + now):
                continue
            opens[i] = True
            raised, opened = now + more, time_ns[i]
        last = time_ns[i]


@jit.compiled
def _root(parent: Int64s, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@jit.compiled
def _grow(
    order: Int64s, score: Floats, time_ns: Int64s, first: Int64s, near: Bools, outside: Int64s,
    hold_ns: int, limit: float,
    parent: Int64s, begin: Int64s, end: Int64s, over: Bools, true: Bools, false: Floats,
) -> int:  # fmt: skip
    """False alarms after each further sample of ``order``; how many samples until they exceed ``limit``.

    Samples over the threshold and no farther apart than the hold are one alarm: sets, joined as the threshold
    falls, of which ``begin``, ``end`` (rows) and ``true`` are kept. Ends only between unequal scores.
    """
    wrong = 0
    n = len(score)
    for k in range(len(order)):
        i = order[k]
        over[i] = True
        true[i] = near[i]
        if not near[i]:
            wrong += 1
        for step in (-1, 1):
            j = i + step
            while 0 <= j < n and first[j] == first[i] and abs(time_ns[j] - time_ns[i]) <= hold_ns:
                if over[j]:
                    a, b = _root(parent, i), _root(parent, j)
                    if a != b:
                        wrong -= (not true[a]) + (outside[end[a]] - outside[begin[a]]) // DAY
                        wrong -= (not true[b]) + (outside[end[b]] - outside[begin[b]]) // DAY
                        parent[a] = b
                        true[b] = true[a] or true[b]
                        begin[b] = min(begin[a], begin[b])
                        end[b] = max(end[a], end[b])
                        wrong += (not true[b]) + (outside[end[b]] - outside[begin[b]]) // DAY
                    break
                j += step
        false[k] = wrong
        if wrong > limit and k + 1 < len(order) and score[order[k + 1]] != score[i]:
            return k + 1
    return len(order)
