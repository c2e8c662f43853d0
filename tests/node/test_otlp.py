"""Readings → OTLP, parsed back with the protocol's own messages."""

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

from edgeobs.node.otlp import encode
from edgeobs.node.readings import Distribution, Reading

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
READINGS = st.lists(
    st.builds(
        Reading,
        name=TEXT,
        kind=st.just("gauge"),
        unit=st.just("1"),
        value=st.floats(allow_nan=False),
        attributes=st.dictionaries(TEXT, TEXT, max_size=3).map(lambda d: tuple(sorted(d.items()))),
    ),
    max_size=20,
)


def parse(body: bytes) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    request.ParseFromString(body)
    return request


@given(READINGS)
def test_every_reading_arrives_once_and_whole(readings: list[Reading]) -> None:
    request = parse(encode({"host.name": "x"}, readings, 2_000, 1_000))
    found = [
        (metric.name, tuple((a.key, a.value.string_value) for a in point.attributes), point.as_double)
        for metric in request.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.gauge.data_points
    ]
    assert sorted(found) == sorted((r.name, r.attributes, r.value) for r in readings)


def test_kinds_times_and_resource() -> None:
    body = encode(
        {"host.name": "x", "edgeobs.simulated": True},
        [
            Reading("c", "counter", "s", 1.5, (("k", "v"),)),
            Reading("u", "updown", "By", 3),
            Reading("g", "gauge", "1", 0.5),
            Reading("c", "counter", "s", 2.5, (("k", "w"),)),
        ],
        2_000,
        1_000,
        scope="me",
    )
    whole = parse(body).resource_metrics[0]
    attributes = {a.key: a.value for a in whole.resource.attributes}
    assert attributes["host.name"].string_value == "x"
    assert attributes["edgeobs.simulated"].bool_value is True
    assert whole.scope_metrics[0].scope.name == "me"
    counter, updown, gauge = whole.scope_metrics[0].metrics
    assert [p.as_double for p in counter.sum.data_points] == [1.5, 2.5]
    assert counter.sum.is_monotonic
    assert not updown.sum.is_monotonic
    for metric in (counter, updown):
        assert metric.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
        assert metric.sum.data_points[0].start_time_unix_nano == 1_000
        assert metric.sum.data_points[0].time_unix_nano == 2_000
    assert gauge.gauge.data_points[0].start_time_unix_nano == 0


def test_histogram() -> None:
    body = encode({}, [Distribution("h", "s", (0.1, 1.0), (1, 2, 3), 7.5)], 2_000, 1_000)
    metric = parse(body).resource_metrics[0].scope_metrics[0].metrics[0]
    point = metric.histogram.data_points[0]
    assert metric.histogram.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
    assert (point.count, point.sum) == (6, 7.5)
    assert list(point.bucket_counts) == [1, 2, 3]
    assert list(point.explicit_bounds) == [0.1, 1.0]
