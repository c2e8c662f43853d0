"""What the views say of a sample is what the bank scores it by."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.detect import Settings
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.explain import Explanation
from edgeobs.signals import SECOND, VIEWS, Floats

START = 1_700_006_400 * SECOND  # a midnight of UTC
HOUR = 3600 * SECOND
ODD = [0.0, 1.0, 1e37, -1e38, 5e-324, 1e-30]


def fed(value: Floats, every_ns: int = SECOND) -> tuple[SeriesBank, int]:
    """A bank in columns that learned a series (by the quick one), and when the next sample is due."""
    learner, bank = SeriesBank(Settings()), SeriesBank(Settings(), fast=False)
    time = START + every_ns * np.arange(len(value), dtype=np.int64)
    learner.score_learn(np.zeros(len(value), np.int32), time, value)
    bank.memory = learner.memory
    return bank, START + every_ns * len(value)


def same_as_scored(bank: SeriesBank, now: int, value: float) -> Explanation:
    before = bank.memory.rows.tobytes()
    found = bank.explain(0, now, value)
    assert bank.memory.rows.tobytes() == before
    scores = bank.score(np.zeros(1, np.int32), np.array([now]), np.array([value]))
    np.testing.assert_allclose(found.score, scores.score[0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.expected, scores.expected[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.spread, scores.spread[0], rtol=1e-6)
    assert found.view == VIEWS[int(scores.view[0])]
    assert sum(view.square for view in found.views) == pytest.approx(found.joined**2)
    assert sum(found.shares()) == pytest.approx(1.0 if found.joined else 0.0)
    assert all(view.decades >= 0 for view in found.views)
    return found


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 400),
    grain=st.sampled_from([0.0, 0.5, 1e4]),
    odd=st.lists(st.tuples(st.integers(0, 399), st.sampled_from(ODD)), max_size=4),
    gap=st.sampled_from([0, 1, 3, 100]),
    value=st.sampled_from(ODD) | st.floats(-50, 50),
)
def test_views_add_up_to_the_score(
    seed: int, n: int, grain: float, odd: list[tuple[int, float]], gap: int, value: float
) -> None:
    made = np.random.default_rng(seed).normal(10, 3, n)
    made = np.round(made / grain) * grain if grain else made
    for at, what in odd:
        made[at % n] = what
    bank, now = fed(made)
    same_as_scored(bank, now + (gap - 1) * SECOND, value)
    same_as_scored(bank, now + (gap - 1) * SECOND, float(made[-1]))


def test_views_add_up_where_the_time_of_day_is_known() -> None:
    at = np.arange(10 * 24 * 6) / 144
    wave = 50 - 50 * np.cos(2 * np.pi * at) + np.random.default_rng(3).normal(0, 1, len(at))
    bank, now = fed(wave, HOUR // 6)
    usual = same_as_scored(bank, now, 1.0)
    odd = same_as_scored(bank, now, 70.0)  # usual by day, not at midnight
    hour = odd.views[3 - 1]
    assert hour.name == "time of day"
    assert odd.view == "time of day"
    assert odd.score > 6
    assert usual.score < 1.5
    assert abs(odd.expected) < 5
    assert (odd.expected, odd.spread) == (hour.expected, hour.spread)
    assert hour.decades == max(view.decades for view in odd.views)
    assert odd.shares()[2] > 0.5
    assert odd.days == 9


def test_each_view_says_what_it_expects() -> None:
    again = np.random.default_rng(3).normal(0, 3, 12)
    bank, now = fed(np.tile(again, 100) + np.random.default_rng(9).normal(0, 0.05, 1200))
    for value in again.tolist():
        found = same_as_scored(bank, now, value)
        level, drift, hour, shape, flat = found.views
        assert tuple(view.name for view in found.views) == VIEWS[1:]
        assert level.expected == pytest.approx(again.mean(), abs=1)
        assert drift.expected == pytest.approx(again.mean(), abs=1)
        assert shape.expected == pytest.approx(value, abs=shape.spread)
        assert 0 < shape.spread < level.spread
        assert np.isnan([hour.expected, hour.spread, flat.expected, flat.spread]).all()
        bank.score_learn(np.zeros(1, np.int32), np.array([now]), np.array([value]))
        now += SECOND


def test_a_value_that_is_stuck_is_the_flatline_view() -> None:
    value = np.r_[np.random.default_rng(3).normal(10, 3, 500), np.full(20, 10.0)]
    bank, now = fed(value)
    found = same_as_scored(bank, now, 10.0)
    assert found.view == "flatline"
    assert found.shares()[4] == pytest.approx(1.0, abs=0.05)


def test_a_young_series_scores_nothing() -> None:
    bank, now = fed(np.random.default_rng(3).normal(10, 3, 20))
    found = same_as_scored(bank, now, 99.0)
    assert (found.score, found.view, found.n) == (0.0, "", 20)
    assert np.isnan([found.expected, found.spread]).all()


def test_what_cannot_be_explained() -> None:
    bank, now = fed(np.ones(40))
    for number in (-1, 10**6):
        with pytest.raises(KeyError):
            bank.explain(number, now, 1.0)
    with pytest.raises(ValueError, match="finite"):
        bank.explain(0, now, float("nan"))
