"""The Numenta Anomaly Benchmark's own figure, standard profile.

Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms", ICMLA 2015, in the form its scorer has
had since version 1.0. 100 is every window caught at its first row without a false detection, 0 is never a
detection.

A detection is a row whose score reaches the threshold; with a hold, only the row at which an alarm opens
(`alarms`), for NAB takes its points off for every row of an alarm again.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.accuracy.data import Series
from edgeobs import jit
from edgeobs.signals import Bools, Floats, Int64s

FALSE_WEIGHT = 0.11  # of the standard profile; a window caught or missed weighs 1
PROBATION, PROBATION_ROWS = 0.15, 5000  # this share of the file, of at most so many rows, is not scored
NO_HOLD = -1
_FAR = 3.0  # window widths behind a window from which a false detection costs all it can


class _Rows(NamedTuple):
    """What a detection is worth in each row (0: not scored), and the window it is in (−1: it is false)."""

    worth: Floats
    window: Int64s


def best(
    series: Sequence[Series],
    scores: Sequence[Floats],
    hold_ns: int = NO_HOLD,
    keep: Callable[[str], bool] = lambda _: True,
) -> tuple[float, float]:
    """The threshold with the most points over the files whose category is kept, and its figure.

    The highest of equally good thresholds is taken; inf where no detection at all is best.
    """
    kept = [(s, x) for s, x in zip(series, scores, strict=True) if keep(s.category)]
    windows = [w for s, _ in kept for w in s.windows]
    if not windows:
        return np.inf, float("nan")
    length = [len(s.time_ns) for s, _ in kept]
    begins = np.cumsum([0, *length])
    spans = np.array([np.add(w, b) for (s, _), b in zip(kept, begins, strict=False) for w in s.windows])
    rows = [_rows(s) for s, _ in kept]
    ahead = np.cumsum([0] + [len(s.windows) for s, _ in kept])
    score = np.concatenate([np.asarray(x, np.float64) for _, x in kept])
    order = np.argsort(-score, kind="stable")
    points = np.empty(len(order))
    _sweep(
        order,
        np.concatenate([s.time_ns for s, _ in kept]),
        np.repeat(begins[:-1], length),
        np.concatenate([r.worth for r in rows]),
        np.concatenate([np.where(r.window < 0, -1, r.window + a) for r, a in zip(rows, ahead, strict=False)]),
        spans.reshape(-1, 2).astype(np.int64),
        hold_ns,
        np.zeros(len(order), np.bool_),
        np.zeros(len(order), np.bool_),
        np.full(len(windows), -1.0),
        points,
    )
    falling = score[order]
    points[:-1][falling[1:] == falling[:-1]] = -np.inf  # a threshold takes all of its equals
    at = int(np.argmax(points))
    if points[at] < 0:
        return np.inf, scaled(-len(windows), len(windows))
    return float(falling[at]), scaled(points[at] - len(windows), len(windows))


def standard(series: Sequence[Series], scores: Sequence[Floats], hold_ns: int = NO_HOLD) -> float:
    """The threshold is optimised on the very labels it is scored with, as on NAB's own board."""
    return best(series, scores, hold_ns)[1]


def fixed_threshold(series: Sequence[Series], scores: Sequence[Floats], hold_ns: int = NO_HOLD) -> float:
    """Every category is scored at the threshold that was best for all of the others."""
    raw = 0.0
    for category in sorted({s.category for s in series}):
        threshold, _ = best(series, scores, hold_ns, category.__ne__)
        for each, score in zip(series, scores, strict=True):
            if each.category == category:
                raw += file_score(each, detections(each, score, threshold, hold_ns))
    return scaled(raw, sum(len(s.windows) for s in series))


def detections(series: Series, score: Floats, threshold: float, hold_ns: int = NO_HOLD) -> Bools:
    """Rows that count as detected."""
    over = np.flatnonzero(score >= threshold)
    time_ns = series.time_ns[over]
    # A clock that steps back (twice in NAB's files) does not open an alarm.
    opens = np.diff(time_ns, prepend=series.time_ns[:1] - abs(hold_ns) - 1) > hold_ns
    found = np.zeros(len(score), np.bool_)
    found[over if hold_ns < 0 else over[opens]] = True
    return found


def file_score(series: Series, detected: Bools) -> float:
    """Points of one file, unscaled: each window's best detection, −1 without one, less false ones."""
    worth, window = _rows(series)
    caught = np.full(len(series.windows), -1.0)
    inside = detected & (window >= 0) & (worth != 0)
    np.maximum.at(caught, window[inside], worth[inside])
    return float(caught.sum() + worth[detected & (window < 0)].sum())


def scaled(raw: float, windows: int) -> float:
    """Points on the scale from 0 (no detection) to 100 (all windows at once); NaN without windows."""
    return 100.0 * (raw + windows) / (2 * windows) if windows else float("nan")


def _rows(series: Series) -> _Rows:
    n = len(series.time_ns)
    row = np.arange(n)
    window, worth = np.full(n, -1), np.full(n, -FALSE_WEIGHT)
    for k, (first, last) in enumerate(series.windows):
        width = last - first + 1
        behind = row > last
        past = (row[behind] - last) / max(width - 1, 1)
        worth[behind] = FALSE_WEIGHT * np.where(past >= _FAR, -1.0, _sigmoid(past))
        inside = slice(first, last + 1)
        window[inside] = k
        worth[inside] = _sigmoid((row[inside] - last - 1) / width) / _sigmoid(np.array(-1.0))
    worth[row < min(np.floor(PROBATION * n), PROBATION * PROBATION_ROWS)] = 0.0
    return _Rows(worth, window)


def _sigmoid(position: Floats) -> Floats:
    return 2.0 / (1.0 + np.exp(5.0 * position)) - 1.0


@jit.compiled
def _next_over(i: int, step: int, time_ns: Int64s, first: Int64s, over: Bools, hold_ns: int) -> int:
    """The nearest row over the threshold before or after this one and within the hold; −1: none."""
    j = i + step
    while 0 <= j < len(over) and first[j] == first[i] and abs(time_ns[j] - time_ns[i]) <= hold_ns:
        if over[j]:
            return j
        j += step
    return -1


@jit.compiled
def _turn(
    i: int, on: bool, worth: Floats, window: Int64s, spans: Int64s, found: Bools, caught: Floats
) -> float:
    """Make row i a detection or none; by how much that changes the points."""
    found[i] = on
    w = window[i]
    if w < 0:
        return float(worth[i] if on else -worth[i])
    highest = -1.0
    for j in range(spans[w, 0], spans[w, 1] + 1):
        if found[j] and worth[j] != 0:
            highest = worth[j]  # the first detection of a window is its best
            break
    change = float(highest - caught[w])
    caught[w] = highest
    return change


@jit.compiled
def _sweep(
    order: Int64s, time_ns: Int64s, first: Int64s, worth: Floats, window: Int64s, spans: Int64s, hold_ns: int,
    over: Bools, found: Bools, caught: Floats, points: Floats,
) -> None:  # fmt: skip
    """Points above none at all, as the threshold falls past each further row of ``order``."""
    total = 0.0
    for k in range(len(order)):
        i = order[k]
        over[i] = True
        if _next_over(i, -1, time_ns, first, over, hold_ns) < 0:
            total += _turn(i, True, worth, window, spans, found, caught)
        after = _next_over(i, 1, time_ns, first, over, hold_ns)
        if after >= 0 and found[after]:
            total += _turn(after, False, worth, window, spans, found, caught)
        points[k] = total
