"""The table of spans of late finds what a dictionary would find."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.traces.window import Generation, Window, identities

few = st.integers(0, 40).map(lambda n: n << 58) | st.integers(0, 40)  # one slot or neighbours
keys = st.lists(few | st.integers(0, 2**64 - 1), max_size=50)


def facts(numbers: list[int]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Two that tell each row apart."""
    return np.array([(n, -n) for n in numbers], np.int64).reshape(-1, 2)


@given(st.lists(keys, max_size=5))
@settings(max_examples=200, deadline=None)
def test_the_first_of_each_identity_is_kept(batches: list[list[int]]) -> None:
    window, model, number = Window(10**6, 10, 2), dict[int, int](), 0
    for batch in batches:
        numbers = list(range(number, number + len(batch)))
        number += len(batch)
        fresh = window.add(np.array(batch, np.uint64), facts(numbers), 1)
        for key, is_fresh, own in zip(batch, fresh.tolist(), numbers, strict=True):
            assert is_fresh == (key not in model)
            model.setdefault(key, own)
        asked = np.array([*model, 12345, 2**63 + 99], np.uint64)
        found, told, _ = window.find(asked)
        assert found.tolist() == [key in model for key in asked.tolist()]
        assert told.tolist() == [[model[k], -model[k]] for k in asked.tolist() if k in model]


def test_many_grow_and_are_all_found() -> None:
    chance = np.random.default_rng(1)
    generation, held = Generation(1), chance.integers(0, 2**64, 60_000, np.uint64)
    for part in np.array_split(held, 13):
        assert generation.add(part, np.zeros((len(part), 1), np.int64)).all()
    assert (generation.key[generation.find(held)] == held).all()
    assert (generation.find(chance.integers(0, 2**64, 60_000, np.uint64)) == -1).all()


def test_ids_that_collide_on_purpose_cost_bounded_looks() -> None:
    generation = Generation(1)
    same_slot = np.arange(3000, dtype=np.uint64)  # all high bits 0: one home for all
    assert generation.add(same_slot, np.zeros((3000, 1), np.int64)).all()
    found = generation.find(same_slot)
    assert 0 < np.count_nonzero(found >= 0) <= 64


def test_a_span_is_found_for_one_wait_and_gone_after_two() -> None:
    window = Window(10**6, 10, 1)
    key = np.array([5], np.uint64)
    window.add(key, np.zeros((1, 1), np.int64), 100)
    for now in (105, 109, 110, 119):
        window.pass_time(now)
        assert window.find(key)[0].all(), now
    window.pass_time(120)
    assert not window.find(key)[0].any()


def test_after_a_long_pause_nothing_is_left() -> None:
    window = Window(10**6, 10, 1)
    key = np.array([5], np.uint64)
    window.add(key, np.zeros((1, 1), np.int64), 100)
    window.pass_time(1000)
    assert not window.find(key)[0].any()


def test_what_is_old_goes_though_nothing_came_since() -> None:
    window = Window(10**6, 10, 1)
    key = np.array([5], np.uint64)
    window.add(key, np.zeros((1, 1), np.int64), 100)
    window.pass_time(110)  # the generation is the older one now, and the newer is empty
    window.add(key[:0], np.zeros((0, 1), np.int64), 1000)
    assert not window.find(key)[0].any()


def test_more_than_there_is_room_for_push_the_oldest_out() -> None:
    window, keys = Window(2000, 10**9, 1), np.random.default_rng(2).integers(0, 2**64, 10_000, np.uint64)
    for start in range(0, 10_000, 500):
        window.add(keys[start : start + 500], np.zeros((500, 1), np.int64), start)
    assert len(window) <= 2000
    assert window.find(keys[-500:])[0].all()
    assert not window.find(keys[:8000])[0].any()


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
def test_identities_differ_in_every_part(pair: list[tuple[int, int, int]]) -> None:
    ids = np.array(pair, np.uint64)
    one, other = identities(ids[:, :2], ids[:, 2]).tolist()
    assert one != other
