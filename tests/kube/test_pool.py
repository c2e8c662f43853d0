"""Equal values are shared, and stay what they are."""

from hypothesis import given
from hypothesis import strategies as st

from edgeobs.kube.pool import Pool

PAIRS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=3, unique_by=lambda p: p[0]
)


@given(st.lists(st.tuples(st.booleans(), PAIRS), max_size=30), st.integers(1, 4))
def test_a_mapping_stays_one_and_a_tuple_of_the_same_pairs_a_tuple(
    asked: list[tuple[bool, list[tuple[str, str]]]], size: int
) -> None:
    pool = Pool(size)
    for as_mapping, pairs in asked:
        if as_mapping:
            assert pool.mapping(dict(pairs)) == dict(pairs)
        else:
            assert pool.share(tuple(pairs)) == tuple(pairs)
        assert len(pool) <= 2 * size + 7  # what a mapping holds is shared while it is made
