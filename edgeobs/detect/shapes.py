"""Shapes that a series was seen to make, and how far its newest is from them, in columns.

A shape is the last three steps and the value before them, in spreads of the long level, a byte each. A
series knows twelve; what is like none of them takes the place of the one of least use. The idea is the
vigilance test of adaptive resonance (Carpenter & Grossberg 1987) on lagged values.
"""

import numpy as np
from numpy.typing import NDArray

from edgeobs.detect import law
from edgeobs.detect.memory import LAGS, PAST, SHAPES, UNKNOWN, USES
from edgeobs.signals import Bools, Floats

GRAIN = 15.0  # units a spread
FARTHEST = 4.0 * GRAIN
VIGILANCE = 3.0  # times the usual squared distance: farther is another shape
LEAST = 0.01 * LAGS * GRAIN * GRAIN  # squared distance that is no distance
MOST_USES = 127
SLOW = 8.0  # a shape moves an eighth of the way

Shapes = NDArray[np.int8]


def units(apart: Floats) -> NDArray[np.int16]:
    """Distances in spreads as whole units, cut at four spreads."""
    return np.rint(np.clip(apart * GRAIN, -FARTHEST, FARTHEST)).astype(np.int16)


def newest(row: Shapes, apart: Floats) -> tuple[Shapes, Bools]:
    """The shape that this value completes, int8[n, 4], and whether its past is known."""
    past = row[:, PAST:].astype(np.int16)
    lags = np.column_stack([units(apart), past])
    shape = np.column_stack([lags[:, :-1] - lags[:, 1:], lags[:, -1]]).astype(np.int8)
    return shape, (past != UNKNOWN).all(axis=1)


def nearest(row: Shapes, shape: Shapes) -> tuple[Floats, NDArray[np.intp]]:
    """Squared distance to the nearest shape in use, +inf when there is none; and which it is."""
    known = row[:, :USES].reshape(-1, LAGS, SHAPES).astype(np.int32)
    apart = known - shape[:, :, None].astype(np.int32)
    distance = np.where(row[:, USES:PAST] > 0, (apart * apart).sum(axis=1).astype(np.float64), np.inf)
    which = distance.argmin(axis=1)
    return distance[np.arange(len(row)), which], which


def surprise(row: Shapes, distance: Floats, novelty: Floats, known: Bools, n: Floats) -> Floats:
    """Distance relative to what is usual; −1 while the series does not know twelve shapes."""
    ready = known & (row[:, USES:PAST] > 0).all(axis=1) & (n >= 2.0 * law.WARM)
    usual = np.sqrt(np.where(ready, distance, 0.0) / (novelty + LEAST))
    return np.where(ready, usual, -1.0)


def learn(
    row: Shapes, shape: Shapes, distance: Floats, which: NDArray[np.intp], novelty: Floats, learns: Bools
) -> None:
    """Move the nearest towards the newest, or let the newest take a place; ``row`` is changed."""
    at = np.flatnonzero(learns)
    uses = row[:, USES:PAST]
    another = distance[at] > VIGILANCE * novelty[at]
    free = uses[at] == 0
    place = np.where(free.any(axis=1), free.argmax(axis=1), uses[at].argmin(axis=1))
    takes = another & (uses[at, place] <= 1)
    fades = another & ~takes
    uses[at[fades], place[fades]] = uses[at[fades], place[fades]].astype(np.int16) * 9 // 10
    series, slot = at[takes], place[takes]
    for lag in range(LAGS):
        row[series, lag * SHAPES + slot] = shape[series, lag]
    uses[series, slot] = 1
    series, slot = at[~another], which[at[~another]]
    for lag in range(LAGS):
        old = row[series, lag * SHAPES + slot].astype(np.float64)
        row[series, lag * SHAPES + slot] = np.rint(old + (shape[series, lag] - old) / SLOW)
    tired = uses[series, slot] >= MOST_USES
    uses[series[tired]] = np.where(uses[series[tired]] > 1, uses[series[tired]] // 2, uses[series[tired]])
    uses[series, slot] += 1


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
