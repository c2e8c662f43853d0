"""A native histogram's bytes → the flat columns that `native_histogram` expands, compiled. Needs Numba.

The walk takes values down as they are on the wire, by field number; NumPy makes sense of them afterwards.
What is unusual (a list in pieces or unpacked, deltas in a histogram of floats) is ODD, for the reference to
decide.
"""

# ruff: noqa: C901 - kernels take plain arguments, and a message's fields are one flat choice
from typing import NamedTuple

import numpy as np

from edgeobs.ingest.hashing import Bytes, Words
from edgeobs.ingest.machine import load64
from edgeobs.ingest.native_histogram import Columns, Side
from edgeobs.ingest.wire import field, varint
from edgeobs.jit import compiled
from edgeobs.signals import Floats, Int64s

ODD, FULL = -1, -2
"""Not surely understood; the room given was too small."""

# Field numbers of the message, the negative side's before the positive's.
_COUNT, _COUNT_FLOAT, _SUM, _SCHEMA, _ZERO_THRESHOLD, _ZERO, _ZERO_FLOAT = range(1, 8)
_SPANS, _DELTAS, _COUNTS, _SIDE = 8, 9, 10, 3
_HINT, _TIME, _CUSTOM, START = 14, 15, 16, 17
_GAUGE_HINT = 3

# A row holds the raw value by field number; of lists (deltas' for either sort of values) how far the flat
# arrays are filled; at 0 which alternatives of the two oneofs came last.
_ROW = 18
_FLAGS = 0
_FLOAT_COUNT, _FLOAT_ZERO = 1, 2

_VARINT, _DOUBLE, _MESSAGE, _LIST, _NONE = 0, 1, 2, 3, 4
_SORT = np.array([4, 0, 1, 1, 0, 1, 0, 1, 2, 3, 3, 2, 3, 3, 0, 0, 3, 0], np.uint8)  # by field number
_WIRE = np.array([0, 1, 2, 2], np.int64)  # by sort

_LOW = 0xFFFFFFFF
_0, _1 = np.uint64(0), np.uint64(1)


class Room(NamedTuple):
    """Space for histograms; sides are negative, positive."""

    rows: Int64s  # [m, field number], raw bits
    spans: Int64s  # [side, spans, (offset, length)]
    bits: Words  # [side, values]
    bounds: Words
    lists: Int64s  # scratch: [field number, (start, stop)]


def room(rows: int, values: int) -> Room:
    """Space for so many histograms, and so many spans, values and bounds (each, and on each side)."""
    return Room(
        np.empty((rows, _ROW), np.int64),
        np.empty((2, values, 2), np.int64),
        np.empty((2, values), np.uint64),
        np.empty(values, np.uint64),
        np.zeros((_ROW, 2), np.int64),
    )


def times(r: Room, m: int) -> tuple[Int64s, Int64s]:
    """Time and start of the first m rows, ms."""
    return r.rows[:m, _TIME], r.rows[:m, START]


def columns(r: Room, m: int) -> Columns:
    """The first m rows as `native_histogram` takes them."""
    rows = r.rows[:m]
    floats = rows[:, _FLAGS] & _FLOAT_COUNT != 0
    same = floats == (rows[:, _FLAGS] & _FLOAT_ZERO != 0)
    custom = _first(rows, _CUSTOM)
    return Columns(
        _signed32(rows[:, _SCHEMA]).astype(np.int32),
        floats,
        np.where(floats, _double(rows[:, _COUNT_FLOAT]), _unsigned(rows[:, _COUNT])),
        _double(rows[:, _SUM]),
        _double(rows[:, _ZERO_THRESHOLD]),
        np.where(same, np.where(floats, _double(rows[:, _ZERO_FLOAT]), _unsigned(rows[:, _ZERO])), 0.0),
        _side(r, m, 0),
        _side(r, m, 1),
        custom,
        r.bounds[: custom[-1]].view(np.float64),
    )


def _side(r: Room, m: int, side: int) -> Side:
    span, value = _first(r.rows[:m], _SPANS + _SIDE * side), _first(r.rows[:m], _DELTAS + _SIDE * side)
    spans = r.spans[side, : span[-1]]
    return Side(span, _signed32(spans[:, 0]), spans[:, 1] & _LOW, value, r.bits[side, : value[-1]])


def _first(rows: Int64s, column: int) -> Int64s:
    return np.concatenate([np.zeros(1, np.int64), rows[:, column]])


def _double(raw: Int64s) -> Floats:
    return np.ascontiguousarray(raw).view(np.float64)


