"""Counts, gauges and histograms → one page that Prometheus scrapes. Only what `catalogue` declares."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from edgeobs.catalogue import METRICS, Metric
from edgeobs.signals import Counts

OPENMETRICS = "application/openmetrics-text"

Key = tuple[str, ...]
"""A metric's name and its label values, in the catalogue's order: the key of `Counts` too."""

Gauges = Mapping[Key, float]


class Histogram:
    """How often a value fell into each bucket; as large as its buckets, whatever is observed.

    Parameters
    ----------
    bounds
        Upper bounds, inclusive, ascending, without +Inf.

    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)  # in that bucket alone; the last is +Inf
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one finite value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def copy(self) -> "Histogram":
        """The same figures, for a reader in another thread."""
        twin = Histogram(self.bounds)
        twin.counts, twin.total = list(self.counts), self.total
        return twin


def exposition(
    counts: Counts, gauges: Gauges, histograms: Mapping[Key, Histogram], accept: str
) -> tuple[bytes, str]:
    """The page and its content type: OpenMetrics 1.0 where ``accept`` asks for it, else text 0.0.4.

    Counters without labels are there from the start, as 0, so that their first increase is seen. The
    process's own CPU, memory and file descriptors come with it.

    Raises
    ------
    ValueError
        A key names a metric that the catalogue does not declare, or its kind or label count differs.

    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(_families(counts, gauges, histograms)))
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(OPENMETRICS if OPENMETRICS in accept.lower() else "")
    return encode(registry), content_type


class _Once(Collector):
    """What one scrape shows, as prometheus_client wants to be given it."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _families(counts: Counts, gauges: Gauges, histograms: Mapping[Key, Histogram]) -> list[Family]:
    """One family for each declared metric that has something to show, in the catalogue's order."""
    shown: dict[str, dict[Key, float | Histogram]] = {
        name: {(): 0} if metric.kind == "counter" and not metric.labels else {}
        for name, metric in METRICS.items()
    }
    for kind, entries in (("counter", counts), ("gauge", gauges), ("histogram", histograms)):
        for (name, *values), value in entries.items():
            _declared(name, kind, values)
            shown[name][tuple(values)] = value
    return [_family(name, METRICS[name], rows) for name, rows in shown.items() if rows]


def _declared(name: str, kind: str, values: Sequence[str]) -> None:
    metric = METRICS.get(name)
    if metric is None:
        raise ValueError(f"metric {name!r} is not declared in the catalogue")
    if metric.kind != kind:
        raise ValueError(f"metric {name!r} is declared as a {metric.kind}, used as a {kind}")
    if len(values) != len(metric.labels):
        raise ValueError(f"metric {name!r} has labels {metric.labels}, was given the values {tuple(values)}")


def _family(name: str, metric: Metric, rows: Mapping[Key, float | Histogram]) -> Family:
    if metric.kind == "histogram":
        family = HistogramMetricFamily(name, metric.help, labels=metric.labels, unit=metric.unit)
        for values, row in rows.items():
            if isinstance(row, Histogram):
                family.add_metric(values, _cumulative(row), row.total)
        return family
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    plain = make(name, metric.help, labels=metric.labels, unit=metric.unit)
    for values, row in rows.items():
        if not isinstance(row, Histogram):
            plain.add_metric(values, row)
    return plain


def _cumulative(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*map(str, histogram.bounds), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True))
