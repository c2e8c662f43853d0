"""What to tell a sender, in its own protocol: pure functions of what became of its request.

Sources: OTLP specification 1.x, *OTLP/HTTP Response* and *Failures*; Prometheus remote write 2.0;
Alertmanager's webhook, which tries again on 5xx alone.
"""

import json
import math
from typing import NamedTuple

from google.protobuf import any_pb2, duration_pb2, json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from edgeobs.ingest.delivery import (
    Forbidden,
    Overloaded,
    Receipt,
    Signal,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from edgeobs.ingest.errors import Malformed

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


class NotUnderstood(Exception):
    """A content type or encoding that is not served."""


class TooSlow(Exception):
    """The body did not arrive in time."""


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Refusal(NamedTuple):
    """Why a request failed. Worth another try only with ``retry_after_s`` > 0."""

    status: int  # HTTP
    code: int  # google.rpc.Code, gRPC
    message: str
    retry_after_s: float = 0.0


# An overloaded queue is 503 and UNAVAILABLE rather than 429 and RESOURCE_EXHAUSTED: by default Prometheus
# and Alertmanager give up on 429, and OTLP takes both.
_CODES: dict[type[Exception], tuple[int, int]] = {
    Malformed: (400, 3),
    Unauthenticated: (401, 16),
    Forbidden: (403, 7),
    TooSlow: (408, 4),
    TooLarge: (413, 3),
    NotUnderstood: (415, 3),
    Overloaded: (503, 14),
    Unavailable: (503, 14),
}
EXPECTED = tuple(_CODES)


def refusal(error: Exception) -> Refusal:
    """What an exception of `EXPECTED` means to a sender."""
    status, code = next(_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)
    retry = error.retry_after_s if isinstance(error, (Overloaded, Unavailable)) else 0.0
    return Refusal(status, code, str(error), retry)


def otlp_done(receipt: Receipt, signal: Signal = "metrics") -> Message:
    """Success, or partial success that names the reasons, in the words of a signal."""
    rejected = sum(receipt.rejected.values())
    reasons = _reasons(receipt, signal) if rejected else ""
    if signal == "logs":
        logs = ExportLogsServiceResponse()
        if rejected:
            logs.partial_success.rejected_log_records = rejected
            logs.partial_success.error_message = reasons
        return logs
    if signal == "traces":
        traces = ExportTraceServiceResponse()
        if rejected:
            traces.partial_success.rejected_spans = rejected
            traces.partial_success.error_message = reasons
        return traces
    metrics = ExportMetricsServiceResponse()
    if rejected:
        metrics.partial_success.rejected_data_points = rejected
        metrics.partial_success.error_message = reasons
    return metrics


def otlp_answer(receipt: Receipt, content_type: str, signal: Signal = "metrics") -> Answer:
    """200 in the request's own content type."""
    response = otlp_done(receipt, signal)
    if content_type == JSON:
        return Answer(200, JSON, json_format.MessageToJson(response, indent=None).encode())
    return Answer(200, PROTOBUF, response.SerializeToString())


def otlp_refusal(refused: Refusal, content_type: str) -> Answer:
    """A google.rpc.Status in the request's content type; JSON for one that is not ours."""
    found = status(refused)
    if content_type == PROTOBUF:
        return Answer(refused.status, PROTOBUF, found.SerializeToString(), _headers(refused))
    body = json_format.MessageToJson(found, indent=None).encode()
    return Answer(refused.status, JSON, body, _headers(refused))


def status(refused: Refusal) -> status_pb2.Status:
    """The refusal as google.rpc.Status, with RetryInfo where another try is worth it."""
    found = status_pb2.Status(code=refused.code, message=refused.message)
    if refused.retry_after_s > 0:
        seconds = int(refused.retry_after_s)
        nanos = int((refused.retry_after_s - seconds) * 1e9)
        delay = duration_pb2.Duration(seconds=seconds, nanos=nanos)
        packed = any_pb2.Any()
        packed.Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        found.details.append(packed)
    return found


def write_answer(receipt: Receipt, *, v2: bool) -> Answer:
    """204, or 400 when anything was left out; what was written is said to senders of version 2."""
    headers = _written(receipt) if v2 else ()
    if receipt.rejected:
        return Answer(400, TEXT, f"not written: {_reasons(receipt)}\n".encode(), headers)
    return Answer(204, "", b"", headers)


def write_refusal(refused: Refusal, *, v2: bool) -> Answer:
    """Plain text. Nothing was written."""
    headers = _written(Receipt(0)) if v2 else ()
    return Answer(refused.status, TEXT, f"{refused.message}\n".encode(), headers + _headers(refused))


def webhook_answer(receipt: Receipt) -> Answer:
    """200: the alerts are durable."""
    found = {"accepted": receipt.accepted, "rejected": receipt.rejected}
    return Answer(200, JSON, json.dumps(found).encode())


def webhook_refusal(refused: Refusal) -> Answer:
    """``{"error": reason}``."""
    return Answer(refused.status, JSON, json.dumps({"error": refused.message}).encode(), _headers(refused))


def _headers(refused: Refusal) -> tuple[tuple[str, str], ...]:
    if refused.status == 401:
        return (("www-authenticate", "Bearer"),)
    if refused.retry_after_s > 0:
        return (("retry-after", str(math.ceil(refused.retry_after_s))),)
    return ()


def _written(receipt: Receipt) -> tuple[tuple[str, str], ...]:
    return (
        ("x-prometheus-remote-write-samples-written", str(receipt.samples)),
        ("x-prometheus-remote-write-histograms-written", str(receipt.histograms)),
        ("x-prometheus-remote-write-exemplars-written", str(receipt.exemplars)),
    )


_WORDS = {
    "limit": "over a limit of series",
    "forbidden": "of nodes this sender may not speak for",
    "invalid": "invalid",
}


def _reasons(receipt: Receipt, signal: Signal = "metrics") -> str:
    words = _WORDS if signal == "metrics" else _WORDS | {"limit": "over the limit of one request"}
    return "; ".join(f"{n} {words.get(reason, reason)}" for reason, n in sorted(receipt.rejected.items()))
