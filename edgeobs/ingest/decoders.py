"""The formats by name, each by the fastest decoder this machine has."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from edgeobs import ahead, jit
from edgeobs.ingest import otlp
from edgeobs.ingest.delivery import Format, LogFormat, SpanFormat
from edgeobs.ingest.intern import Interner
from edgeobs.ingest.remote_write_series import Families
from edgeobs.signals import LogBatch, Points, Principal, SpanBatch

Decode = Callable[[bytes, Principal, int], Points]
Stream = Callable[[bytes, Principal, int], LogBatch | SpanBatch]

_KERNELS = (
    "buckets",
    "hashing",
    "histogram_walk",
    "machine",
    "otlp_buckets",
    "otlp_layout",
    "otlp_points",
    "otlp_spans_layout",
    "otlp_spans_walk",
    "otlp_walk",
    "remote_write_gather",
    "remote_write_layout",
    "remote_write_walk",
    "wire",
)
EXPOSITION = ("exposition_walk",)


class Decoders:
    """Bodies, already decompressed, to `Points`.

    Parameters
    ----------
    interner
        Gives out series ids.
    fast
        Compiled decoders (True), protobuf's own (False), or compiled ones where Numba is installed (None).

    Raises
    ------
    RuntimeError
        ``fast`` is True and Numba is not there.

    """

    def __init__(self, interner: Interner, fast: bool | None = None) -> None:
        if fast and not jit.available():
            raise RuntimeError("the compiled decoders need Numba: install edgeobs[accel]")
        self.interner = interner
        self.families = Families()
        self.name = "numba" if (jit.available() if fast is None else fast) else "upb"
        self._decoders = self._fast() if self.name == "numba" else self._reference()
        self._streams = _streams("otlp_spans_fast" if self.name == "numba" else "otlp_spans")

    def decode(self, format: Format, body: bytes, principal: Principal, now_ns: int) -> Points:  # noqa: A002 - the contract's word
        """The points of one request; raises Malformed, and then no series has come of it."""
        return self._decoders[format](body, principal, now_ns)

    def stream(
        self,
        format: LogFormat | SpanFormat,  # noqa: A002 - the contract's word
        body: bytes,
        principal: Principal,
        now_ns: int,
    ) -> LogBatch | SpanBatch:
        """The log records or spans of one request; raises Malformed."""
        return self._streams[format](body, principal, now_ns)

    def _reference(self) -> dict[str, Decode]:
        interner, families = self.interner, self.families
        return {
            "otlp_proto": lambda body, who, now: otlp.decode(body, interner, who, now),
            "otlp_json": lambda body, who, now: otlp.points_of(
                _module("otlp_json").parse(body, ExportMetricsServiceRequest), interner, who, now
            ),
            "remote_write_1": lambda body, who, now: _module("remote_write").decode_v1(
                body, interner, families, who, now
            ),
            "remote_write_2": lambda body, who, now: _module("remote_write").decode_v2(
                body, interner, who, now
            ),
        }

    def _fast(self) -> dict[str, Decode]:
        """The same with the compiled ones in place; they share one table of aliases."""
        jit.drop_stale(Path(__file__).parent, _KERNELS)
        interner, families = self.interner, self.families
        aliases = _module("aliases").Aliases(interner)
        return self._reference() | {
            "otlp_proto": lambda body, who, now: _module("otlp_fast").decode(
                body, interner, aliases, who, now
            ),
            "remote_write_1": lambda body, who, now: _module("remote_write_fast").decode_v1(
                body, interner, aliases, families, who, now
            ),
            "remote_write_2": lambda body, who, now: _module("remote_write_fast").decode_v2(
                body, interner, aliases, who, now
            ),
        }


def exposition_walk(*, compiled: bool) -> Callable[..., int] | None:
    """What reads the values of Prometheus's text by its layout, compiled; None: there is nothing compiled."""
    here = Path(__file__).parent
    found: Callable[..., int] | None = ahead.best(
        __package__, here, EXPOSITION, None, compiled=compiled, returns=1
    )
    return found


def _streams(spans: str) -> dict[str, Stream]:
    return {
        "logs_proto": lambda body, who, now: _module("otlp_logs").decode(body, who, now),
        "logs_json": lambda body, who, now: _module("otlp_logs").decode_json(body, who, now),
        "spans_proto": lambda body, who, now: _module(spans).decode(body, who, now),
        "spans_json": lambda body, who, now: _module("otlp_spans").spans_of(
            _module("otlp_json").parse(body, ExportTraceServiceRequest), who, now
        ),
    }


def _module(name: str) -> Any:
    return importlib.import_module(f"edgeobs.ingest.{name}")
