"""What a server hands to the engine, what it gets back, and what can go wrong between them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from edgeobs.signals import Principal

Format = Literal["otlp_proto", "otlp_json", "remote_write_1", "remote_write_2"]
LogFormat = Literal["logs_proto", "logs_json"]
SpanFormat = Literal["spans_proto", "spans_json"]
AnyFormat = Format | LogFormat | SpanFormat | Literal["alertmanager"]
Signal = Literal["metrics", "logs", "traces"]
Encoding = Literal["identity", "gzip", "zstd", "snappy"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request, as received. ``body`` is still compressed as ``encoding`` says."""

    format: AnyFormat
    body: bytes | bytearray
    encoding: Encoding
    principal: Principal
    received_ns: int  # when its last byte was there


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery: it has been processed and what it caused is committed."""

    accepted: int  # points, log records, spans, or alerts
    rejected: dict[str, int] = field(default_factory=dict)  # reason → of these
    samples: int = 0  # of remote write, for its X-Prometheus-Remote-Write-…-Written headers
    histograms: int = 0
    exemplars: int = 0


Submit = Callable[[Delivery], Awaitable[Receipt]]
"""Returns once the delivery is processed. Raises `Malformed` and what is below, nothing else."""


class Overloaded(Exception):
    """The queue is full; the sender should come back in ``retry_after_s`` seconds."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the queue is full; come back in {retry_after_s:g} s")
        self.retry_after_s = retry_after_s


class TooLarge(Exception):
    """A body is over ``limit`` bytes, as ``what`` (``"compressed"`` or ``"decompressed"``)."""

    def __init__(self, limit: int, what: str = "decompressed") -> None:
        super().__init__(f"the body has more than {limit} bytes {what}")
        self.limit = limit


class Unavailable(Exception):
    """The engine cannot take anything now (stopping, or its store fails); worth a retry."""

    def __init__(self, reason: str, retry_after_s: float = 5.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Forbidden(Exception):
    """The sender is known but may not do this."""


class Unauthenticated(Exception):
    """The sender is not known."""
