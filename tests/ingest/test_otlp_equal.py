"""The compiled decoder and the reference agree on every input: permuted, odd, broken or hostile."""

import random
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from edgeobs.ingest import otlp
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.intern import Interner
from edgeobs.series import SeriesTable
from edgeobs.signals import Distributions, Points, Principal

pytest.importorskip("numba", reason="needs Numba: install edgeobs[accel]")
aliases_module = pytest.importorskip("edgeobs.ingest.aliases")
otlp_fast = pytest.importorskip("edgeobs.ingest.otlp_fast")

ANYONE = Principal(0, "anyone", None, 20)
HELD = Principal(1, "held", frozenset({"a", "é"}), 20)


class Both:
    """Two tables, one per decoder, fed the same."""

    def __init__(self, limit: int = 40) -> None:
        self.reference, self.fast = Interner(SeriesTable(limit)), Interner(SeriesTable(limit))
        self.aliases = aliases_module.Aliases(self.fast)

    def agree(self, body: bytes, principal: Principal = ANYONE) -> Points | None:
        """Decode by both and compare all there is; None when both find the body malformed."""
        try:
            expected = otlp.decode(body, self.reference, principal, 1)
        except Malformed:
            with pytest.raises(Malformed):
                otlp_fast.decode(body, self.fast, self.aliases, principal, 1)
            return None
        found: Points = otlp_fast.decode(body, self.fast, self.aliases, principal, 1)
        assert found.rejected == expected.rejected
        assert self.fast.table.ids() == self.reference.table.ids()
        _same_columns(found, expected)
        _same_columns(found.distributions, expected.distributions)
        return found


def _same_columns(found: Points | Distributions, expected: Points | Distributions) -> None:
    for field in fields(found):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype, field.name
            assert one.tobytes() == other.tobytes(), field.name


def damage(body: bytearray, draw: st.DataObject) -> None:
    """Once, anywhere."""
    at = draw.draw(st.integers(0, len(body)))
    match draw.draw(st.sampled_from(["flip", "cut", "insert", "double", "delete"])):
        case "flip" if at < len(body):
            body[at] ^= 1 << draw.draw(st.integers(0, 7))
        case "cut":
            del body[at:]
        case "insert":
            body[at:at] = draw.draw(st.binary(min_size=1, max_size=3))
        case "double":
            body[at:at] = body[at // 2 : at]
        case "delete":
            del body[at : at + draw.draw(st.integers(1, 3))]


def shuffled(message: Message, chance: random.Random) -> bytes:
    """The message on the wire with its fields in any order and unknown ones in between."""
    chunks = [c for field, value in message.ListFields() for c in _chunks(message, field, value, chance)]
    if chance.random() < 0.2:
        unknown = [
            b"\xf8\x07\x05",
            b"\x9d\x08abcd",
            b"\xa1\x08abcdefgh",
            b"\xaa\x08\x03\xff\xfe\xfd",
            b"\x7f",
        ]
        chunks.append(chance.choice(unknown[:4] if chance.random() < 0.95 else unknown))
    chance.shuffle(chunks)
    return b"".join(chunks)


def _chunks(message: Message, field: Any, value: Any, chance: random.Random) -> list[bytes]:
    if field.message_type is None:
        alone = type(message)()
        if field.is_repeated:
            getattr(alone, field.name).extend(value)
        else:
            setattr(alone, field.name, value)
        return [alone.SerializeToString()]
    inside = [shuffled(v, chance) for v in (value if field.is_repeated else [value])]
    return [bytes([field.number << 3 | 2]) + _varint(len(i)) + i for i in inside]


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


words = st.sampled_from(["", "a", "b", "é", "cpu.time", "k8s.node.name", "service.name", "x_y", "x.y", "9"])
floats = st.floats(width=64)
u64 = st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1))
stamps = st.sampled_from([0, 1, 2**40, 2**40, 10**18, 10**18 + 1, 10**18 + 2, 2**63 - 1, 2**63])


