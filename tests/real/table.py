"""The result table of the fault matrix, from what the tests left in their reports."""

from collections.abc import Iterable
from typing import NamedTuple, cast

import pytest

ROW = "fault matrix"
"""Key of a test's property: its row, violations of budgets, lost intents, double actions."""


class Judged(NamedTuple):
    """What a test leaves under `ROW`."""

    row: str
    violations: int
    lost: int
    doubles: int


class Line(NamedTuple):
    """A row; it survived when each of its cases did."""

    row: str
    cases: int = 0
    survived: int = 0
    violations: int = 0
    lost: int = 0
    doubles: int = 0

    def text(self) -> str:
        """``| row | 3 of 3 | 0 | 0 | 0 |``."""
        survived = f"{self.survived} of {self.cases}"
        return f"| {self.row} | {survived} | {self.violations} | {self.lost} | {self.doubles} |"


def lines(reports: Iterable[pytest.TestReport]) -> list[Line]:
    """In the order in which they ran."""
    failed: set[str] = set()
    told: dict[str, Judged] = {}
    for report in reports:
        if report.failed:
            failed.add(report.nodeid)
        for key, value in report.user_properties:
            if key == ROW:
                told[report.nodeid] = cast("Judged", value)
    found: dict[str, Line] = {}
    for test, judged in told.items():
        line = found.get(judged.row, Line(judged.row))
        numbers = (1, int(test not in failed), *judged[1:])
        found[judged.row] = Line(judged.row, *map(sum, zip(line[1:], numbers, strict=True)))
    return list(found.values())


def table(reports: Iterable[pytest.TestReport]) -> list[str]:
    """As lines of text; none where no row was run."""
    found = lines(reports)
    if not found:
        return []
    sums = [sum(getattr(each, name) for each in found) for name in Line._fields[1:]]
    whole = Line(f"{len(found)} rows", *sums)
    head = "| fault | survived | budget violations | lost intents | double actions |"
    return [head, "|---|---|---|---|---|", *(each.text() for each in (*found, whole))]
