"""Lines → templates and series, and how well lines are grouped."""

from pathlib import Path

from benchmarks.measure import Measure


def run(quick: bool, data: Path | None) -> list[Measure]:
    """Nothing is measured yet."""
    del quick, data
    return []
