"""What spans on the wire become."""

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2 as pb

from edgeobs.ingest import otlp_spans
from edgeobs.ingest.errors import Malformed
from edgeobs.signals import Principal, SpanBatch

ANYONE = Principal(0, "anyone", None, 20)
NOW = 1_700_000_000_000_000_000


def request(*spans: pb.Span, **resource: str) -> ExportTraceServiceRequest:
    """Spans of one resource; keys are given with ``_`` for ``.``."""
    made = ExportTraceServiceRequest()
    resource_spans = made.resource_spans.add()
    for key, value in resource.items():
        resource_spans.resource.attributes.add(key=key.replace("_", ".")).value.string_value = value
    resource_spans.scope_spans.add().spans.extend(spans)
    return made


def span(**what: object) -> pb.Span:
    """A span that is sound."""
    return pb.Span(**({"trace_id": b"t" * 16, "span_id": b"s" * 8} | what))  # type: ignore[arg-type]


def decoded(made: ExportTraceServiceRequest, principal: Principal = ANYONE) -> SpanBatch:
    """By way of bytes."""
    return otlp_spans.decode(made.SerializeToString(), principal, NOW)


def test_every_column() -> None:
    trace, own, parent = bytes(range(16)), b"\x00" * 7 + b"\x02", b"\x01" + b"\x00" * 7
    one = span(
        trace_id=trace, span_id=own, parent_span_id=parent, name="GET", kind=3,
        start_time_unix_nano=NOW, end_time_unix_nano=NOW - 5,
        status=pb.Status(code=pb.Status.STATUS_CODE_ERROR),
    )  # fmt: skip
    one.attributes.add(key="db.system").value.string_value = "redis"
    one.attributes.add(key="peer.service").value.string_value = "stock"
    found = decoded(
        request(one, k8s_node_name="n1", service_name="orders", k8s_pod_name="p", process_pid="7")
    )
    assert found.principal is ANYONE
    (source,) = found.sources
    assert (source.resource.node, source.resource.pod, source.service()) == ("n1", "p", "orders")
    assert ("process.pid", "7") not in source.attributes
    assert [found.names[n] for n in (found.name[0], found.peer[0])] == ["GET", "stock"]
    assert (found.kind[0], bool(found.failed[0])) == (3, True)
    assert (found.start_ns[0], found.end_ns[0]) == (NOW, NOW - 5)
    assert found.trace[0].tolist() == [0x0001020304050607, 0x08090A0B0C0D0E0F]
    assert (found.span[0], found.parent[0]) == (2, 1 << 56)
    assert not found.rejected


@pytest.mark.parametrize(
    "wrong",
    [
        {"trace_id": bytes(16)},
        {"trace_id": b"t" * 15},
        {"trace_id": b""},
        {"span_id": bytes(8)},
        {"span_id": b"s" * 9},
        {"parent_span_id": b"p" * 7},
        {"start_time_unix_nano": 2**63},
        {"end_time_unix_nano": 2**64 - 1},
    ],
)
def test_what_means_nothing_is_left_out_and_counted(wrong: dict[str, object]) -> None:
    found = decoded(request(span(), span(**wrong), span()))
    assert len(found.span) == 2
    assert found.rejected == {"invalid": 1}


def test_a_sender_speaks_for_its_own_nodes_alone() -> None:
    held = Principal(3, "held", frozenset({"n1"}), 20)
    made = request(span(), k8s_node_name="n1")
    made.MergeFrom(request(span(), span(span_id=bytes(8)), k8s_node_name="n2"))
    made.MergeFrom(request(span()))
    found = decoded(made, held)
    assert [s.resource.node for s in found.sources] == ["n1"]
    assert found.rejected == {"forbidden": 3}


def test_a_status_or_kind_of_the_future_is_none() -> None:
    found = decoded(
        request(span(kind=9, status=pb.Status(code=pb.Status.StatusCode.ValueType(7))), span(kind=-1))
    )
    assert found.kind.tolist() == [0, 0]
    assert not found.failed.any()


def test_a_body_that_is_none_is_malformed() -> None:
    with pytest.raises(Malformed, match="traces body of 3 bytes"):
        otlp_spans.decode(b"\x0a\x7f\x00", ANYONE, NOW)
    broken = request(span(name="x" * 30)).SerializeToString().replace(b"x" * 30, b"\xff" * 30)
    with pytest.raises(Malformed):
        otlp_spans.decode(broken, ANYONE, NOW)


def test_an_empty_body_holds_nothing() -> None:
    found = otlp_spans.decode(b"", ANYONE, NOW)
    assert len(found.span) == 0
    assert found.trace.shape == (0, 2)
