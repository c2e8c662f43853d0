"""Promises of signs: never more false ones than promised on streams whose ticks are exchangeable."""

import random
from collections.abc import Collection, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.logs.novelty import Novelty
from edgeobs.logs.silence import Gaps
from edgeobs.logs.variety import Variety, variety

ONE = np.zeros(1, np.int64)


def told(ticks: list[set[int]], severe: Collection[int] = ()) -> list[dict[int, float]]:
    """Of each tick what is new in it, with its probability."""
    n = 1 + max([0, *(number for tick in ticks for number in tick)])
    novelty = Novelty()
    novelty.reserve(n, 1)
    owner = np.zeros(n, np.int32)
    severity = np.array([5 if number in severe else 3 for number in range(n)], np.int8)
    found = []
    for spoken, tick in enumerate(ticks, 1):
        new = novelty.tick(np.array(sorted(tick), np.int64), owner, severity, np.array([spoken]))
        found.append({each.number: each.p for each in new})
    return found


def test_new_is_as_probable_as_ticks_with_something_of_their_own_are_frequent() -> None:
    found = told([{0}, {0, 1}, {0}, {0, 1}, {0, 2}, {0}, {0}, {0}, {0}, {0, 3}])
    assert found[0] == {0: 1.0}
    assert found[4] == {2: pytest.approx(1 / 5)}  # nothing was alone in its tick any more
    assert found[9] == {3: pytest.approx(2 / 10)}  # 2 still is
    assert not found[3]


def test_errors_and_all_else_are_two_questions() -> None:
    chatter = [{0, 10 + tick} for tick in range(50)]
    found = told([*chatter, {0, 70, 1}], severe={1})
    assert found[50][70] == 1.0
    assert found[50][1] == pytest.approx(1 / 51)


@given(st.lists(st.sets(st.integers(0, 30), max_size=6), min_size=2, max_size=25))
def test_of_any_ticks_in_all_orders_of_the_last_one_no_more_are_told_than_promised(
    ticks: list[set[int]],
) -> None:
    # Exchangeable: each is the last one equally often. This holds for these very ticks, not on average.
    n = len(ticks)
    last = [told([*ticks[:at], *ticks[at + 1 :], ticks[at]])[-1] for at in range(n)]
    least = [min(new.values(), default=2.0) for new in last]
    for p in {p for p in least if p <= 1}:
        assert sum(each <= p for each in least) <= p * n + 1e-9


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.0, 1.2))
def test_a_stream_of_random_lines_tells_no_more_than_promised(seed: int, tail: float) -> None:
    dice = random.Random(seed)
    weights = [1 / (rank + 1) ** (1 + tail) for rank in range(400)]
    ticks = [set(dice.choices(range(400), weights, k=12)) for _ in range(400)]
    alarms = sum(any(p <= 0.05 for p in new.values()) for new in told(ticks))
    assert alarms <= 0.05 * 400 + 4 * (0.05 * 400) ** 0.5  # four deviations of a Poisson count


def test_what_made_room_counts_as_alone_for_ever() -> None:
    novelty, owner, severity = Novelty(), np.zeros(3, np.int32), np.full(3, 3, np.int8)
    novelty.reserve(3, 1)
    for spoken, tick in enumerate(([0], [0, 1], [0]), 1):
        novelty.tick(np.array(tick), owner, severity, np.array([spoken]))
    novelty.forget([1], owner)
    (new,) = novelty.tick(np.array([0, 1]), owner, severity, np.array([4]))  # the number means another now
    assert new.p == pytest.approx(2 / 4)
    novelty.left(0)
    assert not novelty.gone.any()


def gaps_of(ticks: list[bool], least: int = 3) -> list[float | None]:
    """Of each tick 1 / (n + 1) while it is silent for longer than ever."""
    gaps = Gaps()
    gaps.reserve(1)
    found: list[float | None] = []
    for clock, heard in enumerate(ticks, 1):
        silent = gaps.tick(ONE, np.array([heard]), np.array([clock]), least)
        found.append(1 / (int(silent.returns[0]) + 1) if len(silent.number) else None)
    return found


def test_silence_is_told_from_the_tick_in_which_it_is_the_longest_until_it_ends() -> None:
    yes, no = True, False
    found = gaps_of([yes, yes, no, yes, yes, yes, no, no, no, yes, no, no, no])
    assert found[2] is None  # had not come back often enough
    assert found[6] is None  # no longer than the one before
    assert found[7:9] == [pytest.approx(1 / 5)] * 2
    assert found[9] is None
    assert found[10:] == [None, None, None]  # as long as the longest now is: not longer


@given(st.lists(st.integers(0, 8), min_size=5, max_size=30))
def test_of_any_gaps_in_all_orders_of_the_last_one_no_more_are_told_than_promised(gaps: list[int]) -> None:
    n = len(gaps)
    p = []
    for at in range(n):
        order = [*gaps[:at], *gaps[at + 1 :], gaps[at]]
        ticks = [True]
        for gap in order:
            ticks += [False] * gap + [True]
        found = gaps_of(ticks, least=1)[len(ticks) - gaps[at] - 1 :]
        p.append(min((each for each in found if each is not None), default=2.0))
    assert sum(each <= 1 / n + 1e-9 for each in p) <= 1


@given(st.lists(st.integers(0, 3), min_size=2, max_size=20))
def test_variety_is_the_share_of_pairs_that_differ(values: list[int]) -> None:
    pairs = [(a, b) for at, a in enumerate(values) for b in values[at + 1 :]]
    assert variety(values) == pytest.approx(sum(a != b for a, b in pairs) / len(pairs))


def looked(words: Sequence[tuple[str, ...]], ticks: list[list[bytes]]) -> list[list[float]]:
    """Of each tick the probability of what each watched word shows."""
    each = Variety()
    each.reserve(1)
    found = []
    for line, tick in zip(words, ticks, strict=True):
        for raw in tick:
            each.add(0, line, raw.split())
        found.append([one.p for one in each.tick()])
    return found


def test_a_word_that_suddenly_varies_is_as_improbable_as_it_was_constant() -> None:
    line = ("login", "of", "<*>", "port", "<num>")
    steady = [[f"login of root port {port}".encode() for port in range(12)]] * 49
    burst = [[f"login of user{port} port {port}".encode() for port in range(12)]]
    found = looked([line] * 50, steady + burst)
    assert found[49] == [pytest.approx(1 / 50), 1.0]  # ports always vary


def test_a_word_that_was_a_constant_until_now_never_varied() -> None:
    constant, wild = ("login", "of", "root"), ("login", "of", "<*>")
    ticks = [[b"login of root"] * 10] * 30 + [[f"login of {who}".encode() for who in "abcdefghij"]]
    found = looked([constant] * 30 + [wild], ticks)
    assert found[:30] == [[]] * 30
    assert found[30] == [pytest.approx(1 / 31)]


def test_few_lines_and_words_that_are_ever_new_tell_nothing() -> None:
    line = ("<time>", "<uuid>", "user", "<*>")
    assert looked([line], [[b"1 2 user anna"] * 7]) == [[]]
    assert len(looked([line], [[b"1 2 user anna"] * 8])[0]) == 1


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_words_of_random_lines_are_told_no_more_than_promised(seed: int, names: int) -> None:
    dice = random.Random(seed)
    line = ("login", "<*>")
    ticks = [[f"login n{dice.randrange(names)}".encode() for _ in range(10)] for _ in range(300)]
    found = [p[0] for p in looked([line] * 300, ticks)]
    assert sum(p <= 0.05 for p in found) <= 0.05 * 300 + 4 * (0.05 * 300) ** 0.5
