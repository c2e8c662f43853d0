"""How well a score ranks: the area under the precision-recall curve, of points and of ranges.

VUS-PR: Paparrizos et al., "Volume Under the Surface", VLDB 2022, in the variant ``opt`` of TSB-AD (Liu and
Paparrizos, NeurIPS 2024), whose figures this gives to the last digits.
"""

from typing import NamedTuple

import numpy as np

from edgeobs.signals import Bools, Floats, Int64s

THRESHOLDS = 250
NO_PERIOD = 125  # TSB-AD's window where the autocorrelation shows none
_LAGS, _FIRST_LAG, _LONGEST, _ROWS = 400, 3, 300, 20_000


def period(value: Floats) -> int:
    """The lag in [6, 303] of the highest peak of the autocorrelation; 125 where there is none."""
    x = value[:_ROWS]
    x = x - x.mean()
    size = 1 << int(2 * len(x)).bit_length()
    spectrum = np.fft.rfft(x, size)
    power = np.fft.irfft(spectrum * np.conj(spectrum), size)[: min(_LAGS, len(x) - 1) + 1]
    if not power[0] > 0:
        return NO_PERIOD
    r = (power / power[0])[_FIRST_LAG:]
    peaks = np.flatnonzero((r[1:-1] > r[:-2]) & (r[1:-1] > r[2:])) + 1
    if not len(peaks):
        return NO_PERIOD
    best = int(peaks[np.argmax(r[peaks])])
    return NO_PERIOD if best < _FIRST_LAG or best > _LONGEST else best + _FIRST_LAG


def runs(label: Bools) -> Int64s:
    """First and last row of every maximal run of True, [events, 2]."""
    edge = np.diff(np.concatenate([[0], label.astype(np.int8), [0]]))
    return np.column_stack([np.flatnonzero(edge == 1), np.flatnonzero(edge == -1) - 1])


def auc_pr(label: Bools, score: Floats) -> float:
    """Average precision: Σ (recall_k − recall_{k−1}) · precision_k. NaN without labels."""
    if not label.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    hits, taken = np.cumsum(label[order])[last], (np.flatnonzero(last) + 1)
    return float(np.sum(np.diff(hits, prepend=0) * hits / taken) / hits[-1])


def vus_pr(label: Bools, score: Floats, window: int) -> float:
    """Volume under the precision-recall surface over windows 0…``window``. NaN without labels.

    Every event is widened by half a window, with credit that falls off as √(1 − distance/window).
    """
    events = runs(label)
    if not len(events):
        return float("nan")
    # The score of each threshold, and how many samples are at or above it.
    falling = -np.sort(-score)
    thresholds = falling[np.linspace(0, len(score) - 1, THRESHOLDS).astype(np.int64)]
    taken = np.searchsorted(-falling, -thresholds, side="right").astype(np.float64)
    # What is farther from any event than the widest window reaches has no credit: only the rest is looked at.
    neighbour, distance = _neighbours(events, len(label), window // 2)
    close = label.copy()
    close[neighbour] = True
    place = np.cumsum(close) - 1
    around = place[neighbour]
    since = np.searchsorted(-thresholds, -score[close], side="left")
    near = _Near(
        len(label),
        events,
        place,
        label[close],
        score[close],
        since,
        thresholds,
        taken,
        around,
        distance,
    )
    return float(np.mean([_average_precision(near, w) for w in range(window + 1)]))


class _Near(NamedTuple):
    """Rows close to an event, m of n, and the thresholds."""

    rows: int  # n
    events: Int64s  # in rows
    place: Int64s  # [n] of a close row among the m
    label: Bools  # [m]
    score: Floats  # [m]
    since: Int64s  # [m] from which threshold on the row is predicted
    thresholds: Floats
    taken: Floats  # rows at or above each threshold
    neighbour: Int64s  # what `_neighbours` gives, among the m
    distance: Int64s


def _average_precision(near: _Near, window: int) -> float:
    half, events, k = window // 2, near.events, len(near.thresholds)
    credit = _credit(near, window)
    got = np.bincount(near.since, credit, k + 1)[:k].cumsum()
    sure = np.bincount(near.since[near.label], None, k + 1)[:k].cumsum()
    # Events whose widened edges meet are one range.
    first = np.flatnonzero(np.append(True, events[:-1, 1] + half < events[1:, 0] - half))
    begin = near.place[np.maximum(events[first, 0] - half, 0)]
    end = near.place[np.minimum(events[np.append(first[1:], len(events)) - 1, 1] + half, near.rows - 1)]
    highest = np.maximum.reduceat(np.append(near.score, -np.inf), np.column_stack([begin, end + 1]).ravel())[
        ::2
    ]
    seen = np.searchsorted(np.sort(-highest), -near.thresholds, side="right") / len(first)
    recall = np.minimum(got / (near.label.sum() + (got - sure) / 2), 1.0) * seen
    return float(np.dot(np.diff(recall, prepend=0.0), got / near.taken))


def _credit(near: _Near, window: int) -> Floats:
    """1 inside events, less around them, at most 1."""
    reach = int(np.searchsorted(near.distance, window // 2, side="right"))
    worth = np.sqrt(1 - near.distance[:reach] / max(window, 1))
    around = np.bincount(near.neighbour[:reach], worth, len(near.label))
    return np.minimum(near.label + around, 1.0)


def _neighbours(events: Int64s, rows: int, half: int) -> tuple[Int64s, Int64s]:
    """Rows at most half a window from an event, once for each side of each, and how far; nearest first."""
    away = np.arange(1, half + 1)[:, None]
    row = np.hstack([events[:, 1] + away, events[:, 0] - away])
    there = (row >= 0) & (row < rows)
    return row[there], np.broadcast_to(away, row.shape)[there]
