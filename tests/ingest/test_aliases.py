"""The keyed hash and the bounded table behind the compiled decoders."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgeobs.ingest import warm
from edgeobs.ingest.intern import LIMIT, Interner
from edgeobs.series import SeriesTable
from edgeobs.signals import Identity, Int32s, Kind, Principal, Resource, Source

pytest.importorskip("numba", reason="needs Numba: install edgeobs[accel]")
hashing = pytest.importorskip("edgeobs.ingest.hashing")
aliases_module = pytest.importorskip("edgeobs.ingest.aliases")

ANYONE = Principal(0, "anyone", None, 1000)
NOWHERE = Source((), Resource())


def polynomial(keys: list[int], seed: int, sections: list[bytes]) -> list[int]:
    """The hash by its definition, in Python's integers."""
    halves = []
    for key in (keys[0], keys[2]):
        state = seed + 1
        for section in sections:
            state = (state + len(section)) * key % hashing.PRIME
            for i in range(0, len(section), 7):
                state = (state + int.from_bytes(section[i : i + 7], "little")) * key % hashing.PRIME
        halves.append(state)
    return halves


def words(state: tuple[np.uint64, np.uint64]) -> tuple[np.uint64, np.uint64]:
    """What compiled code gives to Python is Python's; it takes uint64, as its callers have it."""
    return np.uint64(state[0]), np.uint64(state[1])


@given(
    st.lists(st.binary(max_size=70), max_size=4),
    st.binary(max_size=9),
    st.integers(0, 2**56 - 1),
    st.lists(st.integers(2, hashing.PRIME - 1), min_size=2, max_size=2),
)
@example([b""], b"", 0, [2, hashing.PRIME - 127])
@settings(deadline=None)
def test_the_hash_is_the_polynomial(sections: list[bytes], rest: bytes, seed: int, points: list[int]) -> None:
    keys = [f(k) for k in points for f in (int, lambda k: k * k % hashing.PRIME)]
    body = np.frombuffer(b"".join(sections) + rest + b"\0", np.uint8)
    at = 0
    state = words(hashing.start(seed))
    for section in sections:
        state = words(hashing.absorb(np.array(keys, np.uint64), *state, body, at, at + len(section)))
        at += len(section)
    assert [int(half) for half in hashing.finish(*state)] == polynomial(keys, seed, sections)


def rows(first: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    at = np.arange(first, first + n, dtype=np.uint64)
    return at, at * np.uint64(7)


def found(aliases: Any, first: int, n: int) -> list[int]:
    a, b = rows(first, n)
    return [hashing.find(aliases.slots, one, other) for one, other in zip(a, b, strict=True)]


def interner_with(n: int, limit: int) -> Interner:
    interner = Interner(SeriesTable(limit))
    for k in range(n):
        interner.admit(ANYONE, Identity(NOWHERE, f"m{k}", (), Kind.GAUGE), 1)
    return interner


def ids(n: int) -> Int32s:
    return np.arange(n, dtype=np.int32)


def test_aliases_are_found_until_their_series_is_gone() -> None:
    interner = interner_with(1000, 2000)
    aliases = aliases_module.Aliases(interner)
    aliases.ready(ANYONE)
    aliases.remember(*rows(0, 1000), ids(1000))
    aliases.remember(*rows(5000, 3), np.full(3, LIMIT, np.int32))
    assert found(aliases, 0, 1000) == list(range(1000))
    assert found(aliases, 5000, 4) == [LIMIT] * 3 + [hashing.MISSING]
    interner.table.drop([3, 4])
    assert interner.admit(ANYONE, Identity(NOWHERE, "new", (), Kind.GAUGE), 1) in {3, 4}
    aliases.ready(ANYONE)
    assert found(aliases, 0, 1000) == [-1 if k in {3, 4} else k for k in range(1000)]
    assert found(aliases, 5000, 3) == [hashing.MISSING] * 3
    assert aliases.used == 998


def test_the_table_is_bounded_and_refusals_go_first() -> None:
    aliases = aliases_module.Aliases(interner_with(10, 1000), per_series=4)
    aliases.ready(ANYONE)
    aliases.remember(*rows(0, 10), ids(10))
    for k in range(50):
        aliases.remember(*rows(10_000 * (k + 1), 500), np.full(500, LIMIT, np.int32))
        assert aliases.used <= aliases.limit
        assert len(aliases.slots) <= 4 * aliases.limit
    assert found(aliases, 0, 10) == list(range(10))
    for k in range(50):
        aliases.remember(*rows(10_000_000 * (k + 1), 1000), ids(10).repeat(100))
        assert aliases.used <= aliases.limit
    assert found(aliases, 10_000_000 * 50, 1000) == ids(10).repeat(100).tolist()


def test_senders_that_differ_in_anything_have_seeds_of_their_own() -> None:
    aliases = aliases_module.Aliases(interner_with(0, 10))
    senders = [
        ANYONE,
        Principal(0, "anyone", frozenset({"a"}), 1000),
        Principal(0, "anyone", None, 999),
        Principal(1, "anyone", None, 1000),
    ]
    assert len({aliases.ready(sender) for sender in senders}) == 4
    assert aliases.ready(ANYONE) == aliases.ready(Principal(0, "anyone", None, 1000))


def test_warming_says_how_far_it_is() -> None:
    lines: list[str] = []
    assert warm.warm(lines.append)
    assert lines[0].startswith("[1/4]")
    assert "ready" in lines[-1]
