"""The walk over an ExportMetricsServiceRequest's bytes, compiled: columns out, no object in. Needs Numba.

Each level is passed twice where protobuf lets what identifies come after what it identifies. A point's series
is the alias of the raw bytes of resource, scope, name, unit, kind and attributes; a miss is written down with
where those bytes are. Field tags below are ``number << 3 | wire type``.
"""

# ruff: noqa: C901, PLR0911, PLR0912, PLR0915 - kernels take plain arguments and are flat on purpose
from typing import NamedTuple

import numpy as np

from edgeobs.ingest import buckets
from edgeobs.ingest.hashing import MISSING, Bytes, Words, absorb, absorb_word, find, finish, start
from edgeobs.ingest.jit import compiled
from edgeobs.ingest.machine import bits, double, load64
from edgeobs.ingest.wire import Schema, checked, field, span, utf8, valid, varint
from edgeobs.signals import Floats, Int32s, Int64s

DONE, ODD, FULL = 0, 1, 2
"""How a walk ends: done; meet something for the reference decoder; out of room in the columns."""

POINTS, ROWS, EDGES, MISSES, GROUPS, GROUPED = range(6)
"""Places in `Out.n`: how much is used of the columns, and whether the metric under way has its group."""

GAUGE, SUM, HISTOGRAM, EXPONENTIAL, SUMMARY = 5, 7, 9, 10, 11
"""A metric's data by its field number."""

# Message types, as places in `Look.types`.
T_REQUEST, T_RESOURCE_METRICS, T_RESOURCE, T_SCOPE_METRICS, T_SCOPE, T_METRIC, T_BUCKETS = range(7)
T_DATA, T_POINT = 7, 19  # + the data's field number

_FORMAT = np.uint64(1)  # the first word of every key; remote write has others
_ZERO, _ONE, _32 = np.uint64(0), np.uint64(1), np.uint64(0xFFFFFFFF)
_SIGN = np.uint64(63)
_STALE = np.uint64(0x7FF0000000000002)
_NAN = np.nan
_INVALID = 4
_MAX = buckets.MAX_BUCKETS
_LOW, _HIGH = buckets.MIN_SCALE, buckets.MAX_SCALE

_power = compiled(buckets.power)


class Look(NamedTuple):
    """What a walk reads."""

    buffer: Bytes
    keys: Words
    slots: Words
    schema: Schema
    types: Int64s
    stack: Int64s  # scratch of `wire.valid`


class Out(NamedTuple):
    """What a walk writes."""

    series: Int32s
    time: Words
    start: Words
    value: Words  # bits of float64
    row_series: Int32s
    row_time: Words
    row_start: Words
    row_count: Floats
    row_total: Words
    first: Int64s
    edge: Floats
    weight: Floats
    miss: Int64s  # [m, 4]: point, or −1 − row; group; start and stop of the point
    miss_hash: Words  # [2, m]
    group: Int64s  # [g, 9]: starts and stops of resource, scope, name, unit; data · 16 + kind
    here: Int64s  # [9]: the group under way
    scratch: Floats  # [MAX_BUCKETS]
    n: Int64s
    rejected: Int64s  # by −refusal


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
        return _numbers(look, out, a, b, begin, stop, data, kind)
    return _rows(look, out, a, b, begin, stop, data, kind)


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
def _numbers(look: Look, out: Out, a: np.uint64, b: np.uint64, i: int, end: int, data: int, kind: int) -> int:
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
def _rows(look: Look, out: Out, a: np.uint64, b: np.uint64, i: int, end: int, data: int, kind: int) -> int:
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
        if r == room or first + _MAX + 8 > out.edge.size:
            return FULL
        if data == HISTOGRAM:
            last = _explicit(look, out, begin, stop, first, count)
        elif data == EXPONENTIAL:
            last = _exponential(look, out, begin, stop, first)
        else:
            last = _summary(look, out, begin, stop, first)
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


@compiled
def _explicit(look: Look, out: Out, i: int, end: int, first: int, count: np.uint64) -> int:
    """Write an explicit histogram's edges and weights; the index after them, −1 invalid, −2 odd."""
    buffer = look.buffer
    counts, counts_end, bounds, bounds_end = -1, -1, -1, -1
    while i < end:
        tag = buffer[i]
        if tag == 0x32:
            if counts >= 0:
                return -2
            counts, counts_end = span(buffer, i + 1, end)
        elif tag == 0x3A:
            if bounds >= 0:
                return -2
            bounds, bounds_end = span(buffer, i + 1, end)
        elif tag in (0x31, 0x39):
            return -2
        i = field(buffer, i, end)[3]
    if (counts_end - counts) % 8 != 0 or (bounds_end - bounds) % 8 != 0:
        return -2
    m, k = (counts_end - counts) // 8, (bounds_end - bounds) // 8
    if m > _MAX or m != (k + 1 if m + k > 0 else 0):
        return -1
    before = -np.inf
    for j in range(k):
        edge = double(load64(buffer, bounds + 8 * j))
        if not before < edge < np.inf:
            return -1
        out.edge[first + j] = before = edge
        out.weight[first + j] = np.float64(load64(buffer, counts + 8 * j))
    out.edge[first + k] = np.inf
    out.weight[first + k] = np.float64(load64(buffer, counts + 8 * k) if m > 0 else count)
    return first + k + 1


