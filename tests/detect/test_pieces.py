"""The bank in columns takes so many samples at once that they fit into a cache: how many changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.detect import Settings, bank
from edgeobs.detect.bank import SeriesBank
from edgeobs.signals import SECOND, Int32s

SERIES, STEPS = 12, 70
START = 1_700_000_000 * SECOND


def run(order: list[Int32s], at_once: int, patch: pytest.MonkeyPatch) -> tuple[list[float], bytes]:
    """All scores of the series in these orders, a sample a minute, and what was learned."""
    patch.setattr(bank, "_AT_ONCE", at_once)
    made, random, scores = SeriesBank(Settings(), fast=False), np.random.default_rng(0), []
    for step in range(STEPS):
        ids = order[step % len(order)]
        value = random.normal(10.0, 2.0, SERIES)[ids] + 50.0 * (step == STEPS - 1)
        scores += made.score_learn(ids, np.full(len(ids), START + step * 60 * SECOND), value).score.tolist()
    return scores, made.memory.rows.tobytes()


@settings(max_examples=12, deadline=None)
@given(
    at_once=st.integers(1, SERIES),
    order=st.lists(st.permutations(range(SERIES)).map(lambda ids: np.array(ids, np.int32)), max_size=3),
)
def test_pieces_and_order_change_nothing(at_once: int, order: list[Int32s]) -> None:
    side_by_side = [np.arange(SERIES, dtype=np.int32)]
    with pytest.MonkeyPatch.context() as patch:
        whole, learned = run(side_by_side, SERIES, patch)
        assert max(whole) > 3.0
        found, same = run([*side_by_side, *order], at_once, patch)
    assert same == learned
    if not order:
        assert found == whole


def test_asking_for_a_score_leaves_rows_that_lie_side_by_side_as_they_are() -> None:
    made = SeriesBank(Settings(), fast=False)
    ids, random = np.arange(SERIES, dtype=np.int32), np.random.default_rng(0)
    for step in range(STEPS):
        made.score_learn(ids, np.full(SERIES, START + step * SECOND), random.normal(10.0, 2.0, SERIES))
    before = made.memory.rows.tobytes()
    late = START + 3600 * SECOND  # after a gap, and in another hour
    assert made.score(ids, np.full(SERIES, late), np.full(SERIES, 90.0)).score.min() > 2.0
    assert made.memory.rows.tobytes() == before
