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

from benchmarks.accuracy.alarms import openings
from benchmarks.accuracy.data import Series
from edgeobs import jit
from edgeobs.signals import Bools, Floats, Int64s

FALSE_WEIGHT = 0.11  # of the standard profile; a window caught or missed weighs 1
PROBATION, PROBATION_ROWS = 0.15, 5000  # this share of the file, of at most so many rows, is not scored
NO_HOLD = -1
GRID = 600
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

    Without a hold every score is tried; with one, `GRID` quantiles of all scores, the densest at the top. The
    highest of equally good thresholds is taken; inf where no detection at all is best.
    """
    kept = [(s, np.asarray(x, np.float64)) for s, x in zip(series, scores, strict=True) if keep(s.category)]
    windows = sum(len(s.windows) for s, _ in kept)
    if not windows:
        return np.inf, float("nan")
    if hold_ns == NO_HOLD:
        thresholds, points = _swept(kept, windows)
    else:
        every = np.concatenate([np.asarray(x, np.float64) for x in scores])
        thresholds = np.unique(np.quantile(every, 1.0 - np.geomspace(1e-6, 0.1, GRID)))[::-1]
        points = _tried(kept, thresholds, hold_ns)
    at = int(np.argmax(points))
    if points[at] < -windows:
        return np.inf, scaled(-windows, windows)
    return float(thresholds[at]), scaled(float(points[at]), windows)


def _tried(kept: Sequence[tuple[Series, Floats]], thresholds: Floats, hold_ns: int) -> Floats:
    """Points at each threshold."""
    points = np.zeros(len(thresholds))
    for one, score in kept:
        worth, window = _rows(one)
        for k, threshold in enumerate(thresholds.tolist()):
            rows = openings(one.time_ns, score, threshold, hold_ns)
            points[k] += _points(worth, window, rows, len(one.windows))
    return points


def _swept(kept: Sequence[tuple[Series, Floats]], windows: int) -> tuple[Floats, Floats]:
    """Every score as a threshold, falling, and the points at it."""
    rows = [_rows(s) for s, _ in kept]
    ahead = np.cumsum([0] + [len(s.windows) for s, _ in kept])
    window = [np.where(r.window < 0, -1, r.window + a) for r, a in zip(rows, ahead, strict=False)]
    score = np.concatenate([x for _, x in kept])
    order = np.argsort(-score, kind="stable")
    points = np.empty(len(order))
    _sweep(
        order, np.concatenate([r.worth for r in rows]), np.concatenate(window), np.full(windows, -1.0), points
    )
    falling = score[order]
    points[:-1][falling[1:] == falling[:-1]] = -np.inf  # a threshold takes all of its equals
    return falling, points - windows


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
    found = score >= threshold
    if hold_ns != NO_HOLD:
        found[:] = False
        found[openings(series.time_ns, score, threshold, hold_ns)] = True
    return found


def file_score(series: Series, detected: Bools) -> float:
    """Points of one file, unscaled: each window's best detection, −1 without one, less false ones."""
    return _points(*_rows(series), np.flatnonzero(detected), len(series.windows))


def _points(worth: Floats, window: Int64s, rows: Int64s, windows: int) -> float:
    caught = np.full(windows, -1.0)
    value, where = worth[rows], window[rows]
    inside = (where >= 0) & (value != 0)
    np.maximum.at(caught, where[inside], value[inside])
    return float(caught.sum() + value[where < 0].sum())


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
def _sweep(order: Int64s, worth: Floats, window: Int64s, caught: Floats, points: Floats) -> None:
    """Points above none at all, as the threshold falls past each further row of ``order``."""
    total = 0.0
    for k in range(len(order)):
        i = order[k]
        w = window[i]
        if w < 0:
            total += worth[i]
        elif worth[i] != 0 and worth[i] > caught[w]:
            total += worth[i] - caught[w]
            caught[w] = worth[i]
        points[k] = total
