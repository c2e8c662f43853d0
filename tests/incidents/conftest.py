"""A small world to tell stories in: series by (node, metric), scores by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pytest

from edgeobs.incidents import Incidents, Settings
from edgeobs.series import SeriesTable
from edgeobs.signals import (
    SECOND,
    Absence,
    Batch,
    Counts,
    ExternalAlert,
    Identity,
    Incident,
    Kind,
    Resource,
    Scores,
    Source,
)

Missing = Literal["exporter", "node", "zone", "cluster"]
START = 1_700_000_000 * SECOND


@dataclass
class World:
    """Nodes ``<zone><number>`` in zones named by a letter, one sample per series and second."""

    settings: Settings = field(default_factory=Settings)
    table: SeriesTable = field(default_factory=lambda: SeriesTable(10_000))
    counts: Counts = field(default_factory=Counts)
    now_ns: int = START
    interval_s: float = 1.0

    def __post_init__(self) -> None:
        self.incidents = Incidents(self.table, self.settings, self.counts)

    def place(self, node: str) -> Resource:
        return Resource("site", node[0], node)

    def series(self, node: str, name: str, labels: tuple[tuple[str, str], ...] = ()) -> int:
        place = self.place(node)
        source = Source((("edgeobs.simulated", "true"), ("k8s.node.name", node)), place)
        number = self.table.intern(Identity(source, name, labels, Kind.GAUGE, "s"), 0, self.now_ns)
        assert number is not None
        return number

    def step(
        self,
        scores: dict[tuple[str, str], float] | None = None,
        absences: Sequence[Absence] = (),
        alerts: Sequence[ExternalAlert] = (),
        *,
        late: bool = False,
        after_s: float = 1.0,
    ) -> list[Incident]:
        """Let time pass, then take one sample of each series named: 10 + score, where 10 ± 1 is expected.

        A negative score is the same surprise on the other side.
        """
        self.now_ns += int(after_s * SECOND)
        rows = [(self.series(*key), score) for key, score in (scores or {}).items()]
        n = len(rows)
        score = np.array([s for _, s in rows], np.float64)
        series = np.array([i for i, _ in rows], np.int32)
        batch = Batch(series, np.full(n, self.now_ns), 10 + score, np.full(n, late))
        score = np.abs(score)
        expected, spread = np.full(n, 10.0), np.full(n, 1.0)
        said = Scores(score, expected, spread, interval_s=np.full(n, self.interval_s))
        return self.incidents.step(batch, said, absences, alerts, self.now_ns)

    def others(self, number: int) -> None:
        """So many series more, of which nothing is heard."""
        for i in range(number):
            self.series("z9", f"other_{i}")

    def run(
        self,
        seconds: int,
        scores: dict[tuple[str, str], float] | None = None,
        absences: Sequence[Absence] = (),
    ) -> list[Incident]:
        """The same for so many seconds; all changes."""
        return [each for _ in range(seconds) for each in self.step(scores, absences)]

    def absence(self, scope: Missing, place: Resource, ago_s: float = 5) -> Absence:
        detail = f"nothing heard of {place.node or place.zone}"
        return Absence(scope, place, self.now_ns - int(ago_s * SECOND), detail)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_world() -> Callable[[Settings], World]:
    return World
