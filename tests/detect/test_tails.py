"""Tail probabilities: right where the standard library can tell, and far beyond."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.detect import tails


@given(st.floats(0, 9))
def test_gaussian_tail_is_erfc(z: float) -> None:
    assert tails.gaussian(np.array([z]))[0] == pytest.approx(-math.log10(math.erfc(z / 2**0.5)), abs=1e-7)


def test_gaussian_tail_is_bounded_far_out() -> None:
    assert tails.gaussian(np.array([0.0, 9.3, 40.0, 1e6])).tolist() == [
        pytest.approx(0, abs=1e-8),
        pytest.approx(19.86, abs=0.01),
        20.0,
        20.0,
    ]


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=20), st.floats(1, 20), st.floats(0.2, 20))
def test_learned_tail_is_monotone_and_bounded(z: list[float], threshold: float, excess: float) -> None:
    n = len(z)
    g = tails.stretch(np.sort(np.array(z)))
    score = tails.learned(g, np.full(n, threshold), np.full(n, excess))
    assert (np.diff(score) >= 0).all()
    assert ((score >= 0) & (score <= 20)).all()


def test_learned_tail_starts_two_decades_at_the_threshold_and_is_heavier_than_a_gaussian() -> None:
    z = np.array([2.5758, 5.0, 8.0])
    prior = tails.learned(tails.stretch(z), np.full(3, tails.THRESHOLD), np.full(3, tails.EXCESS))
    assert prior[0] == pytest.approx(2.0, abs=1e-6)
    assert (prior[1:] < tails.gaussian(z)[1:]).all()
