"""OTLP metrics → `Points` by protobuf's own parser: simple and complete, the reference for the fast decoder.

What makes a point invalid: a sum or histogram without a known temporality, a number point without a value, a
time beyond int64, buckets that do not fit together. A point flagged "no recorded value" carries `STALE_NAN`:
as the value of a number; as count and sum of a histogram or summary, then without edges.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from edgeobs.ingest import buckets, naming
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.intern import INVALID, REASONS, Interner
from edgeobs.ingest.values import pairs
from edgeobs.signals import STALE_NAN, Distributions, Identity, Kind, Labels, Points, Principal, Source

DELTA, CUMULATIVE = pb.AGGREGATION_TEMPORALITY_DELTA, pb.AGGREGATION_TEMPORALITY_CUMULATIVE
SUMS = {
    (CUMULATIVE, True): Kind.COUNTER,
    (CUMULATIVE, False): Kind.UPDOWN,
    (DELTA, True): Kind.DELTA,
    (DELTA, False): Kind.UPDOWN_DELTA,
}
HISTOGRAMS = {CUMULATIVE: Kind.HISTOGRAM, DELTA: Kind.HISTOGRAM_DELTA}

_MAX_NS = (1 << 63) - 1
_STALE = float(STALE_NAN)

Distribution = pb.HistogramDataPoint | pb.ExponentialHistogramDataPoint | pb.SummaryDataPoint
Row = tuple[float, float, list[float], list[float]]  # count, sum, edges, weights


def decode(body: bytes, interner: Interner, principal: Principal, now_ns: int) -> Points:
    """The points of an uncompressed ExportMetricsServiceRequest; raises Malformed."""
    try:
        request = ExportMetricsServiceRequest.FromString(body)
    except DecodeError as error:
        raise Malformed(f"OTLP metrics body of {len(body)} bytes: {error}") from None
    return points_of(request, interner, principal, now_ns)


def points_of(
    request: ExportMetricsServiceRequest, interner: Interner, principal: Principal, now_ns: int
) -> Points:
    """The points of a parsed request, in the order of the message."""
    columns = Columns(interner, principal, now_ns)
    for resource_metrics in request.resource_metrics:
        source = source_of(resource_metrics.resource)
        for scope_metrics in resource_metrics.scope_metrics:
            scope = scope_of(scope_metrics.scope)
            for metric in scope_metrics.metrics:
                _metric(columns, source, scope, metric)
    return columns.points()


def source_of(resource: Resource) -> Source:
    """Who sends."""
    return naming.source_of(pairs(resource.attributes))


def scope_of(scope: InstrumentationScope) -> Labels:
    """What the instrumentation scope adds to labels."""
    return naming.scope_labels(scope.name, scope.version, pairs(scope.attributes))


class Header(NamedTuple):
    """What a metric says of all its points."""

    name: str
    unit: str
    kind: Kind


def identity_of(source: Source, scope: Labels, header: Header, attributes: Iterable[KeyValue]) -> Identity:
    """The series of a point."""
    labels = naming.labels(pairs(attributes), scope, source)
    return Identity(source, naming.metric_name(*header), labels, header.kind, header.unit)


class Columns:
    """Points under way to columns."""

    def __init__(self, interner: Interner, principal: Principal, now_ns: int) -> None:
        self.interner, self.principal, self.now_ns = interner, principal, now_ns
        self.numbers: list[tuple[int, int, int, float]] = []  # series, time, start, value
        self.rows: list[tuple[int, int, int, float, float]] = []  # series, time, start, count, sum
        self.first = [0]
        self.edges: list[float] = []
        self.weights: list[float] = []
        self.rejected: Counter[str] = Counter()

    def admit(self, identity: Identity) -> int:
        """The series id, or a negative refusal, counted."""
        number = self.interner.admit(self.principal, identity, self.now_ns)
        if number < 0:
            self.rejected[REASONS[number]] += 1
        return number

    def invalid(self) -> None:
        """Count a point that means nothing."""
        self.rejected[REASONS[INVALID]] += 1

    def row(self, number: int, time_ns: int, start_ns: int, row: Row) -> None:
        """Take a histogram or summary."""
        count, total, edges, weights = row
        self.rows.append((number, time_ns, start_ns, count, total))
        self.edges += edges
        self.weights += weights
        self.first.append(len(self.edges))

    def points(self) -> Points:
        """All of them."""
        series, times, starts, values = zip(*self.numbers, strict=True) if self.numbers else ((),) * 4
        return Points(
            np.array(series, np.int32),
            np.array(times, np.int64),
            np.array(starts, np.int64),
            np.array(values, np.float64),
            self._distributions() if self.rows else Distributions.none(),
            dict(self.rejected),
        )

    def _distributions(self) -> Distributions:
        series, times, starts, counts, totals = zip(*self.rows, strict=True)
        return Distributions(
            np.array(series, np.int32),
            np.array(times, np.int64),
            np.array(starts, np.int64),
            np.array(counts, np.float64),
            np.array(totals, np.float64),
            np.array(self.first, np.int64),
            np.array(self.edges, np.float64),
            np.array(self.weights, np.float64),
        )


def _metric(columns: Columns, source: Source, scope: Labels, metric: pb.Metric) -> None:
    kind = kind_of(metric)
    data = metric.WhichOneof("data")
    for point in getattr(metric, data).data_points if data else ():
        number = isinstance(point, pb.NumberDataPoint)
        value = _number(point) if number else None
        row = None if number else _distribution(point)
        timed = max(point.time_unix_nano, point.start_time_unix_nano) <= _MAX_NS
        if kind is None or not timed or (value is None and row is None):
            columns.invalid()
            continue
        header = Header(metric.name, metric.unit, kind)
        series = columns.admit(identity_of(source, scope, header, point.attributes))
        if series < 0:
            continue
        if value is not None:
            columns.numbers.append((series, point.time_unix_nano, point.start_time_unix_nano, value))
        elif row is not None:
            columns.row(series, point.time_unix_nano, point.start_time_unix_nano, row)


def kind_of(metric: pb.Metric) -> Kind | None:
    """What the metric's values mean; None without data or with a temporality that is not known."""
    match metric.WhichOneof("data"):
        case "gauge":
            return Kind.GAUGE
        case "sum":
            return SUMS.get((metric.sum.aggregation_temporality, metric.sum.is_monotonic))
        case "histogram":
            return HISTOGRAMS.get(metric.histogram.aggregation_temporality)
        case "exponential_histogram":
            return HISTOGRAMS.get(metric.exponential_histogram.aggregation_temporality)
        case "summary":
            return Kind.SUMMARY
        case _:
            return None


