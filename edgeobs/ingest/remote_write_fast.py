"""Prometheus remote write 1.0 and 2.0 → `Points`, by compiled walks of the wire format. Needs Numba.

Equal to `remote_write` on every input: what the walks do not surely understand is given to it whole, and
series not met before are resolved by its code.
"""

import secrets
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from edgeobs.ingest import hashing, remote_write
from edgeobs.ingest.aliases import Aliases
from edgeobs.ingest.hashing import Bytes, Words
from edgeobs.ingest.histogram_walk import FULL, ODD, Room, columns, room, times
from edgeobs.ingest.intern import Interner
from edgeobs.ingest.remote_write import About, about_v1, about_v2, admit
from edgeobs.ingest.remote_write_columns import Histograms, Samples, points
from edgeobs.ingest.remote_write_layout import (
    EXEMPLARS,
    HISTOGRAMS,
    MISSES,
    PENDING,
    SAMPLES,
    Known,
    Out,
    Symbols,
    space,
)
from edgeobs.ingest.remote_write_messages import messages
from edgeobs.ingest.remote_write_series import Families
from edgeobs.ingest.remote_write_walk import count_symbols, read_symbols, walk_v1, walk_v2
from edgeobs.ingest.wire import Schema, schema_of
from edgeobs.signals import Points, Principal


class _Walked(NamedTuple):
    out: Out
    room: Room


def decode_v1(
    body: bytes, interner: Interner, aliases: Aliases, families: Families, principal: Principal, now_ns: int
) -> Points:
    """Decode a decompressed ``prometheus.WriteRequest``; raises `Malformed`."""
    data = _readable(body)
    seed, (schema, kind) = aliases.ready(principal), _schema_v1()
    known = Known(aliases.keys, aliases.slots, seed, families.generation(principal.id))
    walked = _walk(data.size, lambda w: walk_v1(data, known, w.out, w.room, schema, kind))
    message = messages().time_series_1

    def about(begin: int, end: int) -> About:
        return about_v1(message.FromString(body[begin:end]), families, principal)

    if walked is None or not _resolve(walked, about, aliases, partial(admit, interner, principal, now_ns)):
        return remote_write.decode_v1(body, interner, families, principal, now_ns)
    return _points(walked)


def decode_v2(body: bytes, interner: Interner, aliases: Aliases, principal: Principal, now_ns: int) -> Points:
    """Decode a decompressed ``io.prometheus.write.v2.Request``; raises `Malformed`."""
    data = _readable(body)
    seed, symbols = aliases.ready(principal), _symbols(data)
    known = Known(aliases.keys, aliases.slots, seed, 0)
    walked = _walk(data.size, lambda w: walk_v2(data, known, symbols, w.out, w.room))
    message = messages().time_series_2

    @lru_cache(maxsize=1)
    def texts() -> list[str]:
        return [body[begin:end].decode() for begin, end in symbols.at.tolist()]

    def about(begin: int, end: int) -> About:
        return about_v2(message.FromString(body[begin:end]), texts())

    if walked is None or not _resolve(walked, about, aliases, partial(admit, interner, principal, now_ns)):
        return remote_write.decode_v2(body, interner, principal, now_ns)
    return _points(walked)


def _readable(body: bytes) -> Bytes:
    """Never writable, so that there is one machine code for every kind of body."""
    data = np.frombuffer(body, np.uint8) if body else np.zeros(0, np.uint8)
    data.flags.writeable = False
    return data


def _walk(size: int, walk: Callable[[_Walked], int]) -> _Walked | None:
    """Walk a body of ``size`` bytes, with more room when it turns out dense; None when it is odd.

    A sample takes 17 bytes in practice and 2 at least; most requests hold no native histogram. Memory that is
    not written to costs nothing.
    """
    for samples, histograms, values in (
        (size // 16 + 64, 0, 0),
        (size // 16 + 64, size // 32 + 64, size // 2 + 64),
        (size // 2 + 1, size // 2 + 1, size + 1),
    ):
        walked = _Walked(space(samples, histograms), room(histograms, values))
        status = walk(walked)
        if status != FULL:
            return walked if status != ODD else None
    return None


def _resolve(
    walked: _Walked,
    about: Callable[[int, int], About],
    aliases: Aliases,
    admitted: Callable[[About, int], int],
) -> bool:
    """Give the misses their ids, in the order they were met; False when one is not well-formed after all."""
    out = walked.out
    misses = int(out.filled[MISSES])
    if not misses:
        return True
    keys = list(map(tuple, out.key[:misses].tolist()))
    first: dict[tuple[int, ...], int] = {}
    for k, key in enumerate(keys):
        first.setdefault(key, k)
    where = out.miss[list(first.values()), :3].tolist()
    try:
        known = [(about(begin, end), holds) for begin, end, holds in where]
    except DecodeError:
        return False
    ids = {key: admitted(what, holds) for key, (what, holds) in zip(first, known, strict=True)}
    numbers = np.array([ids[key] for key in keys], np.int32)
    for column in (out.series[: out.filled[SAMPLES]], out.spread[: out.filled[HISTOGRAMS]]):
        pending = column <= PENDING
        column[pending] = numbers[PENDING - column[pending]]
    new = np.array(list(first), np.uint64).T
    a, b = np.ascontiguousarray(new[0]), np.ascontiguousarray(new[1])
    aliases.remember(a, b, np.array(list(ids.values()), np.int32))
    return True


def _points(walked: _Walked) -> Points:
    out, n, m = walked.out, walked.out.filled[SAMPLES], int(walked.out.filled[HISTOGRAMS])
    samples = Samples(out.series[:n], out.time[:n], out.start[:n], out.value[:n].view(np.float64))
    histograms = None
    if m:
        histograms = Histograms(out.spread[:m], *times(walked.room, m), columns(walked.room, m))
    return points(samples, histograms, int(out.filled[EXEMPLARS]))


def _symbols(data: Bytes) -> Symbols:
    """The symbols of a 2.0 request, hashed; none when it is odd, and then its walk is odd too."""
    n = max(count_symbols(data), 0)
    symbols = Symbols(np.empty((n, 2), np.int64), np.empty(n, np.uint64), np.empty(n, np.uint64))
    odd = n == 0 or read_symbols(data, _symbol_keys(), symbols) == ODD
    return Symbols(symbols.at[:0], symbols.a[:0], symbols.b[:0]) if odd else symbols


@lru_cache(maxsize=1)
def _schema_v1() -> tuple[Schema, int]:
    schema, numbers = schema_of(messages().write_request.DESCRIPTOR)
    return schema, numbers["prometheus.TimeSeries"]


@lru_cache(maxsize=1)
def _symbol_keys() -> Words:
    """The secret that symbols are hashed with. It is not the one their hashes are hashed with again: with one
    key for both, symbols could be chosen to cancel each other out."""
    k, m = (2 + secrets.randbelow(hashing.PRIME - 2) for _ in range(2))
    return np.array([k, k * k % hashing.PRIME, m, m * m % hashing.PRIME], np.uint64)
