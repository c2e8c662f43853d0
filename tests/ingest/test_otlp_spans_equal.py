"""The compiled decoder of spans and the reference agree on every input: permuted, odd, broken or hostile."""

import random
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2 as pb

from edgeobs.ingest import otlp_spans
from edgeobs.ingest.errors import Malformed
from edgeobs.signals import Principal, SpanBatch
from tests.ingest.test_otlp_equal import attributes, damage, part, seeds, shuffled, words

pytest.importorskip("numba", reason="needs Numba: install edgeobs[accel]")
fast = pytest.importorskip("edgeobs.ingest.otlp_spans_fast")

ANYONE = Principal(0, "anyone", None, 20)
HELD = Principal(1, "held", frozenset({"a", "é"}), 20)


def agree(body: bytes, principal: Principal = ANYONE) -> SpanBatch | None:
    """Decode by both and compare all there is; None when both find the body malformed."""
    try:
        expected = otlp_spans.decode(body, principal, 1)
    except Malformed:
        with pytest.raises(Malformed):
            fast.decode(body, principal, 1)
        return None
    found: SpanBatch = fast.decode(body, principal, 1)
    for field in fields(found):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(other, np.ndarray):
            assert (one.dtype, one.shape) == (other.dtype, other.shape), field.name
            assert one.tobytes() == other.tobytes(), field.name
        else:
            assert one == other, field.name
    return found


def _ids(size: int) -> st.SearchStrategy[bytes]:
    some = st.binary(min_size=size, max_size=size)
    return st.one_of(some, some, some, st.just(bytes(size)), st.binary(max_size=2 * size + 1))


texts = st.one_of(words, words, st.binary(max_size=3).map(lambda b: b.hex()))
stamps = st.sampled_from([0, 1, 10**18, 10**18 + 1, 2**63 - 1, 2**63, 2**64 - 1])
peers = st.builds(
    KeyValue,
    key=st.sampled_from([*otlp_spans.PEERS, "db.systen", "server.addresses"]),
    value=st.one_of(
        words.map(lambda v: AnyValue(string_value=v)),
        words.map(lambda v: AnyValue(string_value=v)),
        st.just(AnyValue(int_value=7)),
        st.just(AnyValue()),
    ),
)
several = st.lists(st.one_of(peers, attributes.map(lambda a: a[0] if a else KeyValue())), max_size=5)
spans = st.builds(
    pb.Span,
    trace_id=_ids(16),
    span_id=_ids(8),
    parent_span_id=st.one_of(st.just(b""), _ids(8)),
    trace_state=words,
    name=texts,
    kind=st.integers(0, 6) | st.sampled_from([-1, 2**31 - 1, 3, 3, 4]),
    start_time_unix_nano=stamps,
    end_time_unix_nano=stamps,
    attributes=several,
    dropped_attributes_count=st.integers(0, 1),
    events=st.lists(
        st.builds(pb.Span.Event, name=words, time_unix_nano=stamps, attributes=several), max_size=2
    ),
    links=st.lists(
        st.builds(pb.Span.Link, trace_id=_ids(16), trace_state=words, attributes=several), max_size=2
    ),
    status=st.none() | st.builds(pb.Status, code=st.integers(0, 3) | st.just(-5), message=words),
    flags=st.integers(0, 2**32 - 1),
)


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    """A few resources, scopes and spans of every kind."""
    request = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 3))):
        resource = request.resource_spans.add()
        if draw(st.booleans()):
            resource.resource.attributes.extend(draw(attributes))
        resource.schema_url = draw(words)
        for _ in range(draw(st.integers(0, 2))):
            scope = resource.scope_spans.add()
            if draw(st.booleans()):
                scope.scope.name = draw(words)
                scope.scope.attributes.extend(draw(attributes))
            scope.spans.extend(draw(st.lists(spans, max_size=3)))
    return request


