"""The plain bank: what it can do, what it cannot, and that its two forms are one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st

from edgeobs import jit
from edgeobs.detect import Settings
from edgeobs.detect.ew import EwBank
from edgeobs.signals import SECOND, Floats, Scores

needs_numba = pytest.mark.skipif(
    not jit.available(), reason="Numba is not installed: pip install edgeobs[accel]"
)


def feed(bank: EwBank, values: Floats) -> Scores:
    """One series, a sample a second."""
    n = len(values)
    return bank.score_learn(np.zeros(n, np.int32), np.arange(1, n + 1) * SECOND, values)


@needs_numba
@runs(deadline=None)
@given(
    samples=st.lists(st.tuples(st.integers(0, 2), st.floats()), max_size=120),
    memory=st.floats(2, 500) | st.just(np.inf),
    ramp=st.booleans(),
)
def test_columns_and_compiled_code_do_the_same(
    samples: list[tuple[int, float]], memory: float, ramp: bool
) -> None:
    told = Settings(memory=memory, ramp=ramp)
    series = np.array([s for s, _ in samples], np.int32)
    time = np.arange(1, len(samples) + 1) * SECOND
    value = np.array([v for _, v in samples], np.float64)
    fast, slow = EwBank(told, fast=True), EwBank(told, fast=False)
    one, two = fast.score_learn(series, time, value), slow.score_learn(series, time, value)
    for name in ("score", "expected", "spread"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-12, atol=0, err_msg=name)
    np.testing.assert_allclose(fast.rows, slow.rows[: len(fast.rows)], rtol=1e-12, atol=0)


def test_the_expected_range_is_where_values_fall_and_a_score_is_how_rarely() -> None:
    scores = feed(EwBank(Settings(memory=np.inf)), np.random.default_rng(7).normal(10, 1, 20_000))
    assert scores.expected[-1] == pytest.approx(10, abs=0.05)
    assert scores.spread[-1] == pytest.approx(1, rel=0.05)
    for decades in (0.5, 1.0, 2.0):
        assert (scores.score >= decades).mean() == pytest.approx(10**-decades, rel=0.2)


def test_a_constant_is_calm_and_a_change_of_it_is_never_usual() -> None:
    bank = EwBank(Settings())
    assert feed(bank, np.full(500, 0.1)).score.max() == 0
    assert feed(bank, np.array([0.1000001])).score[0] == 20


def test_what_lasts_is_soon_forgotten_to_be_new() -> None:
    bank = EwBank(Settings(memory=50))
    feed(bank, np.random.default_rng(7).normal(10, 1, 200))
    shifted = feed(bank, np.random.default_rng(8).normal(200, 1, 400))
    assert shifted.score[0] == 20
    assert shifted.expected[-1] == pytest.approx(200, abs=1)


def test_a_count_or_variance_below_zero_is_refused() -> None:
    bank = EwBank(Settings())
    feed(bank, np.arange(30.0))
    for column in (0, 2):
        state = bank.state()
        state["rows"][0, column] *= -1
        with pytest.raises(ValueError, match="below zero"):
            bank.restore(state)
