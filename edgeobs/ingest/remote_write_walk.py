"""Remote write's bytes → columns, compiled. Needs Numba.

A series that was met before is known by a keyed hash of what identifies it: in 1.0 the bytes of its labels,
in 2.0 the contents of the symbols it refers to, its type and its unit. Others are listed for Python.
What is ODD goes to the reference decoder as a whole.
"""

# ruff: noqa: PLR0912, C901 - kernels take plain arguments, and a message's fields are one flat choice
from typing import NamedTuple

import numpy as np

from edgeobs.ingest.hashing import MISSING, Bytes, Words, absorb, absorb_word, find, finish, start
from edgeobs.ingest.histogram_walk import FULL, ODD, START, Room, histogram, is_gauge
from edgeobs.ingest.jit import compiled
from edgeobs.ingest.machine import dot61, load64, mul61
from edgeobs.ingest.wire import DEPTH, Schema, field, span, utf8, valid, varint
from edgeobs.signals import Int32s, Int64s

PENDING = -16
"""Ids from here downward are misses: the k-th has PENDING − k."""

SAMPLES, HISTOGRAMS, MISSES, EXEMPLARS = range(4)
"""What the walk counts: places in ``Out.filled``."""

_SCALAR, _CUMULATIVE, _GAUGE = range(3)
# Longer than any section, so that no key of another format begins like these.
_V1, _V2 = np.uint64(0x52573100000000), np.uint64(0x52573200000000)

# What a field of a series is, by version − 1 and number.
_LABELS, _SAMPLE, _HISTOGRAM, _EXEMPLAR, _METADATA, _CREATED, _UNKNOWN = range(7)
_ROLES = np.array(
    [
        [_UNKNOWN, _LABELS, _SAMPLE, _EXEMPLAR, _HISTOGRAM, _UNKNOWN, _UNKNOWN],
        [_UNKNOWN, _LABELS, _SAMPLE, _HISTOGRAM, _EXEMPLAR, _METADATA, _CREATED],
    ]
)
# Places in ``Out.about``, what is known of the series at hand.
_BEGIN, _END, _META, _META_END, _CREATED_AT = range(5)


class Out(NamedTuple):
    """Space for samples, the ids of histograms, and misses."""

    series: Int32s
    time: Int64s
    start: Int64s
    value: Words
    spread: Int32s
    miss: Int64s  # [k, (begin and end of the series' message, what it holds, first sample or row, last)]
    key: Words  # [k, (a, b)]
    filled: Int64s
    about: Int64s  # scratch
    stack: Int64s  # scratch


class Known(NamedTuple):
    """What is remembered: `Aliases`' keys and slots, the sender's seed, the generation of its families."""

    keys: Words
    slots: Words
    seed: int
    generation: int


class Symbols(NamedTuple):
    """The symbols of a 2.0 request: where each stands, and its hash."""

    at: Int64s  # [n, (begin, end)]
    a: Words
    b: Words


def space(samples: int, histograms: int) -> Out:
    """Room for so many, each with a miss."""
    misses = samples + histograms
    return Out(
        np.empty(samples, np.int32),
        np.empty(samples, np.int64),
        np.empty(samples, np.int64),
        np.empty(samples, np.uint64),
        np.empty(histograms, np.int32),
        np.empty((misses, 5), np.int64),
        np.empty((misses, 2), np.uint64),
        np.zeros(4, np.int64),
        np.zeros(5, np.int64),
        np.zeros(2 * DEPTH, np.int64),
    )


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
        status = _gather(body, begin, end, -1, out, room)
        if status != 0:
            return status
        empty = n == out.filled[SAMPLES] and m == out.filled[HISTOGRAMS]
        # Labels that are looked up were parsed once; others, and exemplars, are seen nowhere else.
        if (empty or exemplars != out.filled[EXEMPLARS]) and not valid(
            body, begin, end, schema, kind, out.stack
        ):
            return ODD
        if not empty:
            a, b = absorb(known.keys, a0, b0, body, out.about[_BEGIN], out.about[_END])
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
        status = _gather(body, begin, end, symbols.a.size, out, room)
        if status != 0:
            return status
        a, b, fine = _absorb_about(body, known.keys, a0, b0, symbols, out.about)
        if not fine:
            return ODD
        if out.about[_CREATED_AT] != 0:
            _set_start(out, room, n, m)
        if not _identify(known, a, b, begin, end, n, m, out, room):
            return FULL
    _look_up(known.slots, out)
    return 0


