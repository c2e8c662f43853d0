"""Levels, rates, and what is dropped and counted."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeobs.features import Features, Settings
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, STALE_NAN, Batch, Counts, Kind, Points

S = SECOND
Make = Callable[[Sequence[tuple[Any, ...]]], Points]


class Site:
    """Features with their counts; `send` gives (series, seconds after ``now``, value)."""

    def __init__(self, table: SeriesTable, now: int, points: Make, **changed: Any) -> None:
        self.counts: Counts = Counter()
        self.features = Features(table, Settings(**changed), self.counts)
        self.table, self.now, self.points = table, now, points

    def send(self, *rows: tuple[Any, ...], after: float = 0) -> list[tuple[int, float, float]]:
        arrived = self.now + int(after * S)
        batch = self.apply([(s, self.now + int(t * S), *rest) for s, t, *rest in rows], arrived)
        return [
            (int(s), (int(t) - self.now) / S, float(v))
            for s, t, v in zip(batch.series, batch.time_ns, batch.value, strict=True)
        ]

    def apply(self, rows: Sequence[tuple[Any, ...]], now: int) -> Batch:
        return self.features.apply(self.points(rows), now)

    def dropped(self) -> dict[str, int]:
        return {key[1]: n for key, n in self.counts.items() if key[0] == "edgeobs_points_dropped_total"}


@pytest.fixture
def site(table: SeriesTable, now: int, points: Make) -> Site:
    return Site(table, now, points)


def test_gauges_and_sums_that_go_both_ways_pass_as_they_are(site: Site) -> None:
    assert site.send((Kind.GAUGE, 0, 5.0), (Kind.UPDOWN, 0, -3.0)) == [(0, 0, 5.0), (3, 0, -3.0)]


def test_a_counter_becomes_a_rate_from_its_second_point(site: Site) -> None:
    assert site.send((Kind.COUNTER, 0, 100.0)) == []
    assert site.send((Kind.COUNTER, 10, 150.0), after=10) == [(1, 10, 5.0)]


def test_a_counter_that_fell_counts_from_zero(site: Site) -> None:
    site.send((Kind.COUNTER, 0, 100.0))
    assert site.send((Kind.COUNTER, 10, 20.0), after=10) == [(1, 10, 2.0)]
    assert site.counts[("edgeobs_series_resets_total",)] == 1


def test_a_start_that_moved_is_a_reset_even_when_the_value_rose(site: Site) -> None:
    old, new = site.now - 5000 * S, site.now + 6 * S
    site.send((Kind.COUNTER, 0, 10.0, old))
    assert site.send((Kind.COUNTER, 10, 40.0, new), after=10) == [
        (1, 10, 10.0)
    ]  # 40 in the 4 s since it began
    assert site.counts[("edgeobs_series_resets_total",)] == 1


@pytest.mark.parametrize(("moved_s", "value", "restarted"), [(4000, 3.0, [1]), (2, 40.0, []), (0, 3.0, [])])
def test_who_tells_a_new_start_is_named_once(
    site: Site, moved_s: float, value: float, restarted: list[int]
) -> None:
    """A start that wanders, or a value that fell without one, tells of no restart."""
    old = site.now - 5000 * S
    site.apply([(Kind.COUNTER, site.now, 10.0, old)], site.now)
    rows = [(Kind.COUNTER, site.now + 10 * S, value, old + int(moved_s * S))]
    assert site.apply(rows, site.now + 10 * S).restarted.tolist() == restarted
    assert site.apply([(Kind.GAUGE, site.now, 1.0)], site.now + 10 * S).restarted.tolist() == []


def test_the_first_point_of_a_counter_that_has_just_begun_is_an_increase(site: Site) -> None:
    assert site.send((Kind.COUNTER, 0, 8.0, site.now - 4 * S)) == [(1, 0, 2.0)]


def test_deltas_are_divided_by_their_own_interval_or_the_time_since_the_last(site: Site) -> None:
    assert site.send((Kind.DELTA, 0, 8.0)) == []
    assert site.send((Kind.DELTA, 4, 8.0), after=4) == [(2, 4, 2.0)]
    assert site.send((Kind.UPDOWN_DELTA, 4, -8.0, site.now + 2 * S), after=4) == [(4, 4, -4.0)]


def test_a_point_without_a_time_is_of_now(site: Site) -> None:
    batch = site.apply([(Kind.GAUGE, 0, 1.0)], site.now)
    assert batch.time_ns.tolist() == [site.now]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((0, 10, 1.0), "duplicate"),
        ((0, 9, 1.0), "out_of_order"),
        ((0, 11, np.nan), "nonfinite"),
        ((0, 11, -np.inf), "nonfinite"),
        ((0, 11, STALE_NAN), "stale"),
        ((0, 80, 1.0), "future"),
        ((0, -4000, 1.0), "too_old"),
    ],
)
def test_what_does_not_count_is_counted(site: Site, row: tuple[int, float, float], reason: str) -> None:
    site.send((0, 10, 1.0), after=10)
    assert site.send(row, after=10) == []
    assert site.dropped() == {reason: 1}
    assert site.send((0, 12, 2.0), after=12) == [(0, 12, 2.0)]


def test_a_stale_marker_ends_what_a_rate_is_measured_from(site: Site) -> None:
    site.send((Kind.COUNTER, 0, 100.0))
    site.send((Kind.COUNTER, 1, STALE_NAN), after=1)
    assert site.send((Kind.COUNTER, 2, 110.0), after=2) == []
    assert site.send((Kind.COUNTER, 3, 111.0), after=3) == [(1, 3, 1.0)]
    assert site.counts[("edgeobs_series_resets_total",)] == 0


def test_a_clock_that_was_set_back_loses_two_minutes_not_everything(site: Site) -> None:
    site.send((0, 0, 1.0))
    got = [site.send((0, t - 600, 1.0), after=t) for t in range(10, 200, 10)]
    assert got[:12] == [[]] * 12
    assert all(got[12:])


def test_our_own_clock_that_was_set_back_loses_nothing(site: Site) -> None:
    site.send((0, 0, 1.0))
    month = -30 * 86_400
    got = [site.send((0, month + t, 1.0), after=month + t) for t in range(5)]
    assert got == [[(0, month + t, 1.0)] for t in range(5)]


def test_a_difference_that_no_float_holds_is_dropped(site: Site) -> None:
    site.send((Kind.UPDOWN, 0, 1.0), (Kind.COUNTER, 0, -1.7e308))
    assert site.send((Kind.COUNTER, 1, 1.7e308), after=1) == []
    assert site.dropped() == {"nonfinite": 1}


def test_one_series_may_bring_so_many_points_a_request(table: SeriesTable, now: int, points: Make) -> None:
    site = Site(table, now, points, repeats=5)
    assert len(site.send(*[(0, i / 10, 1.0) for i in range(8)])) == 5
    assert site.dropped() == {"limit": 3}


def test_all_that_is_heard_is_seen_even_what_is_dropped(site: Site) -> None:
    site.send((0, 0, np.nan), (Kind.COUNTER, 0, 1.0))
    assert site.table.seen_ns[[0, 1]].tolist() == [site.now, site.now]
    assert site.table.seen_ns[3] == 1


def test_samples_after_a_cut_are_late(site: Site) -> None:
    for t in range(10):
        site.send((0, t, 1.0), after=t)
    rows = [(0, site.now + t * S, 1.0) for t in range(10, 200, 10)]
    late = site.apply(rows, site.now + 190 * S).late.tolist()
    assert late == [190 - t > 30 for t in range(10, 200, 10)]
    assert site.counts[("edgeobs_points_late_total",)] == sum(late)


def test_a_clock_that_is_always_behind_is_late_only_at_first(site: Site) -> None:
    late = [site.apply([(0, site.now + (t - 45) * S, 1.0)], site.now + t * S).late[0] for t in range(400)]
    assert late[0]
    assert not any(late[200:])
    assert len(site.apply([], site.now + 400 * S).late) == 0, "a step without samples is no trouble"
    much = [site.apply([(0, site.now + (t - 300) * S, 1.0)], site.now + t * S) for t in range(701, 1000)]
    assert all(batch.late.all() for batch in much)  # too far behind to be a clock alone


def test_a_forgotten_series_begins_anew(site: Site) -> None:
    site.send((Kind.COUNTER, 0, 100.0))
    site.features.forget(np.array([Kind.COUNTER], np.int32))
    assert site.send((Kind.COUNTER, 1, 105.0), after=1) == []


_VALUES = st.one_of(st.floats(), st.sampled_from([STALE_NAN, 1e308, -1e308, 5e-324, 0.0]), st.integers(0, 50))
_ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(-5, 70), _VALUES, st.sampled_from([0, -100, -3, 2])), max_size=40
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=_ROWS, cuts=st.sets(st.integers(0, 40)))
def test_any_batching_gives_the_same_finite_samples(
    table: SeriesTable, now: int, points: Make, rows: list[tuple[int, int, float, int]], cuts: set[int]
) -> None:
    sent = [(s, now + t * S, v, start and now + start * S) for s, t, v, start in rows]
    whole, parts, single = (Site(table, now, points) for _ in range(3))
    arrived = now + 5 * S
    edges = [0, *sorted(c for c in cuts if c < len(sent)), len(sent)]
    results = [
        [whole.apply(sent, arrived)],
        [parts.apply(sent[a:b], arrived) for a, b in itertools.pairwise(edges)],
        [single.apply([row], arrived) for row in sent],
    ]
    by_series = []
    for batches in results:
        rows_out = [r for b in batches for r in zip(b.series, b.time_ns, b.value, b.late, strict=True)]
        assert all(np.isfinite(r[2]) for r in rows_out)
        by_series.append({s: [r for r in rows_out if r[0] == s] for s in range(5)})
        times = [[r[1] for r in rows] for rows in by_series[-1].values()]
        assert all(a < b for t in times for a, b in itertools.pairwise(t))
    assert by_series[0] == by_series[1] == by_series[2]
    assert whole.counts == parts.counts == single.counts


def test_a_snapshot_continues_where_it_was(site: Site, table: SeriesTable, now: int, points: Make) -> None:
    site.send((Kind.COUNTER, 0, 100.0), (0, 0, 1.0))
    other = Site(table, now, points)
    other.features.restore(site.features.state())
    for t in (1, 2):
        rows = [(Kind.COUNTER, t, 100.0 + 7 * t), (0, t, 2.0)]
        assert other.send(*rows, after=t) == site.send(*rows, after=t) != []


@pytest.mark.parametrize("spoil", ["schema", "rows", "bucket_first", "total"])
def test_a_bad_snapshot_is_refused_whole(site: Site, spoil: str) -> None:
    site.send((Kind.COUNTER, 0, 100.0))
    for bad in ({}, site.features.state() | {spoil: np.zeros((3, 2))}):
        with pytest.raises(ValueError, match="features"):
            site.features.restore(bad)
    assert site.send((Kind.COUNTER, 1, 105.0), after=1) == [(1, 1, 5.0)]
