"""What a benchmark reports, and how it is shown."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure beside the reference it was measured with in the same run.

    ``ratio`` is value over the reference's value: above 1 is better for rates, below 1 for times and sizes.
    """

    name: str
    value: float
    unit: str
    reference: str = ""  # what was measured beside it, with its figure
    ratio: float | None = None


def as_json(measures: Iterable[Measure]) -> str:
    """One object for machines."""
    return json.dumps({"measures": [asdict(m) for m in measures]})


def as_table(measures: Iterable[Measure]) -> str:
    """A table for people."""
    rows = [("measure", "value", "unit", "reference", "ratio")]
    rows += [(m.name, _figure(m.value), m.unit, m.reference, _ratio(m.ratio)) for m in measures]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}×"
