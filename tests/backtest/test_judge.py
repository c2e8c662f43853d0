"""Alarms as production raises them, and what is made of them against labels."""

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.backtest.compare import compare, paired
from edgeobs.backtest.judge import Alarm, Result, Seen, alarms_of, judge, opening
from edgeobs.backtest.labels import Label
from edgeobs.backtest.selector import selector
from edgeobs.backtest.track import Track
from edgeobs.incidents.promise import opening as watch_opening
from edgeobs.incidents.settings import Settings
from edgeobs.incidents.watch import Watch
from edgeobs.signals import SECOND, Identity, Kind, Resource, Source

SETTINGS = Settings()
START = 1_700_000_000 * SECOND


def track(scores: list[float], interval_s: float = 1.0, node: str = "n1", name: str = "cpu") -> Track:
    n = len(scores)
    place = Resource(zone="z", node=node)
    return Track(
        Identity(Source((), place), name, (), Kind.GAUGE),
        START + (np.arange(n) * interval_s * SECOND).astype(np.int64),
        np.ones(n),
        np.array(scores, np.float32),
        np.ones(n),
        np.ones(n, np.float32),
        np.full(n, interval_s, np.float32),
    )


def label(start_s: float, end_s: float, series: str = "") -> Label:
    return Label(selector(series), START + int(start_s * SECOND), START + int(end_s * SECOND))


def found(scores: list[float], interval_s: float = 1.0) -> list[tuple[float, float, float]]:
    """(onset, raised, last) in seconds since the start."""
    made = track(scores, interval_s)
    alarms = alarms_of(made.time_ns, made.score.astype(float), made.interval_s.astype(float), SETTINGS)
    return [tuple((t - START) / SECOND for t in alarm[:3]) for alarm in alarms]  # type: ignore[misc]  # three


@given(
    st.lists(st.sampled_from([0.0, 1.0, 3.5, 6.0, 9.0]), min_size=1, max_size=60),
    st.sampled_from([0.5, 1.0, 9.0, 30.0, 300.0]),
)
def test_an_alarm_begins_where_production_begins_to_see_evidence(
    scores: list[float], interval_s: float
) -> None:
    made = track(scores, interval_s)
    watch = Watch(Resource(), "")
    ease = float(np.log10(max(interval_s, 1.0)))
    hot = [
        watch.observe(int(t), s, ease, int(t), SETTINGS) for t, s in zip(made.time_ns, scores, strict=True)
    ]
    alarms = found(scores, interval_s)
    assert bool(alarms) == any(hot)
    if alarms:
        onset, raised, _ = alarms[0]
        assert raised == hot.index(True) * interval_s
        assert onset <= raised


@given(st.floats(0.01, 1e6))
def test_the_threshold_is_productions(interval_s: float) -> None:
    ease = float(np.log10(max(interval_s, 1.0)))
    assert opening(np.array([interval_s]), SETTINGS)[0] == pytest.approx(watch_opening(ease, SETTINGS))


def test_two_of_five_are_no_alarm_and_three_are() -> None:
    assert found([0, 7, 0, 7, 0, 0]) == []
    assert found([0, 7, 0, 7, 0, 7, 0]) == [(1, 5, 5)]


def test_calm_for_the_hold_time_ends_an_alarm() -> None:
    burst = [7.0] * 3
    assert len(found(burst + [0.0] * 50 + burst)) == 1
    assert len(found(burst + [0.0] * 70 + burst)) == 2
    assert found([*burst, *([0.0] * 50), 4.0, *([0.0] * 50), *burst]) == [(0, 2, 106)], (
        "a lesser score keeps it"
    )


def test_a_series_that_speaks_seldom_needs_one_sample_and_less_score() -> None:
    assert found([0, 3.6, 0, 0, 0, 0, 0, 0, 3.6, 3.6], 300) == [(300, 300, 300), (2400, 2400, 2700)]


QUIET = [0.0] * 100
BURST = [0.0] * 40 + [8.0] * 5 + [0.0] * 55


