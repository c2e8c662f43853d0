"""prometheus_client's metrics with a cap on their series, normalised labels and exemplars of themselves."""

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple, Self

import prometheus_client as prometheus
from prometheus_client.metrics import MetricWrapperBase

from edgeobs.exporter.labels import OVERFLOW, normal
from edgeobs.exporter.tracing import current

CAP = 1000
"""Series that a metric may have, unless it says otherwise; the overflow series comes on top."""


ACROSS = ("each", "sum", "min", "max", "newest")
"""What several workers may show of a gauge."""


class Reading(NamedTuple):
    """A value that was read somewhere else, for a metric that a collector yields."""

    metric: "Capped"
    labels: tuple[str, ...]  # values, in the order of the metric's label names
    value: float


class Capped(MetricWrapperBase):
    """What all metrics of an exporter have in common. They are made by `Exporter`, not by hand."""

    cap = CAP
    label_names: tuple[str, ...] = ()
    base_name = ""  # as OpenMetrics has it: a counter's without _total

    def bound(self, name: str, names: tuple[str, ...], cap: int, overflowed: Callable[[], None]) -> None:
        """Set how many series there may be, and what is called for each lookup of one more."""
        self.base_name, self.label_names, self.cap, self._overflowed = name, names, cap, overflowed
        # Only texts are keys here: 1, 1.0 and True are equal, and must not find each other's series.
        self._found: dict[tuple[object, ...], Self] = {}
        self._admitted: dict[tuple[str, ...], Self] = {}
        self._admitting = Lock()

    def labels(self, *labelvalues: object, **labelkwargs: object) -> Self:
        """The series with these label values, as in prometheus_client: by position or by name.

        Values are normalised (`labels.normal`). Beyond the cap it is the overflow series, and counted.

        Raises
        ------
        ValueError
            The names or their number are not the declared ones.

        """
        if labelkwargs and not labelvalues:
            labelvalues = self._ordered(labelkwargs)
            labelkwargs = {}
        try:
            return self._found[labelvalues]
        except (KeyError, TypeError):  # not seen, or nothing that has a hash
            return self._admit(labelvalues, labelkwargs)
        except AttributeError:
            raise ValueError(f"{self}: this series has its labels already") from None

    def _ordered(self, given: dict[str, object]) -> tuple[object, ...]:
        if len(given) != len(self.label_names) or not all(name in given for name in self.label_names):
            raise ValueError(f"{self}: labels are {list(self.label_names)}; found {sorted(given)}")
        return tuple([given[name] for name in self.label_names])

    def _admit(self, values: tuple[object, ...], named: dict[str, object]) -> Self:
        wanted = tuple(normal(value) for value in values)
        with self._admitting:
            child = self._admitted.get(wanted)
            if child is None:
                if (
                    len(self._admitted) >= self.cap
                    and self.label_names
                    and len(wanted) == len(self.label_names)
                ):
                    self._overflowed()
                    return super().labels(*[OVERFLOW] * len(wanted))
                child = super().labels(*wanted, **named)
                self._admitted[wanted] = child
                if values == wanted and all(type(value) is str for value in values):
                    self._found[wanted] = child
        return child

    def remove(self, *labelvalues: object) -> None:
        """Forget a series, which makes room for another."""
        wanted = tuple(normal(value) for value in labelvalues)
        with self._admitting:
            super().remove(*wanted)
            self._admitted.pop(wanted, None)
            self._found.pop(wanted, None)

    def remove_by_labels(self, labels: dict[str, str]) -> None:
        """Forget all series that have these values."""
        wanted = {name: normal(value) for name, value in labels.items()}
        with self._admitting:
            super().remove_by_labels(wanted)
            for values in list(self._admitted):
                if wanted.items() <= dict(zip(self.label_names, values, strict=True)).items():
                    self._admitted.pop(values)
                    self._found.pop(values, None)

    def clear(self) -> None:
        """Forget all series."""
        with self._admitting:
            super().clear()
            self._admitted.clear()
            self._found.clear()

    def reading(self, value: float, /, *labelvalues: object, **labelkwargs: object) -> Reading:
        """What a collector yields: this metric has this value there, as a device told it.

        Raises
        ------
        ValueError
            The labels are not the declared ones.

        """
        values = self._ordered(labelkwargs) if labelkwargs else labelvalues
        if len(values) != len(self.label_names):
            raise ValueError(f"{self}: labels are {list(self.label_names)}; found {len(values)} values")
        return Reading(self, tuple([normal(each) for each in values]), float(value))


# Called directly: super() would cost a tenth of an increment.
_inc, _observe = prometheus.Counter.inc, prometheus.Histogram.observe


class Counter(Capped, prometheus.Counter):
    """Counts what happens; only rises."""

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        """Add ``amount``, ≥ 0; inside a sampled span its ids become the exemplar."""
        _inc(self, amount, exemplar or current())


class Histogram(Capped, prometheus.Histogram):
    """How often a value fell into each bucket, and their sum."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Take one value; inside a sampled span its ids become the bucket's exemplar."""
        _observe(self, amount, exemplar or current())


class Gauge(Capped, prometheus.Gauge):
    """What goes up and down."""


class Summary(Capped, prometheus.Summary):
    """How many values there were, and their sum."""
