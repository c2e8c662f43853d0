"""The walk over an ExportTraceServiceRequest's bytes, compiled: columns out, no object in. Needs Numba.

`blocks` finds the resources, from which the caller tells the sources; `walk` then takes the spans. Names are
numbered within the body, by the proven hash of `hashing`. Field tags are ``number << 3 | wire type``.
"""

# ruff: noqa: C901, PLR0911, PLR0912, PLR0915 - kernels take plain arguments and are flat on purpose
import numpy as np

from edgeobs.ingest.hashing import MISSING, absorb, find, finish, home, start
from edgeobs.ingest.machine import load64
from edgeobs.ingest.otlp_spans_layout import (
    BLOCKS,
    DONE,
    FULL,
    NAMES,
    ODD,
    SPANS,
    T_ANY_VALUE,
    T_REQUEST,
    T_RESOURCE,
    T_RESOURCE_SPANS,
    T_SCOPE_SPANS,
    T_SPAN,
    T_STATUS,
    Look,
    Out,
)
from edgeobs.ingest.wire import checked, field, span, utf8, valid, varint
from edgeobs.jit import compiled
from edgeobs.signals import Int32s

_ZERO, _SIGN = np.uint64(0), np.uint64(63)
_32 = np.uint64(0xFFFFFFFF)
_FORBIDDEN, _INVALID = 2, 4
_NAME_BIAS = 8  # as `hashing.find` takes it off again


@compiled
def blocks(look: Look, out: Out) -> int:
    """Find every ResourceSpans and its resource; DONE, ODD or FULL."""
    buffer = look.buffer
    i, end, r = 0, look.buffer.size, 0
    while i < end:
        if buffer[i] != 0x0A:
            i = checked(buffer, i, end, look.schema, look.types[T_REQUEST], look.stack)
            if i < 0:
                return ODD
            continue
        begin, i = span(buffer, i + 1, end)
        if begin < 0:
            return ODD
        if r == out.block.shape[0]:
            return FULL
        resource, stop, k = -1, -1, begin
        while k < i:
            tag = buffer[k]
            if tag == 0x12:
                k = span(buffer, k + 1, i)[1]
            elif tag == 0x0A:
                if resource >= 0:
                    return ODD
                resource, stop = span(buffer, k + 1, i)
                k = stop
                if resource < 0 or not valid(
                    buffer, resource, stop, look.schema, look.types[T_RESOURCE], look.stack
                ):
                    return ODD
            else:
                k = checked(buffer, k, i, look.schema, look.types[T_RESOURCE_SPANS], look.stack)
            if k < 0:
                return ODD
        out.block[r, 0], out.block[r, 1] = begin, i
        out.block[r, 2], out.block[r, 3] = max(resource, 0), max(stop, 0)
        r += 1
    out.n[BLOCKS] = r
    return DONE


@compiled
def walk(look: Look, out: Out, source: Int32s) -> int:
    """Take the spans of every block; ``source`` numbers each block's, −1: not to be spoken for."""
    buffer = look.buffer
    for r in range(out.n[BLOCKS]):
        i, end = out.block[r, 0], out.block[r, 1]
        while i < end:
            number, wire, begin, i = field(buffer, i, end)
            if number == 2 and wire == 2:
                status = _scope_spans(look, out, begin, i, int(source[r]))
                if status != DONE:
                    return status
    return DONE


@compiled
def _scope_spans(look: Look, out: Out, i: int, end: int, source: int) -> int:
    while i < end:
        if look.buffer[i] == 0x12:
            begin, i = span(look.buffer, i + 1, end)
            if begin < 0:
                return ODD
            status = _span(look, out, begin, i, source)
            if status != DONE:
                return status
        else:
            i = checked(look.buffer, i, end, look.schema, look.types[T_SCOPE_SPANS], look.stack)
            if i < 0:
                return ODD
    return DONE


