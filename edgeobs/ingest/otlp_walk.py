"""The walk over an ExportMetricsServiceRequest's bytes, compiled: columns out, no object in. Needs Numba.

Each level is passed twice where protobuf lets what identifies come after what it identifies. A point's series
is the alias of the raw bytes of resource, scope, name, unit, kind and attributes; a miss is written down with
where those bytes are. Field tags in this and the modules below it are ``number << 3 | wire type``.
"""

# ruff: noqa: C901, PLR0911 - kernels take plain arguments and are flat on purpose
import numpy as np

from edgeobs.ingest.hashing import absorb, absorb_word, start
from edgeobs.ingest.otlp_layout import (
    DONE,
    GAUGE,
    GROUPED,
    ODD,
    SUM,
    SUMMARY,
    T_DATA,
    T_METRIC,
    T_REQUEST,
    T_RESOURCE,
    T_RESOURCE_METRICS,
    T_SCOPE,
    T_SCOPE_METRICS,
    Look,
    Out,
)
from edgeobs.ingest.otlp_points import numbers, rows
from edgeobs.ingest.wire import checked, field, span, utf8, valid, varint
from edgeobs.jit import compiled

_FORMAT = np.uint64(1)  # the first word of every key; remote write has others
_ZERO, _32 = np.uint64(0), np.uint64(0xFFFFFFFF)


@compiled
def walk(look: Look, out: Out, seed: int) -> int:
    """Walk the whole body; DONE, ODD or FULL."""
    i, end = 0, look.buffer.size
    a, b = start(seed)
    a, b = absorb_word(look.keys, a, b, _FORMAT)
    out.first[0] = 0
    while i < end:
        if look.buffer[i] == 0x0A:
            begin, i = span(look.buffer, i + 1, end)
            if begin < 0:
                return ODD
            status = _resource_metrics(look, out, a, b, begin, i)
            if status != DONE:
                return status
        else:
            i = checked(look.buffer, i, end, look.schema, look.types[T_REQUEST], look.stack)
            if i < 0:
                return ODD
    return DONE


@compiled
def _header(look: Look, i: int, end: int, parent: int, child: int) -> tuple[int, int, int]:
    """Start and stop of field 1, once at most and nothing odd in it, and a status. Fields 2 wait."""
    begin, stop = -1, -1
    while i < end:
        tag = look.buffer[i]
        if tag == 0x12:
            i = span(look.buffer, i + 1, end)[1]
        elif tag == 0x0A:
            if begin >= 0:
                return 0, 0, ODD
            begin, stop = span(look.buffer, i + 1, end)
            i = stop
            if begin < 0 or not valid(look.buffer, begin, stop, look.schema, look.types[child], look.stack):
                return 0, 0, ODD
        else:
            i = checked(look.buffer, i, end, look.schema, look.types[parent], look.stack)
        if i < 0:
            return 0, 0, ODD
    return (begin, stop, DONE) if begin >= 0 else (0, 0, DONE)


@compiled
def _resource_metrics(look: Look, out: Out, a: np.uint64, b: np.uint64, i: int, end: int) -> int:
    begin, stop, status = _header(look, i, end, T_RESOURCE_METRICS, T_RESOURCE)
    if status != DONE:
        return status
    out.here[0], out.here[1] = begin, stop
    a, b = absorb(look.keys, a, b, look.buffer, begin, stop)
    while i < end:
        number, wire, begin, i = field(look.buffer, i, end)
        if number == 2 and wire == 2:
            status = _scope_metrics(look, out, a, b, begin, i)
            if status != DONE:
                return status
    return DONE


@compiled
def _scope_metrics(look: Look, out: Out, a: np.uint64, b: np.uint64, i: int, end: int) -> int:
    begin, stop, status = _header(look, i, end, T_SCOPE_METRICS, T_SCOPE)
    if status != DONE:
        return status
    out.here[2], out.here[3] = begin, stop
    a, b = absorb(look.keys, a, b, look.buffer, begin, stop)
    while i < end:
        number, wire, begin, i = field(look.buffer, i, end)
        if number == 2 and wire == 2:
            status = _metric(look, out, a, b, begin, i)
            if status != DONE:
                return status
    return DONE


@compiled
def _metric(look: Look, out: Out, a: np.uint64, b: np.uint64, i: int, end: int) -> int:
    buffer = look.buffer
    name, name_end, unit, unit_end, data, begin, stop = 0, 0, 0, 0, 0, 0, 0
    while i < end:
        tag = buffer[i]
        if tag == 0x0A:
            name, name_end = span(buffer, i + 1, end)
            i = name_end
            if name < 0 or not utf8(buffer, name, name_end):
                return ODD
        elif tag == 0x1A:
            unit, unit_end = span(buffer, i + 1, end)
            i = unit_end
            if unit < 0 or not utf8(buffer, unit, unit_end):
                return ODD
        elif tag in (0x2A, 0x3A, 0x4A, 0x52, 0x5A):
            if data != 0:
                return ODD
            data = int(np.int64(tag)) >> 3
            begin, stop = span(buffer, i + 1, end)
            i = stop
        else:
            i = checked(buffer, i, end, look.schema, look.types[T_METRIC], look.stack)
        if i < 0:
            return ODD
    if data == 0:
        return DONE
    kind = _kind(look, data, begin, stop)
    if kind == -2:
        return ODD
    here = out.here
    here[4], here[5], here[6], here[7], here[8] = name, name_end, unit, unit_end, data * 16 + kind
    out.n[GROUPED] = 0
    a, b = absorb(look.keys, a, b, buffer, name, name_end)
    a, b = absorb(look.keys, a, b, buffer, unit, unit_end)
    a, b = absorb_word(look.keys, a, b, np.uint64(data * 16 + kind + 1))
    if data in (GAUGE, SUM):
        return numbers(look, out, a, b, begin, stop, data, kind)
    return rows(look, out, a, b, begin, stop, data, kind)


@compiled
def _kind(look: Look, data: int, i: int, end: int) -> int:
    """The `Kind` of a metric's data; −1 when its temporality is not known, −2 when something is odd."""
    buffer = look.buffer
    temporality, monotonic = _ZERO, _ZERO
    while i < end:
        tag = buffer[i]
        if tag == 0x0A:
            i = span(buffer, i + 1, end)[1]
        elif tag == 0x10:
            temporality, i = varint(buffer, i + 1, end)
            temporality &= _32
        elif tag == 0x18:
            monotonic, i = varint(buffer, i + 1, end)
        else:
            i = checked(buffer, i, end, look.schema, look.types[T_DATA + data], look.stack)
        if i < 0:
            return -2
    if data == GAUGE:
        return 0
    if data == SUMMARY:
        return 7
    if temporality != 1 and temporality != 2:  # noqa: PLR1714 - the compiler's types want it plain
        return -1
    if data == SUM:
        rises = 1 if monotonic != 0 else 3
        return rises if temporality == 2 else rises + 1
    return 5 if temporality == 2 else 6
