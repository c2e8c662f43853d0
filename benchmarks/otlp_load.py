"""OTLP metrics bodies like a site's: many resources, four attributes and about 93 bytes a point."""

from collections.abc import Iterator

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

_CUMULATIVE = pb.AGGREGATION_TEMPORALITY_CUMULATIVE
_PER_METRIC = 20
_PER_NODE = 500


def body(series: int, time_ns: int, step: int = 0) -> bytes:
    """One request with one point of each of ``series`` series, half gauges and half counters.

    ``step`` makes the values differ from one request to the next; everything that identifies stays.
    """
    request = ExportMetricsServiceRequest()
    for node in range(-(-series // _PER_NODE)):
        _node(request, node, min(_PER_NODE, series - node * _PER_NODE), time_ns, step)
    return request.SerializeToString()


def bodies(series: int, time_ns: int, points_each: int) -> Iterator[bytes]:
    """The same series over as many requests as it takes, each about ``points_each`` points."""
    nodes = max(1, points_each // _PER_NODE)
    for first in range(0, -(-series // _PER_NODE), nodes):
        request = ExportMetricsServiceRequest()
        for node in range(first, min(first + nodes, -(-series // _PER_NODE))):
            _node(request, node, min(_PER_NODE, series - node * _PER_NODE), time_ns, 0)
        yield request.SerializeToString()


def _node(request: ExportMetricsServiceRequest, node: int, series: int, time_ns: int, step: int) -> None:
    resource_metrics = request.resource_metrics.add()
    resource_metrics.resource.attributes.extend(
        _pair(key, value)
        for key, value in (
            ("service.name", "node-agent"),
            ("k8s.cluster.name", "site-1"),
            ("topology.kubernetes.io/zone", f"zone-{node % 3}"),
            ("k8s.node.name", f"edge-{node:04d}"),
            ("host.arch", "arm64"),
        )
    )
    scope_metrics = resource_metrics.scope_metrics.add()
    scope_metrics.scope.name, scope_metrics.scope.version = "edgeobs.bench", "1"
    for first in range(0, series, _PER_METRIC):
        number = first // _PER_METRIC
        metric = scope_metrics.metrics.add(name=f"system.thing.{number}.usage", unit="By")
        if number % 2:
            metric.sum.aggregation_temporality, metric.sum.is_monotonic = _CUMULATIVE, True
        points = metric.sum.data_points if number % 2 else metric.gauge.data_points
        for k in range(min(_PER_METRIC, series - first)):
            points.add(
                attributes=[
                    _pair("device", f"sd{k % 5}"),
                    _pair("state", f"s{k // 5}"),
                    _pair("mode", "rw"),
                    _pair("core", f"{k:02d}"),
                ],
                start_time_unix_nano=time_ns - 10**12,
                time_unix_nano=time_ns,
                as_double=float(k + 1.25 * step),
            )


def _pair(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))
