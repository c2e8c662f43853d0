"""Remote write decoding on one core, with and without snappy, beside protobuf's own parser."""

import time
from collections.abc import Callable, Sequence
from typing import Literal

import cramjam

from benchmarks.remote_write_load import bodies_v1, bodies_v2
from edgeobs.ingest.body import decompress
from edgeobs.ingest.decoders import Decoders
from edgeobs.ingest.intern import Interner
from edgeobs.ingest.remote_write_messages import messages
from edgeobs.series import SeriesTable
from edgeobs.signals import Principal

Row = tuple[str, float, str, str, float | None]

_CAP = 64 << 20
_WHO = Principal(0, "benchmark", None, 10_000_000)


def measure(quick: bool) -> list[Row]:
    """Points per second and core: decoding alone, with snappy, and what upb takes for parsing alone."""
    rows: list[Row] = []
    for version, bodies in ((1, bodies_v1), (2, bodies_v2)):
        for series in (100_000,) if quick else (20_000, 100_000):
            rows += _one(version, series, [list(bodies(series, scrape)) for scrape in range(2)], quick)
    return rows


def _one(version: int, series: int, scrapes: Sequence[list[bytes]], quick: bool) -> list[Row]:
    kind = messages().write_request if version == 1 else messages().request
    packed = [[bytes(cramjam.snappy.compress_raw(body)) for body in scrape] for scrape in scrapes]
    decoders = Decoders(Interner(SeriesTable(2 * series)))
    format_: Literal["remote_write_1", "remote_write_2"] = (
        "remote_write_1" if version == 1 else "remote_write_2"
    )
    turns = 3 if quick else 10

    def decode(body: bytes | bytearray) -> None:
        taken = decoders.decode(format_, bytes(body), _WHO, 1)
        assert not taken.rejected

    for body in scrapes[0]:  # every series is met once; compiled code is there
        decode(body)
    alone = _rate(series, scrapes, decode, turns)
    whole = _rate(series, packed, lambda body: decode(decompress(body, "snappy", _CAP)), turns)
    upb = _rate(series, scrapes, kind.FromString, max(1, turns // 3))
    reference = Decoders(Interner(SeriesTable(2 * series)), fast=False)
    slow = _rate(series, scrapes, lambda body: reference.decode(format_, body, _WHO, 1), 1)
    size = sum(map(len, scrapes[0])) / series
    # The figure of record is the harder one: 1.0, 100,000 series.
    name = "remote_write_decode" if version == 1 else "remote_write_2_decode"
    name += "" if series == 100_000 else f"_{series // 1000}k"
    beside = f"upb's parser alone {upb / 1e6:.2f} M/s, reference decoder {slow / 1e6:.2f} M/s"
    about = f"{size:.0f} B/point, {decoders.name}"
    return [
        (name, whole, "points/s/core", f"with snappy; {beside}; {about}", whole / upb),
        (f"{name}_unpacked", alone, "points/s/core", f"without snappy; {beside}; {about}", alone / upb),
    ]


def _rate(series: int, scrapes: Sequence[list[bytes]], work: Callable[[bytes], object], turns: int) -> float:
    """Best of the turns: points per second of this thread's CPU time."""
    best = 0.0
    for turn in range(turns):
        began = time.thread_time()
        for body in scrapes[turn % len(scrapes)]:
            work(body)
        best = max(best, series / (time.thread_time() - began))
    return best
