"""The answers over gRPC are what OTLP says they are."""

import gzip
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from edgeobs.ingest.body import plain
from edgeobs.ingest.delivery import Delivery, Forbidden, Overloaded, Receipt, TooLarge, Unavailable
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.settings import Token

EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


def call(edge: Any, body: bytes, method: str = EXPORT, token: str = "", gzipped: bool = False) -> bytes:
    with grpc.insecure_channel(f"127.0.0.1:{edge.grpc_port}") as channel:
        answer: bytes = channel.unary_unary(method)(
            body,
            timeout=10,
            metadata=(("authorization", f"Bearer {token}"),) if token else None,
            compression=grpc.Compression.Gzip if gzipped else grpc.Compression.NoCompression,
        )
    return answer


def failed(make: Callable[[], Any]) -> tuple[str, status_pb2.Status]:
    with pytest.raises(grpc.RpcError) as caught:
        make()
    metadata: dict[str, Any] = dict(caught.value.trailing_metadata() or ())
    return caught.value.code().name, status_pb2.Status.FromString(
        metadata.get("grpc-status-details-bin", b"")
    )


def fail(error: Exception) -> Callable[[Delivery], Receipt]:
    def outcome(_: Delivery) -> Receipt:
        raise error

    return outcome


def test_bytes_arrive_as_they_were(edge: Any) -> None:
    body = bytes(range(256)) * 10_000
    assert call(edge, b"\n" + body) == b""
    (delivery,) = edge.deliveries
    assert (delivery.format, delivery.encoding, delivery.body) == ("otlp_proto", "identity", b"\n" + body)
    assert edge.requests("otlp_grpc") == {"OK": 1}
    assert edge.counts["edgeobs_request_bytes_total", "otlp_grpc"] == len(body) + 1


def test_gzip_is_left_to_the_engine(edge: Any) -> None:
    body = b"\n" + bytes(1_000_000)
    call(edge, body, gzipped=True)
    (delivery,) = edge.deliveries
    assert delivery.encoding == "gzip"
    assert len(delivery.body) < 10_000
    assert plain(delivery, edge.settings) == body


def test_a_bomb_is_refused_at_the_cap(start: Any) -> None:
    edge = start(max_decoded_bytes=100_000)
    edge.outcome = lambda delivery: Receipt(len(plain(delivery, edge.settings)))
    code, said = failed(lambda: call(edge, bytes(10_000_000), gzipped=True))
    assert (code, edge.requests("otlp_grpc")) == ("INVALID_ARGUMENT", {"INVALID_ARGUMENT": 1})
    assert "100000" in said.message


def test_above_the_message_cap(start: Any) -> None:
    edge = start(max_body_bytes=100_000)
    code, _ = failed(lambda: call(edge, bytes(100_001)))
    assert (code, edge.deliveries) == ("RESOURCE_EXHAUSTED", [])
    assert call(edge, bytes(100_000)) == b""


def test_partial_success(edge: Any) -> None:
    edge.outcome = lambda _: Receipt(1, {"limit": 3})
    found = ExportMetricsServiceResponse.FromString(call(edge, b"x")).partial_success
    assert (found.rejected_data_points, found.error_message) == (3, "3 over a limit of series")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Malformed("field 9: truncated"), "INVALID_ARGUMENT"),
        (TooLarge(9), "INVALID_ARGUMENT"),
        (Forbidden("no"), "PERMISSION_DENIED"),
        (Unavailable("stopping", 0), "UNAVAILABLE"),
    ],
)
def test_failures(edge: Any, error: Exception, code: str) -> None:
    edge.outcome = fail(error)
    found, said = failed(lambda: call(edge, b"x"))
    assert (found, said.message, list(said.details)) == (code, str(error), [])
    assert edge.requests("otlp_grpc") == {code: 1}


