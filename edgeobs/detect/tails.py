"""How improbable a deviation is: −log₁₀ of the two-sided tail probability of a standard normal."""

from math import erfc, exp, log, pi, sqrt
from typing import Any, TypeAlias

import numpy as np

from edgeobs.signals import Floats

X: TypeAlias = Any
"""A number in compiled code, a column in NumPy."""
MOST = 20.0
"""Decades; a score is never higher."""
_PER, _CELLS = 32, 300  # cells a standard deviation, and in all: the last ends beyond `MOST`


def _cells() -> Floats:
    """Cubics by cell, lowest power first: value and slope are right at both ends (Hermite)."""
    z = np.arange(_CELLS + 1) / _PER
    tail = np.array([erfc(x / sqrt(2.0)) for x in z])
    density = np.array([exp(-0.5 * x * x) * sqrt(2.0 / pi) for x in z])
    y, slope = np.log10(tail) * -1.0, density / tail / (log(10.0) * _PER)
    rise, m0, m1 = np.diff(y), slope[:-1], slope[1:]
    cubics = np.stack([y[:-1], m0, 3.0 * rise - 2.0 * m0 - m1, m0 + m1 - 2.0 * rise], axis=1)
    return np.concatenate([cubics, [[MOST, 0.0, 0.0, 0.0]]])


CELLS = _cells()


def gaussian(z: X) -> X:
    """Decades for z ≥ 0 standard deviations, at most `MOST`; right to 1e-8.

    One text for scalars and for columns.
    """
    x = np.minimum(z * _PER, _CELLS)
    cell = np.int64(x)  # of a column, a column
    t = x - cell
    rest = CELLS[cell, 1] + t * (CELLS[cell, 2] + t * CELLS[cell, 3])
    return np.minimum(CELLS[cell, 0] + t * rest, MOST)
