"""prometheus_client's families as the OpenTelemetry SDK's metrics. Pure.

OpenTelemetry, *Prometheus and OpenMetrics compatibility*: a counter is a cumulative monotonic sum, a gauge,
an info or a state set is a gauge, a histogram is one with explicit bounds; a summary without quantiles, which
is all that prometheus_client has, is a histogram of one bucket. An exemplar's labels are its trace and span;
what else it has are attributes. Importing this costs what the SDK costs.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar as Told
from prometheus_client.samples import Sample

from edgeobs.exporter.declarations import Declared
from edgeobs.exporter.naming import ucum, unit_of

SECOND = 1_000_000_000
_UNKNOWN = cast("float", None)  # OTLP's min and max are optional, though the SDK's type does not say so
_NONE = Declared("", "", "", (), "", {})
_Labels = tuple[tuple[str, str], ...]


def metrics_data(
    families: Iterable[Metric],
    declared: Mapping[str, Declared],
    resource: Resource,
    scope: InstrumentationScope,
    now_ns: int,
    start_ns: int,
) -> sdk.MetricsData:
    """All families, of one resource.

    Parameters
    ----------
    families
        As a registry collects them.
    declared
        By a family's name: what it is called in OTLP. Others keep their names.
    resource, scope
        Whose they are, and who measured.
    now_ns, start_ns
        When they were read, and since when those count that do not tell themselves; Unix nanoseconds.

    """
    metrics = [
        made
        for family in families
        for made in _metrics(family, declared.get(family.name, _NONE), now_ns, start_ns)
    ]
    whole = sdk.ScopeMetrics(scope=scope, metrics=metrics, schema_url="")
    return sdk.MetricsData([sdk.ResourceMetrics(resource=resource, scope_metrics=[whole], schema_url="")])


def _metrics(family: Metric, told: Declared, now_ns: int, start_ns: int) -> list[sdk.Metric]:
    starts = {
        _identity(sample): int(sample.value * SECOND)
        for sample in family.samples if sample.name == f"{family.name}_created"
    }  # fmt: skip
    clock = _Clock(now_ns, start_ns, starts)
    name, unit = told.otlp or family.name, ucum(family.unit or unit_of(family.name))
    cumulative = sdk.AggregationTemporality.CUMULATIVE
    if family.type == "counter":
        points = [
            _number(each, told, clock) for each in family.samples if each.name == f"{family.name}_total"
        ]
        return _one(name, family, unit, points, sdk.Sum(points, cumulative, is_monotonic=True))
    if family.type in {"histogram", "summary"}:
        spread = _spreads(family, told, clock)
        return _one(name, family, unit, spread, sdk.Histogram(spread, cumulative))
    by_name: dict[str, list[sdk.NumberDataPoint]] = {}
    for each in family.samples:
        by_name.setdefault(each.name, []).append(_number(each, told, clock))
    return [
        sdk.Metric(name if each == family.name else each, family.documentation, unit, sdk.Gauge(points))
        for each, points in by_name.items()
    ]


def _one(name: str, family: Metric, unit: str, points: list[Any], data: sdk.DataT) -> list[sdk.Metric]:
    return [sdk.Metric(name, family.documentation, unit, data)] if points else []


class _Clock:
    """Since when and at what time points are."""

    def __init__(self, now_ns: int, start_ns: int, starts: Mapping[_Labels, int]) -> None:
        self.now_ns, self._start_ns, self._starts = now_ns, start_ns, starts

    def start_ns(self, identity: _Labels) -> int:
        return min(self._starts.get(identity, self._start_ns), self.now_ns)


def _identity(sample: Sample) -> _Labels:
    return tuple(sorted(item for item in sample.labels.items() if item[0] != "le"))


def _attributes(labels: Iterable[tuple[str, str]], told: Declared) -> dict[str, str]:
    """Empty labels are those that are not there, as in Prometheus."""
    return {told.attributes.get(name, name): value for name, value in labels if value}


def _number(sample: Sample, told: Declared, clock: _Clock) -> sdk.NumberDataPoint:
    identity = _identity(sample)
    return sdk.NumberDataPoint(
        attributes=_attributes(identity, told),
        start_time_unix_nano=clock.start_ns(identity),
        time_unix_nano=clock.now_ns,
        value=float(sample.value),
        exemplars=[] if sample.exemplar is None else [_exemplar(sample.exemplar)],
    )


def _exemplar(found: Told) -> Exemplar:
    rest = {name: value for name, value in found.labels.items() if name not in {"trace_id", "span_id"}}
    at_ns = int(float(found.timestamp or 0) * SECOND)
    try:
        span, trace = int(found.labels["span_id"], 16), int(found.labels["trace_id"], 16)
    except (KeyError, ValueError):
        return Exemplar(found.labels, float(found.value), at_ns)
    return Exemplar(rest, float(found.value), at_ns, span, trace)


def _spreads(family: Metric, told: Declared, clock: _Clock) -> list[sdk.HistogramDataPoint]:
    series: dict[_Labels, list[Sample]] = {}
    for each in family.samples:
        series.setdefault(_identity(each), []).append(each)
    return [_spread(family.name, of, identity, told, clock) for identity, of in series.items()]


def _spread(
    name: str, samples: list[Sample], identity: _Labels, told: Declared, clock: _Clock
) -> sdk.HistogramDataPoint:
    buckets = sorted((float(s.labels["le"]), s.value) for s in samples if s.name == f"{name}_bucket")
    values = {sample.name: sample.value for sample in samples if "le" not in sample.labels}
    count = int(values.get(f"{name}_count", buckets[-1][1] if buckets else 0))
    upto = [int(value) for bound, value in buckets if not math.isinf(bound)] + [count]
    return sdk.HistogramDataPoint(
        attributes=_attributes(identity, told),
        start_time_unix_nano=clock.start_ns(identity),
        time_unix_nano=clock.now_ns,
        count=count,
        sum=values.get(f"{name}_sum", _UNKNOWN),
        bucket_counts=[after - before for before, after in zip([0, *upto], upto, strict=False)],
        explicit_bounds=[bound for bound, _ in buckets if not math.isinf(bound)],
        min=_UNKNOWN,
        max=_UNKNOWN,
        exemplars=[_exemplar(sample.exemplar) for sample in samples if sample.exemplar is not None],
    )
