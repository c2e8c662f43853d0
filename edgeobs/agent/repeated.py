"""OTLP bodies that differ from one before in nothing but times and numbers: read without parsing. Pure.

A workload pushes the same series in the same order every time, and protobuf gives a time or a number eight
bytes, whatever it is. So where those lie, and which series they are of, is found out once; a body of the same
length is then compared with the first, and its columns are gathered. `ingest.otlp` reads all else: the first
bodies of a layout, histograms, points that are refused.

Source: the Protocol Buffers documentation, *Encoding*; ``opentelemetry/proto/metrics/v1/metrics.proto``.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeobs.series import SeriesTable
from edgeobs.signals import Bools, Distributions, Int32s, Int64s, Points, Principal

Decode = Callable[[bytes, Principal, int], Points]

_MOST_BYTES = 1 << 20  # of layouts; beyond that all are forgotten
_MOST_LAYOUTS = 256
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_REQUEST_RESOURCE, _RESOURCE_SCOPE, _SCOPE_METRIC, _DATA_POINT = 1, 2, 2, 1  # fields that lead to a point
_DATA = frozenset({5, 7, 9, 10, 11})
_GAUGE, _SUM = 5, 7
_START, _TIME, _DOUBLE, _INT, _FLAGS = 2, 3, 4, 6, 8
_EIGHT = np.arange(8)
_LATEST = np.uint64((1 << 63) - 1)


class Place(NamedTuple):
    """Where a number point keeps what changes; −1: nowhere."""

    start: int
    time: int
    value: int
    whole: bool  # an integer


class _Layout(NamedTuple):
    epoch: int
    body: NDArray[np.uint8]
    free: Bools  # by byte: whether it may be another
    series: Int32s
    start: Int64s
    time: Int64s
    value: Int64s
    whole: Bools


class Repeated:
    """Reads OTLP metrics, by what it remembers of bodies of that length by that sender, or by ``decode``."""

    def __init__(self, decode: Decode, table: SeriesTable) -> None:
        self._decode, self._table = decode, table
        self._known: dict[tuple[Principal, int], _Layout | None] = {}  # None: there was one such body
        self._bytes = 0

    def decode(self, body: bytes, principal: Principal, now_ns: int) -> Points:
        """As the decoder: raises Malformed, and then no series has come of it."""
        key = principal, len(body)
        layout = self._known.get(key)
        if layout is not None and layout.epoch == self._table.epoch:
            points = _read(layout, body)
            if points is not None:
                return points
        points = self._decode(body, principal, now_ns)
        if key in self._known:
            self._learn(key, body, points)
        elif len(self._known) < _MOST_LAYOUTS:
            self._known[key] = None
        else:
            self._forget()
        return points

    def _learn(self, key: tuple[Principal, int], body: bytes, points: Points) -> None:
        if len(body) > _MOST_BYTES or points.rejected or len(points.distributions.series):
            return
        try:
            places = list(number_points(body))
        except ValueError:
            return
        if not places or len(places) != len(points.series):
            return
        self._bytes += len(body) * (self._known[key] is None)
        self._known[key] = _layout(self._table.epoch, body, points.series, places)
        if self._bytes > _MOST_BYTES:
            self._forget()

    def _forget(self) -> None:
        self._known.clear()
        self._bytes = 0


def number_points(body: bytes) -> Iterator[Place]:
    """Where each number point of an ExportMetricsServiceRequest keeps times and value, in order.

    Raises ValueError where something in it is of another kind, or said twice: then bytes that change may
    mean more than a time or a number.
    """
    for resource in _under(body, 0, len(body), _REQUEST_RESOURCE):
        for scope in _under(body, *resource, _RESOURCE_SCOPE):
            for metric in _under(body, *scope, _SCOPE_METRIC):
                data = [each for each in _fields(body, *metric) if each[0] in _DATA]
                if len(data) != 1 or data[0][0] not in (_GAUGE, _SUM) or data[0][1] != _BYTES:
                    raise ValueError("no gauge and no sum")
                for point in _under(body, *data[0][2:], _DATA_POINT):
                    yield _place(body, *point)


def _place(body: bytes, begin: int, end: int) -> Place:
    found: dict[int, int] = {}
    for number, wire, at, _ in _fields(body, begin, end):
        if number in (_START, _TIME, _DOUBLE, _INT, _FLAGS):
            if number in found or wire != _FIXED64:  # flags are a varint: a point that has some is odd
                raise ValueError("an odd point")
            found[number] = at
    if (_DOUBLE in found) == (_INT in found):
        raise ValueError("no value, or two")
    value = found.get(_DOUBLE, found.get(_INT, -1))
    return Place(found.get(_START, -1), found.get(_TIME, -1), value, _INT in found)


def _under(body: bytes, begin: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Where the messages in one field begin and end."""
    for number, wire, at, stop in _fields(body, begin, end):
        if number == wanted:
            if wire != _BYTES:
                raise ValueError("no message")
            yield at, stop


def _fields(body: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, begin and end of what each field of a message holds."""
    while at < end:
        tag, at = _varint(body, at, end)
        wire = tag & 7
        if wire == _VARINT:
            stop = _varint(body, at, end)[1]
        elif wire == _BYTES:
            size, at = _varint(body, at, end)
            stop = at + size
        elif wire in (_FIXED64, _FIXED32):
            stop = at + (8 if wire == _FIXED64 else 4)
        else:
            raise ValueError("a group")
        if stop > end:
            raise ValueError("it ends too early")
        yield tag >> 3, wire, at, stop
        at = stop


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 64:
        byte = body[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("no varint")


def _layout(epoch: int, body: bytes, series: Int32s, places: list[Place]) -> _Layout:
    start, time, value, whole = (np.array(each) for each in zip(*places, strict=True))
    free = np.zeros(len(body), np.bool_)
    for each in (start, time, value):
        free[each[each >= 0, None] + _EIGHT] = True
    return _Layout(epoch, np.frombuffer(body, np.uint8), free, series, start, time, value, whole)


def _read(layout: _Layout, body: bytes) -> Points | None:
    """Its points; None where it differs from the layout in anything else, or has a time beyond int64."""
    found = np.frombuffer(body, np.uint8)
    if not ((found == layout.body) | layout.free).all():
        return None
    time, start, value = (_words(found, at) for at in (layout.time, layout.start, layout.value))
    if max(time.max(), start.max()) > _LATEST:
        return None
    values = np.where(layout.whole, value.view(np.int64).astype(np.float64), value.view(np.float64))
    return Points(
        layout.series.copy(), time.view(np.int64), start.view(np.int64), values, Distributions.none(), {}
    )


def _words(body: NDArray[np.uint8], at: Int64s) -> NDArray[np.uint64]:
    """The eight bytes at each place, little-endian; 0 where there is none."""
    found = body[np.maximum(at, 0)[:, None] + _EIGHT].view("<u8")[:, 0].astype(np.uint64)
    found[at < 0] = 0
    return found
