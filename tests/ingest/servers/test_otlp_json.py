"""OTLP/JSON reads to the message that protobuf would have given, or says where it is wrong."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from edgeobs.ingest import otlp_json
from edgeobs.ingest.errors import Malformed


def parse(body: bytes | bytearray) -> ExportMetricsServiceRequest:
    return otlp_json.parse(body, ExportMetricsServiceRequest)


ids = st.sampled_from([b"\x01" * 16, bytes(range(16))])
doubles = st.floats(allow_nan=False)


@st.composite
def requests(draw: st.DrawFn) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for _ in range(draw(st.integers(0, 3))):
        metric = scope.metrics.add(name=draw(st.text(max_size=8)), unit="By")
        kind = draw(st.sampled_from(["gauge", "sum", "histogram", "exponential_histogram", "summary"]))
        point = getattr(metric, kind).data_points.add(
            time_unix_nano=draw(st.integers(0, 2**64 - 1)), flags=draw(st.integers(0, 1))
        )
        attribute = point.attributes.add(key=draw(st.text(max_size=4)))
        attribute.value.bytes_value = draw(st.binary(max_size=5))
        if kind == "sum":
            metric.sum.aggregation_temporality = draw(st.integers(0, 2))  # type: ignore[assignment] # an enum
            point.as_int = draw(st.integers(-(2**63), 2**63 - 1))
            exemplar = point.exemplars.add(as_double=draw(doubles))
            exemplar.trace_id = draw(ids)
            exemplar.span_id = draw(ids)[:8]
        elif kind == "gauge":
            point.as_double = draw(doubles)
        elif kind == "histogram":
            point.bucket_counts.extend(draw(st.lists(st.integers(0, 2**64 - 1), max_size=3)))
            point.explicit_bounds.extend(draw(st.lists(doubles, max_size=3)))
    return request


def as_json(request: ExportMetricsServiceRequest) -> str:
    tree = json_format.MessageToDict(request, use_integers_for_enums=True)
    return json.dumps(_hex(tree))


def _hex(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_hex(item) for item in tree]
    if isinstance(tree, dict):
        return {
            k: base64.b64decode(v).hex() if k in ("traceId", "spanId") else _hex(v) for k, v in tree.items()
        }
    return tree


@given(requests())
def test_equals_protobuf(request: ExportMetricsServiceRequest) -> None:
    assert parse(as_json(request).encode()) == request


def one_point(**point: Any) -> bytes:
    metric = {"name": "m", "gauge": {"dataPoints": [point]}}
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).encode()


def read(**point: Any) -> Any:
    return parse(one_point(**point)).resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]


def test_integers_may_be_strings_or_numbers() -> None:
    assert read(timeUnixNano="1544712660300000000", asInt="-7").as_int == -7
    assert read(timeUnixNano=1544712660300000000, asInt=-7).time_unix_nano == 1544712660300000000


def test_not_a_number_and_infinity() -> None:
    assert str(read(asDouble="NaN").as_double) == "nan"
    assert read(asDouble="-Infinity").as_double == float("-inf")


def test_unknown_fields_are_ignored() -> None:
    assert read(asInt=1, newlyInvented={"a": [1]}).as_int == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "JSON"),
        (b"[]", "object"),
        (b"null", "object"),
        (b"{", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b'{"resourceMetrics": 5}', "resourceMetrics"),
        (b'{"resourceMetrics": [5]}', "resourceMetrics"),
        (one_point(timeUnixNano="soon"), "timeUnixNano"),
        (one_point(timeUnixNano=-1), "timeUnixNano"),
        (one_point(timeUnixNano=2**64), "timeUnixNano"),
        (one_point(asDouble="three"), "asDouble"),
        (one_point(exemplars=[{"traceId": "xyz"}]), "traceId.*32 hex"),
        (one_point(exemplars=[{"spanId": "abcd"}]), "spanId.*16 hex.*found 4"),
        (one_point(exemplars=[{"spanId": 7}]), "spanId"),
        (b'{"a":' * 100_000, "deep"),
        (b'{"resourceMetrics":' + b"9" * 5000 + b"}", "JSON"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        parse(body)


def test_attributes_nested_too_deep_are_refused() -> None:
    value: Any = {"intValue": 1}
    for _ in range(60):
        value = {"arrayValue": {"values": [value]}}
    with pytest.raises(Malformed, match=r"recursion|deep"):
        parse(one_point(asInt=1, attributes=[{"key": "k", "value": value}]))


names = st.sampled_from(
    ["resourceMetrics", "scopeMetrics", "metrics", "gauge", "dataPoints", "asInt", "traceId", "name", "value"]
)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=20,
)


@given(trees)
def test_any_json_is_read_or_malformed(tree: Any) -> None:
    with suppress(Malformed):  # and nothing else
        parse(json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [tree]}], "x": tree}]}).encode())


@given(requests(), st.integers(0), st.integers(0, 255))
def test_a_changed_byte_is_read_or_malformed(request: ExportMetricsServiceRequest, at: int, to: int) -> None:
    body = bytearray(as_json(request).encode())
    body[at % len(body)] = to
    with suppress(Malformed):  # and nothing else
        parse(body)
