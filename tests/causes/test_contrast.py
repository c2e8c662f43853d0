"""What became more or fewer than was due, and that chance, load and mix alone do not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.causes.contrast import MOST, contrast, due, slow
from edgeobs.signals import Floats

B = 120
BEFORE = np.arange(B) < 108
DURING = ~BEFORE


def columns(rate: float, seed: int = 1, load: Floats | None = None) -> tuple[Floats, Floats]:
    """Counts and requests, each [1, B]."""
    dice = np.random.default_rng(seed)
    asked = dice.poisson(5.0 if load is None else load, B).astype(np.float64)
    return dice.binomial(asked.astype(int), rate).astype(np.float64)[None], asked[None]


def test_what_vanishes_is_surprising_and_only_fewer() -> None:
    count, asked = columns(0.9)
    count[:, DURING] = 0
    found = contrast(count, asked, BEFORE, DURING)
    assert found.fewer[0] > 10
    assert found.more[0] == 0
    assert found.seen[0] == 0
    assert found.due[0] == pytest.approx(0.9 * asked[0, DURING].sum(), rel=0.1)
    assert found.first[0] == 108


def test_what_is_new_is_surprising_from_where_it_begins() -> None:
    _, asked = columns(0.9)
    count = np.zeros((1, B))
    count[0, 112:] = 3
    found = contrast(count, asked, BEFORE, DURING)
    assert found.more[0] > 8
    assert found.fewer[0] == 0
    assert found.first[0] == 112


def test_a_load_that_grows_tenfold_changes_nothing() -> None:
    load = np.where(BEFORE, 5.0, 50.0)
    count, asked = columns(0.5, load=load)
    found = contrast(count, asked, BEFORE, DURING)
    assert max(found.fewer[0], found.more[0]) < 2


def test_chance_is_bounded_as_promised() -> None:
    dice = np.random.default_rng(3)
    asked = dice.poisson(5.0, (4000, B)).astype(np.float64)
    count = dice.poisson(0.3 * asked).astype(np.float64)
    found = contrast(count, asked, BEFORE, DURING)
    decades = np.maximum(found.fewer, found.more)
    assert np.mean(decades >= 2) < 0.01
    assert np.mean(decades >= 3) < 0.003


def test_counts_that_always_come_in_bursts_are_believed_less() -> None:
    steady, asked = columns(0.2)
    bursts = np.zeros((1, B))
    bursts[0, ::24] = 20
    for count in (steady, bursts):
        count[0, DURING] = 0
        count[0, 110] = 40
    found = [contrast(count, asked, BEFORE, DURING).more[0] for count in (steady, bursts)]
    assert found[1] < found[0] / 2


def test_nothing_asked_or_nothing_before_says_nothing() -> None:
    count, asked = columns(0.5)
    idle = np.where(DURING, 0.0, asked)
    for exposure, before in ((idle, BEFORE), (asked, np.zeros(B, np.bool_))):
        found = contrast(count, exposure, before, DURING)
        assert found.fewer[0] == found.more[0] == 0


def test_no_interval_during_says_nothing() -> None:
    found = contrast(*columns(0.5), BEFORE, np.zeros(B, np.bool_))
    assert found.fewer[0] == found.more[0] == 0
    assert found.first[0] == -1


@settings(max_examples=40)
@given(st.lists(st.integers(0, 50), min_size=8, max_size=40), st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_any_counts_give_finite_decades_on_one_side(counts: list[int], seed: int, tail: int) -> None:
    count = np.array(counts, np.float64)[None]
    asked = np.random.default_rng(seed).integers(0, 20, count.shape).astype(np.float64)
    during = np.arange(len(counts)) >= len(counts) - tail
    found = contrast(count, asked, ~during, during)
    assert 0 <= found.fewer[0] <= MOST
    assert 0 <= found.more[0] <= MOST
    assert min(found.fewer[0], found.more[0]) == 0
    assert np.isfinite(found.due[0])


def test_which_operation_leaves_what_behind_is_learned() -> None:
    dice = np.random.default_rng(4)
    parts = dice.poisson(4.0, (2, B)).astype(np.float64)
    parts[:, DURING] = [[10.0], [2.0]]  # the mix turns over
    count = np.vstack([3 * parts[0], parts[1], parts[0] + parts[1]])
    expected = due(count, parts, BEFORE)
    assert expected[:, DURING].sum(axis=1) == pytest.approx(count[:, DURING].sum(axis=1), rel=0.15)
    found = contrast(count, expected, BEFORE, DURING)
    assert max(found.fewer.max(), found.more.max()) < 2
    asked = np.repeat(parts.sum(axis=0)[None], 3, axis=0)
    assert contrast(count, asked, BEFORE, DURING).more[0] > 5  # what is not told apart seems a change


def test_what_never_happened_is_due_next_to_never() -> None:
    parts = np.full((2, B), 3.0)
    assert due(np.zeros((1, B)), parts, BEFORE).sum() < 1e-3


def test_slow_is_well_above_what_was_unusual() -> None:
    usual = np.zeros((1, 40))
    usual[0, [10, 12]] = 190, 10  # one in twenty takes longer
    assert slow(usual, 0.05, margin=4).tolist() == [15]
    usual[0, 12] = 20  # that is no longer unusual
    assert slow(usual, 0.05, margin=4).tolist() == [17]


def test_without_a_past_nothing_is_slow() -> None:
    assert slow(np.zeros((1, 40)), 0.05, margin=4)[0] >= 40
