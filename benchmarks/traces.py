"""Spans on one core, from OTLP bytes to the values of series: decoded, joined, counted, closed.

A site of four services on twelve nodes, 20,000 spans a second of its own time, some 330 bytes and eight
attributes a span; parents and children come in different requests. What was sent is checked against what was
counted. Beside it the same with protobuf's own parser (upb) in the place of the compiled decoder, which is
what a machine without Numba does.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.measure import Measure
from benchmarks.traces_load import bodies
from edgeobs import jit
from edgeobs.ingest import otlp_spans
from edgeobs.ingest.intern import Interner
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Principal, SpanBatch
from edgeobs.traces import Settings, Traces

_WHO = Principal(0, "benchmark", None, 1_000_000)
_T0 = 1_790_000_000 * SECOND
_SPAN_NS = 50_000  # 20,000 a second
_DELAY_NS = 2 * SECOND  # of exporters
_PER_REQUEST = {"": 2000, "_512": 512}  # a Collector's batch, and what an SDK sends

Decode = Callable[[bytes, Principal, int], SpanBatch]


def run(quick: bool) -> list[Measure]:
    """Spans per second of this thread's CPU time; the best of some turns, each with a stage of its own."""
    spans = 60_000 if quick else 300_000
    fast = _fast()
    measures = []
    for label, each in _PER_REQUEST.items():
        sent = list(bodies(spans, each, _T0))
        whole, series = _whole(sent, spans, fast, 3)
        upb, _ = _whole(sent, spans, otlp_spans.decode, 1)
        size = _size(sent, spans)
        told = f"with upb's parser {upb:,.0f}/s; {series} series, {size:.0f} B/span, {each} a request"
        measures.append(Measure(f"spans{label}", whole, "spans/s/core", told, whole / upb))
        if not label:
            measures += _decoding(sent, spans, fast)
    return measures


def _fast() -> Decode:
    """The decoder in use here, compiled."""
    if not jit.available():
        return otlp_spans.decode
    from edgeobs.ingest import otlp_spans_fast  # noqa: PLC0415 - imports Numba

    otlp_spans_fast.decode(next(bodies(100, 10, _T0)), _WHO, _T0)
    return otlp_spans_fast.decode


def _whole(sent: Sequence[bytes], spans: int, decode: Decode, turns: int) -> tuple[float, int]:
    """Spans a second, and how many series they became."""
    best, series = 0.0, 0
    for _ in range(turns):
        table, counts = SeriesTable(100_000), Counter[tuple[str, ...]]()
        stage = Traces(table, Settings(), counts, Interner(table).admit)
        began, calls, now = time.thread_time(), 0.0, _T0
        for number, body in enumerate(sent):
            now = _T0 + _DELAY_NS + number * (spans // len(sent)) * _SPAN_NS
            stage.take(decode(body, _WHO, now), now)
            calls += _calls(stage, table, now)
        for _ in range(40):  # until everything is closed
            now += SECOND
            calls += _calls(stage, table, now)
        best, series = max(best, spans / (time.thread_time() - began)), len(table)
        assert not counts["edgeobs_spans_dropped_total", "orphan"], counts
        assert abs(calls - spans) < 12, f"{calls} calls counted of {spans} spans sent"
    return best, series


def _calls(stage: Traces, table: SeriesTable, now_ns: int) -> float:
    """Calls of operations in the intervals that are over now."""
    points = stage.close(now_ns).points
    if not len(points.series):
        return 0.0
    found: Counter[str] = Counter()
    for series, value in zip(points.series.tolist(), points.value.tolist(), strict=True):
        identity = table[series]
        if identity.name == "span_calls" and "operation" in dict(identity.labels):
            found["calls"] += value
    return found["calls"]


def _decoding(sent: Sequence[bytes], spans: int, fast: Decode) -> list[Measure]:
    alone = _rate(sent, spans, ExportTraceServiceRequest.FromString, 3)
    value = _rate(sent, spans, lambda body: fast(body, _WHO, _T0), 3)
    reference = _rate(sent, spans, lambda body: otlp_spans.decode(body, _WHO, _T0), 1)
    told = f"upb's parser alone {alone:,.0f}/s, with its columns {reference:,.0f}/s"
    return [Measure("spans_decode", value, "spans/s/core", told, value / reference)]


def _rate(sent: Sequence[bytes], spans: int, work: Callable[[bytes], object], turns: int) -> float:
    best = 0.0
    for _ in range(turns):
        began = time.thread_time()
        for body in sent:
            work(body)
        best = max(best, spans / (time.thread_time() - began))
    return best


def _size(sent: Sequence[bytes], spans: int) -> float:
    return sum(map(len, sent)) / spans
