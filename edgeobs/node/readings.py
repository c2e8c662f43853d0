"""What was measured, before it is spelt in a protocol."""

from typing import Literal, NamedTuple

Labels = tuple[tuple[str, str], ...]
"""As `edgeobs.signals.Labels`, whose module needs NumPy: what runs on a node only to measure does not."""
SECOND = 1_000_000_000
"""Nanoseconds."""


class Reading(NamedTuple):
    """One number. A ``counter`` is cumulative and never falls; an ``updown`` adds up over its attributes."""

    name: str  # as OpenTelemetry spells it
    kind: Literal["counter", "updown", "gauge"]
    unit: str  # UCUM
    value: float
    attributes: Labels = ()


class Distribution(NamedTuple):
    """A cumulative histogram: ``len(bounds) + 1`` counts, the last above every bound."""

    name: str
    unit: str
    bounds: tuple[float, ...]  # ascending, inclusive upper bounds
    counts: tuple[int, ...]
    total: float  # sum of what was observed
    attributes: Labels = ()
