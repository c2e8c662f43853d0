"""One series of remote write, compiled: its samples and histograms taken down. Needs Numba."""

# ruff: noqa: C901, PLR0912 - a message's fields are one flat choice
import numpy as np

from edgeobs.ingest.hashing import Bytes
from edgeobs.ingest.histogram_walk import FULL, ODD, Room, histogram
from edgeobs.ingest.machine import load64
from edgeobs.ingest.remote_write_layout import (
    BEGIN,
    CREATED,
    END,
    EXEMPLARS,
    HISTOGRAMS,
    META,
    META_END,
    SAMPLES,
    Out,
)
from edgeobs.ingest.wire import field, span, varint
from edgeobs.jit import compiled
from edgeobs.signals import Int64s

# What a field of a series is, by version − 1 and number.
_LABELS, _SAMPLE, _HISTOGRAM, _EXEMPLAR, _METADATA, _CREATED, _UNKNOWN = range(7)
_ROLES = np.array(
    [
        [_UNKNOWN, _LABELS, _SAMPLE, _EXEMPLAR, _HISTOGRAM, _UNKNOWN, _UNKNOWN],
        [_UNKNOWN, _LABELS, _SAMPLE, _HISTOGRAM, _EXEMPLAR, _METADATA, _CREATED],
    ]
)


@compiled
def gather(body: Bytes, i: int, end: int, symbols: int, out: Out, room: Room) -> int:
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
            status = ODD if out.about[META_END] != 0 else 0
            out.about[META], out.about[META_END] = begin, stop
        else:
            out.about[CREATED] = np.int64(varint(body, begin, stop)[0])
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
    if about[END] == 0:
        about[BEGIN] = begin
    elif version == 1 or about[END] != begin:
        return ODD
    about[END] = end
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
