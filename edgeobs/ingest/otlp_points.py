"""The points of one OTLP metric, compiled: each to its series, time and value. Needs Numba."""

# ruff: noqa: C901, PLR0911, PLR0912, PLR0915 - kernels take plain arguments and are flat on purpose
import numpy as np

from edgeobs.ingest.buckets import MAX_BUCKETS
from edgeobs.ingest.hashing import MISSING, absorb, find, finish
from edgeobs.ingest.machine import bits, double, load64
from edgeobs.ingest.otlp_buckets import explicit, exponential, summary
from edgeobs.ingest.otlp_layout import (
    DONE,
    EDGES,
    EXPONENTIAL,
    FULL,
    GROUPED,
    GROUPS,
    HISTOGRAM,
    MISSES,
    ODD,
    POINTS,
    ROWS,
    SUMMARY,
    T_POINT,
    Look,
    Out,
)
from edgeobs.ingest.wire import checked, field, span, valid, varint
from edgeobs.jit import compiled

_ZERO, _ONE, _SIGN = np.uint64(0), np.uint64(1), np.uint64(63)
_STALE = np.uint64(0x7FF0000000000002)
_NAN = np.nan
_INVALID = 4


@compiled
def _series(
    look: Look, out: Out, a: np.uint64, b: np.uint64, row: int, begin: int, stop: int, data: int
) -> int:
    """The id of a point's alias, or a refusal; −1 for a miss, which is noted; −5 is odd, −6 full."""
    a, b = finish(a, b)
    number = find(look.slots, a, b)
    if number != MISSING:
        return number
    if not valid(look.buffer, begin, stop, look.schema, look.types[T_POINT + data], look.stack):
        return -5
    m, g = out.n[MISSES], out.n[GROUPS]
    if m == out.miss.shape[0] or g == out.group.shape[0]:
        return -6
    if out.n[GROUPED] == 0:
        for k in range(9):
            out.group[g, k] = out.here[k]
        out.n[GROUPS] = g + 1
        out.n[GROUPED] = 1
    out.miss[m, 0], out.miss[m, 1], out.miss[m, 2], out.miss[m, 3] = row, out.n[GROUPS] - 1, begin, stop
    out.miss_hash[0, m], out.miss_hash[1, m] = a, b
    out.n[MISSES] = m + 1
    return MISSING


@compiled
def _attributes(look: Look, a: np.uint64, b: np.uint64, i: int, end: int) -> tuple[np.uint64, np.uint64, int]:
    """Absorb a run of attributes, tags and all, as one section; and the index after it, or −1."""
    buffer = look.buffer
    tag, begin = buffer[i], i
    while i < end and buffer[i] == tag:
        i = span(buffer, i + 1, end)[1]
        if i < 0:
            return a, b, -1
    a, b = absorb(look.keys, a, b, buffer, begin, i)
    return a, b, i


@compiled
def numbers(look: Look, out: Out, a: np.uint64, b: np.uint64, i: int, end: int, data: int, kind: int) -> int:
    """The points of a gauge or sum."""
    buffer, room = look.buffer, out.series.size
    n = out.n[POINTS]
    while i < end:
        if buffer[i] != 0x0A:
            i = field(buffer, i, end)[3]
            continue
        begin, stop = span(buffer, i + 1, end)
        i = begin
        ha, hb = a, b
        time, since, value, flags, found = _ZERO, _ZERO, _ZERO, _ZERO, False
        while i < stop:
            tag = buffer[i]
            if tag == 0x3A:
                ha, hb, i = _attributes(look, ha, hb, i, stop)
            elif tag in (0x11, 0x19, 0x21, 0x31):
                if i + 9 > stop:
                    return ODD
                word = load64(buffer, i + 1)
                i += 9
                if tag == 0x19:
                    time = word
                elif tag == 0x11:
                    since = word
                else:
                    found = True
                    value = word if tag == 0x21 else bits(np.float64(np.int64(word)))
            elif tag == 0x40:
                flags, i = varint(buffer, i + 1, stop)
            else:
                i = checked(buffer, i, stop, look.schema, look.types[T_POINT + data], look.stack)
            if i < 0:
                return ODD
        if flags & _ONE:
            found, value = True, _STALE
        if kind < 0 or not found or (time | since) >> _SIGN != 0:
            if not valid(buffer, begin, stop, look.schema, look.types[T_POINT + data], look.stack):
                return ODD
            out.rejected[_INVALID] += 1
            continue
        if n == room:
            return FULL
        number = _series(look, out, ha, hb, n, begin, stop, data)
        if number >= MISSING:
            out.series[n] = number
            out.time[n] = time
            out.start[n] = since
            out.value[n] = value
            n += 1
        elif number > -5:
            out.rejected[-number] += 1
        else:
            return ODD if number == -5 else FULL
    out.n[POINTS] = n
    return DONE


@compiled
def rows(look: Look, out: Out, a: np.uint64, b: np.uint64, i: int, end: int, data: int, kind: int) -> int:
    """The points of a histogram, exponential histogram or summary."""
    buffer, room = look.buffer, out.row_series.size
    attribute = 0x4A if data == HISTOGRAM else (0x0A if data == EXPONENTIAL else 0x3A)
    flag = 0x40 if data == SUMMARY else 0x50
    while i < end:
        if buffer[i] != 0x0A:
            i = field(buffer, i, end)[3]
            continue
        begin, stop = span(buffer, i + 1, end)
        i = begin
        ha, hb = a, b
        time, since, count, flags = _ZERO, _ZERO, _ZERO, _ZERO
        total = bits(0.0) if data == SUMMARY else bits(_NAN)
        while i < stop:
            tag = buffer[i]
            if tag == attribute:
                ha, hb, i = _attributes(look, ha, hb, i, stop)
            elif tag in (0x11, 0x19, 0x21, 0x29):
                if i + 9 > stop:
                    return ODD
                word = load64(buffer, i + 1)
                i += 9
                if tag == 0x19:
                    time = word
                elif tag == 0x11:
                    since = word
                elif tag == 0x21:
                    count = word
                else:
                    total = word
            elif tag == flag:
                flags, i = varint(buffer, i + 1, stop)
            else:
                i = checked(buffer, i, stop, look.schema, look.types[T_POINT + data], look.stack)
            if i < 0:
                return ODD
        r, first = out.n[ROWS], out.n[EDGES]
        if r == room or first + MAX_BUCKETS + 8 > out.edge.size:
            return FULL
        if data == HISTOGRAM:
            last = explicit(look, out, begin, stop, first, count)
        elif data == EXPONENTIAL:
            last = exponential(look, out, begin, stop, first)
        else:
            last = summary(look, out, begin, stop, first)
        if last == -2:
            return ODD
        if flags & _ONE:
            last, count, total = first, _ZERO, _STALE
        if kind < 0 or last < 0 or (time | since) >> _SIGN != 0:
            if not valid(buffer, begin, stop, look.schema, look.types[T_POINT + data], look.stack):
                return ODD
            out.rejected[_INVALID] += 1
            continue
        number = _series(look, out, ha, hb, -1 - r, begin, stop, data)
        if number >= MISSING:
            out.row_series[r] = number
            out.row_time[r] = time
            out.row_start[r] = since
            out.row_count[r] = double(_STALE) if flags & _ONE else np.float64(count)
            out.row_total[r] = total
            out.first[r + 1] = last
            out.n[ROWS], out.n[EDGES] = r + 1, last
        elif number > -5:
            out.rejected[-number] += 1
        else:
            return ODD if number == -5 else FULL
    return DONE
