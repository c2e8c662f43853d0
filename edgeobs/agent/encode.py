"""Summaries and raw samples of series as OTLP metrics requests. Pure.

A summary is a gauge point: its value the mean, its time when the last sample was, its start when the first
was, and an exemplar with the largest value and the attributes ``edgeobs.count`` and ``edgeobs.score``. So any
OTLP receiver keeps a coarse series, and who knows more reads more.
"""

from collections.abc import Iterable

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, Metric, NumberDataPoint, ScopeMetrics

from edgeobs.agent.recent import Samples
from edgeobs.agent.summary import Rows
from edgeobs.series import SeriesTable
from edgeobs.signals import Identity, Kind, Labels, Source

SUMMARY, WINDOW = "edgeobs.agent.summary", "edgeobs.agent.window"
"""Scopes: what a series is told by, so that a coarse one and a raw one are never taken for each other."""

_RATES = frozenset({Kind.COUNTER, Kind.DELTA, Kind.UPDOWN_DELTA})


def summaries(table: SeriesTable, rows: Rows, home: Labels) -> bytes:
    """One request with a point a series; ``home`` are the attributes of the place of who names none."""
    request = _Request(SUMMARY, home)
    columns = (column.tolist() for column in rows)
    for number, since, until, count, mean, top, score in sorted(zip(*columns, strict=True)):
        identity = table[number]
        point = request.point(identity)
        point.start_time_unix_nano, point.time_unix_nano, point.as_double = since, until, mean
        exemplar = Exemplar(time_unix_nano=until, as_double=top)
        exemplar.filtered_attributes.append(KeyValue(key="edgeobs.count", value=AnyValue(int_value=count)))
        exemplar.filtered_attributes.append(
            KeyValue(key="edgeobs.score", value=AnyValue(double_value=round(score, 2)))
        )
        point.exemplars.append(exemplar)
    return request.encoded()


def window(table: SeriesTable, samples: Samples, home: Labels) -> bytes:
    """One request with every sample at its own time, per series in ascending time; ``home`` as above."""
    request = _Request(WINDOW, home)
    for number, time_ns, value in sorted(zip(*(column.tolist() for column in samples), strict=True)):
        point = request.point(table[number])
        point.time_unix_nano, point.as_double = time_ns, value
    return request.encoded()


def name_of(identity: Identity) -> str:
    """What is scored of a series: of a counter its rate."""
    return f"{identity.name}:rate" if identity.kind in _RATES else identity.name


class _Request:
    """An OTLP request that grows by points; those of a source, and of a metric in it, stand together."""

    def __init__(self, scope: str, home: Labels) -> None:
        self._scope, self._home = scope, home
        self._request = ExportMetricsServiceRequest()
        self._sources: dict[Source, ScopeMetrics] = {}
        self._metrics: dict[tuple[Source, str, str], Metric] = {}

    def point(self, identity: Identity) -> NumberDataPoint:
        """A new point of a series."""
        name = name_of(identity)
        unit = "" if identity.kind in _RATES else identity.unit
        key = (identity.source, name, unit)
        metric = self._metrics.get(key)
        if metric is None:
            metric = self._metrics[key] = self._of(identity.source).metrics.add(name=name, unit=unit)
        point = metric.gauge.data_points.add()
        point.attributes.extend(_pairs(_own(identity.labels)))
        return point

    def encoded(self) -> bytes:
        """The message."""
        return self._request.SerializeToString()

    def _of(self, source: Source) -> ScopeMetrics:
        scoped = self._sources.get(source)
        if scoped is None:
            whole = self._request.resource_metrics.add()
            attributes = dict(source.attributes)
            if not source.resource.node:
                attributes |= dict(self._home)
            whole.resource.attributes.extend(_pairs(sorted(attributes.items())))
            scoped = self._sources[source] = whole.scope_metrics.add()
            scoped.scope.name = self._scope
        return scoped


def _own(labels: Labels) -> Iterable[tuple[str, str]]:
    """A point's attributes. The scope is ours now: theirs goes on as an attribute, or two would be one."""
    return ((f"edgeobs.{key}" if key.startswith("otel_scope_") else key, value) for key, value in labels)


def _pairs(labels: Iterable[tuple[str, str]]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in labels]
