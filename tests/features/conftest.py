"""A table of a few series, and requests of points written as rows."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from edgeobs.series import SeriesTable
from edgeobs.signals import Distributions, Identity, Kind, Points, Resource, Source

NOW = 1_700_000_000_000_000_000


@pytest.fixture
def now() -> int:
    return NOW


@pytest.fixture
def table() -> SeriesTable:
    """One series of each kind, its id the kind's number; then more gauges on other nodes."""
    table = SeriesTable(64)
    for kind in Kind:
        table.intern(Identity(Source((("n", "a"),), Resource(node="a")), f"m{kind}", (), kind, "By"), 0, 1)
    return table


@pytest.fixture
def points() -> Callable[[Sequence[tuple[Any, ...]]], Points]:
    """Of rows (series, time, value) or (series, time, value, start)."""

    def make(rows: Sequence[tuple[Any, ...]]) -> Points:
        columns = [[(*row, 0)[i] for row in rows] for i in range(4)]
        return Points(
            np.array(columns[0], np.int32),
            np.array(columns[1], np.int64),
            np.array(columns[3], np.int64),
            np.array(columns[2], np.float64),
        )

    return make


@pytest.fixture
def distributions() -> Callable[[Sequence[tuple[Any, ...]]], Points]:
    """Of rows (series, time, count, total, edges, weights)."""

    def make(rows: Sequence[tuple[Any, ...]]) -> Points:
        none = Points.none()
        first = np.cumsum([0, *(len(row[4]) for row in rows)])
        return Points(
            none.series,
            none.time_ns,
            none.start_ns,
            none.value,
            Distributions(
                np.array([row[0] for row in rows], np.int32),
                np.array([row[1] for row in rows], np.int64),
                np.zeros(len(rows), np.int64),
                np.array([row[2] for row in rows], np.float64),
                np.array([row[3] for row in rows], np.float64),
                first.astype(np.int64),
                np.concatenate([np.zeros(0), *(np.array(row[4], np.float64) for row in rows)]),
                np.concatenate([np.zeros(0), *(np.array(row[5], np.float64) for row in rows)]),
            ),
        )

    return make