@given(requests(), seeds, st.sampled_from([ANYONE, HELD]))
@settings(max_examples=200, deadline=None)
def test_any_request_in_any_field_order(
    request: ExportTraceServiceRequest, chance: random.Random, principal: Principal
) -> None:
    agree(request.SerializeToString(), principal)
    agree(shuffled(request, chance), principal)


@given(requests(), st.data())
@settings(max_examples=200, deadline=None)
def test_broken_bytes(request: ExportTraceServiceRequest, draw: st.DataObject) -> None:
    body = bytearray(request.SerializeToString())
    for _ in range(draw.draw(st.integers(1, 4))):
        damage(body, draw)
        agree(bytes(body))


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_bytes(body: bytes) -> None:
    agree(body)


def wrapped(*chunks: bytes) -> bytes:
    """Chunks as fields of one span, behind ids that are sound."""
    return part(1, part(2, part(2, *IDS, *chunks)))


def _attribute(key: bytes, *value: bytes) -> bytes:
    return part(9, part(1, key), *value)


IDS = part(1, bytes(range(1, 17))), part(2, b"12345678")
CLIENT = b"\x30\x03"
TEXT = part(2, part(1, b"db"))
CORPUS = {
    "nothing but ids": wrapped(),
    "ids twice, the last count": wrapped(part(1, b"x"), part(2, bytes(8))),
    "group": wrapped(b"\x7b\x08\x01\x7c"),
    "end of a group never begun": wrapped(b"\x7c"),
    "name twice": wrapped(part(5, b"a"), part(5, b"b")),
    "name broken, then sound": wrapped(part(5, b"\xff"), part(5, b"b")),
    "status in two parts": wrapped(part(15, b"\x18\x02"), part(15, part(2, b"sad"))),
    "status taken back": wrapped(part(15, b"\x18\x02"), part(15, b"\x18\x00")),
    "status beyond 32 bits": wrapped(part(15, b"\x18\x82\x80\x80\x80\x10")),
    "status message broken": wrapped(part(15, b"\x18\x02", part(2, b"\xff"))),
    "kind beyond 32 bits": wrapped(b"\x30\x83\x80\x80\x80\x10", _attribute(b"db.system", TEXT)),
    "kind after the peer": wrapped(_attribute(b"db.system", TEXT), CLIENT),
    "peer": wrapped(CLIENT, _attribute(b"db.system", TEXT)),
    "peer of a server": wrapped(b"\x30\x02", _attribute(b"db.system", TEXT)),
    "the more telling peer first": wrapped(
        CLIENT, _attribute(b"peer.service", TEXT), _attribute(b"db.system", part(2, part(1, b"other")))
    ),
    "peer twice": wrapped(
        CLIENT, _attribute(b"db.system", TEXT), _attribute(b"db.system", part(2, part(1, b"x")))
    ),
    "peer without a value": wrapped(CLIENT, _attribute(b"db.system")),
    "peer of an empty value": wrapped(CLIENT, _attribute(b"db.system", part(2))),
    "peer of empty text": wrapped(CLIENT, _attribute(b"db.system", part(2, part(1)))),
    "peer that is a number": wrapped(CLIENT, _attribute(b"db.system", part(2, b"\x18\x07"))),
    "peer that is a number, then text": wrapped(
        CLIENT, _attribute(b"db.system", part(2, b"\x18\x07", part(1, b"db")))
    ),
    "peer that is text, then a number": wrapped(
        CLIENT, _attribute(b"db.system", part(2, part(1, b"db"), b"\x18\x07"))
    ),
    "peer in two values": wrapped(CLIENT, _attribute(b"db.system", TEXT, part(2, b"\x18\x07"))),
    "peer, value first": wrapped(CLIENT, part(9, TEXT, part(1, b"db.system"))),
    "peer, key twice": wrapped(CLIENT, part(9, part(1, b"x"), part(1, b"db.system"), TEXT)),
    "peer and an unknown field": wrapped(CLIENT, _attribute(b"db.system", TEXT, b"\x18\x01")),
    "peer broken": wrapped(CLIENT, _attribute(b"db.system", part(2, part(1, b"\xff")))),
    "key broken": wrapped(_attribute(b"\xff", TEXT)),
    "value broken": wrapped(_attribute(b"x", part(2, part(1, b"\xff")))),
    "value cut off": wrapped(_attribute(b"x", b"\x12\x05")),
    "key longer than any peer": wrapped(CLIENT, _attribute(b"k" * 100, TEXT)),
    "event broken": wrapped(part(11, part(2, b"\xff"))),
    "link broken": wrapped(part(13, part(3, b"\xff"))),
    "scope broken": part(1, part(2, part(1, part(1, b"\xff")), part(2, *IDS))),
    "scope last": part(1, part(2, part(2, *IDS), part(1, part(1, b"s")))),
    "resource twice merges": part(
        1, part(1, part(1, part(1, b"a"))), part(1, part(1, part(1, b"b"))), part(2, part(2, *IDS))
    ),
    "resource last": part(
        1, part(2, part(2, *IDS)), part(1, part(1, part(1, b"service.name"), part(2, part(1, b"s"))))
    ),
    "broken resource without spans": part(1, part(1, part(1, part(1, b"\xff")))),
    "times beyond int64": wrapped(b"\x39" + b"\xff" * 8),
    "time cut off": part(1, part(2, part(2, *IDS, b"\x39\x00\x00"))),
    "id of four bytes": wrapped(part(4, b"1234")),
    "parent of zeros": wrapped(part(4, bytes(8))),
    "overlong length": wrapped(b"\x2a\x81\x00x"),
    "length beyond the end": wrapped(b"\x2a\x7f"),
}


