"""OTLP's names as Prometheus's OTLP endpoint spells them (UnderscoreEscapingWithSuffixes), and places.

Source: the OpenTelemetry specification's "Prometheus and OpenMetrics compatibility", and Prometheus's own
translator where that leaves a choice. Ours, where both are silent: a label whose name would be empty or all
underscores is kept under ``key…`` (dropping it could merge two series), and an attribute sent twice is joined
with ``;`` in order of its values, so that the order of sending means nothing.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from edgeobs.signals import Kind, Labels, Resource, Source

_UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius",
    "Hz": "hertz", "1": "", "%": "percent",
}  # fmt: skip
_PER = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}

_NOT_NAME = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_LABEL = re.compile(r"[^a-zA-Z0-9_]")

_ZONE = (
    "topology.kubernetes.io/zone",
    "k8s.node.label.topology.kubernetes.io/zone",
    "cloud.availability_zone",
)
_WORKLOAD = (
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
    "service.name",
)

Pair = tuple[str, str]


@lru_cache(maxsize=4096)
def metric_name(name: str, unit: str, kind: Kind) -> str:
    """A metric's name with its unit and, for what only rises, ``_total``; empty when nothing is valid."""
    tokens = [t for t in _NOT_NAME.split(name) if t]
    main, _, per = unit.partition("/")
    main, per = _unit_word(main, _UNITS), _unit_word(per, _PER)
    if main and main not in tokens:
        tokens.append(main)
    if per and f"per_{per}" not in tokens:
        tokens.append(f"per_{per}")
    if kind in {Kind.COUNTER, Kind.DELTA}:
        tokens = [t for t in tokens if t != "total"] + ["total"]
    if unit == "1" and kind == Kind.GAUGE:
        tokens = [t for t in tokens if t != "ratio"] + ["ratio"]
    joined = "_".join(tokens)
    return f"_{joined}" if joined[:1].isdigit() else joined


def _unit_word(unit: str, words: dict[str, str]) -> str:
    unit = unit.strip()
    if "{" in unit or "}" in unit:
        return ""
    return _NOT_NAME.sub("_", words.get(unit, unit)).strip("_")


@lru_cache(maxsize=4096)
def label_name(key: str) -> str:
    """An attribute's key as a label name; never empty."""
    name = _NOT_LABEL.sub("_", key)
    if name[:1].isdigit():
        return f"key_{name}"
    alone = name.startswith("_") and not name.startswith("__")
    return f"key{name}" if alone or not name.strip("_") else name


def labels(attributes: Iterable[Pair], scope: Labels, source: Source) -> Labels:
    """A point's labels: its attributes, then the scope's, then ``job`` and ``instance``; later ones win.

    Names that collide once they are sanitised share a label, joined with ``;``. A label without a value is no
    label.
    """
    found: dict[str, str] = {}
    for key, value in sorted(attributes):
        name = label_name(key)
        found[name] = f"{found[name]};{value}" if name in found else value
    found.update(scope)
    found.update(_service(source.attributes))
    return tuple(sorted((k, v) for k, v in found.items() if v))


def scope_labels(name: str, version: str, attributes: Iterable[Pair]) -> Labels:
    """``otel_scope_…``; none for a nameless scope. No schema URL: an upgrade is not a new series."""
    if not name:
        return ()
    found = {"otel_scope_name": name, "otel_scope_version": version}
    found.update((label_name(f"otel_scope_{key}"), value) for key, value in sorted(attributes))
    return tuple(found.items())


def source_of(attributes: Iterable[Pair]) -> Source:
    """A resource with every attribute kept, and its place as far as the semantic conventions tell it."""
    found: dict[str, str] = {}
    for key, value in sorted(attributes):
        found[key] = f"{found[key]};{value}" if key in found else value

    def first(*keys: str) -> str:
        return next((found[k] for k in keys if found.get(k)), "")

    resource = Resource(
        cluster=first("k8s.cluster.name"),
        zone=first(*_ZONE),
        node=first("k8s.node.name", "host.name"),
        namespace=first("k8s.namespace.name"),
        workload=first(*_WORKLOAD),
        pod=first("k8s.pod.name"),
    )
    return Source(tuple(sorted(found.items())), resource)


@lru_cache(maxsize=1024)
def _service(attributes: Labels) -> Labels:
    found = dict(attributes)
    name, space = found.get("service.name", ""), found.get("service.namespace", "")
    job = f"{space}/{name}" if space and name else name
    pairs = (("job", job), ("instance", found.get("service.instance.id", "")))
    return tuple((k, v) for k, v in pairs if v)
