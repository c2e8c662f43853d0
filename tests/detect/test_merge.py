"""What two banks learned of the same series is one bank's worth of knowledge."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.detect import Settings
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.merge import merged
from edgeobs.detect.sample import JOINED_E, LONG_MEAN, LONG_SD, RESOLUTION, SIZE, WHOLE, WHOLE_SD, N
from edgeobs.signals import Floats

SECOND = 10**9


def learned(values: Floats, at_s: int = 0) -> dict[str, Any]:
    """A bank that saw float64[samples, series], one a second."""
    bank = SeriesBank(Settings())
    ids = np.arange(values.shape[1], dtype=np.int32)
    for number, row in enumerate(values):
        now = np.full(len(row), (1_700_000_000 + at_s + number) * SECOND, np.int64)
        bank.score_learn(ids, now, row.copy())
    return bank.state()


def noise(seed: int, samples: int, series: int = 3, mean: float = 100.0) -> Floats:
    return mean + np.random.default_rng(seed).standard_normal((samples, series))


@given(st.integers(0, 10**6), st.integers(60, 300), st.integers(60, 300), st.floats(-3, 3))
def test_two_halves_know_what_the_whole_does(seed: int, first: int, second: int, moved: float) -> None:
    one, two = noise(seed, first), noise(seed + 1, second, mean=100 + moved)
    both = merged(learned(one), learned(two, first))
    every = np.concatenate([one, two])
    reals = both["reals"]
    assert np.allclose(reals[:, N], first + second)
    assert np.allclose(reals[:, WHOLE], every.mean(axis=0), atol=0.15)
    assert np.allclose(reals[:, WHOLE_SD], every.std(axis=0), rtol=0.15, atol=0.05)
    assert np.allclose(reals[:, SIZE], np.abs(every).mean(axis=0), rtol=0.01)


@given(st.integers(0, 10**6), st.integers(40, 200), st.integers(40, 200))
def test_the_order_makes_no_difference(seed: int, first: int, second: int) -> None:
    a, b = learned(noise(seed, first)), learned(noise(seed + 1, second), 500)
    one, other = merged(a, b), merged(b, a)
    for part, values in one.items():
        if values.dtype.kind == "f":
            assert np.allclose(values, other[part], rtol=1e-5, atol=1e-6)
        else:
            assert np.array_equal(values, other[part])


def test_who_knows_nothing_adds_nothing() -> None:
    known = learned(noise(1, 100))
    nothing = SeriesBank(Settings()).state()
    for both in (merged(known, nothing), merged(nothing, known)):
        assert all(np.array_equal(both[part], known[part]) for part in known)


def test_a_series_that_one_of_them_lacks_is_as_the_other_has_it() -> None:
    few, many = learned(noise(1, 100, series=1)), learned(noise(2, 100, series=3))
    both = merged(few, many)
    assert np.array_equal(both["reals"][1:], many["reals"][1:])
    assert both["reals"][0, N] == 200


def test_what_lies_far_apart_is_wide_and_the_finest_step_counts() -> None:
    a, b = learned(noise(1, 400, mean=0.0)), learned(noise(2, 400, mean=50.0))
    both: Any = merged(a, b)["reals"]
    assert np.allclose(both[:, LONG_MEAN], 25, atol=1)
    assert (both[:, LONG_SD] > 20).all()
    assert np.array_equal(
        both[:, RESOLUTION], np.minimum(a["reals"][:, RESOLUTION], b["reals"][:, RESOLUTION])
    )
    low, high = np.sort([a["reals"][:, JOINED_E], b["reals"][:, JOINED_E]], axis=0)
    assert ((low <= both[:, JOINED_E] + 1e-6) & (both[:, JOINED_E] <= high + 1e-6)).all()


def test_it_restores_and_scores_from_the_first_sample_on() -> None:
    bank = SeriesBank(Settings())
    bank.restore(merged(learned(noise(1, 60)), learned(noise(2, 60), 60)))
    ids, now = np.arange(3, dtype=np.int32), np.full(3, (1_700_000_000 + 121) * SECOND, np.int64)
    scores = bank.score_learn(ids, now, np.array([100.0, 100.5, 1000.0]))
    assert (scores.score[:2] < 2).all()
    assert scores.score[2] > 6


def test_what_is_no_state_is_refused() -> None:
    known = learned(noise(1, 40))
    with pytest.raises(ValueError, match="expected schema"):
        merged(known, {})
    with pytest.raises(ValueError, match="reals"):
        merged(known, known | {"reals": np.full_like(known["reals"], np.nan)})