def test_precision_recall_delay_and_rates() -> None:
    tracks = [track(BURST, node="n1"), track(BURST, node="n2"), track(QUIET, node="n3")]
    labels = [
        label(38, 60, '{node="n1"}'),
        label(10, 20, '{node="n3"}'),
        label(500, 600),
        label(10, 20, "unknown"),
    ]
    result = judge(tracks, labels, [], SETTINGS)
    assert result.alarms[:4] == (2, 1, 1, 2)
    assert (result.alarms.precision, result.alarms.recall, result.alarms.delay_s) == (0.5, 0.5, 4.0)
    assert result.unmatched == 2
    outside = (300 - 23 - 11) / 86_400
    assert result.days == pytest.approx(outside)
    assert result.promised == pytest.approx(0.0864)
    assert result.found == result.exceeded == pytest.approx(1 / outside)


def test_what_was_raised_before_a_label_does_not_find_it() -> None:
    result = judge([track([8.0] * 100)], [label(50, 60)], [], SETTINGS)
    assert (result.alarms.true, result.alarms.found) == (0, 0)
    result = judge([track([8.0] * 100)], [label(1, 60)], [], SETTINGS)
    assert (result.alarms.true, result.alarms.delay_s) == (1, 1.0)


def test_without_labels_only_rates_can_be_said() -> None:
    result = judge([track(BURST)], [], [], SETTINGS)
    assert result.alarms.raised == 1
    assert isnan(result.alarms.precision)
    assert isnan(result.alarms.recall)
    assert isnan(judge([], [], [], SETTINGS).found)


@pytest.mark.parametrize(
    ("place", "true"),
    [
        (Resource(zone="z", node="n1"), True), (Resource(zone="z", node="n2"), False),
        (Resource(zone="z"), True),
        (Resource(zone="y"), False), (Resource(), True),
    ],
)  # fmt: skip
def test_an_incident_finds_what_is_labelled_at_its_place(place: Resource, true: bool) -> None:
    alarm = Alarm(START + 40 * SECOND, START + 45 * SECOND, START + 60 * SECOND, 8.0)
    seen = Seen("i", place, "", alarm)
    result = judge([track(QUIET)], [label(38, 60)], [seen], SETTINGS)
    assert bool(result.by_incident.true) == true
    assert result.by_incident.recall == float(true)
    assert result.by_incident.delay_s == (7.0 if true else pytest.approx(nan, nan_ok=True))


def result(*bursts: list[float]) -> Result:
    tracks = [track(burst, node=f"n{number}") for number, burst in enumerate(bursts)]
    return judge(tracks, [label(30, 60)], [], SETTINGS)


def test_a_diff_counts_gained_lost_earlier_later() -> None:
    early = [0.0] * 38 + [8.0] * 7 + [0.0] * 55
    total, series = compare(result(early, QUIET, BURST), result(BURST, BURST, BURST))
    assert (total.gained, total.lost, total.lost_true, total.earlier, total.later, total.same) == (
        0,
        1,
        1,
        1,
        0,
        1,
    )
    assert {change.place.node: (change.earlier, change.lost) for change in series} == {
        "n0": (1, 0),
        "n1": (0, 1),
    }
    back, _ = compare(result(BURST, BURST, BURST), result(early, QUIET, BURST))
    assert (back.gained, back.lost, back.earlier, back.later) == (
        total.lost,
        total.gained,
        total.later,
        total.earlier,
    )


spans = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=8).map(
    lambda gaps: [
        Alarm(at, at, at + wide, 6.0)
        for at, wide in zip(
            np.cumsum([10 + gap for gap, _ in gaps]).tolist(), (w for _, w in gaps), strict=True
        )
    ]
)


@given(spans, spans)
def test_every_alarm_is_in_one_pair_or_alone(new: list[Alarm], old: list[Alarm]) -> None:
    pairs, gained, lost = paired(new, old)
    assert sorted([a for a, _ in pairs] + gained) == sorted(new)
    assert sorted([b for _, b in pairs] + lost) == sorted(old)
    assert all(a.onset_ns <= b.last_ns and b.onset_ns <= a.last_ns for a, b in pairs)
