"""An operator's word carries a bounded way, fades, and is the same whoever replays it."""

from itertools import pairwise

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


def say(feedback: Feedback, verdict: str, target: Target, times: int = 1, at: int = START) -> None:
    for k in range(times):
        feedback.add(Entry(target, "fine" if verdict == "fine" else "real", at + k))


def factors(feedback: Feedback, at: int = START) -> Floats:
    return feedback.factor(ALL, at)


def test_nothing_said_changes_nothing(table: SeriesTable) -> None:
    score = np.array([0.0, 3.5, 20.0])
    assert Feedback(table, FeedbackSettings()).apply(ALL[:3], score, START) is score


def test_a_word_about_a_series_is_about_that_alone(table: SeriesTable) -> None:
    feedback = Feedback(table, FeedbackSettings())
    say(feedback, "fine", Target.of(table[2]))
    np.testing.assert_allclose(factors(feedback), [1, 1, 0.8, 1, 1, 1], rtol=1e-6)
    say(feedback, "real", Target.of(table[5]))
    np.testing.assert_allclose(factors(feedback), [1, 1, 0.8, 1, 1, 1.25], rtol=1e-6)


def test_a_word_about_a_metric_at_a_place_is_about_all_of_it_there(table: SeriesTable) -> None:
    feedback = Feedback(table, FeedbackSettings())
    say(feedback, "fine", Target("load", None, Resource(zone="z")))
    np.testing.assert_allclose(factors(feedback), [0.8, 1, 0.8, 1, 1, 1], rtol=1e-6)
    say(feedback, "fine", Target("load"))
    np.testing.assert_allclose(factors(feedback), [0.64, 1, 0.64, 1, 0.8, 1], rtol=1e-6)


def test_fine_and_real_take_each_other_back(table: SeriesTable) -> None:
    feedback = Feedback(table, FeedbackSettings())
    say(feedback, "fine", Target("load"))
    say(feedback, "real", Target("load"))
    np.testing.assert_allclose(factors(feedback), 1, atol=1e-6)


def test_it_fades_by_half(table: SeriesTable) -> None:
    feedback = Feedback(table, FeedbackSettings(half_life_days=10))
    say(feedback, "fine", Target("load"))
    assert factors(feedback, START + 10 * DAY)[0] == pytest.approx(0.8**0.5, rel=1e-6)
    assert factors(feedback, START + 1000 * DAY)[0] == pytest.approx(1)


def test_no_word_blinds_a_series_or_makes_noise_an_alarm(table: SeriesTable) -> None:
    feedback = Feedback(table, FeedbackSettings())
    for target in (Target("load"), Target.of(table[0]), Target("load", None, Resource("c", "z"))):
        say(feedback, "fine", target, 1000)
    say(feedback, "real", Target("temperature"), 1000)
    score = feedback.apply(ALL, np.full(6, 20.0), START)
    assert score[0] == pytest.approx(10)
    assert feedback.apply(ALL, np.full(6, 2.0), START)[1] == pytest.approx(3)
    assert (score <= 20).all()


def test_a_thousand_words_are_taken_back_by_a_few(table: SeriesTable) -> None:
    feedback = Feedback(table, FeedbackSettings())
    say(feedback, "fine", Target("load"), 1000)
    say(feedback, "real", Target("load"), 4)
    assert factors(feedback)[0] > 1


def test_it_is_kept_by_identity_and_not_by_id(table: SeriesTable) -> None:
    feedback = Feedback(table, FeedbackSettings())
    say(feedback, "fine", Target.of(table[2]))
    gone, identity = np.array([0, 2], np.int32), table[2]
    factors(feedback)
    feedback.forget(gone)
    table.drop(gone.tolist())
    other = table.intern(Identity(identity.source, "other", CPU, Kind.GAUGE), 0, START)
    again = table.intern(identity, 0, START)
    assert {other, again} == {0, 2}
    found = feedback.factor(np.array([other, again], np.int32), START)
    np.testing.assert_allclose(found, [1, 0.8], rtol=1e-6)


def test_the_faintest_is_forgotten_when_there_are_too_many(table: SeriesTable) -> None:
    feedback = Feedback(table, FeedbackSettings(most=3))
    for k in range(5):
        say(feedback, "fine", Target(f"m{k}"), at=START + k * DAY)
    say(feedback, "fine", Target("load"), 2, START + 9 * DAY)
    assert len(feedback) == 3
    assert feedback.forgotten == 3
    assert factors(feedback, START + 9 * DAY)[0] == pytest.approx(0.64, rel=1e-6)


targets = st.sampled_from(
    [Target("load"), Target("temperature", CPU), Target("load", None, Resource(node="n1"))]
)
entries = st.lists(
    st.builds(Entry, targets, st.sampled_from(["fine", "real"]), st.integers(START, START + 99 * DAY)),
    max_size=30,
)


@settings(max_examples=80, deadline=None)
@given(log=entries, cut=st.integers(0, 30), later=st.integers(0, 400))
def test_the_same_log_gives_the_same_and_a_snapshot_too(log: list[Entry], cut: int, later: int) -> None:
    now = START + (99 + later) * DAY
    one, two = Feedback(make_table(), FeedbackSettings()), Feedback(make_table(), FeedbackSettings())
    for entry in log:
        one.add(entry)
        one.factor(ALL, now)
    for entry in log[:cut]:
        two.add(entry)
    other = Feedback(make_table(), FeedbackSettings())
    other.restore(two.state())
    for entry in log[cut:]:
        other.add(entry)
    np.testing.assert_allclose(factors(one, now), factors(other, now), rtol=1e-6)
    np.testing.assert_array_equal(one.state()["targets"], other.state()["targets"])
    assert ((factors(one, now) >= 0.5) & (factors(one, now) <= 1.5)).all()


@settings(max_examples=40, deadline=None)
@given(log=entries, score=st.lists(st.floats(0, 20), min_size=2, max_size=6))
def test_order_stays_and_nothing_is_lost(log: list[Entry], score: list[float]) -> None:
    feedback = Feedback(make_table(), FeedbackSettings())
    for entry in log:
        feedback.add(entry)
    found = feedback.apply(np.zeros(len(score), np.int32), np.array(sorted(score)), START + 100 * DAY)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 20)).all()
    assert all(a <= b for a, b in pairwise(found))


def test_a_bad_snapshot_is_refused_and_changes_nothing(table: SeriesTable) -> None:
    feedback = Feedback(table, FeedbackSettings())
    say(feedback, "fine", Target("load"))
    good = feedback.state()
    half = good["targets"][: len(good["targets"]) // 2]
    many = np.frombuffer(b'[["x", null, ["c"], NaN, 1]]', np.uint8)
    wrong = np.frombuffer(b'[["x", null, 3, 1.0, 1]]', np.uint8)
    for bad in (half, many, wrong, good["targets"].astype(np.int64)):
        with pytest.raises(ValueError, match="feedback: "):
            feedback.restore(good | {"targets": bad})
    with pytest.raises(ValueError, match="schema"):
        feedback.restore({})
    assert factors(feedback)[0] == pytest.approx(0.8, rel=1e-6)