@compiled
def _summary(look: Look, out: Out, i: int, end: int, first: int) -> int:
    """Write a summary's quantiles and their values; the index after them, −1 invalid, −2 odd."""
    buffer, last, before, good = look.buffer, first, -1.0, True
    while i < end:
        if buffer[i] != 0x32:
            i = field(buffer, i, end)[3]
            continue
        i, stop = span(buffer, i + 1, end)
        quantile, value = 0.0, _ZERO
        while i < stop:
            if buffer[i] == 0x09 and i + 9 <= stop:
                quantile = double(load64(buffer, i + 1))
            elif buffer[i] == 0x11 and i + 9 <= stop:
                value = load64(buffer, i + 1)
            i = field(buffer, i, stop)[3]
            if i < 0:
                return -2
        good = good and before < quantile <= 1 and quantile >= 0 and last < first + _MAX
        before = quantile
        if good:
            out.edge[last] = quantile
            out.weight[last] = double(value)
            last += 1
    return last if good else -1


@compiled
def _side(look: Look, out: Out, i: int, end: int, held: int) -> tuple[int, int]:
    """Put one side's counts into the scratch after those held; its offset, and how many are held, or −2."""
    buffer, offset, seen = look.buffer, 0, False
    while i < end:
        tag = buffer[i]
        if tag == 0x08:
            offset = _zigzag(varint(buffer, i + 1, end)[0])
        elif tag == 0x10 or (tag == 0x12 and seen):
            return 0, -2
        elif tag == 0x12:
            seen = True
            j, stop = span(buffer, i + 1, end)
            while 0 <= j < stop:
                count, j = varint(buffer, j, stop)
                if held < _MAX:
                    out.scratch[held] = np.float64(count)
                held += 1
            if j < 0:
                return 0, -2
        i = checked(buffer, i, end, look.schema, look.types[T_BUCKETS], look.stack)
        if i < 0:
            return 0, -2
    return offset, held


@compiled
def _zigzag(word: np.uint64) -> int:
    """A sint32: only the low 32 bits of its varint count."""
    low = np.int64(word & _32)
    return int((low >> 1) ^ -(low & 1))


@compiled
def _push(out: Out, first: int, last: int, edge: float, weight: float) -> int:
    if last > first and edge <= out.edge[last - 1]:
        out.weight[last - 1] += weight
        return last
    out.edge[last] = edge
    out.weight[last] = weight
    return last + 1


@compiled
def _exponential(look: Look, out: Out, i: int, end: int, first: int) -> int:
    """Write what `buckets.exponential` makes; the index after it, −1 invalid, −2 odd."""
    buffer = look.buffer
    scale, zeros, threshold = 0, _ZERO, 0.0
    above, above_end, below, below_end = -1, -1, -1, -1
    while i < end:
        tag = buffer[i]
        if tag == 0x30:
            scale = _zigzag(varint(buffer, i + 1, end)[0])
        elif tag == 0x39:
            zeros = load64(buffer, i + 1)
        elif tag == 0x71:
            threshold = double(load64(buffer, i + 1))
        elif tag == 0x42:
            if above >= 0:
                return -2
            above, above_end = span(buffer, i + 1, end)
        elif tag == 0x4A:
            if below >= 0:
                return -2
            below, below_end = span(buffer, i + 1, end)
        i = field(buffer, i, end)[3]
    low, downs = _side(look, out, below, below_end, 0)
    up, held = _side(look, out, above, above_end, downs)
    if downs < 0 or held < 0:
        return -2
    if not (_LOW <= scale <= _HIGH and 0 <= threshold < np.inf) or held > _MAX:
        return -1
    last = first
    if downs > 0:
        last = _push(out, first, last, -_power(low + downs, scale), 0.0)
        for k in range(downs - 1, -1, -1):
            last = _push(out, first, last, -_power(low + k, scale), out.scratch[k])
        if threshold > 0:
            last = _push(out, first, last, -threshold, 0.0)
    last = _push(out, first, last, threshold, np.float64(zeros))
    if held > downs:
        last = _push(out, first, last, _power(up, scale), 0.0)
        for k in range(held - downs):
            last = _push(out, first, last, _power(up + k + 1, scale), out.scratch[downs + k])
    return _push(out, first, last, np.inf, 0.0)
