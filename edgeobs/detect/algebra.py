"""Linear algebra of a node's covariance in single precision, in NumPy; `joint_kernel` has the compiled loops.

``square`` holds the covariance in its upper triangle and diagonal; its lower triangle, with the diagonal
``pivots``, is the inverse in the making.
"""

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]

LEAST_PIVOT = 1e-6


def solve(inverse: Singles, u: Singles, solved: Singles, live: int) -> None:
    """What the inverse makes of the features, by seat."""
    solved[:live] = u[: 3 * live] @ inverse[: 3 * live, :live]


def learn(square: Singles, center: Singles, u: Singles, wide: int, rate: float) -> None:
    """Exponentially weighted mean and covariance of the features; ``u`` is beside the mean."""
    center[:wide] += np.float32(rate) * u[:wide]
    part = square[:wide, :wide]
    by = np.float32((1.0 - rate) * rate) * u[:wide]
    part[...] = np.tril(part, -1) + np.triu(part * np.float32(1.0 - rate) + np.outer(by, u[:wide]))


def begin(square: Singles, pivots: Singles, wide: int, ridge: float) -> None:
    """An inverse of the covariance plus ``ridge`` on its diagonal, from which `sweep` will make it."""
    part = square[:wide, :wide]
    pivots[:wide] = np.diagonal(part) + np.float32(ridge)
    part[...] = np.triu(part) + np.triu(part, 1).T


def sweep(square: Singles, pivots: Singles, wide: int, k: int, column: Singles, part: Singles) -> bool:
    """Sweep pivot ``k`` (Goodnight 1979); false when it is too small.

    When each was swept once, the triangle and ``pivots`` are the inverse, negative. ``column`` and ``part``
    are scratch.
    """
    pivot = pivots[k]
    if not pivot > LEAST_PIVOT:
        return False
    lower, column, part = square[:wide, :wide], column[:wide], part[:wide]
    column[:k], column[k], column[k + 1 :] = lower[k, :k], 0.0, lower[k + 1 :, k]
    part[:] = column / pivot
    lower -= np.tril(np.outer(part, column), -1)
    pivots[:wide] -= part * column
    lower[k, :k], lower[k + 1 :, k], pivots[k] = part[:k], part[k + 1 :], np.float32(-1.0) / pivot
    return True


def take_up(square: Singles, pivots: Singles, inverse: Singles, wide: int) -> None:
    """What each seat's residual needs of an inverse that is whole."""
    lower = np.tril(square[:wide, :wide], -1)
    whole = -(lower + lower.T)
    np.fill_diagonal(whole, -pivots[:wide])
    inverse[:wide, : wide // 3] = whole[:, ::3]
