"""An operator's word carries a bounded way, fades, and is the same whoever replays it."""

from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.detect.feedback import Entry, Feedback, FeedbackSettings, Target
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Floats, Identity, Int32s, Kind, Resource, Source

START = 1_700_000_000 * SECOND
DAY = 86_400 * SECOND
CPU = (("cpu", "0"),)
ALL: Int32s = np.arange(6, dtype=np.int32)


@pytest.fixture
def table() -> SeriesTable:
    return make_table()


def make_table() -> SeriesTable:
    """load and temperature of three nodes: ids 0 1, 2 3, 4 5."""
    table = SeriesTable(20)
    for node in range(3):
        source = Source((), Resource("c", "z" if node < 2 else "y", f"n{node}"))
        for name in ("load", "temperature"):
            table.intern(Identity(source, name, CPU, Kind.GAUGE), 0, START)
    return table


class Operator:
    """Says words to a feedback, which hears all of them each time."""

    def __init__(self, table: SeriesTable, how: FeedbackSettings | None = None) -> None:
        self.feedback, self.log = Feedback(table, how or FeedbackSettings()), list[Entry]()

    def says(self, verdict: Literal["fine", "real"], target: Target, times: int = 1, at: int = START) -> None:
        self.log += [Entry(target, verdict, at + k) for k in range(times)]
        self.feedback.hear(self.log)

    def factors(self, at: int = START) -> Floats:
        return self.feedback.factor(ALL, at)


def test_nothing_said_changes_nothing(table: SeriesTable) -> None:
    score = np.array([0.0, 3.5, 20.0])
    assert Feedback(table, FeedbackSettings()).apply(ALL[:3], score, START) is score


def test_a_word_about_a_series_is_about_that_alone(table: SeriesTable) -> None:
    operator = Operator(table)
    operator.says("fine", Target.of(table[2]))
    np.testing.assert_allclose(operator.factors(), [1, 1, 0.8, 1, 1, 1], rtol=1e-6)
    operator.says("real", Target.of(table[5]))
    np.testing.assert_allclose(operator.factors(), [1, 1, 0.8, 1, 1, 1.25], rtol=1e-6)


def test_a_word_about_a_metric_at_a_place_is_about_all_of_it_there(table: SeriesTable) -> None:
    operator = Operator(table)
    operator.says("fine", Target("load", None, Resource(zone="z")))
    np.testing.assert_allclose(operator.factors(), [0.8, 1, 0.8, 1, 1, 1], rtol=1e-6)
    operator.says("fine", Target("load"))
    np.testing.assert_allclose(operator.factors(), [0.64, 1, 0.64, 1, 0.8, 1], rtol=1e-6)


def test_fine_and_real_take_each_other_back(table: SeriesTable) -> None:
    operator = Operator(table)
    operator.says("fine", Target("load"))
    operator.says("real", Target("load"))
    np.testing.assert_allclose(operator.factors(), 1, atol=1e-6)


def test_it_fades_by_half(table: SeriesTable) -> None:
    operator = Operator(table, FeedbackSettings(half_life_days=10))
    operator.says("fine", Target("load"))
    assert operator.factors(START + 10 * DAY)[0] == pytest.approx(0.8**0.5, rel=1e-6)
    assert operator.factors(START + 1000 * DAY)[0] == pytest.approx(1)


def test_no_word_blinds_a_series_or_makes_noise_an_alarm(table: SeriesTable) -> None:
    operator = Operator(table)
    for target in (Target("load"), Target.of(table[0]), Target("load", None, Resource("c", "z"))):
        operator.says("fine", target, 1000)
    operator.says("real", Target("temperature"), 1000)
    score = operator.feedback.apply(ALL, np.full(6, 20.0), START)
    assert score[0] == pytest.approx(10)
    assert operator.feedback.apply(ALL, np.full(6, 2.0), START)[1] == pytest.approx(3)
    assert (score <= 20).all()


def test_a_thousand_words_are_taken_back_by_a_few(table: SeriesTable) -> None:
    operator = Operator(table)
    operator.says("fine", Target("load"), 1000)
    operator.says("real", Target("load"), 4)
    assert operator.factors()[0] > 1


def test_it_is_kept_by_identity_and_not_by_id(table: SeriesTable) -> None:
    operator = Operator(table)
    operator.says("fine", Target.of(table[2]))
    gone, identity = np.array([0, 2], np.int32), table[2]
    operator.factors()
    operator.feedback.forget(gone)
    table.drop(gone.tolist())
    other = table.intern(Identity(identity.source, "other", CPU, Kind.GAUGE), 0, START)
    again = table.intern(identity, 0, START)
    assert {other, again} == {0, 2}
    found = operator.feedback.factor(np.array([other, again], np.int32), START)
    np.testing.assert_allclose(found, [1, 0.8], rtol=1e-6)


def test_of_too_many_words_the_newest_count(table: SeriesTable) -> None:
    operator = Operator(table, FeedbackSettings(most=3))
    operator.says("fine", Target("load"), 5)
    operator.says("real", Target("temperature"))
    assert operator.factors() == pytest.approx([0.64, 1.25] * 3, rel=1e-6)


def test_what_is_not_said_any_more_is_not_held(table: SeriesTable) -> None:
    operator = Operator(table)
    operator.says("fine", Target("load"), 2)
    operator.feedback.hear(operator.log[:1])
    assert operator.factors()[0] == pytest.approx(0.8, rel=1e-6)
    operator.feedback.hear([])
    assert (operator.factors() == 1).all()
    assert not len(operator.feedback)


targets = st.sampled_from(
    [Target("load"), Target("temperature", CPU), Target("load", None, Resource(node="n1"))]
)
entries = st.lists(
    st.builds(Entry, targets, st.sampled_from(["fine", "real"]), st.integers(START, START + 99 * DAY)),
    max_size=30,
)


@settings(max_examples=80, deadline=None)
@given(log=entries, cut=st.integers(0, 30), later=st.integers(0, 400))
def test_the_same_log_gives_the_same_however_it_was_heard(log: list[Entry], cut: int, later: int) -> None:
    now = START + (99 + later) * DAY
    one, two = Feedback(make_table(), FeedbackSettings()), Feedback(make_table(), FeedbackSettings())
    one.hear(log)
    two.hear(log[:cut])
    two.factor(ALL, now)
    two.hear(log)
    np.testing.assert_array_equal(one.factor(ALL, now), two.factor(ALL, now))
    assert ((one.factor(ALL, now) >= 0.5) & (one.factor(ALL, now) <= 1.5)).all()


@settings(max_examples=40, deadline=None)
@given(log=entries, score=st.lists(st.floats(0, 20), min_size=2, max_size=6))
def test_order_stays_and_nothing_is_lost(log: list[Entry], score: list[float]) -> None:
    feedback = Feedback(make_table(), FeedbackSettings())
    feedback.hear(log)
    found = feedback.apply(np.zeros(len(score), np.int32), np.array(sorted(score)), START + 100 * DAY)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 20)).all()
    assert all(a <= b for a, b in pairwise(found))
