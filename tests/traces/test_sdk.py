"""Spans of the real OpenTelemetry SDK, by its own encoder, through both decoders into series."""

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode, TraceFlags

from edgeobs import jit
from edgeobs.ingest import otlp_spans
from edgeobs.signals import SECOND
from tests.traces.making import ANYONE, MS, T0, Bench


class Service:
    """A process with the SDK in it."""

    def __init__(self, name: str, node: str) -> None:
        self.exporter = InMemorySpanExporter()
        place: dict[str, str | int] = {"service.name": name, "k8s.node.name": node, "process.pid": 7}
        self.provider = TracerProvider(resource=Resource(place))
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")

    def body(self) -> bytes:
        """What it would send."""
        return encode_spans(self.exporter.get_finished_spans()).SerializeToString()


def remote(span: trace.Span) -> trace.Span:
    """A span as another process knows it: from a header."""
    own = span.get_span_context()
    return trace.NonRecordingSpan(
        trace.SpanContext(own.trace_id, own.span_id, is_remote=True, trace_flags=TraceFlags(1))
    )


def bodies() -> list[bytes]:
    """Three calls through gateway and orders, one of which fails; orders asks a database that is silent."""
    gateway, orders = Service("gateway", "n1"), Service("orders", "n2")
    for n in range(3):
        at = T0 + n * SECOND
        root = gateway.tracer.start_span("GET /", kind=SpanKind.SERVER, start_time=at)
        own = trace.set_span_in_context(root)
        asks = gateway.tracer.start_span("GET", own, SpanKind.CLIENT, start_time=at + MS)
        there = trace.set_span_in_context(remote(asks))
        does = orders.tracer.start_span("GET /orders", there, SpanKind.SERVER, start_time=at + 3 * MS)
        inside = trace.set_span_in_context(does)
        query = orders.tracer.start_span("SELECT", inside, SpanKind.CLIENT, start_time=at + 4 * MS)
        query.set_attribute("db.system.name", "postgresql")
        query.end(at + 6 * MS)
        if n == 2:
            does.set_status(Status(StatusCode.ERROR, "no stock"))
            does.record_exception(ValueError("no stock"))
        does.end(at + 11 * MS)
        asks.end(at + 15 * MS)
        root.end(at + 16 * MS)
    return [gateway.body(), orders.body()]


@pytest.mark.parametrize("compiled", [False, True])
def test_services_of_the_sdk(compiled: bool) -> None:
    decode = otlp_spans.decode
    if compiled:
        if not jit.available():
            pytest.skip("needs Numba: install edgeobs[accel]")
        from edgeobs.ingest.otlp_spans_fast import decode
    bench = Bench()
    for body in bodies():
        batch = decode(body, ANYONE, T0 + 4 * SECOND)
        assert not batch.rejected
        bench.stage.take(batch, T0 + 4 * SECOND)
    bench.now = 4
    bench.until(40)
    assert bench.counts["edgeobs_spans_joined_total",] == 9
    assert bench.dropped("orphan") == bench.dropped("negative") == 0
    edge = "orders@n2 gateway orders n1"
    assert bench.value(f"calls {edge}") == 3
    assert bench.value(f"error_ratio {edge}") == pytest.approx(1 / 3)
    assert bench.value(f"duration_seconds:p50 {edge}") == pytest.approx(0.014, rel=0.01)
    assert bench.value(f"link_seconds:p50 {edge}") == pytest.approx(0.006, rel=0.01)
    assert bench.value("calls orders@n2 SELECT") == 3
    assert bench.value("duration_seconds:p50 orders@n2 GET /orders") == pytest.approx(0.008, rel=0.01)
