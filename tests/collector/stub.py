"""Takes OTLP over HTTP and keeps what it was sent: for tests that ask what arrives."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cramjam
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint

from tests.collector.programs import Program

_UNPACKED = {"gzip": cramjam.gzip.decompress, "zstd": cramjam.zstd.decompress}
Place = dict[str, str]
"""Resource attributes that are text."""


class Stub:
    """What arrived, by signal, in order."""

    def __init__(self) -> None:
        self.logs: list[ExportLogsServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.traces: list[ExportTraceServiceRequest] = []
        self.url = ""

    def take(self, path: str, body: bytes) -> None:
        """One request."""
        if path == "/v1/logs":
            self.logs.append(ExportLogsServiceRequest.FromString(body))
        elif path == "/v1/metrics":
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        else:
            self.traces.append(ExportTraceServiceRequest.FromString(body))

    def lines(self) -> list[tuple[Place, str]]:
        """Every log line, and whose it is."""
        return [
            (place(resource.resource.attributes), record.body.string_value)
            for request in list(self.logs)
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def points(self, name: str) -> list[tuple[Place, Place, float]]:
        """Every point of gauges and counters of a name: resource, attributes, value."""
        return [
            (place(resource.resource.attributes), place(point.attributes), point.as_double or point.as_int)
            for request in list(self.metrics)
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in _points(metric)
        ]

    def spans(self) -> list[tuple[Place, str]]:
        """Every span's name, and whose it is."""
        return [
            (place(resource.resource.attributes), span.name)
            for request in list(self.traces)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


def place(attributes: Iterable[KeyValue]) -> Place:
    """The text among attributes."""
    return {each.key: each.value.string_value for each in attributes}


def _points(metric: Metric) -> list[NumberDataPoint]:
    return [*metric.gauge.data_points, *metric.sum.data_points]


@contextmanager
def stub(port: int = 0) -> Iterator[Stub]:
    """A stub on a port of 127.0.0.1."""
    made = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding")
            made.take(self.path, bytes(_UNPACKED[packed](body)) if packed else body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


def port(program: Program) -> int:
    """Where a program would listen for OTLP, and a stub does in its place."""
    return int(program.address("http").rsplit(":", 1)[1])
