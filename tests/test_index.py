"""Numbers by hash: whatever was added and not removed is found, however many share a hash."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.index import Index

hashes = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 5), st.just(2**32 - 1), st.just(-1))


@given(st.lists(st.tuples(hashes, st.booleans()), max_size=300))
def test_it_is_a_dictionary_of_lists(steps: list[tuple[int, bool]]) -> None:
    index, model = Index(), dict[int, int]()
    for number, (hash_, stays) in enumerate(steps):
        index.add(hash_, number)
        model[number] = hash_
        if not stays:
            gone = min(model)
            index.remove(model.pop(gone), gone)
            with pytest.raises(KeyError):
                index.remove(hash_, gone)
    for wanted in {hash_ for hash_, _ in steps} | {7}:
        same = {number for number, hash_ in model.items() if (hash_ - wanted) % 2**32 == 0}
        assert sorted(index.find(wanted)) == sorted(same)


def test_it_is_small_and_stays_so_while_numbers_come_and_go() -> None:
    index, count = Index(), 20_000
    random = np.random.default_rng(0).integers(-(2**63), 2**63, 5 * count).tolist()
    for number, hash_ in enumerate(random):
        index.add(hash_, number)
        if number >= count:
            index.remove(random[number - count], number - count)
    assert len(index._slots) <= 3 * count
    assert all(number in index.find(hash_) for number, hash_ in list(enumerate(random))[-count:])