def test_overload_says_when_to_come_back(edge: Any) -> None:
    edge.outcome = fail(Overloaded(0.5))
    code, said = failed(lambda: call(edge, b"x"))
    info = error_details_pb2.RetryInfo()
    assert code == "UNAVAILABLE"
    assert said.details[0].Unpack(info)
    assert info.retry_delay.nanos == 500_000_000
    assert edge.counts["edgeobs_queue_shed_total", "otlp_grpc"] == 1


def test_messages_under_way_are_bounded_together(start: Any) -> None:
    edge = start(receive_bytes=100_000)
    assert failed(lambda: call(edge, bytes(100_001)))[0] == "UNAVAILABLE"
    for _ in range(3):
        assert call(edge, bytes(90_000)) == b""


@pytest.mark.parametrize(
    ("service", "form", "protocol", "response", "field"),
    [
        (
            "logs.v1.LogsService",
            "logs_proto",
            "otlp_grpc_logs",
            ExportLogsServiceResponse,
            "rejected_log_records",
        ),
        (
            "trace.v1.TraceService",
            "spans_proto",
            "otlp_grpc_traces",
            ExportTraceServiceResponse,
            "rejected_spans",
        ),
    ],
)
def test_logs_and_traces(
    edge: Any, service: str, form: str, protocol: str, response: Any, field: str
) -> None:
    method = f"/opentelemetry.proto.collector.{service}/Export"
    edge.outcome = lambda _: Receipt(0, {"forbidden": 2})
    found = response.FromString(call(edge, b"abc", method=method))
    assert getattr(found.partial_success, field) == 2
    assert [(each.format, each.body) for each in edge.deliveries] == [(form, b"abc")]
    edge.outcome = fail(Overloaded(1.5))
    code, status = failed(lambda: call(edge, b"", method=method))
    assert (code, len(status.details)) == ("UNAVAILABLE", 1)
    assert edge.requests(protocol) == {"OK": 1, "UNAVAILABLE": 1}


def test_other_services_are_unimplemented(edge: Any) -> None:
    other = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
    assert failed(lambda: call(edge, b"", method=other))[0] == "UNIMPLEMENTED"


def test_tokens(start: Any, tmp_path: Any) -> None:
    secret = tmp_path / "token"
    secret.write_text("right")
    edge = start(tokens=(Token(name="a", token_file=str(secret), nodes=("edge-1",)),))
    assert failed(lambda: call(edge, b""))[0] == "UNAUTHENTICATED"
    assert failed(lambda: call(edge, b"", token="wrong"))[0] == "UNAUTHENTICATED"
    assert call(edge, b"", token="right") == b""
    assert edge.deliveries[0].principal.name == "a"
    assert edge.requests("otlp_grpc") == {"UNAUTHENTICATED": 2, "OK": 1}


def test_a_sender_that_never_sends_its_message(start: Any) -> None:
    edge = start(body_timeout_s=0.2)
    hold = threading.Event()

    def nothing() -> Any:
        hold.wait(10)
        yield b""

    with grpc.insecure_channel(f"127.0.0.1:{edge.grpc_port}") as channel:
        code, _ = failed(lambda: channel.stream_unary(EXPORT)(nothing(), timeout=10))
        hold.set()
    assert code == "DEADLINE_EXCEEDED"
    assert edge.deliveries == []


def test_garbage_that_begins_like_gzip(edge: Any) -> None:
    edge.outcome = lambda delivery: Receipt(len(plain(delivery, edge.settings)))
    assert failed(lambda: call(edge, gzip.compress(b"abc")[:-3]))[0] == "INVALID_ARGUMENT"


def test_stops_while_a_request_hangs(start: Any) -> None:
    edge = start(stop_timeout_s=0.3)
    edge.delay_s = 60.0
    codes: list[str] = []
    caller = threading.Thread(target=lambda: codes.append(failed(lambda: call(edge, b""))[0]))
    caller.start()
    deadline = time.monotonic() + 10
    while not edge.deliveries and time.monotonic() < deadline:
        time.sleep(0.01)
    edge.stop()
    caller.join(5)
    assert codes in (["CANCELLED"], ["UNAVAILABLE"])
