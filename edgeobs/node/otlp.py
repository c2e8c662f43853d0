"""Readings → the bytes of an OTLP ``ExportMetricsServiceRequest``. Pure."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
)

from edgeobs.node.readings import Distribution, Labels, Reading

SCHEMA_URL = "https://opentelemetry.io/schemas/1.40.0"

NOTHING: Mapping[str, int] = MappingProxyType({})

Attributes = Mapping[str, str | bool]


def encode(
    resource: Attributes,
    readings: Iterable[Reading | Distribution],
    time_ns: int,
    start_ns: int,
    scope: str = "edgeobs",
    began: Mapping[str, int] = NOTHING,
) -> bytes:
    """One request: one resource, one scope, points of one metric together.

    Parameters
    ----------
    resource
        What is measured, as OpenTelemetry's resource conventions name it.
    readings
        In any order; two with the same name share its kind and unit.
    time_ns, start_ns
        When they were read, and since when cumulative ones have been counted; Unix nanoseconds.
    scope
        Who measured.
    began
        Of metrics that have been counted since another time, that time.

    """
    request = ExportMetricsServiceRequest()
    whole = request.resource_metrics.add(schema_url=SCHEMA_URL)
    whole.resource.attributes.extend(_attribute(k, v) for k, v in sorted(resource.items()))
    scoped = whole.scope_metrics.add()
    scoped.scope.name = scope
    metrics: dict[str, Metric] = {}
    for reading in readings:
        metric = metrics.get(reading.name)
        if metric is None:
            metric = metrics[reading.name] = scoped.metrics.add(name=reading.name, unit=reading.unit)
        since_ns = began.get(reading.name, start_ns)
        if isinstance(reading, Distribution):
            _histogram(metric, reading, time_ns, since_ns)
        else:
            _number(metric, reading, time_ns, since_ns)
    return request.SerializeToString()


def _number(metric: Metric, reading: Reading, time_ns: int, start_ns: int) -> None:
    point = NumberDataPoint(time_unix_nano=time_ns, as_double=reading.value)
    point.attributes.extend(_labels(reading.attributes))
    if reading.kind == "gauge":
        metric.gauge.data_points.append(point)
        return
    point.start_time_unix_nano = start_ns
    metric.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    metric.sum.is_monotonic = reading.kind == "counter"
    metric.sum.data_points.append(point)


def _histogram(metric: Metric, reading: Distribution, time_ns: int, start_ns: int) -> None:
    metric.histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    point = HistogramDataPoint(
        time_unix_nano=time_ns,
        start_time_unix_nano=start_ns,
        count=sum(reading.counts),
        sum=reading.total,
        bucket_counts=reading.counts,
        explicit_bounds=reading.bounds,
    )
    point.attributes.extend(_labels(reading.attributes))
    metric.histogram.data_points.append(point)


def _labels(labels: Labels) -> Iterable[KeyValue]:
    return (_attribute(k, v) for k, v in labels)


def _attribute(key: str, value: str | bool) -> KeyValue:
    if isinstance(value, bool):
        return KeyValue(key=key, value=AnyValue(bool_value=value))
    return KeyValue(key=key, value=AnyValue(string_value=value))
