"""Shapes that a series was seen to make, and how far its newest is from them, in columns.

A shape is the last three steps and the value before them, in spreads of the long level, a byte each. A
series knows twelve; what is like none of them takes the place of the one of least use. The idea is the
vigilance test of adaptive resonance (Carpenter & Grossberg 1987) on lagged values.
"""

import numpy as np
from numpy.typing import NDArray

from edgeobs.detect import law
from edgeobs.detect.memory import LAGS, PAST, SHAPES, UNKNOWN, USES
from edgeobs.signals import Bools, Floats, Int32s

GRAIN = 15.0  # units a spread
FARTHEST = 4.0 * GRAIN
VIGILANCE = 3.0  # times the usual squared distance: farther is another shape
LEAST = 0.01 * LAGS * GRAIN * GRAIN  # squared distance that is no distance
MOST_USES = 127
SLOW = 8.0  # a shape moves an eighth of the way
_NONE = 1 << 23  # farther than any shape
_BESIDE = SHAPES * np.arange(LAGS)[:, None]  # where the numbers of a shape lie, from its first

Shapes = NDArray[np.int8]
Index = NDArray[np.intp]


def units(apart: Floats) -> NDArray[np.int16]:
    """Distances in spreads as whole units, cut at four spreads."""
    return np.rint(np.clip(apart * GRAIN, -FARTHEST, FARTHEST)).astype(np.int16)


def newest(row: Shapes, apart: Floats) -> tuple[Shapes, Bools]:
    """The shape that this value completes, int8[n, 4], and whether its past is known."""
    past = row[:, PAST:].T
    lags = np.empty((LAGS, len(row)), np.int16)
    lags[0], lags[1:] = units(apart), past
    lags[:-1] -= lags[1:]
    return lags.astype(np.int8).T, (past != UNKNOWN).all(axis=0)


def nearest(row: Shapes, shape: Shapes) -> tuple[Floats, Int32s, Bools]:
    """Squared distance to the nearest shape in use, +inf when there is none; which it is; are all in use.

    Single precision is exact: distances are whole numbers, and with their place in four bits below 2²³.
    """
    known = row[:, :PAST].T.copy()
    apart = known[:USES].reshape(LAGS, SHAPES, -1).astype(np.float32)
    apart -= shape.T[:, None]
    apart *= apart
    found = apart.sum(axis=0)
    found *= 16.0
    found += np.arange(SHAPES, dtype=np.float32)[:, None]
    np.copyto(found, _NONE, where=known[USES:] <= 0)
    best = found.min(axis=0).astype(np.int32)
    distance: Floats = np.where(best < _NONE, best >> 4, np.inf)
    full: Bools = np.logical_and.reduce(known[USES:] > 0, axis=0)
    return distance, best & 15, full


def surprise(distance: Floats, novelty: Floats, known: Bools, n: Floats) -> Floats:
    """Distance relative to what is usual; −1 while the past or twelve shapes are not ``known``."""
    ready = known & (n >= 2.0 * law.WARM)
    usual = np.sqrt(np.where(ready, distance, 0.0) / (novelty + LEAST))
    return np.where(ready, usual, -1.0)


def learn(
    row: Shapes, shape: Shapes, distance: Floats, which: Int32s, novelty: Floats, learns: Bools
) -> None:
    """Move the nearest towards the newest, or let that take a place; ``row``, contiguous, is changed."""
    another = learns & (distance > VIGILANCE * novelty)
    _replace(row, shape, np.flatnonzero(another))
    series = np.flatnonzero(learns & ~another)
    cells, first = row.reshape(-1), series * row.shape[1] + which[series]
    at = first + _BESIDE
    old = cells[at].astype(np.float32)  # exact: eighths of small whole numbers
    cells[at] = np.rint(old + (shape.T[:, series] - old) / np.float32(SLOW))
    used = cells[first + USES]
    tired = series[used >= MOST_USES]
    if len(tired):
        uses = row[tired, USES:PAST]
        row[tired, USES:PAST] = np.where(uses > 1, uses // 2, uses)
        used = cells[first + USES]
    cells[first + USES] = used + 1


def _replace(row: Shapes, shape: Shapes, series: Index) -> None:
    """Let what is like no known shape take the place of the least used one, or wear that out."""
    uses = row[series, USES:PAST]
    place = uses.argmin(axis=1)
    least = uses.min(axis=1)
    fades, takes = np.flatnonzero(least > 1), np.flatnonzero(least <= 1)
    row[series[fades], USES + place[fades]] = least[fades].astype(np.int16) * 9 // 10
    series, place = series[takes], place[takes]
    row[series[:, None], place[:, None] + _BESIDE.T] = shape[series]
    row[series, USES + place] = 1


def learn_novelty(novelty: Floats, distance: Floats, n: Floats, learns: Bools) -> Floats:
    """The usual squared distance after this sample; a far one teaches no more than nine times the usual."""
    fine = learns & np.isfinite(distance)
    a = np.maximum(1.0 / np.maximum(n - law.WARM + 1.0, 1.0), 1.0 / law.LONG)
    taught = np.minimum(np.where(fine, distance, 0.0), 9.0 * novelty + 1.0)
    return np.where(fine, novelty + a * (taught - novelty), novelty)


def remember(row: Shapes, apart: Floats) -> None:
    """The newest value is the first of the past; ``row`` is changed."""
    row[:, PAST + 1 :] = row[:, PAST:-1].copy()
    row[:, PAST] = units(apart)
