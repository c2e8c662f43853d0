"""How well a score ranks: the area under the precision-recall curve, of points and of ranges.

VUS-PR: Paparrizos et al., "Volume Under the Surface", VLDB 2022, in the variant ``opt`` of TSB-AD (Liu and
Paparrizos, NeurIPS 2024), whose figures this gives to the last digits.
"""

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
    # The sample with the k-th threshold's score, and how many are at or above it.
    falling = -np.sort(-score)
    thresholds = falling[np.linspace(0, len(score) - 1, THRESHOLDS).astype(np.int64)]
    taken = np.searchsorted(-falling, -thresholds, side="right").astype(np.float64)
    # From which threshold on a sample is predicted.
    since = np.searchsorted(-thresholds, -score, side="left")
    surface = [
        _average_precision(label, score, events, thresholds, taken, since, w) for w in range(window + 1)
    ]
    return float(np.mean(surface))


def _average_precision(
    label: Bools, score: Floats, events: Int64s, thresholds: Floats, taken: Floats, since: Int64s, window: int
) -> float:
    half, n, total = window // 2, len(label), float(label.sum())
    credit = _widened(label, events, window)
    near = np.flatnonzero(credit)
    got = np.bincount(since[near], credit[near], len(thresholds) + 1)[: len(thresholds)].cumsum()
    inside = np.flatnonzero(label)
    sure = np.bincount(since[inside], None, len(thresholds) + 1)[: len(thresholds)].cumsum()
    # Events whose widened edges meet are one range.
    opens = np.append(True, events[:-1, 1] + half >= events[1:, 0] - half)
    first = np.flatnonzero(np.append(True, ~opens[1:]))
    begin = np.maximum(events[first, 0] - half, 0)
    end = np.minimum(events[np.append(first[1:] - 1, len(events) - 1), 1] + half, n - 1)
    cuts = np.column_stack([begin, end + 1]).ravel()
    highest = np.maximum.reduceat(np.append(score, -np.inf), cuts)[::2]
    seen = np.searchsorted(np.sort(-highest), -thresholds, side="right") / len(first)
    recall = np.minimum(got / (total + (got - sure) / 2), 1.0) * seen
    return float(np.dot(np.diff(recall, prepend=0.0), got / taken))


def _widened(label: Bools, events: Int64s, window: int) -> Floats:
    """1 inside events, the credit of §3 of the paper around them, at most 1."""
    credit = label.astype(np.float64)
    n, half = len(label), window // 2
    for away in range(1, half + 1):
        worth = np.sqrt(1 - away / window)
        after, before = events[:, 1] + away, events[:, 0] - away
        credit[after[after < n]] += worth
        credit[before[before >= 0]] += worth
    return np.minimum(credit, 1.0)
