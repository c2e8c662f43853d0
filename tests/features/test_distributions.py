"""Histograms and summaries become rate, mean and quantiles of what was added."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.features import Features, Settings
from edgeobs.features.quantiles import carried, quantile
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, STALE_NAN, Counts, Kind, Points

S = SECOND
INF = np.inf
EDGES = [1.0, 2.0, 4.0, INF]
Make = Callable[[Sequence[tuple[Any, ...]]], Points]


class Site:
    def __init__(self, table: SeriesTable, now: int, make: Make, **changed: Any) -> None:
        self.counts: Counts = Counter()
        self.features = Features(table, Settings(**changed), self.counts)
        self.table, self.now, self.make = table, now, make

    def send(self, *rows: tuple[Any, ...], after: float = 0) -> dict[str, float]:
        """Derived samples by name."""
        rows = tuple((s, self.now + int(t * S), *rest) for s, t, *rest in rows)
        batch = self.features.apply(self.make(rows), self.now + int(after * S))
        names = [self.table[int(s)].name for s in batch.series]
        return dict(zip(names, batch.value.tolist(), strict=True))


@pytest.fixture
def site(table: SeriesTable, now: int, distributions: Make) -> Site:
    return Site(table, now, distributions)


def test_a_cumulative_histogram_gives_what_was_added(site: Site) -> None:
    h = Kind.HISTOGRAM
    assert site.send((h, 0, 10, 15.0, EDGES, [5, 5, 0, 0])) == {}
    got = site.send((h, 10, 30, 65.0, EDGES, [5, 15, 10, 0]), after=10)
    assert got == {
        "m5:rate": 2.0,
        "m5:mean": 2.5,
        "m5:p50": 2.0,
        "m5:p90": pytest.approx(3.6),
        "m5:p99": pytest.approx(3.96),
    }


def test_without_events_there_is_a_rate_and_no_mean(site: Site) -> None:
    row = (10, 15.0, EDGES, [5, 5, 0, 0])
    site.send((Kind.HISTOGRAM, 0, *row))
    assert site.send((Kind.HISTOGRAM, 1, *row), after=1) == {"m5:rate": 0.0}


def test_a_histogram_that_began_again_counts_from_zero(site: Site) -> None:
    site.send((Kind.HISTOGRAM, 0, 10, 15.0, EDGES, [5, 5, 0, 0]))
    got = site.send((Kind.HISTOGRAM, 1, 4, 4.0, EDGES, [0, 4, 0, 0]), after=1)
    assert (got["m5:rate"], got["m5:mean"], got["m5:p50"]) == (4.0, 1.0, 1.5)
    assert site.counts[("edgeobs_series_resets_total",)] == 1


def test_a_new_layout_begins_again(site: Site) -> None:
    site.send((Kind.HISTOGRAM, 0, 10, 15.0, EDGES, [5, 5, 0, 0]))
    other = [1.5, INF]
    assert "m5:p50" not in site.send((Kind.HISTOGRAM, 1, 20, 30.0, other, [10, 10]), after=1)
    assert site.send((Kind.HISTOGRAM, 2, 24, 33.0, other, [14, 10]), after=2)["m5:p50"] == 0.75


def test_an_exponential_histogram_that_grew_goes_on(site: Site) -> None:
    site.send((Kind.HISTOGRAM, 0, 4, 8.0, [1.0, 2.0, 4.0, INF], [0, 0, 4, 0]))
    got = site.send((Kind.HISTOGRAM, 1, 8, 32.0, [1.0, 2.0, 4.0, 8.0, INF], [0, 0, 4, 4, 0]), after=1)
    assert got["m5:p50"] == 6.0


def test_deltas_stand_alone(site: Site) -> None:
    h = Kind.HISTOGRAM_DELTA
    site.send((h, 0, 1, 1.0, EDGES, [1, 0, 0, 0]))
    got = site.send((h, 2, 4, 6.0, EDGES, [0, 4, 0, 0]), after=2)
    assert (got["m6:rate"], got["m6:mean"], got["m6:p50"]) == (2.0, 1.5, 1.5)


def test_summaries_give_their_quantiles_as_sent(site: Site) -> None:
    row = ([0.5, 0.999], [0.1, np.nan])
    assert site.send((Kind.SUMMARY, 0, 10, 1.0, *row)) == {"m7:p50": 0.1}
    got = site.send((Kind.SUMMARY, 1, 20, 3.0, [0.5, 0.999], [0.2, 0.9]), after=1)
    assert got == {"m7:rate": 10.0, "m7:mean": 0.2, "m7:p50": 0.2, "m7:p99.9": 0.9}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((12, np.nan, EDGES, [3, -1, 10, 0]), "nonfinite"),
        ((np.inf, 1.0, EDGES, [3, 1, 10, 0]), "nonfinite"),
        ((12, STALE_NAN, EDGES, [3, 1, 10, 0]), "stale"),
        ((12, 1.0, list(range(600)), [0] * 600), "limit"),
    ],
)
def test_what_does_not_count_is_counted(site: Site, row: tuple[Any, ...], reason: str) -> None:
    assert site.send((Kind.HISTOGRAM, 0, *row)) == {}
    assert site.counts["edgeobs_points_dropped_total", reason] == 1


def test_derived_series_beyond_the_table_are_left_out_and_counted(
    table: SeriesTable, now: int, distributions: Make
) -> None:
    table.limit = len(table) + 2
    site = Site(table, now, distributions)
    site.send((Kind.HISTOGRAM, 0, 10, 15.0, EDGES, [5, 5, 0, 0]))
    got = site.send((Kind.HISTOGRAM, 1, 30, 65.0, EDGES, [5, 15, 10, 0]), after=1)
    assert list(got) == ["m5:rate", "m5:mean"]
    assert site.counts["edgeobs_points_dropped_total", "limit"] == 3


def test_buckets_beyond_the_bound_are_not_remembered(
    table: SeriesTable, now: int, distributions: Make
) -> None:
    site = Site(table, now, distributions, cells=3)
    for t in range(3):
        got = site.send((Kind.HISTOGRAM, t, 10 * t, 1.0 * t, EDGES, [10 * t, 0, 0, 0]), after=t)
    assert list(got) == ["m5:rate", "m5:mean"]


def test_a_forgotten_derived_series_is_derived_again(site: Site) -> None:
    def row(t: int) -> tuple[Any, ...]:
        return (Kind.HISTOGRAM, t, 10 * t, 15.0 * t, EDGES, [5 * t, 5 * t, 0, 0])

    site.send(row(1))
    assert len(site.send(row(2), after=2)) == 5
    gone = [n for n, i in enumerate(site.table.identities) if i is not None and i.name == "m5:p99"]
    site.table.drop(gone)
    site.features.forget(np.array(gone, np.int32))
    assert "m5:p99" in site.send(row(3), after=3)


def test_a_snapshot_keeps_the_buckets(site: Site, table: SeriesTable, now: int, distributions: Make) -> None:
    site.send((Kind.HISTOGRAM, 0, 10, 15.0, EDGES, [5, 5, 0, 0]))
    other = Site(table, now, distributions)
    other.features.restore(site.features.state())
    row = (Kind.HISTOGRAM, 10, 30, 65.0, EDGES, [5, 15, 10, 0])
    assert other.send(row, after=10) == site.send(row, after=10) != {}


def promql(q: float, edges: list[float], weights: list[float]) -> float:
    """histogram_quantile, bucket by bucket."""
    below = list(accumulate(weights))
    rank = q * below[-1]
    b = bisect_left(below, rank)
    if b >= len(edges) - 1:
        return edges[-2]
    if b == 0 and edges[0] <= 0:
        return edges[0]
    start = edges[b - 1] if b else 0.0
    before = below[b - 1] if b else 0.0
    return start + (edges[b] - start) * ((rank - before) / weights[b])


@given(
    q=st.floats(0.01, 0.99),
    edges=st.sets(st.integers(-20, 20), min_size=1, max_size=6),
    weights=st.lists(st.integers(0, 9), min_size=7, max_size=7),
)
def test_quantiles_are_promqls(q: float, edges: set[int], weights: list[int]) -> None:
    bounds = [*sorted(float(e) for e in edges), INF]
    counts = [float(w) for w in weights[: len(bounds)]]
    found = quantile(q, np.array([bounds]), np.array([counts]))[0]
    if sum(counts) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(promql(q, bounds, counts))


@given(st.lists(st.integers(0, 9), min_size=8, max_size=8), st.integers(0, 2))
def test_counts_carry_over_to_coarser_bounds(weights: list[int], offset: int) -> None:
    edge = np.array([2.0 ** (i / 4) for i in range(7)] + [INF])
    weight = np.array(weights, float)
    to = np.concatenate([edge[offset:-1:2] * (1 + 1e-12), [INF]])
    found = carried(edge, weight, to)
    assert found is not None
    assert found.sum() == weight.sum()
    assert found[0] == weight[: offset + 1].sum()


def test_counts_do_not_carry_over_to_bounds_that_cut_a_full_bucket() -> None:
    edge, weight = np.array([1.0, 2.0, INF]), np.array([1.0, 3.0, 0.0])
    assert carried(edge, weight, np.array([1.5, INF])) is None
    assert carried(edge, weight, np.array([1.0, 2.0, 3.0, INF])) is not None
