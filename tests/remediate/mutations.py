"""Takes every rule of the guard and every question before a call away in turn: some test must notice.

``python -m tests.remediate.mutations`` prints which. Each is taken away in a process of its own, by a plug-in
for pytest in this file; nothing on disk is changed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import track
from rich.table import Table

from edgeobs.remediate import recheck
from edgeobs.remediate.guards import RULES
from edgeobs.remediate.guards.base import FINE

VARIABLE = "EDGEOBS_TAKEN_AWAY"
# Forbids nothing by itself: it tells what the decision's `dry_run` will be.
HARMLESS = {"dry_run"}
_TESTS = (
    "test_rules.py",
    "test_people.py",
    "test_conductor.py",
    "test_undo.py",
    "test_invariants.py",
    "test_simulation.py",
)


def names() -> list[str]:
    """All that can be taken away."""
    rules = [f"rule {name}" for name in RULES if name not in HARMLESS]
    return [*rules, *(f"recheck {ask.__name__}" for ask in recheck._ASKED), "recheck _budgets"]


def noticed(name: str) -> str:
    """The first test that fails without it; empty: none does."""
    here = Path(__file__).parent
    files = [str(here / each) for each in _TESTS if (here / each).exists()]
    options = ["-x", "-q", "--no-header", "-p", "tests.remediate.mutations", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        env=os.environ | {VARIABLE: name}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" ")[1].rpartition("/")[2] if failed else ""


def pytest_configure(config: pytest.Config) -> None:  # noqa: ARG001  as pytest calls it
    """The plug-in: take away what the environment names."""
    kind, _, name = os.environ.get(VARIABLE, "").partition(" ")
    if kind == "rule":
        RULES[name] = lambda _: (FINE, "taken away")
    elif name == "_budgets":
        recheck._budgets = lambda *_: None
    elif kind == "recheck":
        recheck._ASKED = tuple(ask for ask in recheck._ASKED if ask.__name__ != name)


def main() -> int:
    """The table; 1 when something can go unnoticed."""
    console, table = Console(), Table("taken away", "noticed by")
    missed = []
    for name in track(names(), console=Console(stderr=True), transient=True):
        by = noticed(name)
        table.add_row(name, by or "[red]nobody")
        missed += [] if by else [name]
    console.print(table)
    console.print(
        f"{len(names())} taken away, {len(missed)} unnoticed{': ' if missed else ''}{', '.join(missed)}"
    )
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
