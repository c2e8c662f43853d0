"""Logs and spans of OpenTelemetry's own SDK to a served core, and what hostile ones do to it: nothing."""

import gzip
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cramjam
import httpx
import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from benchmarks.serving import Core, core, free_port
from edgeobs import snapshot
from edgeobs.signals import Identity
from tests.waiting import wait

PROTOBUF = "application/x-protobuf"
QUICK: dict[str, Any] = {
    "logs": {"interval_s": 1, "grace_s": 0.5},
    "traces": {"interval_s": 1, "wait_s": 0.5},
    "engine": {"snapshot_interval_s": 0.5},
}
Shared = tuple[Core, int, Path]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """A core with both protocols and short intervals."""
    folder, port = tmp_path_factory.mktemp("core"), free_port()
    with core(QUICK | {"server": {"grpc_port": port}}, folder) as served:
        yield served, port, folder


def resource(node: str) -> Resource:
    return Resource(
        {
            "k8s.node.name": node,
            "k8s.namespace.name": "shop",
            "k8s.pod.name": f"till-{node}",
            "service.name": "till",
            "service.instance.id": str(time.time_ns()),  # of this process alone: it makes no series another
        }
    )


def emit(exporter: Any, node: str, number: int) -> None:
    """Some lines, as a program with the SDK would write them."""
    provider = LoggerProvider(resource(node))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = provider.get_logger("app")
    for i in range(number):
        error = i % 5 == 0
        logger.emit(
            LogRecord(
                timestamp=time.time_ns(),
                severity_number=SeverityNumber.ERROR if error else SeverityNumber.INFO,
                body=f"payment {i} refused by terminal {i * 7}"
                if error
                else f"user {i} bought {i * 3} things",
            )
        )
    assert provider.force_flush()
    provider.shutdown()


def trace(exporter: Any, node: str, number: int) -> None:
    """Some requests that each ask a database, as a program with the SDK would tell them."""
    provider = TracerProvider(resource=resource(node))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("app")
    for i in range(number):
        with tracer.start_as_current_span("GET /cart", kind=SpanKind.SERVER) as span:
            attributes = {"db.system.name": "redis"}
            with tracer.start_as_current_span("HGETALL", kind=SpanKind.CLIENT, attributes=attributes):
                pass
            if i % 4 == 0:
                span.set_status(Status(StatusCode.ERROR))
    assert provider.force_flush()
    provider.shutdown()


def series(folder: Path, node: str) -> list[Identity]:
    """Of a node, as last saved."""
    file = folder / "data" / "learned.snapshot"
    if not file.exists():
        return []
    identities = snapshot.read(file)[0].identities
    return [each for each in identities if each and each.source.resource.node == node]


def counted(served: Core, line: str) -> float:
    """One sample of /metrics by the whole of its name and labels."""
    text = httpx.get(f"http://127.0.0.1:{served.web_port}/metrics").text
    return next(
        (float(each.rsplit(" ", 1)[1]) for each in text.splitlines() if each.startswith(f"{line} ")), 0.0
    )


def until(
    shared: Shared, node: str, send: Callable[[], None], there: Callable[[list[dict[str, str]]], bool]
) -> list[dict[str, str]]:
    """Send again and again until these series are there; the labels of each, and its name."""
    deadline = time.monotonic() + 60
    while True:
        send()
        found = [dict(each.labels) | {"name": each.name} for each in series(shared[2], node)]
        if there(found):
            return found
        assert time.monotonic() < deadline, f"they never came; there are {found}"
        time.sleep(0.3)


@pytest.mark.parametrize("protocol", ["http", "gzip", "grpc"])
def test_the_sdks_logs_become_series_of_templates(shared: Shared, protocol: str) -> None:
    served, grpc, _ = shared
    node = f"logs-{protocol}"

    def send() -> None:
        url, squeeze = f"http://127.0.0.1:{served.http_port}/v1/logs", Compression.Gzip
        if protocol == "grpc":
            exporter: Any = GrpcLogs(f"http://127.0.0.1:{grpc}", insecure=True, timeout=20)
        else:
            exporter = HttpLogs(url, timeout=20, compression=squeeze if protocol == "gzip" else None)
        emit(exporter, node, 25)

    def sorted_in(found: list[dict[str, str]]) -> bool:
        """A template has a series of its own from its second interval on."""
        return any(each.get("template", "other") != "other" for each in found)

    labels = until(shared, node, send, sorted_in)
    assert {each["name"] for each in labels} == {"log_lines"}
    assert {each["pod"] for each in labels} == {f"till-{node}"}
    assert {each["workload"] for each in labels} == {"till"}
    templates = {each["template"] for each in labels if "template" in each} - {"other"}
    assert 1 <= len(templates) <= 2, "of lines that differ in their numbers alone there is one"
    assert {each["severity"] for each in labels} <= {"info", "error"}
    form = "otlp_grpc_logs" if protocol == "grpc" else "otlp_http_logs"
    code = "OK" if protocol == "grpc" else "200"
    assert counted(served, f'edgeobs_requests_total{{code="{code}",protocol="{form}"}}') >= 1


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_sdks_spans_become_series_of_services_and_edges(shared: Shared, protocol: str) -> None:
    served, grpc, _ = shared
    node = f"spans-{protocol}"

    def send() -> None:
        if protocol == "grpc":
            exporter: Any = GrpcSpans(f"http://127.0.0.1:{grpc}", insecure=True, timeout=20)
        else:
            exporter = HttpSpans(f"http://127.0.0.1:{served.http_port}/v1/traces", timeout=20)
        trace(exporter, node, 20)

    def there(found: list[dict[str, str]]) -> bool:
        names = {each["name"] for each in found}
        edges = {(each.get("caller"), each.get("callee")) for each in found}
        wanted = {"span_calls", "span_error_ratio", "span_duration_seconds:p50"}
        return names >= wanted and ("till", "redis") in edges

    labels = until(shared, node, send, there)
    assert "GET /cart" in {each.get("operation") for each in labels}
    assert {each["pod"] for each in labels if "operation" in each} == {f"till-{node}"}


