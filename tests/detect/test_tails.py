"""Tail probabilities: right where the standard library can tell, and bounded beyond."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.detect import tails


@given(st.floats(0, 9.3))
def test_gaussian_tail_is_erfc(z: float) -> None:
    exact = -math.log10(math.erfc(z / 2**0.5))
    assert tails.gaussian(np.array([z]))[0] == pytest.approx(exact, abs=1e-8)
    assert tails.gaussian(z) == tails.gaussian(np.array([z]))[0]


def test_gaussian_tail_grows_and_is_bounded_far_out() -> None:
    found = tails.gaussian(np.concatenate([np.linspace(0, 10, 100_001), [40.0, 1e6, 1e250]]))
    assert found[0] == 0
    assert (np.diff(found) >= 0).all()
    assert (found[-3:] == tails.MOST).all()