def leaf() -> st.SearchStrategy[AnyValue]:
    """Every kind of value that holds no other."""
    return st.one_of(
        st.just(AnyValue()),
        words.map(lambda v: AnyValue(string_value=v)),
        st.booleans().map(lambda v: AnyValue(bool_value=v)),
        st.integers(-(2**63), 2**63 - 1).map(lambda v: AnyValue(int_value=v)),
        floats.map(lambda v: AnyValue(double_value=v)),
        st.binary(max_size=4).map(lambda v: AnyValue(bytes_value=v)),
    )


any_values = st.recursive(
    leaf(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda v: AnyValue(array_value=ArrayValue(values=v))),
        st.lists(st.builds(KeyValue, key=words, value=inner), max_size=3).map(
            lambda v: AnyValue(kvlist_value=KeyValueList(values=v))
        ),
    ),
    max_leaves=4,
)
attributes = st.lists(st.builds(KeyValue, key=words, value=any_values), max_size=4)
exemplars = st.lists(
    st.builds(pb.Exemplar, filtered_attributes=attributes, as_double=floats, span_id=st.binary(max_size=8)),
    max_size=2,
)
common = {
    "attributes": attributes,
    "start_time_unix_nano": stamps,
    "time_unix_nano": stamps,
    "flags": st.sampled_from([0, 0, 0, 1, 2, 3]),
}
numbers = st.one_of(
    st.builds(pb.NumberDataPoint, **common, as_double=floats, exemplars=exemplars),
    st.builds(pb.NumberDataPoint, **common, as_int=st.integers(-(2**63), 2**63 - 1)),
    st.builds(pb.NumberDataPoint, **common),
)


@st.composite
def histograms(draw: st.DrawFn) -> pb.HistogramDataPoint:
    """Mostly sound."""
    bounds = draw(
        st.lists(floats, max_size=4).map(sorted) | st.lists(st.integers(0, 9).map(float), max_size=4)
    )
    counts = draw(
        st.lists(u64, min_size=len(bounds) + 1, max_size=len(bounds) + 1) | st.lists(u64, max_size=3)
    )
    point = draw(st.builds(pb.HistogramDataPoint, **common, count=u64, exemplars=exemplars))
    point.explicit_bounds.extend(bounds)
    point.bucket_counts.extend(counts)
    if draw(st.booleans()):
        point.sum = draw(floats)
    return point


sides = st.builds(
    pb.ExponentialHistogramDataPoint.Buckets,
    offset=st.integers(-20, 20) | st.integers(-(2**31), 2**31 - 1),
    bucket_counts=st.lists(u64, max_size=5) | st.just([1] * 1000),
)
exponentials = st.builds(
    pb.ExponentialHistogramDataPoint,
    **common,
    count=u64,
    sum=st.none() | floats,
    scale=st.integers(-12, 21) | st.integers(-(2**31), 2**31 - 1),
    zero_count=u64,
    zero_threshold=st.sampled_from([0.0, 1e-9, 2.0]) | floats,
    positive=st.none() | sides,
    negative=st.none() | sides,
)
summaries = st.builds(
    pb.SummaryDataPoint,
    **common,
    count=u64,
    sum=floats,
    quantile_values=st.lists(
        st.builds(
            pb.SummaryDataPoint.ValueAtQuantile,
            quantile=st.sampled_from([0.0, 0.5, 0.9, 1.0, 2.0]) | floats,
            value=floats,
        ),
        max_size=3,
    ).flatmap(lambda v: st.sampled_from([v, sorted(v, key=lambda q: q.quantile)])),
)
temporality = st.sampled_from([0, 1, 2, 2, 2, 3])


