"""A function that yields readings, as one that gives families."""

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.metrics_core import Metric

from edgeobs.exporter.collecting import Read
from edgeobs.exporter.labels import OVERFLOW
from edgeobs.exporter.metrics import Capped, Counter, Gauge, Reading

Reader = Callable[[], Iterable[Reading] | Reading | None]
"""What `Exporter.collector` decorates."""


def family_of(metric: Capped) -> Metric:
    """The metric's family, without a sample."""
    [family] = metric.describe()
    return family


def read_by(function: Reader, metrics: Sequence[Capped], overflowed: Callable[[Capped], None]) -> Read:
    """Call ``function`` and put what it yields into families.

    Of one series the last reading counts. Beyond a metric's cap they go to its overflow series: those of a
    counter are added up, of those of a gauge the last one is shown.

    Raises
    ------
    TypeError
        When called: it yields what is no reading of one of ``metrics``. When made: one of them is neither a
        gauge nor a counter.

    """
    for metric in metrics:
        if not isinstance(metric, Gauge | Counter):
            raise TypeError(f"{metric}: a collector yields gauges and counters")

    def read() -> list[Metric]:
        found: dict[Capped, dict[tuple[str, ...], float]] = {metric: {} for metric in metrics}
        for each in _yielded(function()):
            values = found.get(each.metric) if isinstance(each, Reading) else None
            if values is None:
                names = ", ".join(metric.base_name for metric in metrics)
                raise TypeError(f"expected a reading of {names}; found {each!r:.200}")
            _put(values, each, overflowed)
        return [_filled(metric, values) for metric, values in found.items()]

    return read


def _yielded(given: Iterable[Reading] | Reading | None) -> Iterable[Reading]:
    if given is None:
        return ()
    return (given,) if isinstance(given, Reading) else given


def _put(values: dict[tuple[str, ...], float], each: Reading, overflowed: Callable[[Capped], None]) -> None:
    if each.labels in values or len(values) < each.metric.cap or not each.labels:
        values[each.labels] = each.value
        return
    overflowed(each.metric)
    beyond = (OVERFLOW,) * len(each.labels)
    before = values.get(beyond, 0.0) if isinstance(each.metric, Counter) else 0.0
    values[beyond] = before + each.value


def _filled(metric: Capped, values: dict[tuple[str, ...], float]) -> Metric:
    family = family_of(metric)
    name = f"{family.name}_total" if family.type == "counter" else family.name
    for labels, value in values.items():
        family.add_sample(name, dict(zip(metric.label_names, labels, strict=True)), value)
    return family
