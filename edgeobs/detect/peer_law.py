"""The mathematics of peers, column by column."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeobs.signals import Floats, Int64s

LARGEST = 1e37
"""Values are cut to ±this: single precision holds them."""
FARTHEST = 6e4
"""Scales and spreads; nothing is farther away."""
SIXTHS = 6.0
"""Steps of a decade in which it is kept how unlike a member was."""
CUT = 3.0
"""Decades from which a member is unlike, and teaches the tail no more."""
CLIP = 2.5
"""Spreads beyond which a residual teaches no more than one there would."""
MOST = 20.0
"""Decades; no score is higher."""
BEYOND = 0.4375
"""Decades by which what is beyond a threshold exceeds it on average where the tail is right: 1/ln 10, as half
precision holds it."""
BEYOND_TRUST, MOST_BEYOND = 5.0, 5.0
"""Runs of being unlike that this is worth, and the most that one teaches: what comes in bursts surprises by
their size no more."""
ALIKE = 3.0
"""Scales from the level of its kind within which a member is like it."""
EXPLAINED = 0.7
"""Spread around the group, in a member's own, below which the group explains half of what it does."""
SETTLED = 0.5
"""Width of a member that settled elsewhere, in what it moved: it does, and its peers tell less of it."""
UNLIKE = 0.1
"""Part of the usual rate at which a member learns while it is unlike: what lasts is normal, but late."""
THRESHOLD, EXCESS = 2.6**0.5, 0.155
"""Prior of the tail of √|z|: heavier than a Gaussian's, as that of single series."""

_SHARE = 0.01  # of deviations beyond the threshold
_TRUST, _SPEED = 30.0, 3000.0  # exceedances and deviations that the prior is worth
_TAUGHT = 4.0  # decades beyond the threshold that one deviation teaches at the most
_GRAIN = 4096.0  # √|z| is summed in whole steps of this part, so that the order of summing means nothing
_DECADE = float(np.log(10.0))
_OF_SIZE, _OF_KIND = 1e-6, 0.1


def scale_of(own: NDArray[Any], mean: Floats, of_kind: Floats) -> Floats:
    """The scale by which a member is measured: its own, not far below that of its kind, never 0."""
    least = np.maximum(_OF_KIND * of_kind, _OF_SIZE * np.abs(mean))
    scale: Floats = np.maximum(np.maximum(own.astype(np.float64), least), 1e-30)
    return scale


def width_of(width: NDArray[Any], n: Floats, floor: float) -> Floats:
    """The spread of residuals, wider while it is young."""
    wide: Floats = np.maximum(width.astype(np.float64), floor) * (1.0 + 4.0 / np.maximum(n, 1.0))
    return wide


def decades(x: Floats, threshold: Floats, excess: Floats) -> Floats:
    """−log₁₀ of the tail probability of x = √|z|: linear to the threshold (2 decades), exponential beyond."""
    over = x - threshold
    found: Floats = np.where(over > 0, 2.0 + over / (excess * _DECADE), 2.0 * x / threshold)
    return np.minimum(found, MOST)


def learn_tail(group: dict[str, NDArray[Any]], groups: Int64s, row: Int64s, x: Floats) -> None:
    """Move each group's threshold toward what one in a hundred exceeds, and learn by how much.

    Sources: Robbins & Monro (1951) for the running quantile, Davison & Smith (1990) for exceedances.
    """
    threshold, excess, taught = (group[name][groups] for name in ("threshold", "excess", "taught"))
    n = np.bincount(row, minlength=len(groups)).astype(np.float64)
    over = np.minimum(x - threshold[row], _TAUGHT * _DECADE * excess[row])
    beyond = over > 0
    number = np.bincount(row[beyond], minlength=len(groups))
    total = np.bincount(row[beyond], np.rint(over[beyond] * _GRAIN), len(groups)) / _GRAIN
    grown = excess + (total - number * excess) / (_SHARE * (taught + n) + _TRUST + number)
    moved = threshold + grown / (taught + n + _SPEED) * (number / _SHARE - n)
    group["excess"][groups] = np.clip(grown, 0.05, 5.0)
    group["threshold"][groups] = np.clip(moved, 1.0, 10.0)
    group["taught"][groups] = taught + n