def _several(points: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(points, max_size=3)


data = st.one_of(
    st.just({}),
    st.builds(pb.Gauge, data_points=_several(numbers)).map(lambda d: {"gauge": d}),
    st.builds(
        pb.Sum, data_points=_several(numbers), aggregation_temporality=temporality, is_monotonic=st.booleans()
    ).map(lambda d: {"sum": d}),
    st.builds(pb.Histogram, data_points=_several(histograms()), aggregation_temporality=temporality).map(
        lambda d: {"histogram": d}
    ),
    st.builds(
        pb.ExponentialHistogram, data_points=_several(exponentials), aggregation_temporality=temporality
    ).map(lambda d: {"exponential_histogram": d}),
    st.builds(pb.Summary, data_points=_several(summaries)).map(lambda d: {"summary": d}),
)


@st.composite
def requests(draw: st.DrawFn) -> ExportMetricsServiceRequest:
    """A few resources, scopes, metrics and points of every kind."""
    request = ExportMetricsServiceRequest()
    for _ in range(draw(st.integers(0, 2))):
        resource = request.resource_metrics.add()
        if draw(st.booleans()):
            resource.resource.attributes.extend(draw(attributes))
            resource.resource.dropped_attributes_count = draw(st.integers(0, 1))
        resource.schema_url = draw(words)
        for _ in range(draw(st.integers(0, 2))):
            scope = resource.scope_metrics.add()
            if draw(st.booleans()):
                scope.scope.name, scope.scope.version = draw(words), draw(words)
                scope.scope.attributes.extend(draw(attributes))
            for _ in range(draw(st.integers(0, 2))):
                metric = pb.Metric(**draw(data))
                metric.name, metric.unit, metric.description = draw(words), draw(words), draw(words)
                scope.metrics.append(metric)
    return request


seeds = st.integers(0, 2**32).map(random.Random)


@given(st.lists(requests(), min_size=1, max_size=3), seeds, st.sampled_from([ANYONE, HELD]))
@settings(max_examples=150, deadline=None)
def test_any_request_in_any_field_order(
    made: list[ExportMetricsServiceRequest], chance: random.Random, principal: Principal
) -> None:
    both = Both()
    for request in made:
        both.agree(request.SerializeToString(), principal)
        both.agree(shuffled(request, chance), principal)
        both.agree(request.SerializeToString(), principal)


@given(requests(), st.data())
@settings(max_examples=200, deadline=None)
def test_broken_bytes(request: ExportMetricsServiceRequest, draw: st.DataObject) -> None:
    both = Both()
    body = bytearray(request.SerializeToString())
    both.agree(bytes(body))
    for _ in range(draw.draw(st.integers(1, 4))):
        damage(body, draw)
        both.agree(bytes(body))


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_bytes(body: bytes) -> None:
    Both().agree(body)


def wrapped(*chunks: bytes) -> bytes:
    """Chunks as fields of one metric named m."""
    body = b"\x0a\x01m" + b"".join(chunks)
    for tag in (0x12, 0x12, 0x0A):
        body = bytes([tag]) + _varint(len(body)) + body
    return body


def part(number: int, *chunks: bytes) -> bytes:
    """A length-delimited field."""
    body = b"".join(chunks)
    return _varint(number << 3 | 2) + _varint(len(body)) + body


POINT = part(1, b"\x21" + b"\0" * 8)
LONG = b"\xff" * 9
CORPUS = {
    "group inside a point": wrapped(part(5, part(1, b"\x21" + b"\0" * 8, b"\x7b\x08\x01\x7c"))),
    "group never ended": wrapped(part(5, part(1, b"\x7b\x08\x01"))),
    "end of a group never begun": wrapped(b"\x7c"),
    "data twice merges": wrapped(part(5, POINT), part(5, POINT)),
    "gauge then sum": wrapped(part(5, POINT), part(7, POINT, b"\x10\x02")),
    "temporality last": wrapped(part(7, POINT, b"\x18\x01\x10\x02")),
    "temporality twice": wrapped(part(7, b"\x10\x01", POINT, b"\x10\x02")),
    "temporality beyond 32 bits": wrapped(part(7, POINT, b"\x10\x82\x80\x80\x80\x10")),
    "monotonic in ten bytes": wrapped(part(7, POINT, b"\x10\x02\x18" + LONG + b"\x01")),
    "monotonic in eleven bytes": wrapped(part(7, POINT, b"\x10\x02\x18" + LONG + b"\xff\x01")),
    "bits beyond 64": wrapped(part(7, POINT, b"\x10\x02\x18" + b"\x80" * 9 + b"\x7e")),
    "flags beyond 32 bits": wrapped(part(5, part(1, b"\x40\x80\x80\x80\x80\x10"))),
    "name twice, last wins": wrapped(part(5, POINT), part(1, b"n")),
    "name broken": wrapped(part(5, POINT), part(1, b"\xff")),
    "name broken, then sound": wrapped(part(1, b"\xff"), part(1, b"n"), part(5, POINT)),
    "surrogate in a description": wrapped(part(2, b"\xed\xa0\x80")),
    "overlong form in a unit": wrapped(part(3, b"\xc0\x80")),
    "beyond Unicode": wrapped(part(3, b"\xf4\x90\x80\x80")),
    "four bytes in a unit": wrapped(part(3, "😀".encode()), part(5, POINT)),
    "name with the wrong wire type": wrapped(b"\x08\x01", part(5, POINT)),
    "point with the wrong wire type": wrapped(part(5, b"\x08\x01", POINT)),
    "field number 0": wrapped(b"\x02\x00"),
    "overlong tag": wrapped(b"\x8a\x00\x01x", part(5, POINT)),
    "overlong length": wrapped(b"\x0a\x81\x00x", part(5, POINT)),
    "length beyond the end": wrapped(b"\x2a\x7f"),
    "length beyond 2^31": wrapped(b"\x2a\xff\xff\xff\xff\x0f"),
    "length beyond 2^63": wrapped(b"\x2a" + LONG + b"\x01"),
    "counts not packed": wrapped(part(9, part(1, b"\x31" + b"\x01" + b"\0" * 7), b"\x10\x02")),
    "counts in two parts": wrapped(
        part(9, part(1, part(6, b"\0" * 8), part(6, b"\0" * 8), part(7, b"\0" * 8)), b"\x10\x02")
    ),
    "counts of nine bytes": wrapped(part(9, part(1, part(6, b"\0" * 9)), b"\x10\x02")),
    "exponential counts cut off": wrapped(part(10, part(1, part(8, part(2, b"\x80"))), b"\x10\x02")),
    "exponential counts not packed": wrapped(part(10, part(1, part(8, b"\x10\x05\x10\x06")), b"\x10\x02")),
    "exponential side twice merges": wrapped(
        part(10, part(1, part(8, b"\x08\x02"), part(8, part(2, b"\x05"))), b"\x10\x02")
    ),
    "count of ten bytes": wrapped(part(10, part(1, part(8, part(2, LONG + b"\x7f"))), b"\x10\x02")),
    "resource twice merges": part(
        1,
        part(1, part(1, part(1, b"a"))),
        part(1, part(1, part(1, b"b"))),
        part(2, part(2, b"\x0a\x01m", part(5, POINT))),
    ),
    "resource last": part(1, part(2, part(2, b"\x0a\x01m", part(5, POINT))), part(1, part(1, part(1, b"a")))),
    "broken resource without points": part(1, part(1, part(1, part(1, b"\xff")))),
    "exemplar broken": wrapped(part(5, part(1, b"\x21" + b"\0" * 8, part(5, part(7, part(1, b"\xff")))))),
    "attribute broken in an invalid point": wrapped(part(5, part(1, part(7, part(1, b"\xff"))))),
    "metadata broken": wrapped(part(12, part(1, b"\xff"))),
}


@pytest.mark.parametrize("name", CORPUS)
def test_odd_bodies(name: str) -> None:
    both = Both()
    both.agree(wrapped(part(5, POINT)))
    both.agree(CORPUS[name])
    both.agree(CORPUS[name])


@pytest.mark.parametrize("depth", [*range(20, 30), *range(40, 52)])
def test_deep_attributes(depth: int) -> None:
    value = b""
    for _ in range(depth):
        value = part(5, part(1, value))
    both = Both()
    for body in (wrapped(part(5, part(1, b"\x21" + b"\0" * 8, part(7, part(1, b"k"), part(2, value))))),) * 2:
        both.agree(body)


@pytest.mark.parametrize("first", range(0, 256, 3))
def test_every_pair_of_bytes_as_text(first: int) -> None:
    both = Both(1000)
    for second in range(256):
        both.agree(wrapped(part(3, bytes([first, second, 0x80]))))


def test_the_ordinary_path_is_the_compiled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="größe", description="größe")
    metric.gauge.data_points.add(as_int=1, exemplars=[pb.Exemplar(as_int=1)])
    monkeypatch.setattr(otlp, "decode", None)
    both = Both()
    found = otlp_fast.decode(request.SerializeToString(), both.fast, both.aliases, ANYONE, 1)
    assert found.value.tolist() == [1.0]
