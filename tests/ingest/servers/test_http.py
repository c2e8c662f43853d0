"""The answers over HTTP are what each protocol says they are."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from edgeobs.ingest.alertmanager_webhook import parse as parse_webhook
from edgeobs.ingest.body import plain
from edgeobs.ingest.delivery import Delivery, Forbidden, Overloaded, Receipt, TooLarge, Unavailable
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.otlp_json import parse as parse_json
from edgeobs.ingest.settings import Settings, Token

PROTOBUF, JSON = "application/x-protobuf", "application/json"
V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
WRITTEN = "x-prometheus-remote-write-{}-written"


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=20) as client:
        yield client


def post(http: httpx.Client, edge: Any, path: str, body: bytes, kind: str, **headers: str) -> httpx.Response:
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    url = f"http://127.0.0.1:{edge.http_port}{path}"
    return http.post(url, content=body, headers={"content-type": kind, **headers})


def fail(error: Exception) -> Any:
    def outcome(_: Delivery) -> Receipt:
        raise error

    return outcome


def test_otlp_protobuf_reaches_submit_as_it_came(http: httpx.Client, edge: Any) -> None:
    body = gzip.compress(bytes(range(256)) * 20_000)
    answer = post(http, edge, "/v1/metrics", body, PROTOBUF, content_encoding="gzip")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", PROTOBUF)
    (delivery,) = edge.deliveries
    assert (delivery.format, delivery.encoding, delivery.body) == ("otlp_proto", "gzip", body)
    assert delivery.principal.name == "loopback"
    assert delivery.received_ns > 0
    assert edge.requests("otlp_http") == {"200": 1}
    assert edge.counts["edgeobs_request_bytes_total", "otlp_http"] == len(body)


@pytest.mark.parametrize("size", [0, 1, 65_536, 300_000, 5_000_000])
def test_bodies_of_any_size_arrive_whole(http: httpx.Client, edge: Any, size: int) -> None:
    body = bytes(i * 7 % 251 for i in range(1000)) * (size // 1000) + b"z" * (size % 1000)
    assert post(http, edge, "/v1/metrics", body, PROTOBUF).status_code == 200
    assert edge.deliveries[0].body == body


def test_chunked_bodies_arrive_whole(http: httpx.Client, edge: Any) -> None:
    parts = [bytes([i]) * 50_000 for i in range(40)]
    url = f"http://127.0.0.1:{edge.http_port}/v1/metrics"
    answer = http.post(url, content=iter(parts), headers={"content-type": PROTOBUF})
    assert answer.status_code == 200
    assert edge.deliveries[0].body == b"".join(parts)


def test_otlp_json_is_answered_in_json(http: httpx.Client, edge: Any) -> None:
    answer = post(http, edge, "/v1/metrics", b"{}", "application/json; charset=utf-8")
    assert (answer.status_code, answer.json()) == (200, {})
    assert edge.deliveries[0].format == "otlp_json"


def test_partial_success_names_the_reasons(http: httpx.Client, edge: Any) -> None:
    edge.outcome = lambda _: Receipt(5, {"limit": 3, "forbidden": 4})
    answer = post(http, edge, "/v1/metrics", b"x", PROTOBUF)
    found = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert answer.status_code == 200
    assert found.rejected_data_points == 7
    assert "3 over a limit" in found.error_message
    assert "4 of nodes this sender may not speak for" in found.error_message
    said = post(http, edge, "/v1/metrics", b"{}", JSON).json()["partialSuccess"]
    assert said["rejectedDataPoints"] == "7"


FAILURES = [
    (Malformed("resource_metrics[0]: truncated"), 400, 3),
    (Forbidden("not your node"), 403, 7),
    (TooLarge(9), 413, 3),
    (Overloaded(2.5), 503, 14),
    (Unavailable("stopping"), 503, 14),
]


@pytest.mark.parametrize(("error", "status", "code"), FAILURES)
def test_otlp_failures_are_a_status_in_the_requests_type(
    http: httpx.Client, edge: Any, error: Exception, status: int, code: int
) -> None:
    edge.outcome = fail(error)
    answer = post(http, edge, "/v1/metrics", b"x", PROTOBUF)
    found = status_pb2.Status.FromString(answer.content)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROTOBUF)
    assert (found.code, found.message) == (code, str(error))
    as_json = post(http, edge, "/v1/metrics", b"{}", JSON)
    assert (as_json.status_code, as_json.json()["message"]) == (status, str(error))
    assert edge.requests("otlp_http") == {str(status): 2}


def test_overload_says_when_to_come_back(http: httpx.Client, edge: Any) -> None:
    edge.outcome = fail(Overloaded(2.5))
    answer = post(http, edge, "/v1/metrics", b"x", PROTOBUF)
    info = error_details_pb2.RetryInfo()
    assert status_pb2.Status.FromString(answer.content).details[0].Unpack(info)
    assert (info.retry_delay.seconds, info.retry_delay.nanos) == (2, 500_000_000)
    assert answer.headers["retry-after"] == "3"
    assert edge.counts["edgeobs_queue_shed_total", "otlp_http"] == 1


@pytest.mark.parametrize(
    ("path", "protocol", "formats", "response", "field"),
    [
        (
            "/v1/logs",
            "otlp_http_logs",
            ("logs_proto", "logs_json"),
            ExportLogsServiceResponse,
            "rejected_log_records",
        ),
        (
            "/v1/traces",
            "otlp_http_traces",
            ("spans_proto", "spans_json"),
            ExportTraceServiceResponse,
            "rejected_spans",
        ),
    ],
)
def test_logs_and_traces_are_answered_in_their_own_words(
    http: httpx.Client,
    edge: Any,
    path: str,
    protocol: str,
    formats: tuple[str, str],
    response: Any,
    field: str,
) -> None:
    edge.outcome = lambda _: Receipt(1, {"forbidden": 2, "limit": 1})
    answer = post(http, edge, path, gzip.compress(b"abc"), PROTOBUF, content_encoding="gzip")
    assert (answer.status_code, answer.headers["content-type"]) == (200, PROTOBUF)
    partial = response.FromString(answer.content).partial_success
    assert getattr(partial, field) == 3
    assert "2 of nodes this sender may not speak for" in partial.error_message
    edge.outcome = lambda _: Receipt(1)
    answer = post(http, edge, path, b"{}", JSON)
    assert (answer.status_code, answer.json()) == (200, {})
    assert [(d.format, d.encoding) for d in edge.deliveries] == [
        (formats[0], "gzip"),
        (formats[1], "identity"),
    ]
    assert edge.requests(protocol) == {"200": 2}
    edge.outcome = fail(Overloaded(1.5))
    answer = post(http, edge, path, b"", PROTOBUF)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert edge.counts["edgeobs_queue_shed_total", protocol] == 1


@pytest.mark.parametrize(
    ("path", "kind", "encoding"),
    [
        ("/v1/metrics", "text/plain", ""),
        ("/v1/metrics", "", ""),
        ("/v1/metrics", PROTOBUF, "br"),
        ("/v1/metrics", PROTOBUF, "snappy"),
        ("/api/v1/write", JSON, "snappy"),
        ("/api/v1/write", PROTOBUF + ";proto=made.up.Request", "snappy"),
        ("/api/v1/write", PROTOBUF, "gzip"),
        ("/api/v1/alerts/webhook", "application/x-www-form-urlencoded", ""),
    ],
)
def test_what_is_not_understood_is_415(
    http: httpx.Client, edge: Any, path: str, kind: str, encoding: str
) -> None:
    answer = post(http, edge, path, b"{}", kind, content_encoding=encoding)
    assert (answer.status_code, edge.deliveries) == (415, [])
    assert b"expected" in answer.content
    assert b"b'" not in answer.content, "Python's own spelling of bytes"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (PROTOBUF, "remote_write_1"),
        (PROTOBUF + ";proto=prometheus.WriteRequest", "remote_write_1"),
        (PROTOBUF + '; proto="io.prometheus.write.v2.Request"', "remote_write_2"),
    ],
)
def test_remote_write_is_told_apart_by_content_type(
    http: httpx.Client, edge: Any, kind: str, expected: str
) -> None:
    edge.outcome = lambda _: Receipt(9, samples=5, histograms=3, exemplars=1)
    answer = post(http, edge, "/api/v1/write", b"x", kind, content_encoding="snappy")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (edge.deliveries[0].format, edge.deliveries[0].encoding) == (expected, "snappy")
    written = [answer.headers.get(WRITTEN.format(what)) for what in ("samples", "histograms", "exemplars")]
    assert written == (["5", "3", "1"] if expected == "remote_write_2" else [None, None, None])


def test_a_partial_write_is_400_and_says_what_was_written(http: httpx.Client, edge: Any) -> None:
    edge.outcome = lambda _: Receipt(5, {"invalid": 2}, samples=5)
    answer = post(http, edge, "/api/v1/write", b"x", V2)
    assert (answer.status_code, answer.headers[WRITTEN.format("samples")]) == (400, "5")
    assert "2 invalid" in answer.text


@pytest.mark.parametrize(("error", "status", "_code"), FAILURES)
def test_remote_write_failures(
    http: httpx.Client, edge: Any, error: Exception, status: int, _code: int
) -> None:
    edge.outcome = fail(error)
    answer = post(http, edge, "/api/v1/write", b"x", V2)
    assert (answer.status_code, answer.text) == (status, f"{error}\n")
    assert answer.headers[WRITTEN.format("samples")] == "0"
    assert ("retry-after" in answer.headers) == (status == 503)


def test_the_webhook_is_acknowledged_after_submit(http: httpx.Client, edge: Any) -> None:
    assert post(http, edge, "/api/v1/alerts/webhook", b"{}", JSON).json() == {"accepted": 1, "rejected": {}}
    assert edge.deliveries[0].format == "alertmanager"
    edge.outcome = fail(Overloaded(1))
    answer = post(http, edge, "/api/v1/alerts/webhook", b"{}", JSON)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_too_large_by_content_length_and_by_count(http: httpx.Client, start: Any) -> None:
    edge = start(max_body_bytes=100_000)
    assert post(http, edge, "/v1/metrics", bytes(100_000), PROTOBUF).status_code == 200
    assert post(http, edge, "/v1/metrics", bytes(100_001), PROTOBUF).status_code == 413
    url = f"http://127.0.0.1:{edge.http_port}/v1/metrics"
    endless = (bytes(10_000) for _ in range(200))
    assert http.post(url, content=endless, headers={"content-type": PROTOBUF}).status_code == 413
    assert len(edge.deliveries) == 1


def test_bodies_under_way_are_bounded_together(http: httpx.Client, start: Any) -> None:
    edge = start(receive_bytes=200_000)
    answer = post(http, edge, "/v1/metrics", bytes(1_000_000), PROTOBUF)
    assert (answer.status_code, edge.deliveries) == (503, [])
    assert edge.counts["edgeobs_queue_shed_total", "otlp_http"] == 1
    assert post(http, edge, "/v1/metrics", bytes(150_000), PROTOBUF).status_code == 200
    assert post(http, edge, "/v1/metrics", bytes(150_000), PROTOBUF).status_code == 200


def test_tokens_are_checked_before_anything_else(http: httpx.Client, start: Any, tmp_path: Any) -> None:
    secret = tmp_path / "token"
    secret.write_text("right")
    edge: Any = start(tokens=(Token(name="a", token_file=str(secret), nodes=("edge-1",)),))
    for headers in ({}, {"authorization": "Bearer wrong"}):
        for path in ("/v1/metrics", "/v1/logs", "/api/v1/write", "/api/v1/alerts/webhook"):
            answer = post(http, edge, path, bytes(3_000_000), "text/plain", **headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert edge.deliveries == []
    answer = post(http, edge, "/v1/metrics", b"", PROTOBUF, authorization="Bearer right")
    assert answer.status_code == 200
    assert edge.deliveries[0].principal.nodes == {"edge-1"}
    assert edge.counts["edgeobs_request_bytes_total", "otlp_http"] == 0


def test_other_methods_and_paths(http: httpx.Client, edge: Any) -> None:
    base = f"http://127.0.0.1:{edge.http_port}"
    assert http.get(base + "/v1/metrics").status_code == 405
    assert http.post(base + "/elsewhere").status_code == 404


def engine(delivery: Delivery) -> Receipt:
    """What the engine does first with a body that is not protobuf."""
    body = plain(delivery, Settings())
    if delivery.format == "otlp_json":
        parse_json(body, ExportMetricsServiceRequest)
    if delivery.format == "alertmanager":
        parse_webhook(body, delivery.principal)
    return Receipt(1)


GOOD = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {}}]}]}]})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/v1/metrics", "/api/v1/alerts/webhook", "/api/v1/write"]),
    body=st.binary(max_size=200)
    | st.integers(0, len(GOOD)).map(lambda n: GOOD[:n].encode())
    | st.integers(0, 90).map(lambda n: gzip.compress(GOOD.encode())[:n]),
    encoding=st.sampled_from(["", "gzip", "zstd", "snappy"]),
)
def test_bad_bodies_are_a_clear_4xx(
    http: httpx.Client, edge: Any, path: str, body: bytes, encoding: str
) -> None:
    edge.counts.clear()
    edge.outcome = engine
    kind = PROTOBUF if path == "/api/v1/write" else JSON
    answer = post(http, edge, path, body, kind, content_encoding=encoding)
    assert answer.status_code in (200, 204, 400, 413, 415)
    if answer.status_code >= 400:
        assert len(answer.text) > 10
    assert sum(n for key, n in edge.counts.items() if key[0] == "edgeobs_requests_total") == 1
