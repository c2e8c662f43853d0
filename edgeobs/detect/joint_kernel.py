"""`joint` compiled, and the loops that `algebra` means then: a row of the square at a time. Needs Numba."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeobs import jit
from edgeobs.detect import algebra, joint, ticks
from edgeobs.detect.algebra import LEAST_PIVOT, Singles

_SINGLE = np.float32


def _solve(inverse: Singles, u: Singles, solved: Singles, live: int) -> None:
    for j in range(live):
        solved[j] = 0.0
    for a in range(3 * live):
        by, row = u[a], inverse[a]
        for j in range(live):
            solved[j] += by * row[j]


def _learn(square: Singles, center: Singles, u: Singles, wide: int, rate: float) -> None:
    keep, gain, step = _SINGLE(1.0 - rate), _SINGLE((1.0 - rate) * rate), _SINGLE(rate)
    for a in range(wide):
        center[a] += step * u[a]
        by, row, rest = gain * u[a], square[a, a:wide], u[a:wide]
        for b in range(wide - a):
            row[b] = row[b] * keep + by * rest[b]


def _begin(square: Singles, pivots: Singles, wide: int, ridge: float) -> None:
    for a in range(wide):
        pivots[a] = square[a, a] + _SINGLE(ridge)
        for b in range(a):
            square[a, b] = square[b, a]


def _sweep(square: Singles, pivots: Singles, wide: int, k: int, column: Singles, part: Singles) -> bool:
    pivot = pivots[k]
    if not pivot > LEAST_PIVOT:
        return False
    for a in range(wide):
        column[a] = square[k, a] if a < k else square[a, k]
    column[k] = 0.0
    for a in range(wide):
        part[a] = column[a] / pivot
    for a in range(wide):
        by, row = part[a], square[a]
        pivots[a] -= by * column[a]
        for b in range(a):
            row[b] -= by * column[b]
    for a in range(k):
        square[k, a] = part[a]
    for a in range(k + 1, wide):
        square[a, k] = part[a]
    pivots[k] = _SINGLE(-1.0) / pivot
    return True


def _take_up(square: Singles, pivots: Singles, inverse: Singles, wide: int) -> None:
    for a in range(wide):
        for j in range(wide // 3):
            b = 3 * j
            if a == b:
                inverse[a, j] = -pivots[a]
            else:
                inverse[a, j] = -square[a, b] if a > b else -square[b, a]


def _mean(function: Callable[..., Any], loop: Callable[..., Any], choose: Callable[..., Any]) -> None:
    """``choose`` has the parameters of both, and gives the loop: Numba asks for that."""
    loop.__annotations__.clear()
    jit.means_when_compiled(function, choose)


# fmt: off
_mean(algebra.solve, _solve, lambda inverse, u, solved, live: _solve)  # noqa: ARG005
_mean(algebra.learn, _learn, lambda square, center, u, wide, rate: _learn)  # noqa: ARG005
_mean(algebra.begin, _begin, lambda square, pivots, wide, ridge: _begin)  # noqa: ARG005
_mean(algebra.sweep, _sweep, lambda square, pivots, wide, k, column, part: _sweep)  # noqa: ARG005
_mean(algebra.take_up, _take_up, lambda square, pivots, inverse, wide: _take_up)  # noqa: ARG005
# fmt: on
for _each in (
    ticks.ends, ticks.admit, ticks.sit, ticks.begin, ticks.due, ticks.fresh, ticks.spoke, ticks.done,
    joint.close, joint.features, joint.standardise, joint.rise, joint.surprise, joint.smooth, joint.ridge,
    joint.tell, joint.invert, joint.calibrate, joint.beside_base,
):  # fmt: skip
    jit.callable_when_compiled(_each)
run = jit.compiled(joint.run)
