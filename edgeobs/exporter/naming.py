"""Names and units as Prometheus and OpenTelemetry want them. Pure.

Sources: Prometheus, *Metric and label naming* and *Writing exporters*; OpenMetrics 1.0, *Units and base
units*; OpenTelemetry, *Prometheus and OpenMetrics compatibility*.
"""

import re
from collections.abc import Iterator, Sequence

UNITS = {
    "seconds": "s", "bytes": "By", "celsius": "Cel", "joules": "J", "watts": "W", "volts": "V",
    "amperes": "A", "meters": "m", "grams": "g", "hertz": "Hz", "ratio": "1", "pascals": "", "kelvin": "",
    "lux": "",
    "ohms": "", "liters": "", "decibels": "", "bits": "", "volumes": "", "degrees": "",
}  # fmt: skip
"""A name's last word → the unit in UCUM; empty where Prometheus's translation would spell it differently."""

NOT_BASE = {
    "milliseconds": "seconds", "microseconds": "seconds", "nanoseconds": "seconds", "ms": "seconds",
    "us": "seconds", "ns": "seconds", "sec": "seconds", "secs": "seconds", "minutes": "seconds",
    "hours": "seconds", "days": "seconds", "kilobytes": "bytes", "megabytes": "bytes", "gigabytes": "bytes",
    "kib": "bytes", "mib": "bytes", "gib": "bytes", "kb": "bytes", "mb": "bytes", "gb": "bytes",
    "percent": "ratio", "percentage": "ratio", "pct": "ratio", "fahrenheit": "celsius", "milliwatts": "watts",
    "kilowatts": "watts", "kwh": "joules", "wh": "joules", "millivolts": "volts", "mv": "volts",
    "milliamperes": "amperes", "ma": "amperes", "kilometers": "meters", "millimeters": "meters",
    "mm": "meters", "km": "meters", "hectopascals": "pascals", "hpa": "pascals", "bar": "pascals",
    "mbar": "pascals",
    "kilograms": "grams", "megahertz": "hertz", "mhz": "hertz", "khz": "hertz", "ghz": "hertz",
}  # fmt: skip
"""What is not a base unit → what to use instead."""

RESERVED = frozenset({"job", "instance", "le", "quantile", "worker", "trace_id", "span_id"})
_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SUFFIXES = ("_total", "_count", "_sum", "_bucket", "_created", "_info")
_TYPES = ("counter", "gauge", "histogram", "summary", "metric")


def unit_of(name: str) -> str:
    """The unit that a name ends in, a key of `UNITS`; empty: none that we know."""
    word = name.removesuffix("_total").rpartition("_")[2]
    return word if word in UNITS else ""


def ucum(unit: str) -> str:
    """A unit as OTLP says it.

    What Prometheus's translation has no word for is an annotation in braces, which it leaves out of the name:
    a metric is called the same whether it was scraped or pushed.
    """
    return "" if not unit else UNITS.get(unit) or f"{{{unit}}}"


def problems(kind: str, name: str, text: str, labels: Sequence[str] = ()) -> list[str]:
    """What is wrong with a declaration, in words; empty: nothing.

    Parameters
    ----------
    kind
        counter, gauge, histogram or summary.
    name, text, labels
        As declared: the whole name, its help, its label names.

    """
    return [f"{kind} {name}: {what}" for what in _of_name(kind, name, text)] + [
        f"{kind} {name}: label {label!r}: {what}" for label in labels for what in _of_label(label)
    ]


def _of_name(kind: str, name: str, text: str) -> Iterator[str]:
    if not _SNAKE.fullmatch(name):
        yield "expected lower-case words joined by single underscores"
    words = name.split("_")
    if "_" not in name:
        yield "expected at least two words, the first says whose it is"
    if kind == "counter" and not name.endswith("_total"):
        yield "a counter ends in _total"
    if kind != "counter":
        yield from (f"only {_owner(end)} ends in {end}" for end in _SUFFIXES if name.endswith(end))
    yield from (f"the type does not belong into the name ({word})" for word in words if word in _TYPES)
    plain = words[:-1] if words[-1] == "total" else words
    last = plain[-1] if plain else ""
    if last in NOT_BASE:
        yield f"{last} is not a base unit; use {NOT_BASE[last]}"
    yield from (
        f"the unit {word} goes to the end of the name" for word in plain[:-1] if word in ("seconds", "bytes")
    )
    if not text.strip():
        yield "expected a help text; found none"


def _owner(end: str) -> str:
    return {"_total": "a counter", "_info": "an info"}.get(end, "what the library adds")


def _of_label(label: str) -> Iterator[str]:
    if not _SNAKE.fullmatch(label):
        yield "expected lower-case words joined by single underscores"
    if label in RESERVED:
        yield "Prometheus or this library uses the name itself"