def _unsigned(raw: Int64s) -> Floats:
    return np.ascontiguousarray(raw).view(np.uint64).astype(np.float64)


def _signed32(raw: Int64s) -> Int64s:
    """What protobuf makes of a sint32: the low 32 bits, unfolded."""
    low = raw & _LOW
    return (low >> 1) ^ -(low & 1)


@compiled
def is_gauge(row: Int64s) -> bool:
    """Whether the reset hint (32 bits of it count) says so."""
    return bool(row[_HINT] & _LOW == _GAUGE_HINT)


@compiled
def histogram(body: Bytes, i: int, end: int, m: int, r: Room, last: int) -> int:
    """Read the message ``body[i:end]`` into row m; 0, ODD or FULL. ``last`` is its highest known field."""
    if m >= r.rows.shape[0]:
        return FULL
    row = r.rows[m]
    row[:] = 0
    for number in (8, 9, 11, 12, 16):
        row[number] = r.rows[m - 1, number] if m > 0 else 0
    r.lists[:] = 0
    while i < end:
        number, wire, start, stop = field(body, i, end)
        if stop < 0:
            return ODD
        i = stop
        if number > START:
            continue
        sort = _SORT[number]
        if number > last or wire != _WIRE[sort]:
            return ODD
        if sort == _VARINT:
            row[number] = np.int64(varint(body, start, stop)[0])
        elif sort == _DOUBLE:
            row[number] = np.int64(load64(body, start))
        elif sort == _LIST:
            if r.lists[number, 1] != 0:
                return ODD
            r.lists[number, 0], r.lists[number, 1] = start, stop
        else:
            status = _span(body, start, stop, r.spans[(number - _SPANS) // _SIDE], row, number)
            if status != 0:
                return status
        _choose(row, number)
    return _unpack(body, row, r)


@compiled
def _choose(row: Int64s, number: int) -> None:
    """Of a oneof the last one sent holds."""
    if number == _COUNT:
        row[_FLAGS] &= ~_FLOAT_COUNT
    elif number == _COUNT_FLOAT:
        row[_FLAGS] |= _FLOAT_COUNT
    elif number == _ZERO:
        row[_FLAGS] &= ~_FLOAT_ZERO
    elif number == _ZERO_FLOAT:
        row[_FLAGS] |= _FLOAT_ZERO


@compiled
def _span(body: Bytes, i: int, end: int, spans: Int64s, row: Int64s, number: int) -> int:
    k = row[number]
    if k >= spans.shape[0]:
        return FULL
    spans[k, 0] = spans[k, 1] = 0
    while i < end:
        which, wire, start, stop = field(body, i, end)
        if stop < 0 or which > 2 or wire != 0:
            return ODD
        spans[k, which - 1] = np.int64(varint(body, start, stop)[0])
        i = stop
    row[number] = k + 1
    return 0


@compiled
def _unpack(body: Bytes, row: Int64s, r: Room) -> int:
    """The lists, now that it is known whether the histogram is one of floats."""
    floats = row[_FLAGS] & _FLOAT_COUNT != 0
    for side in range(2):
        deltas, counts = r.lists[_DELTAS + _SIDE * side], r.lists[_COUNTS + _SIDE * side]
        if (deltas if floats else counts)[1] != 0:
            return ODD
        column = _DELTAS + _SIDE * side
        taken = int(row[column])
        if floats:
            n = _doubles(body, counts[0], counts[1], r.bits[side], taken)
        else:
            n = _varints(body, deltas[0], deltas[1], r.bits[side], taken)
        if n < 0:
            return n
        row[column] = n
    custom = r.lists[_CUSTOM]
    n = _doubles(body, custom[0], custom[1], r.bounds, int(row[_CUSTOM]))
    if n < 0:
        return n
    row[_CUSTOM] = n
    return 0


@compiled
def _doubles(body: Bytes, i: int, end: int, out: Words, n: int) -> int:
    if (end - i) % 8 != 0:
        return ODD
    if n + (end - i) // 8 > out.size:
        return FULL
    while i < end:
        out[n] = load64(body, i)
        n += 1
        i += 8
    return n


@compiled
def _varints(body: Bytes, i: int, end: int, out: Words, n: int) -> int:
    """Signed ones, unfolded; their bits."""
    while i < end:
        value, i = varint(body, i, end)
        if i < 0:
            return ODD
        if n >= out.size:
            return FULL
        out[n] = (value >> _1) ^ (_0 - (value & _1))
        n += 1
    return n
