"""`joint` compiled, and the loops that `algebra` means then: a row of the square at a time. Needs Numba."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeobs import jit
from edgeobs.detect import algebra, joint, ticks
from edgeobs.detect.algebra import LEAST_PIVOT, MOST_WEIGHT, Shorts, Singles

_SINGLE = np.float32


def _solve(inverse: Shorts, scales: Singles, u: Singles, solved: Singles, live: int) -> None:
    for j in range(live):
        solved[j] = 0.0
    for a in range(3 * live):
        by, row = u[a], inverse[a]
        for j in range(live):
            solved[j] += by * _SINGLE(row[j])
    for j in range(live):
        solved[j] *= scales[j]


def _learn(triangle: Singles, center: Singles, u: Singles, wide: int, rate: float) -> None:
    keep, gain, step = _SINGLE(1.0 - rate), _SINGLE((1.0 - rate) * rate), _SINGLE(rate)
    start = 0
    for a in range(wide):
        center[a] += step * u[a]
        by, row, rest = gain * u[a], triangle[start : start + wide - a], u[a:wide]
        for b in range(wide - a):
            row[b] = row[b] * keep + by * rest[b]
        start += len(center) - a


def _invert(
    triangle: Singles, room: int, wide: int, ridge: float, square: Singles, column: Singles, part: Singles
) -> bool:
    """Every pivot swept once (Goodnight 1979), which gives the inverse, negative."""
    start = 0
    for a in range(wide):
        for b in range(a, wide):
            square[b, a] = triangle[start + b - a]
        square[a, a] += _SINGLE(ridge)
        start += room - a
    for k in range(wide):
        if not square[k, k] > LEAST_PIVOT:
            return False
        _sweep(square, wide, k, column, part)
    sound = True
    for a in range(wide):
        for b in range(a + 1):
            square[a, b] = -square[a, b]
        sound &= square[a, a] > 0
    return sound


def _sweep(square: Singles, wide: int, k: int, column: Singles, part: Singles) -> None:
    pivot = square[k, k]
    for a in range(wide):
        column[a] = square[k, a] if a < k else square[a, k]
    column[k] = 0.0
    for a in range(wide):
        part[a] = column[a] / pivot
    for a in range(wide):
        by, row = part[a], square[a]
        for b in range(a + 1):
            row[b] -= by * column[b]
    for a in range(k):
        square[k, a] = part[a]
    for a in range(k + 1, wide):
        square[a, k] = part[a]
    square[k, k] = _SINGLE(-1.0) / pivot


def _keep(square: Singles, inverse: Shorts, scales: Singles, wide: int) -> None:
    for j in range(wide // 3):
        most = _SINGLE(0.0)
        for a in range(wide):
            most = max(most, abs(square[a, 3 * j] if a > 3 * j else square[3 * j, a]))
        scale = most / _SINGLE(MOST_WEIGHT)
        for a in range(wide):
            weight = square[a, 3 * j] if a > 3 * j else square[3 * j, a]
            inverse[a, j] = np.int16(np.floor(weight / scale + _SINGLE(0.5)))
        scales[j] = scale


def _mean(function: Callable[..., Any], loop: Callable[..., Any], choose: Callable[..., Any]) -> None:
    """``choose`` has the parameters of both, and gives the loop: Numba asks for that."""
    loop.__annotations__.clear()
    jit.means_when_compiled(function, choose)


# fmt: off
_mean(algebra.solve, _solve, lambda inverse, scales, u, solved, live: _solve)  # noqa: ARG005
_mean(algebra.learn, _learn, lambda triangle, center, u, wide, rate: _learn)  # noqa: ARG005
_mean(algebra.invert, _invert, lambda triangle, room, wide, ridge, square, column, part: _invert)  # noqa: ARG005
_mean(algebra.keep, _keep, lambda square, inverse, scales, wide: _keep)  # noqa: ARG005
# fmt: on
for _each in (
    _sweep, ticks.ends, ticks.admit, ticks.sit, ticks.begin, ticks.due, ticks.fresh, ticks.spoke, ticks.done,
    joint.close, joint.features, joint.standardise, joint.rise, joint.surprise, joint.smooth, joint.ridge,
    joint.tell, joint.invert, joint.calibrate, joint.beside_base,
):  # fmt: skip
    jit.callable_when_compiled(_each)
run = jit.compiled(joint.run)