def test_a_token_speaks_for_its_own_node_alone(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-secret-of-n1\n")
    token = {"name": "n1", "token_file": str(tmp_path / "token"), "nodes": ["n1"]}
    logs, spans = ExportLogsServiceRequest(), ExportTraceServiceRequest()
    for node in ("n1", "n2", "n2"):
        one = logs.resource_logs.add()
        one.resource.attributes.add(key="k8s.node.name").value.string_value = node
        one.scope_logs.add().log_records.add().body.string_value = "a line"
        other = spans.resource_spans.add()
        other.resource.attributes.add(key="k8s.node.name").value.string_value = node
        other.scope_spans.add().spans.add(
            name="a", trace_id=b"t" * 16, span_id=b"s" * 8, end_time_unix_nano=1
        )
    with core({"server": {"tokens": [token]}}, tmp_path) as served:

        def post(path: str, body: bytes, secret: str) -> httpx.Response:
            headers = {"Content-Type": PROTOBUF, "Authorization": f"Bearer {secret}"}
            return httpx.post(f"http://127.0.0.1:{served.http_port}{path}", content=body, headers=headers)

        for path, body in (("/v1/logs", logs.SerializeToString()), ("/v1/traces", spans.SerializeToString())):
            assert post(path, body, "another").status_code == 401
        answer = post("/v1/logs", logs.SerializeToString(), "a-secret-of-n1")
        assert ExportLogsServiceResponse.FromString(answer.content).partial_success.rejected_log_records == 2
        answer = post("/v1/traces", spans.SerializeToString(), "a-secret-of-n1")
        assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 2
        assert counted(served, 'edgeobs_log_records_rejected_total{reason="forbidden"}') == 2
        assert counted(served, 'edgeobs_spans_rejected_total{reason="forbidden"}') == 2
        assert served.metric("edgeobs_log_records_received_total") == 1


def bodies() -> bytes:
    """Every kind of body there is, and worse."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for value in (
        AnyValue(),
        AnyValue(string_value=""),
        AnyValue(string_value="x" * 10_000_000),
        AnyValue(string_value="??"),
        AnyValue(string_value='{"level": "error", "msg": "structured"}'),
        AnyValue(string_value='{"never": ["ends"'),
        AnyValue(string_value="\x00\x1b[31m\u202e\n\n\r"),
        AnyValue(bytes_value=bytes(range(256)) * 100),
        AnyValue(double_value=float("nan")),
        AnyValue(bool_value=False),
    ):
        records.add(time_unix_nano=2**64 - 1, severity_number=9).body.CopyFrom(value)
    kvlist = records.add(severity_text="loud").body.kvlist_value
    for number in range(1000):
        kvlist.values.add(key=f"k{number}").value.array_value.values.add().int_value = number
    long = records.add().attributes.add(key="k" * 1_000_000)
    long.value.string_value = "v" * 1_000_000
    return request.SerializeToString().replace(b"??", b"\xff\xfe")


def test_hostile_bodies_break_nothing(shared: Shared) -> None:
    served, _, _ = shared
    url = f"http://127.0.0.1:{served.http_port}"
    before = served.metric("edgeobs_detector_errors_total")
    received = served.metric("edgeobs_log_records_received_total")

    def post(path: str, body: bytes, kind: str = PROTOBUF, **headers: str) -> int:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(
            url + path, content=body, headers={"content-type": kind} | given, timeout=60
        ).status_code

    body = bodies()
    assert post("/v1/logs", body) == 200
    assert post("/v1/logs", bytes(cramjam.zstd.compress(body)), content_encoding="zstd") == 200
    assert served.metric("edgeobs_log_records_received_total") == received + 24
    for path in ("/v1/logs", "/v1/traces"):
        assert post(path, b"") == 200
        assert post(path, b"\xff" * 100) == 400
        assert post(path, b"[1]", "application/json") == 400
        assert post(path, b"{}", "application/json") == 200
        assert post(path, b"{}", "text/plain") == 415
        assert post(path, b"\x1f\x8b not gzip", content_encoding="gzip") == 400
        assert post(path, gzip.compress(bytes(80 << 20), 1), content_encoding="gzip") == 413
        assert post(path, bytes(17 << 20)) == 413
    wait(
        lambda: counted(served, 'edgeobs_requests_total{code="413",protocol="otlp_http_traces"}') == 2,
        "counted",
    )
    assert served.metric("edgeobs_detector_errors_total") == before
    assert served.get("/api/v1/status")["notices"] == []
