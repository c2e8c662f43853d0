"""Rounds: unique series in each, every sample once, in order."""

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.columns import grown, rounds


@given(st.lists(st.integers(0, 6), max_size=30))
def test_rounds_hold_each_sample_once_in_order(ids: list[int]) -> None:
    series = np.array(ids, np.int32)
    taken: list[int] = []
    for index in rounds(series):
        at = np.arange(len(ids))[index].tolist()
        assert len({ids[i] for i in at}) == len(at)
        taken += at
    assert sorted(taken) == list(range(len(ids)))
    for number in set(ids):
        mine = [i for i in taken if ids[i] == number]
        assert mine == sorted(mine)


def test_rounds_beyond_the_bound_are_left_out() -> None:
    series = np.array([1, 1, 2, 1], np.int32)
    assert [index.tolist() for index in rounds(series, 2) if not isinstance(index, slice)] == [[0, 2], [1]]


def test_a_flood_of_one_series_is_no_array_a_sample() -> None:
    flood = np.zeros(300_000, np.int32)
    tracemalloc.start()
    try:
        assert [len(flood[index]) for index in rounds(flood, 3)] == [1, 1, 1]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 70 * len(flood), "bytes a sample"


def test_growing_keeps_what_was_there() -> None:
    array = np.array([[1.0, 2.0]])
    assert grown(array, 1, 0.0) is array
    more = grown(array, 3, 7.0)
    assert more[0].tolist() == [1, 2]
    assert (more[1:] == 7).all()
    assert len(grown(np.zeros(100_000), 100_001, 0.0)) < 115_000, "memory follows the number of series"
