"""OTLP decoding on one core: the decoder in use, the reference, and protobuf's parser in the same run."""

import time
from collections.abc import Callable

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from benchmarks.otlp_load import bodies
from edgeobs.ingest.decoders import Decoders
from edgeobs.ingest.intern import Interner
from edgeobs.series import SeriesTable
from edgeobs.signals import Principal

Row = tuple[str, float, str, str, float | None]

_WHO = Principal(0, "benchmark", None, 10_000_000)
_PER_REQUEST = 10_000


def measure(quick: bool) -> list[Row]:
    """Points per second and core, for 20,000 and 100,000 live series."""
    return [row for series in ((100_000,) if quick else (20_000, 100_000)) for row in _one(series, quick)]


def _one(series: int, quick: bool) -> list[Row]:
    scrape = list(bodies(series, 1_700_000_000_000_000_000, _PER_REQUEST))
    turns = 5 if quick else 20
    upb = _rate(series, scrape, ExportMetricsServiceRequest.FromString, 3)
    reference = _decoding(series, scrape, Decoders(Interner(SeriesTable(2 * series)), fast=False), 1)
    decoders = Decoders(Interner(SeriesTable(2 * series)))
    value = _decoding(series, scrape, decoders, turns)
    size = sum(map(len, scrape)) / series
    label = "" if series == 100_000 else f"_{series // 1000}k"  # the figure of record is the harder one
    beside = f"upb's parser alone {upb / 1e6:.2f} M/s, {size:.0f} B/point, {decoders.name}"
    return [
        (f"otlp_decode{label}", value, "points/s/core", beside, value / upb),
        (
            f"otlp_decode_reference{label}",
            reference,
            "points/s/core",
            f"upb's parser alone {upb / 1e6:.2f} M/s",
            reference / upb,
        ),
    ]


def _decoding(series: int, scrape: list[bytes], decoders: Decoders, turns: int) -> float:
    def decode(body: bytes) -> None:
        assert not decoders.decode("otlp_proto", body, _WHO, 1).rejected

    for body in scrape:  # every series is met once; compiled code is there
        decode(body)
    return _rate(series, scrape, decode, turns)


def _rate(points: int, scrape: list[bytes], work: Callable[[bytes], object], turns: int) -> float:
    """Best of the turns: points per second of this thread's CPU time."""
    best = 0.0
    for _ in range(turns):
        began = time.thread_time()
        for body in scrape:
            work(body)
        best = max(best, points / (time.thread_time() - began))
    return best
