"""What the reference decoder makes of each kind of metric; the compiled one is held equal to it elsewhere."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from edgeobs import jit
from edgeobs.ingest import buckets
from edgeobs.ingest.decoders import Decoders
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.intern import Interner
from edgeobs.series import SeriesTable
from edgeobs.signals import STALE_NAN, Kind, Points, Principal, Resource

DELTA, CUMULATIVE = pb.AGGREGATION_TEMPORALITY_DELTA, pb.AGGREGATION_TEMPORALITY_CUMULATIVE
ANYONE = Principal(0, "anyone", None, 1000)
Decode = Callable[..., tuple[Points, SeriesTable]]


@pytest.fixture(params=["upb", "numba"])
def decoders(request: pytest.FixtureRequest) -> Decoders:
    if request.param == "numba" and not jit.available():
        pytest.skip("needs Numba: install edgeobs[accel]")
    return Decoders(Interner(SeriesTable(100)), fast=request.param == "numba")


def request_of(*metrics: pb.Metric, node: str = "edge-1") -> bytes:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.append(pair("k8s.node.name", node))
    resource.scope_metrics.add().metrics.extend(metrics)
    return request.SerializeToString()


def pair(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def decode(decoders: Decoders, *metrics: pb.Metric, principal: Principal = ANYONE, **where: Any) -> Points:
    return decoders.decode("otlp_proto", request_of(*metrics, **where), principal, 5)


@pytest.mark.parametrize(
    ("temporality", "monotonic", "kind"),
    [
        (CUMULATIVE, True, Kind.COUNTER),
        (CUMULATIVE, False, Kind.UPDOWN),
        (DELTA, True, Kind.DELTA),
        (DELTA, False, Kind.UPDOWN_DELTA),
    ],
)
def test_sums(decoders: Decoders, temporality: Any, monotonic: bool, kind: Kind) -> None:
    point = pb.NumberDataPoint(as_int=7, time_unix_nano=20, start_time_unix_nano=10)
    data = pb.Sum(data_points=[point], aggregation_temporality=temporality, is_monotonic=monotonic)
    found = decode(decoders, pb.Metric(name="n", sum=data))
    assert (found.value.tolist(), found.time_ns.tolist(), found.start_ns.tolist()) == ([7.0], [20], [10])
    identity = decoders.interner.table[0]
    assert identity.kind == kind
    assert identity.source.resource == Resource(node="edge-1")


def test_a_sum_of_unknown_temporality_is_invalid_and_the_rest_goes_on(decoders: Decoders) -> None:
    point = pb.NumberDataPoint(as_int=7)
    found = decode(
        decoders,
        pb.Metric(name="bad", sum=pb.Sum(data_points=[point, point])),
        pb.Metric(name="good", gauge=pb.Gauge(data_points=[point])),
        pb.Metric(name="empty", gauge=pb.Gauge(data_points=[pb.NumberDataPoint(time_unix_nano=1)])),
    )
    assert found.rejected == {"invalid": 3}
    assert [decoders.interner.table[i].name for i in found.series] == ["good"]


def test_no_recorded_value_is_a_stale_marker(decoders: Decoders) -> None:
    found = decode(
        decoders,
        pb.Metric(name="n", gauge=pb.Gauge(data_points=[pb.NumberDataPoint(flags=1, time_unix_nano=3)])),
        pb.Metric(name="s", summary=pb.Summary(data_points=[pb.SummaryDataPoint(flags=1, count=4)])),
    )
    stale = np.array([STALE_NAN]).tobytes()
    assert found.value.tobytes() == stale
    rows = found.distributions
    assert (rows.count.tobytes(), rows.total.tobytes(), rows.first.tolist()) == (stale, stale, [0, 0])


def test_histograms_and_summaries(decoders: Decoders) -> None:
    explicit = pb.HistogramDataPoint(count=6, sum=9.5, bucket_counts=[1, 2, 3], explicit_bounds=[0.5, 1])
    bare = pb.HistogramDataPoint(count=4)
    quantiles = [pb.SummaryDataPoint.ValueAtQuantile(quantile=q, value=10 * q) for q in (0.5, 0.99)]
    found = decode(
        decoders,
        pb.Metric(
            name="h", histogram=pb.Histogram(data_points=[explicit, bare], aggregation_temporality=CUMULATIVE)
        ),
        pb.Metric(
            name="s",
            summary=pb.Summary(data_points=[pb.SummaryDataPoint(count=2, quantile_values=quantiles)]),
        ),
    ).distributions
    assert found.first.tolist() == [0, 3, 4, 6]
    assert found.edge.tolist() == [0.5, 1.0, math.inf, math.inf, 0.5, 0.99]
    assert found.weight.tolist() == [1, 2, 3, 4, 5, 9.9]
    assert found.count.tolist() == [6, 4, 2]
    assert found.total[0] == 9.5
    assert math.isnan(found.total[1])
    assert found.total[2] == 0
    assert [decoders.interner.table[i].kind for i in found.series] == [
        Kind.HISTOGRAM,
        Kind.HISTOGRAM,
        Kind.SUMMARY,
    ]


@pytest.mark.parametrize(
    ("counts", "bounds"),
    [([1], [1.0]), ([1, 1, 1], [1.0]), ([1, 1, 1], [2.0, 1.0]), ([1, 1], [math.inf]), ([], [1.0])],
)
def test_buckets_that_do_not_fit_are_invalid(
    decoders: Decoders, counts: list[int], bounds: list[float]
) -> None:
    point = pb.HistogramDataPoint(bucket_counts=counts, explicit_bounds=bounds)
    data = pb.Histogram(data_points=[point], aggregation_temporality=DELTA)
    assert decode(decoders, pb.Metric(name="h", histogram=data)).rejected == {"invalid": 1}
    assert len(decoders.interner.table) == 0


def test_exponential_histogram(decoders: Decoders) -> None:
    buckets_ = pb.ExponentialHistogramDataPoint.Buckets
    point = pb.ExponentialHistogramDataPoint(
        scale=0,
        zero_count=5,
        positive=buckets_(offset=1, bucket_counts=[2, 3]),
        negative=buckets_(offset=0, bucket_counts=[7]),
        count=17,
    )
    data = pb.ExponentialHistogram(data_points=[point], aggregation_temporality=CUMULATIVE)
    found = decode(decoders, pb.Metric(name="e", exponential_histogram=data)).distributions
    assert found.edge.tolist() == [-2, -1, 0, 2, 4, 8, math.inf]
    assert found.weight.tolist() == [0, 7, 5, 0, 2, 3, 0]


def test_powers_are_close_to_libms() -> None:
    for scale in range(-4, 21):
        for index in (-1000, -3, -1, 0, 1, 2, 17, 12345):
            if abs(index / 2.0**scale) < 1000:
                assert buckets.power(index, scale) == pytest.approx(2.0 ** (index / 2.0**scale), rel=1e-14)
    assert buckets.power(5000, 0) == math.inf
    assert buckets.power(-5000, 0) == 0


def test_malformed_bodies_say_so_and_intern_nothing(decoders: Decoders) -> None:
    good = request_of(pb.Metric(name="n", gauge=pb.Gauge(data_points=[pb.NumberDataPoint(as_int=1)])))
    with pytest.raises(Malformed, match="OTLP metrics body of"):
        decoders.decode("otlp_proto", good + b"\x0a\x05", ANYONE, 1)
    assert len(decoders.interner.table) == 0


def test_attribute_order_does_not_make_a_series(decoders: Decoders) -> None:
    a, b = pair("a", "1"), pair("b", "2")
    points = [pb.NumberDataPoint(as_int=k, attributes=order) for k, order in enumerate([(a, b), (b, a)])]
    found = decode(decoders, pb.Metric(name="n", gauge=pb.Gauge(data_points=points)))
    assert found.series.tolist() == [0, 0]
    assert found.value.tolist() == [0, 1]


def test_a_sender_speaks_for_its_own_nodes_only(decoders: Decoders) -> None:
    held = Principal(3, "edge-1", frozenset({"edge-1"}), 10)
    metric = pb.Metric(name="n", gauge=pb.Gauge(data_points=[pb.NumberDataPoint(as_int=1)]))
    assert decode(decoders, metric, node="edge-1", principal=held).series.tolist() == [0]
    for _ in range(2):
        assert decode(decoders, metric, node="edge-2", principal=held).rejected == {"forbidden": 1}
    assert decode(decoders, metric, node="edge-2").series.tolist() == [1]
    assert decode(decoders, metric, node="edge-2", principal=held).rejected == {"forbidden": 1}
    moved = Principal(3, "edge-1", frozenset({"edge-2"}), 10)
    assert decode(decoders, metric, node="edge-1", principal=moved).rejected == {"forbidden": 1}
    assert decode(decoders, metric, node="edge-2", principal=moved).series.tolist() == [1]


def test_caps_hold_old_series_go_on_and_expiry_makes_room(decoders: Decoders) -> None:
    few = Principal(4, "few", None, 2)
    table = decoders.interner.table

    def send(*names: str) -> Points:
        point = pb.NumberDataPoint(as_int=1)
        return decode(
            decoders,
            *(pb.Metric(name=n, gauge=pb.Gauge(data_points=[point])) for n in names),
            principal=few,
        )

    assert send("a", "b", "c").rejected == {"limit": 1}
    assert send("c", "a").series.tolist() == [0]
    table.drop([0])
    assert send("b").series.tolist() == [1]
    assert send("c").series.tolist() == [0]  # a's id, for another series: a's alias must not speak for it
    assert send("a").rejected == {"limit": 1}
    assert table[0].name == "c"
    table.drop([0, 1])
    assert send("a").rejected == {}
    assert table[int(send("a").series[0])].name == "a"


def test_a_nameless_or_huge_identity_is_invalid(decoders: Decoders) -> None:
    for name, value in (("…", "x"), ("n", "x" * 20_000)):
        point = pb.NumberDataPoint(as_int=1, attributes=[pair("k", value)])
        metric = pb.Metric(name=name, gauge=pb.Gauge(data_points=[point]))
        assert decode(decoders, metric).rejected == {"invalid": 1}
