"""What a remote write series is: its labels → name, Source and the rest; its type → `Kind`.

Both decoders ask here, once per series they have not met.
"""

from collections.abc import Iterable
from typing import NamedTuple

from edgeobs.signals import Kind, Labels, Resource, Source

UNSPECIFIED, COUNTER, GAUGE, HISTOGRAM, GAUGEHISTOGRAM, SUMMARY, INFO, STATESET = range(8)
"""Metric types as both versions number them."""

NAME = "__name__"

# Labels that say where a series comes from, the most telling first.
_PLACES: dict[str, tuple[str, ...]] = {
    "cluster": ("cluster",),
    "zone": ("zone", "topology_kubernetes_io_zone"),
    "node": ("node", "nodename", "kubernetes_node"),
    "namespace": ("namespace",),
    "workload": ("workload", "deployment", "job"),
    "pod": ("pod",),
}
_OF_SOURCE = frozenset(label for labels in _PLACES.values() for label in labels) | {"instance"}

_ADDS_UP = ("_bucket", "_count", "_sum")
# Suffixes that series of a family have, by the family's type.
_SUFFIXES: dict[int, tuple[str, ...]] = {
    COUNTER: ("_total", "_created"),
    HISTOGRAM: (*_ADDS_UP, "_created"),
    GAUGEHISTOGRAM: ("_bucket", "_gcount", "_gsum", "_created"),
    SUMMARY: ("_count", "_sum", "_created"),
    INFO: ("_info",),
}
_MAX_FAMILIES = 50_000


class Named(NamedTuple):
    """A valid label set, taken apart."""

    name: str
    source: Source
    labels: Labels


def named(pairs: Iterable[tuple[str, str]]) -> Named | None:
    """Take labels apart, in any order; None when they are no series.

    That is: no metric name, an empty label name, or a name twice (remote write 2.0, *Series Labels*). A label
    with an empty value is the same as none, as everywhere in Prometheus.
    """
    labels: dict[str, str] = {}
    for name, value in pairs:
        if not name or name in labels:
            return None
        labels[name] = value
    metric = labels.pop(NAME, "")
    if not metric:
        return None
    kept = sorted((name, value) for name, value in labels.items() if value)
    place = tuple(pair for pair in kept if pair[0] in _OF_SOURCE)
    rest = tuple(pair for pair in kept if pair[0] not in _OF_SOURCE)
    return Named(metric, Source(place, _resource(labels)), rest)


def host(instance: str) -> str:
    """The host of an ``instance`` label: ``edge-1:9100``, ``[::1]:9100``, ``https://edge-1/metrics``."""
    authority = instance.split("://", 1)[-1].split("/", 1)[0]
    if authority.startswith("["):
        return authority[1:].split("]", 1)[0]
    name, colon, port = authority.rpartition(":")
    return name if colon and port.isascii() and port.isdigit() and ":" not in name else authority


def scalar_kind(name: str, type_: int) -> Kind:
    """What a float sample means. Of an unknown type the name's suffix decides.

    A classic histogram's or summary's own series (`_bucket`, `_count`, `_sum`) count up, its quantiles do
    not; ``_created`` is a time, whatever family it belongs to.
    """
    if name.endswith("_created") or type_ in {GAUGE, GAUGEHISTOGRAM, INFO, STATESET}:
        return Kind.GAUGE
    if type_ in {HISTOGRAM, SUMMARY}:
        return Kind.COUNTER if name.endswith(_ADDS_UP) else Kind.GAUGE
    return Kind.COUNTER if type_ == COUNTER or name.endswith(("_total", *_ADDS_UP)) else Kind.GAUGE


def histogram_kind(type_: int, gauge: bool) -> Kind:
    """What a native histogram means; ``gauge`` is its reset hint.

    A gauge histogram is a distribution as it stands, not one that adds up: the same as buckets since the last
    sample, whose quantiles and mean hold by themselves.
    """
    return Kind.HISTOGRAM_DELTA if gauge or type_ == GAUGEHISTOGRAM else Kind.HISTOGRAM


class Families:
    """The types that remote write 1.0 sends apart from the series, once a minute. Bounded per sender.

    Series met before their family's type was told have the kind that their name suggests; where the type says
    otherwise they go on as another series.
    """

    def __init__(self, limit: int = _MAX_FAMILIES) -> None:
        self.limit = limit
        self._types: dict[int, dict[str, int]] = {}
        self._generations: dict[int, int] = {}

    def learn(self, sender: int, family: str, type_: int) -> None:
        """Take a family's type down; past ``limit`` families new ones are not, and names decide."""
        types = self._types.setdefault(sender, {})
        old = types.get(family)
        if old == type_ or (old is None and len(types) >= self.limit):
            return
        names = [family + suffix for t in (old, type_) for suffix in ("", *_SUFFIXES.get(t or 0, ()))]
        before = [self._kinds(sender, name) for name in names]
        types[family] = type_
        if [self._kinds(sender, name) for name in names] != before:
            self._generations[sender] = self.generation(sender) + 1

    def generation(self, sender: int) -> int:
        """Rises whenever the kind of some series changes: what was remembered of kinds no longer holds."""
        return self._generations.get(sender, 0)

    def type_of(self, sender: int, name: str) -> int:
        """The type of the family that a series' name belongs to; UNSPECIFIED when it was not told."""
        types = self._types.get(sender)
        if not types:
            return UNSPECIFIED
        if name in types:
            return types[name]
        stem, _, suffix = name.rpartition("_")
        type_ = types.get(stem, UNSPECIFIED)
        return type_ if f"_{suffix}" in _SUFFIXES.get(type_, ()) else UNSPECIFIED

    def _kinds(self, sender: int, name: str) -> tuple[Kind, Kind]:
        type_ = self.type_of(sender, name)
        return scalar_kind(name, type_), histogram_kind(type_, gauge=False)


def _resource(labels: dict[str, str]) -> Resource:
    found = {
        field: next((labels[name] for name in names if labels.get(name)), "")
        for field, names in _PLACES.items()
    }
    found["node"] = found["node"] or host(labels.get("instance", ""))
    return Resource(**found)
