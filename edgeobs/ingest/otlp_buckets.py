"""The edges and weights of an OTLP histogram, exponential histogram or summary, compiled. Needs Numba."""

# ruff: noqa: C901, PLR0911, PLR0912 - kernels take plain arguments and are flat on purpose
import numpy as np

from edgeobs.ingest import buckets
from edgeobs.ingest.machine import double, load64
from edgeobs.ingest.otlp_layout import T_BUCKETS, Look, Out
from edgeobs.ingest.wire import checked, field, span, varint
from edgeobs.jit import compiled

_ZERO, _32 = np.uint64(0), np.uint64(0xFFFFFFFF)
_MAX = buckets.MAX_BUCKETS
_LOW, _HIGH = buckets.MIN_SCALE, buckets.MAX_SCALE

_power = compiled(buckets.power)


@compiled
def explicit(look: Look, out: Out, i: int, end: int, first: int, count: np.uint64) -> int:
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
def summary(look: Look, out: Out, i: int, end: int, first: int) -> int:
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
def exponential(look: Look, out: Out, i: int, end: int, first: int) -> int:
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