@compiled
def _span(look: Look, out: Out, i: int, stop: int, source: int) -> int:
    buffer = look.buffer
    trace, trace_end, own, own_end, parent, parent_end, name, name_end = 0, 0, 0, 0, 0, 0, 0, 0
    peer, peer_end, best = 0, 0, look.peer_first.size
    since, until, kind, code = _ZERO, _ZERO, _ZERO, _ZERO
    while i < stop:
        tag = buffer[i]
        if tag == 0x4A:
            begin, i = span(buffer, i + 1, stop)
            if begin < 0:
                return ODD
            rank, text, text_end = _attribute(look, begin, i)
            if rank == -2:
                return ODD
            if 0 <= rank <= best and text < text_end:
                best, peer, peer_end = rank, text, text_end
        elif tag == 0x0A:
            trace, trace_end = span(buffer, i + 1, stop)
            i = trace_end
        elif tag == 0x12:
            own, own_end = span(buffer, i + 1, stop)
            i = own_end
        elif tag == 0x22:
            parent, parent_end = span(buffer, i + 1, stop)
            i = parent_end
        elif tag == 0x2A:
            name, name_end = span(buffer, i + 1, stop)
            i = name_end
            if name < 0 or not utf8(buffer, name, name_end):
                return ODD
        elif tag == 0x30:
            kind, i = varint(buffer, i + 1, stop)
        elif tag in (0x39, 0x41):
            if i + 9 > stop:
                return ODD
            if tag == 0x39:
                since = load64(buffer, i + 1)
            else:
                until = load64(buffer, i + 1)
            i += 9
        elif tag == 0x7A:
            begin, i = span(buffer, i + 1, stop)
            if begin < 0:
                return ODD
            code, good = _status(look, begin, i, code)
            if not good:
                return ODD
        else:
            i = checked(buffer, i, stop, look.schema, look.types[T_SPAN], look.stack)
        if i < 0:
            return ODD
    if source < 0:
        out.rejected[_FORBIDDEN] += 1
        return DONE
    if trace_end - trace != 16 or own_end - own != 8 or (since | until) >> _SIGN != 0:
        out.rejected[_INVALID] += 1
        return DONE
    high, low, identity = load64(buffer, trace), load64(buffer, trace + 8), load64(buffer, own)
    if (high | low) == 0 or identity == 0 or (parent_end != parent and parent_end - parent != 8):
        out.rejected[_INVALID] += 1
        return DONE
    named = _numbered(look, out, name, name_end)
    kind &= _32
    called = -1
    if peer_end > peer and (kind == 3 or kind == 4):  # noqa: PLR1714 - the compiler's types want it plain
        called = _numbered(look, out, peer, peer_end)
    if named == -2 or called == -2:
        return FULL
    n = out.n[SPANS]
    out.source[n], out.name[n], out.peer[n] = source, named, called
    out.kind[n] = kind if kind <= 5 else 0
    out.failed[n] = code == 2
    out.start[n], out.end[n] = since, until
    out.ids[n, 0], out.ids[n, 1], out.ids[n, 2] = high, low, identity
    out.ids[n, 3] = load64(buffer, parent) if parent_end > parent else _ZERO
    out.n[SPANS] = n + 1
    return DONE


@compiled
def _status(look: Look, i: int, end: int, code: np.uint64) -> tuple[np.uint64, bool]:
    """The code after this status, which adds to those before; and whether nothing in it is odd."""
    while i < end:
        if look.buffer[i] == 0x18:
            code, i = varint(look.buffer, i + 1, end)
            code &= _32
        else:
            i = checked(look.buffer, i, end, look.schema, look.types[T_STATUS], look.stack)
        if i < 0:
            return code, False
    return code, True


@compiled
def _attribute(look: Look, i: int, end: int) -> tuple[int, int, int]:
    """Which of the peers a KeyValue is, and where its text is; −1: none; −2: odd.

    What is written in another way than every encoder does (key, then value, a text alone) is odd where it
    could be a peer.
    """
    buffer = look.buffer
    if i == end:
        return -1, 0, 0
    if buffer[i] != 0x0A:
        return -2, 0, 0
    key, stop = span(buffer, i + 1, end)
    if key < 0 or not utf8(buffer, key, stop):
        return -2, 0, 0
    if stop == end:
        return -1, 0, 0
    if buffer[stop] != 0x12:
        return -2, 0, 0
    value, value_end = span(buffer, stop + 1, end)
    if value < 0 or value_end != end:
        return -2, 0, 0
    rank = _rank(look, key, stop)
    if value < end and buffer[value] == 0x0A:
        text, text_end = span(buffer, value + 1, end)
        if text >= 0 and text_end == end:
            return (rank, text, text_end) if utf8(buffer, text, text_end) else (-2, 0, 0)
    if rank >= 0 or not valid(buffer, value, end, look.schema, look.types[T_ANY_VALUE], look.stack):
        return -2, 0, 0
    return -1, 0, 0


@compiled
def _rank(look: Look, key: int, stop: int) -> int:
    """The place of a key among the peers, or −1."""
    size = stop - key
    if size >= look.peer_size.size or not look.peer_size[size]:
        return -1
    for rank in range(look.peer_first.size - 1):
        first = look.peer_first[rank]
        if look.peer_first[rank + 1] - first != size:
            continue
        k = 0
        while k < size and look.peers[first + k] == look.buffer[key + k]:
            k += 1
        if k == size:
            return rank
    return -1


@compiled
def _numbered(look: Look, out: Out, begin: int, stop: int) -> int:
    """The number of a name within the body, given to it where it is new; −2: no room."""
    a, b = start(0)
    a, b = absorb(look.keys, a, b, look.buffer, begin, stop)
    a, b = finish(a, b)
    number = find(out.slots, a, b)
    if number != MISSING:
        return number
    m = int(out.n[NAMES])
    if m == out.names.shape[0]:
        return -2
    i = home(out.slots, a, b)
    while out.slots[i, 2] != 0:
        i = i + 1 if i + 1 < out.slots.shape[0] else 0
    out.slots[i, 0], out.slots[i, 1], out.slots[i, 2] = a, b, np.uint64(m + _NAME_BIAS)
    out.names[m, 0], out.names[m, 1] = begin, stop
    out.n[NAMES] = m + 1
    return m
