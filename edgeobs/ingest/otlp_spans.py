"""OTLP spans → `SpanBatch` by protobuf's own parser: simple and complete, the reference for the fast decoder.

What makes a span invalid: a trace or span id of zeros or of a wrong length, a parent's id of a wrong length,
a time beyond int64. Whoever is called is told by the first of `PEERS` that is a string with something in it.
Sources: the OpenTelemetry protocol's trace.proto, its semantic conventions for peers, RPC and databases.
"""

from collections import Counter

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2 as pb

from edgeobs.ingest import sources
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.intern import FORBIDDEN, INVALID, REASONS
from edgeobs.ingest.values import pairs
from edgeobs.signals import Principal, Source, SpanBatch

PEERS = (
    "peer.service",
    "server.address",
    "net.peer.name",
    "messaging.destination.name",
    "db.system.name",
    "db.system",
)
"""Attributes of a client's or producer's span that say whom it calls, the most telling first."""

CALLING = frozenset({pb.Span.SPAN_KIND_CLIENT, pb.Span.SPAN_KIND_PRODUCER})
_RANK = {key: rank for rank, key in enumerate(PEERS)}
_KINDS = range(6)
_MAX_NS = (1 << 63) - 1


def decode(body: bytes, principal: Principal, now_ns: int) -> SpanBatch:
    """The spans of an uncompressed ExportTraceServiceRequest; raises Malformed."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise Malformed(f"OTLP traces body of {len(body)} bytes: {error}") from None
    return spans_of(request, principal, now_ns)


def spans_of(request: ExportTraceServiceRequest, principal: Principal, now_ns: int) -> SpanBatch:
    """The spans of a parsed request, in the order of the message. ``now_ns`` changes nothing here."""
    del now_ns
    columns = _Columns(principal)
    for resource_spans in request.resource_spans:
        source = sources.source(pairs(resource_spans.resource.attributes))
        allowed = sources.speaks_for(principal, source)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                columns.take(span, source if allowed else None)
    return columns.batch()


class _Columns:
    """Spans under way to columns."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.sources: dict[Source, int] = {}
        self.names: dict[str, int] = {}
        self.numbers: list[tuple[int, int, int, int, bool, int, int]] = []
        self.ids: list[bytes] = []
        self.rejected: Counter[str] = Counter()

    def take(self, span: pb.Span, source: Source | None) -> None:
        """One span; no source: it may not be spoken for."""
        if source is None or not _valid(span):
            self.rejected[REASONS[FORBIDDEN if source is None else INVALID]] += 1
            return
        peer = _peer(span) if span.kind in CALLING else ""
        self.numbers.append(
            (
                self.sources.setdefault(source, len(self.sources)),
                self.names.setdefault(span.name, len(self.names)),
                self.names.setdefault(peer, len(self.names)) if peer else -1,
                span.kind if span.kind in _KINDS else 0,
                span.status.code == pb.Status.STATUS_CODE_ERROR,
                span.start_time_unix_nano,
                span.end_time_unix_nano,
            )
        )
        self.ids.append(span.trace_id + span.span_id + (span.parent_span_id or bytes(8)))

    def batch(self) -> SpanBatch:
        """All of them."""
        columns = zip(*self.numbers, strict=True) if self.numbers else ((),) * 7
        source, name, peer, kind, failed, start, end = columns
        ids = np.frombuffer(b"".join(self.ids), ">u8").astype(np.uint64).reshape(-1, 4)
        return SpanBatch(
            principal=self.principal,
            sources=tuple(self.sources),
            names=tuple(self.names),
            source=np.array(source, np.int32),
            name=np.array(name, np.int32),
            peer=np.array(peer, np.int32),
            kind=np.array(kind, np.int8),
            failed=np.array(failed, np.bool_),
            start_ns=np.array(start, np.int64),
            end_ns=np.array(end, np.int64),
            trace=ids[:, :2].copy(),
            span=ids[:, 2].copy(),
            parent=ids[:, 3].copy(),
            rejected=dict(self.rejected),
        )


def _valid(span: pb.Span) -> bool:
    return (
        len(span.trace_id) == 16
        and any(span.trace_id)
        and len(span.span_id) == 8
        and any(span.span_id)
        and len(span.parent_span_id) in {0, 8}
        and max(span.start_time_unix_nano, span.end_time_unix_nano) <= _MAX_NS
    )


def _peer(span: pb.Span) -> str:
    """Whom the span calls; an attribute that is sent twice counts as last sent. Empty where none tells."""
    found, best = "", len(PEERS)
    for attribute in span.attributes:
        rank = _RANK.get(attribute.key, best + 1)
        if rank <= best and attribute.value.string_value:
            found, best = attribute.value.string_value, rank
    return found
