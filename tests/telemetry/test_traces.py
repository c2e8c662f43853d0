"""Traces: free without an endpoint, and real OTLP on a real socket with one."""

import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from edgeobs.telemetry import tracer


class Collector(HTTPServer):
    """Takes OTLP/HTTP traces and keeps them."""

    got: list[tuple[str, ExportTraceServiceRequest]]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        assert isinstance(self.server, Collector)
        self.server.got.append((self.path, request))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Stay quiet."""


@pytest.fixture(autouse=True)
def _no_stray_lines() -> None:
    """The exporter's thread outlives a test by its retries; what it then logs goes nowhere."""
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector(("127.0.0.1", 0), Handler) as server:
        server.got = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_without_an_endpoint_nothing_is_recorded() -> None:
    for endpoint in (None, ""):
        traces = tracer(endpoint)
        with traces.tracer.start_as_current_span("request") as span:
            assert not span.is_recording()
        traces.close()


def test_spans_reach_a_collector_with_names_attributes_and_resource(collector: Collector) -> None:
    traces = tracer(f"http://127.0.0.1:{collector.server_port}/", ratio=1.0, instance="core-1")
    with (
        traces.tracer.start_as_current_span("request", attributes={"protocol": "otlp_http"}),
        traces.tracer.start_as_current_span("decode"),
    ):
        pass
    traces.close()
    ((path, request),) = collector.got
    assert path == "/v1/traces"
    resource = {a.key: a.value.string_value for a in request.resource_spans[0].resource.attributes}
    assert (resource["service.name"], resource["service.instance.id"]) == ("edgeobs", "core-1")
    spans = {span.name: span for span in request.resource_spans[0].scope_spans[0].spans}
    assert spans["decode"].parent_span_id == spans["request"].span_id
    assert spans["request"].attributes[0].value.string_value == "otlp_http"


@pytest.mark.parametrize("sampled", [True, False])
def test_a_senders_sampling_decision_goes_before_the_ratio(collector: Collector, sampled: bool) -> None:
    traces = tracer(f"http://127.0.0.1:{collector.server_port}", ratio=0.0 if sampled else 1.0)
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    sender = SpanContext(trace_id=7, span_id=9, is_remote=True, trace_flags=flags)
    context = set_span_in_context(NonRecordingSpan(sender))
    with traces.tracer.start_as_current_span("request", context=context) as span:
        assert span.is_recording() is sampled
    traces.close()
    assert len(collector.got) == int(sampled)


def test_a_collector_that_never_answers_does_not_hold_up_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        traces = tracer(f"http://127.0.0.1:{silent.getsockname()[1]}", ratio=1.0)
        with traces.tracer.start_as_current_span("request"):
            pass
        ending = threading.Thread(target=traces.close)
        ending.start()
        ending.join(5)  # the exporter itself would try for 10 s
        assert not ending.is_alive()
