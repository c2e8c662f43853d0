"""The values of Prometheus's text by its layout, compiled: as `agent.exposition` reads it. Needs Numba."""

# ruff: noqa: C901, PLR0911, PLR0912 - kernels take plain arguments and are flat on purpose

from typing import Any

import numpy as np

from edgeobs.jit import compiled

_NEWLINE, _PLUS, _MINUS, _DOT, _ZERO, _NINE, _E = (ord(each) for each in "\n+-.09e")
_LOWER = 0x20  # between a small letter and its capital
_POWERS = np.array([10.0**n for n in range(23)])
"""Those that a float64 holds exactly: multiplying or dividing by one is rounded once, as it should be."""
_EXACT = 15  # digits that a float64 holds exactly


@compiled
def run(body: Any, literal: Any, ends: Any, values: Any, odd: Any) -> int:
    """Read a body: a piece of ``literal``, a value up to the end of its line, the next piece, and so on.

    Parameters
    ----------
    body
        uint8[…].
    literal, ends
        What stands before each value and after the last, uint8[…]; where each of those pieces ends.
    values
        float64[n], written.
    odd
        int64[n, 3], written: row, start and stop in the body of each value that is not read here.

    Returns
    -------
    found
        How many are odd; −1: the body has another layout.

    """
    at, piece, many = 0, 0, 0
    for row in range(len(ends)):
        if len(body) - at < ends[row] - piece:
            return -1
        while piece < ends[row]:
            if body[at] != literal[piece]:
                return -1
            at += 1
            piece += 1
        if row == len(values):
            break
        begin = at
        while at < len(body) and body[at] != _NEWLINE:
            at += 1
        if not _read(body, begin, at, values, row):
            odd[many, 0], odd[many, 1], odd[many, 2] = row, begin, at
            many += 1
    return many if at == len(body) else -1


@compiled
def _read(body: Any, at: int, end: int, values: Any, row: int) -> bool:
    """A decimal number of few digits, written to ``values``; False for all else, a number or not."""
    negative = at < end and body[at] == _MINUS
    if at < end and (negative or body[at] == _PLUS):
        at += 1
    mantissa, digits, power, dotted, any_digit = 0, 0, 0, False, False
    while at < end:
        byte = int(body[at])
        if _ZERO <= byte <= _NINE:
            any_digit = True
            mantissa = mantissa * 10 + (byte - _ZERO)
            digits += mantissa > 0
            power -= dotted
            if digits > _EXACT:
                return False
        elif byte == _DOT and not dotted:
            dotted = True
        else:
            break
        at += 1
    if not any_digit:
        return False
    if at < end:
        if int(body[at]) | _LOWER != _E or at + 1 == end:
            return False
        at += 1
        down = body[at] == _MINUS
        if down or body[at] == _PLUS:
            at += 1
        if at == end or end - at > 3:
            return False
        given = 0
        while at < end:
            byte = int(body[at])
            if byte < _ZERO or byte > _NINE:
                return False
            given = given * 10 + (byte - _ZERO)
            at += 1
        power += -given if down else given
    if power < -22 or power > 22:
        return False
    value = np.float64(mantissa)
    value = value * _POWERS[power] if power >= 0 else value / _POWERS[-power]
    values[row] = -value if negative else value
    return True