@compiled
def _gather(body: Bytes, i: int, end: int, symbols: int, out: Out, room: Room) -> int:
    """Take a series' samples and histograms down, and note where the rest is: 0, ODD or FULL.

    ``symbols`` is how many a 2.0 request has, −1 in 1.0.
    """
    version = 0 if symbols < 0 else 1
    out.about[:] = 0
    while i < end:
        if version == 0 and body[i] == 0x0A:
            begin, i = i, _after_labels(body, i, end)
            if i < 0 or _note_labels(out.about, begin, i, version) != 0:
                return ODD
            continue
        number, wire, begin, stop = field(body, i, end)
        if stop < 0:
            return ODD
        if number > 6:
            i = stop
            continue
        role = _ROLES[version, number]
        if wire != (0 if role == _CREATED else 2) or role == _UNKNOWN:
            return ODD
        status = 0
        if role == _LABELS:
            status = _note_labels(out.about, begin, stop, version)
        elif role == _SAMPLE:
            status = _sample(body, begin, stop, version, out)
        elif role == _HISTOGRAM:
            m = out.filled[HISTOGRAMS]
            status = FULL if m >= out.spread.size else histogram(body, begin, stop, m, room, 16 + version)
            out.filled[HISTOGRAMS] = m + 1
        elif role == _EXEMPLAR:
            out.filled[EXEMPLARS] += 1
            status = 0 if version == 0 or _refers(body, begin, stop, symbols) else ODD
        elif role == _METADATA:
            status = ODD if out.about[_META_END] != 0 else 0
            out.about[_META], out.about[_META_END] = begin, stop
        else:
            out.about[_CREATED_AT] = np.int64(varint(body, begin, stop)[0])
        if status != 0:
            return status
        i = stop
    return 0


@compiled
def _after_labels(body: Bytes, i: int, end: int) -> int:
    """Where a run of 1.0's labels ends, or ODD."""
    while i < end and body[i] == 0x0A:
        if i + 1 < end and body[i + 1] < 128:
            i += 2 + int(body[i + 1])
        else:
            i = span(body, i + 1, end)[1]
            if i < 0:
                return ODD
    return i if i <= end else ODD


@compiled
def _note_labels(about: Int64s, begin: int, end: int, version: int) -> int:
    """Labels must stand together in 1.0, and be one list in 2.0."""
    if about[_END] == 0:
        about[_BEGIN] = begin
    elif version == 1 or about[_END] != begin:
        return ODD
    about[_END] = end
    return 0


@compiled
def _sample(body: Bytes, i: int, end: int, version: int, out: Out) -> int:
    n = out.filled[SAMPLES]
    if n >= out.series.size:
        return FULL
    value = time = begun = np.uint64(0)
    while i < end:
        tag = body[i]
        if tag == 0x09 and i + 9 <= end:
            value = load64(body, i + 1)
            i += 9
            continue
        if tag == 0x10:
            time, i = varint(body, i + 1, end)
        elif tag == 0x18 and version == 1:
            begun, i = varint(body, i + 1, end)
        else:
            number, _, _, i = field(body, i, end)
            if number <= 3:
                return ODD
        if i < 0:
            return ODD
    out.value[n], out.time[n], out.start[n] = value, np.int64(time), np.int64(begun)
    out.filled[SAMPLES] = n + 1
    return 0


@compiled
def _refers(body: Bytes, i: int, end: int, symbols: int) -> bool:
    """Whether an exemplar's labels are pairs of symbols that are there."""
    lists = 0
    while i < end:
        number, wire, begin, stop = field(body, i, end)
        if stop < 0 or (number == 1 and (wire != 2 or lists > 0)):
            return False
        if number == 1:
            lists += 1
            refs = 0
            while begin < stop:
                ref, begin = varint(body, begin, stop)
                if begin < 0 or ref >= np.uint64(symbols):
                    return False
                refs += 1
            if refs % 2 != 0:
                return False
        i = stop
    return True


@compiled
def _absorb_about(
    body: Bytes, keys: Words, a: np.uint64, b: np.uint64, symbols: Symbols, about: Int64s
) -> tuple[np.uint64, np.uint64, bool]:
    """State after a series' labels, type and unit, and whether all its references are there, in pairs."""
    size = np.uint64(symbols.a.size)
    i, end = about[_BEGIN], about[_END]
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
    i, end = about[_META], about[_META_END]
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
            out.start[k] = out.about[_CREATED_AT]
    for k in range(m, out.filled[HISTOGRAMS]):
        if room.rows[k, START] == 0:
            room.rows[k, START] = out.about[_CREATED_AT]


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
