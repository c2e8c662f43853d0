"""Metrics as they are declared: once, with their cap, their names, and how workers share them."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import prometheus_client as prometheus
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from edgeobs.exporter import naming
from edgeobs.exporter.metrics import ACROSS, CAP, Capped, Counter, Gauge, Histogram, Summary
from edgeobs.exporter.reading import family_of

_M = TypeVar("_M", bound=Capped)


class Declared(NamedTuple):
    """A metric as it was declared."""

    kind: str
    name: str
    help: str
    labels: tuple[str, ...]
    otlp: str  # its name when pushed
    attributes: dict[str, str]  # label names → attribute names when pushed


class Declarations:
    """What an exporter has, and what of it each process tells of itself; the parameters are `Exporter`'s."""

    def __init__(self, cap: int = CAP, strict: bool | None = None) -> None:
        self.cap = positive(cap, "cap")
        self.strict = "pytest" in sys.modules if strict is None else strict
        self.registry = CollectorRegistry()
        self.declared: dict[str, Declared] = {}  # this and the next two by the family's name
        self.across: dict[str, str] = {}  # how workers' gauges are joined
        self.caps: dict[str, int] = {}
        self._own: list[Collector] = []
        self._overflow = prometheus.Counter(
            "edgeobs_exporter_overflow_total",
            "Lookups and readings of series beyond a metric's cap, which went to its overflow series.",
            ["metric"], registry=None,
        )  # fmt: skip
        self.add_own(self._overflow)

    def counter(
        self, name: str, text: str, labels: Sequence[str] = (), *, cap: int | None = None,
        otlp: str = "", attributes: dict[str, str] | None = None,
    ) -> Counter:  # fmt: skip
        """Declare what is counted: ``name`` ends in the unit, if it has one, and ``_total``.

        Parameters
        ----------
        name, text, labels
            As Prometheus shows them: the whole name, the help, the names of labels.
        cap
            Series that it may have, ≥ 1; None: the exporter's.
        otlp, attributes
            Its name and, by label name, those of its attributes when pushed, where they are to differ.

        Raises
        ------
        ValueError
            A name that is taken, or not allowed; where `strict`, also one against the rules of `naming`.

        """
        return self._declare(Counter, "counter", name, text, labels, cap, otlp, attributes)

    def gauge(
        self, name: str, text: str, labels: Sequence[str] = (), *, cap: int | None = None,
        across: str = "each", otlp: str = "", attributes: dict[str, str] | None = None,
    ) -> Gauge:  # fmt: skip
        """Declare what goes up and down; as `counter`.

        ``across`` says what several workers show: ``each`` its own with a label ``worker``, or the ``sum``,
        ``min``, ``max``, or what the ``newest`` snapshot has.
        """
        if across not in ACROSS:
            raise ValueError(f"{name}: across is one of {', '.join(ACROSS)}; found {across!r}")
        made = self._declare(Gauge, "gauge", name, text, labels, cap, otlp, attributes)
        self.across[made.base_name] = across
        return made

    def histogram(
        self, name: str, text: str, labels: Sequence[str] = (), *, cap: int | None = None,
        buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS, otlp: str = "",
        attributes: dict[str, str] | None = None,
    ) -> Histogram:  # fmt: skip
        """Declare what is spread over ``buckets``, ascending upper bounds; as `counter`."""
        return self._declare(
            Histogram, "histogram", name, text, labels, cap, otlp, attributes, buckets=tuple(buckets)
        )

    def summary(
        self, name: str, text: str, labels: Sequence[str] = (), *, cap: int | None = None,
        otlp: str = "", attributes: dict[str, str] | None = None,
    ) -> Summary:  # fmt: skip
        """Declare what has a count and a sum; as `counter`."""
        return self._declare(Summary, "summary", name, text, labels, cap, otlp, attributes)

    def _declare(
        self, kind: type[_M], word: str, name: str, text: str, labels: Sequence[str], cap: int | None,
        otlp: str, attributes: dict[str, str] | None, **more: Any,
    ) -> _M:  # fmt: skip
        names = tuple(labels)
        if self.strict and (wrong := naming.problems(word, name, text, names)):
            raise ValueError("; ".join(wrong))
        limit = self.cap if cap is None else positive(cap, f"{name}: cap")
        made = kind(name, text, names, unit=naming.unit_of(name), registry=self.registry, **more)
        base = family_of(made).name
        made.bound(base, names, limit, lambda: self.overflowed(made))
        self.declared[base] = Declared(word, name, text, names, otlp or base, attributes or {})
        self.caps[base] = limit
        self._own.append(made)
        return made

    def overflowed(self, metric: Capped) -> None:
        """Count what went to a metric's overflow series."""
        self._overflow.labels(metric.base_name).inc()

    def add_own(self, collector: Collector) -> None:
        """Have a collector that tells of this process, and takes no time."""
        self.registry.register(collector)
        self._own.append(collector)

    def let_go(self, metric: Capped) -> None:
        """Have a collector say what a metric is, instead of the metric itself."""
        if metric in self._own:
            self.registry.unregister(metric)
            self._own.remove(metric)

    def own(self) -> list[Metric]:
        """What this process tells of itself: what several workers are merged from."""
        return [family for each in list(self._own) for family in each.collect()]

    def copied(self) -> list[Metric]:
        """What of it a process that is forked off has too: what is counted in memory, not what is read."""
        mine = [each for each in self._own if isinstance(each, MetricWrapperBase)]
        return [family for each in mine for family in each.collect()]

    def check(self) -> list[str]:
        """What is wrong with names, units and labels of what was declared; empty: nothing."""
        return [
            problem
            for each in self.declared.values()
            for problem in naming.problems(each.kind, each.name, each.help, each.labels)
        ]


def positive(number: int, what: str) -> int:
    """Give it back if it is at least 1, else raise ValueError."""
    if number < 1:
        raise ValueError(f"{what}: expected at least 1; found {number}")
    return number
