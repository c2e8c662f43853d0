"""Remote write's bytes → columns, compiled. Needs Numba.

A series that was met before is known by a keyed hash of what identifies it: in 1.0 the bytes of its labels,
in 2.0 the contents of the symbols it refers to, its type and its unit. Others are listed for Python.
What is ODD goes to the reference decoder as a whole.
"""

import numpy as np

from edgeobs.ingest.hashing import MISSING, Bytes, Words, absorb, absorb_word, find, finish, start
from edgeobs.ingest.histogram_walk import FULL, ODD, START, Room, is_gauge
from edgeobs.ingest.machine import dot61, mul61
from edgeobs.ingest.remote_write_gather import gather
from edgeobs.ingest.remote_write_layout import (
    BEGIN,
    CREATED,
    END,
    EXEMPLARS,
    HISTOGRAMS,
    META,
    META_END,
    MISSES,
    PENDING,
    SAMPLES,
    Known,
    Out,
    Symbols,
)
from edgeobs.ingest.wire import Schema, field, span, utf8, valid, varint
from edgeobs.jit import compiled
from edgeobs.signals import Int64s

_SCALAR, _CUMULATIVE, _GAUGE = range(3)
# Longer than any section, so that no key of another format begins like these.
_V1, _V2 = np.uint64(0x52573100000000), np.uint64(0x52573200000000)


@compiled
def walk_v1(body: Bytes, known: Known, out: Out, room: Room, schema: Schema, kind: int) -> int:
    """All of a ``prometheus.WriteRequest``: 0, ODD or FULL. ``kind`` is ``TimeSeries`` in the schema."""
    a0, b0 = start(known.seed)
    a0, b0 = absorb_word(known.keys, a0, b0, _V1)
    a0, b0 = absorb_word(known.keys, a0, b0, np.uint64(known.generation))
    i = 0
    while i < body.size:
        begin, end = span(body, i + 1, body.size)
        if body[i] != 0x0A or end < 0:
            return ODD
        n, m = out.filled[SAMPLES], out.filled[HISTOGRAMS]
        exemplars = out.filled[EXEMPLARS]
        status = gather(body, begin, end, -1, out, room)
        if status != 0:
            return status
        empty = n == out.filled[SAMPLES] and m == out.filled[HISTOGRAMS]
        # Labels that are looked up were parsed once; others, and exemplars, are seen nowhere else.
        if (empty or exemplars != out.filled[EXEMPLARS]) and not valid(
            body, begin, end, schema, kind, out.stack
        ):
            return ODD
        if not empty:
            a, b = absorb(known.keys, a0, b0, body, out.about[BEGIN], out.about[END])
            if not _identify(known, a, b, begin, end, n, m, out, room):
                return FULL
        i = end
    _look_up(known.slots, out)
    return 0


@compiled
def count_symbols(body: Bytes) -> int:
    """How many symbols a ``Request`` has, or ODD."""
    n = i = 0
    while i < body.size:
        number, wire, _, stop = field(body, i, body.size)
        if stop < 0 or number < 4 or (number <= 5 and wire != 2):
            return ODD
        n += number == 4
        i = stop
    return n


@compiled
def read_symbols(body: Bytes, keys: Words, symbols: Symbols) -> int:
    """Fill in what `count_symbols` counted: 0, or ODD where one is not UTF-8 or the first not empty."""
    n = i = 0
    while i < body.size:
        number, _, begin, stop = field(body, i, body.size)
        if number == 4:
            if not utf8(body, begin, stop):
                return ODD
            symbols.at[n, 0], symbols.at[n, 1] = begin, stop
            a, b = start(0)
            a, b = absorb(keys, a, b, body, begin, stop)
            symbols.a[n], symbols.b[n] = finish(a, b)
            n += 1
        i = stop
    return 0 if n > 0 and symbols.at[0, 0] == symbols.at[0, 1] else ODD


@compiled
def walk_v2(body: Bytes, known: Known, symbols: Symbols, out: Out, room: Room) -> int:
    """All series of an ``io.prometheus.write.v2.Request`` whose symbols were read: 0, ODD or FULL."""
    a0, b0 = start(known.seed)
    a0, b0 = absorb_word(known.keys, a0, b0, _V2)
    if symbols.a.size == 0:
        return ODD
    i = 0
    while i < body.size:
        number, _, begin, end = field(body, i, body.size)
        i = end
        if number != 5:
            continue
        n, m = out.filled[SAMPLES], out.filled[HISTOGRAMS]
        status = gather(body, begin, end, symbols.a.size, out, room)
        if status != 0:
            return status
        a, b, fine = _absorb_about(body, known.keys, a0, b0, symbols, out.about)
        if not fine:
            return ODD
        if out.about[CREATED] != 0:
            _set_start(out, room, n, m)
        if not _identify(known, a, b, begin, end, n, m, out, room):
            return FULL
    _look_up(known.slots, out)
    return 0