@pytest.mark.parametrize("name", CORPUS)
def test_odd_bodies(name: str) -> None:
    agree(CORPUS[name])
    agree(CORPUS[name], HELD)


@pytest.mark.parametrize("depth", [*range(20, 30), *range(40, 52)])
def test_deep_attributes(depth: int) -> None:
    value = b""
    for _ in range(depth):
        value = part(5, part(1, value))
    agree(wrapped(part(9, part(1, b"k"), part(2, value))))


def test_more_names_and_resources_than_there_is_room_for_at_first() -> None:
    request = ExportTraceServiceRequest()
    for n in range(3000):
        scope = request.resource_spans.add().scope_spans.add()
        if n % 3 == 0:
            scope.spans.add(trace_id=b"t" * 16, span_id=n.to_bytes(8, "big") or b"", name=f"n{n}")
    found = agree(request.SerializeToString())
    assert found is not None
    assert len(found.names) == 999  # span id 0 is none
    assert agree(b"\x0a\x00" * 5000) is not None


def test_an_attribute_of_a_megabyte() -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.attributes.add(key="big").value.string_value = "é" * 2**19
    found = agree(request.SerializeToString())
    assert found is not None
    assert len(found.span) == 1
    request.resource_spans[0].resource.attributes.add(key="service.name").value.string_value = "x" * 2**20
    found = agree(request.SerializeToString())
    assert found is not None
    assert len(found.sources[0].service()) < 1000


def test_the_ordinary_path_is_the_compiled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "größe"
    span: Any = resource.scope_spans.add().spans.add(
        trace_id=b"t" * 16, span_id=b"s" * 8, name="größe", kind=3
    )
    span.attributes.add(key="peer.service").value.string_value = "b"
    span.attributes.add(key="n").value.int_value = 1
    span.events.add(name="e").attributes.add(key="k").value.bool_value = True
    monkeypatch.setattr(otlp_spans, "decode", None)
    found = fast.decode(request.SerializeToString(), ANYONE, 1)
    assert [found.names[found.name[0]], found.names[found.peer[0]]] == ["größe", "b"]
    assert found.sources[0].service() == "größe"
