"""Linear algebra of a node's covariance in single precision, in NumPy; `joint_kernel` has the compiled loops.

A triangle is the upper one with the diagonal, row by row: room·(room + 1)/2 values of ``room`` features. An
inverse has a column a seat: what the features weigh in its residual, as whole numbers of a unit of its own, a
32,767th of its largest weight; nothing in a residual is known as finely.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]
Shorts = NDArray[np.int16]
Index = NDArray[np.intp]

LEAST_PIVOT = 1e-6
MOST_WEIGHT = 32_767


@lru_cache(maxsize=8)
def places(room: int) -> tuple[Index, Index]:
    """Row and column of every value of a triangle."""
    return np.triu_indices(room)


def solve(inverse: Shorts, scales: Singles, u: Singles, solved: Singles, live: int) -> None:
    """What the inverse makes of the features, by seat."""
    solved[:live] = scales[:live] * (u[: 3 * live] @ inverse[: 3 * live, :live].astype(np.float32))


def learn(triangle: Singles, center: Singles, u: Singles, wide: int, rate: float) -> None:
    """Exponentially weighted mean and covariance of the features; ``u`` is beside the mean."""
    rows, columns = places(len(center))
    own = np.zeros_like(center)
    own[:wide] = u[:wide]
    center += np.float32(rate) * own
    triangle *= np.float32(1.0 - rate)
    triangle += (np.float32((1.0 - rate) * rate) * own)[rows] * own[columns]


def invert(
    triangle: Singles, room: int, wide: int, ridge: float, square: Singles, column: Singles, part: Singles
) -> bool:
    """The inverse of the first ``wide`` features' covariance plus ``ridge`` on its diagonal.

    It is then in ``square``, lower triangle and diagonal; ``column`` and ``part`` are scratch. False when
    single precision is not enough for it.
    """
    del column, part
    rows, columns = places(room)
    whole = np.zeros((room, room))
    whole[rows, columns] = whole[columns, rows] = triangle
    try:
        found = np.linalg.inv(whole[:wide, :wide] + ridge * np.eye(wide))
    except np.linalg.LinAlgError:
        return False
    square[:wide, :wide] = found
    return bool(np.isfinite(found).all() and (np.diagonal(found) > 0).all())


def keep(square: Singles, inverse: Shorts, scales: Singles, wide: int) -> None:
    """What each seat's residual needs of an inverse that was made in ``square``."""
    lower = np.tril(square[:wide, :wide])
    weights = (lower + np.tril(lower, -1).T)[:, ::3]
    inverse[:wide, : wide // 3], scales[: wide // 3] = whole(weights)


def whole(weights: Singles) -> tuple[Shorts, Singles]:
    """Columns of weights as whole numbers, and their units."""
    scales: Singles = np.abs(weights).max(axis=0) / np.float32(MOST_WEIGHT)
    units = np.where(scales > 0, scales, np.float32(1.0))
    return np.floor(weights / units + np.float32(0.5)).astype(np.int16), scales
