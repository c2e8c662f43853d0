"""Readings for scraping: OpenTelemetry's names as Prometheus spells them, through prometheus_client."""

import re
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector as Registered

from edgeobs.node.names import NAMES
from edgeobs.node.readings import Reading

_UNITS = {
    "s": "seconds",
    "By": "bytes",
    "J": "joules",
    "W": "watts",
    "V": "volts",
    "Cel": "celsius",
    "Hz": "hertz",
    "dBm": "dBm",
}
_OTHER = re.compile("[^a-zA-Z0-9_]+")
Family = CounterMetricFamily | GaugeMetricFamily


class Exposed(Registered):
    """Whatever ``newest`` gives at the moment of a scrape.

    Parameters
    ----------
    newest
        Readings; each name with one set of attribute names or several.

    """

    def __init__(self, newest: Callable[[], Iterable[Reading]]) -> None:
        self.newest = newest

    def describe(self) -> Iterable[Family]:
        """Nothing: names are known when there is something to tell."""
        return ()

    def collect(self) -> Iterator[Family]:
        """One family a name."""
        return families(self.newest())


def families(readings: Iterable[Reading]) -> Iterator[Family]:
    """One family a name, spelt as OpenTelemetry's *Prometheus and OpenMetrics compatibility* has it. Pure."""
    made: dict[str, dict[tuple[str, ...], Family]] = {}
    for reading in readings:
        keys = tuple(spelt(name) for name, _ in reading.attributes)
        name = reading.name if reading.name.startswith("node_") else prometheus_name(reading)
        by_keys = made.setdefault(name, {})
        if keys not in by_keys:
            make = CounterMetricFamily if reading.kind == "counter" else GaugeMetricFamily
            by_keys[keys] = make(name, _help(reading), labels=keys)
        by_keys[keys].add_metric([value for _, value in reading.attributes], float(reading.value))
    for by_keys in made.values():
        first, *others = by_keys.values()
        for other in others:
            first.samples.extend(other.samples)
        yield first


def prometheus_name(reading: Reading) -> str:
    """``system.disk.io`` in bytes, a counter, is ``system_disk_io_bytes`` (``_total`` is the client's).

    The same as what becomes of it when it is sent to edgeobs, or to Prometheus, by OTLP.
    """
    name = spelt(reading.name)
    word = "ratio" if reading.unit == "1" and reading.kind == "gauge" else _UNITS.get(reading.unit, "")
    return name if not word or word in name.split("_") else f"{name}_{word}"


def spelt(name: str) -> str:
    """Dots and whatever else Prometheus does not take become underscores."""
    return _OTHER.sub("_", name)


def _help(reading: Reading) -> str:
    known = NAMES.get(reading.name)
    return known.help if known else "As node_exporter has it."