def _unrecorded(flags: int) -> bool:
    return bool(flags & pb.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK)


def _number(point: pb.NumberDataPoint) -> float | None:
    if _unrecorded(point.flags):
        return _STALE
    match point.WhichOneof("value"):
        case "as_double":
            return point.as_double
        case "as_int":
            return float(point.as_int)
        case _:
            return None


def _distribution(point: Distribution) -> Row | None:
    if _unrecorded(point.flags):
        return _STALE, _STALE, [], []
    found: buckets.Buckets | None
    if isinstance(point, pb.SummaryDataPoint):
        quantiles = point.quantile_values
        found = _quantiles([q.quantile for q in quantiles], [q.value for q in quantiles])
        total = point.sum
    elif isinstance(point, pb.HistogramDataPoint):
        found = buckets.explicit(point.bucket_counts, point.explicit_bounds)
        if found and not point.bucket_counts:
            found = found[0], [float(point.count)]
        total = point.sum if point.HasField("sum") else math.nan
    else:
        found = buckets.exponential(
            point.scale,
            point.zero_count,
            point.zero_threshold,
            (point.positive.offset, point.positive.bucket_counts),
            (point.negative.offset, point.negative.bucket_counts),
        )
        total = point.sum if point.HasField("sum") else math.nan
    return None if found is None else (float(point.count), total, *found)


def _quantiles(quantiles: list[float], values: list[float]) -> buckets.Buckets | None:
    """Quantiles as sent; they must lie in [0, 1] and ascend."""
    if len(quantiles) > buckets.MAX_BUCKETS or not all(0 <= q <= 1 for q in quantiles):
        return None
    return (quantiles, values) if buckets.ascending(quantiles) else None