@compiled
def _absorb_about(
    body: Bytes, keys: Words, a: np.uint64, b: np.uint64, symbols: Symbols, about: Int64s
) -> tuple[np.uint64, np.uint64, bool]:
    """State after a series' labels, type and unit, and whether all its references are there, in pairs."""
    size = np.uint64(symbols.a.size)
    i, end = about[BEGIN], about[END]
    while i < end:
        x, i = varint(body, i, end)
        y, j = varint(body, i, end)
        if i < 0 or j < 0 or x >= size or y >= size:
            return a, b, False
        i = j
        # Two symbols a step, as `hashing.absorb` does it with words.
        a = dot61(a + symbols.a[x], keys[1], symbols.a[y], keys[0])
        b = dot61(b + symbols.b[x], keys[3], symbols.b[y], keys[2])
    type_ = unit = np.uint64(0)
    i, end = about[META], about[META_END]
    while i < end:
        number, wire, begin, stop = field(body, i, end)
        if stop < 0 or (number <= 4 and (wire != 0 or number == 2)):
            return a, b, False
        if number <= 4:
            value = varint(body, begin, stop)[0]
            if value >= (np.uint64(128) if number == 1 else size):
                return a, b, False
            if number == 1:
                type_ = value
            elif number == 4:
                unit = value
        i = stop
    a, b = absorb_word(keys, a, b, type_)
    return mul61(a + symbols.a[unit], keys[0]), mul61(b + symbols.b[unit], keys[2]), True


@compiled
def _set_start(out: Out, room: Room, n: int, m: int) -> None:
    """The series' start stands where its samples have none of their own."""
    for k in range(n, out.filled[SAMPLES]):
        if out.start[k] == 0:
            out.start[k] = out.about[CREATED]
    for k in range(m, out.filled[HISTOGRAMS]):
        if room.rows[k, START] == 0:
            room.rows[k, START] = out.about[CREATED]


@compiled
def _identify(
    known: Known, a: np.uint64, b: np.uint64, begin: int, end: int, n: int, m: int, out: Out, room: Room
) -> bool:
    """Note what samples from n and histograms from m on are to be looked up by; False without room."""
    if n < out.filled[SAMPLES] and not _ask(known, a, b, begin, end, _SCALAR, n, out):
        return False
    for k in range(m, out.filled[HISTOGRAMS]):
        holds = _GAUGE if is_gauge(room.rows[k]) else _CUMULATIVE
        if not _ask(known, a, b, begin, end, holds, k, out):
            return False
    return True


@compiled
def _ask(
    known: Known, a: np.uint64, b: np.uint64, begin: int, end: int, holds: int, place: int, out: Out
) -> bool:
    k = out.filled[MISSES]
    if k >= out.miss.shape[0]:
        return False
    a, b = absorb_word(known.keys, a, b, np.uint64(holds))
    out.key[k, 0], out.key[k, 1] = finish(a, b)
    out.miss[k, 0], out.miss[k, 1], out.miss[k, 2] = begin, end, holds
    out.miss[k, 3], out.miss[k, 4] = place, out.filled[SAMPLES]
    out.filled[MISSES] = k + 1
    return True


@compiled
def _look_up(slots: Words, out: Out) -> None:
    """Give samples and histograms their ids, and keep the misses alone.

    All at once, after the walk: the processor waits for many places of a large table at the same time.
    """
    misses = 0
    for k in range(out.filled[MISSES]):
        number = find(slots, out.key[k, 0], out.key[k, 1])
        place, holds = out.miss[k, 3], out.miss[k, 2]
        last = out.miss[k, 4] if holds == _SCALAR else place + 1
        if number == MISSING:
            number = PENDING - misses
            out.key[misses, 0], out.key[misses, 1] = out.key[k, 0], out.key[k, 1]
            for j in range(3):
                out.miss[misses, j] = out.miss[k, j]
            misses += 1
        column = out.series if holds == _SCALAR else out.spread
        for j in range(place, last):
            column[j] = number
    out.filled[MISSES] = misses
