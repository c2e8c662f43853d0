"""Clocks that differ by a known amount are found to."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.signals import SECOND
from edgeobs.traces.clocks import Clocks, Offset

MS = SECOND // 1000


def learn(
    clocks: Clocks, calls: list[tuple[int, int, int, int]], now: int, pair: tuple[int, int] = (1, 2)
) -> None:
    """Calls as stamps."""
    one = np.full(len(calls), pair[0], np.int32), np.full(len(calls), pair[1], np.int32)
    clocks.learn(*one, np.array(calls, np.int64).reshape(-1, 4), now)


def call(start: int, there: int, work: int, back: int, ahead: int) -> tuple[int, int, int, int]:
    """What the two clocks show of a call, ``ahead`` being the callee's."""
    return start, start + there + work + back, start + there + ahead, start + there + work + ahead


delays = st.integers(0, 50 * MS)


@given(
    st.lists(st.tuples(delays, delays, delays), min_size=1, max_size=20),
    st.integers(-60 * SECOND, 60 * SECOND),
)
@settings(deadline=None)
def test_the_offset_lies_within_what_is_promised(parts: list[tuple[int, int, int]], ahead: int) -> None:
    clocks = Clocks(300 * SECOND)
    learn(clocks, [call(n * SECOND, *part, ahead) for n, part in enumerate(parts)], now=SECOND)
    (found,) = clocks.all(SECOND)
    assert (found.caller, found.callee) == (1, 2)
    assert abs(found.ahead_ns - ahead) <= found.within_ns
    assert found.within_ns <= min(there + back for there, _, back in parts) // 2 + 1


def test_calls_the_other_way_round_tell_the_same_with_the_other_sign() -> None:
    clocks = Clocks(300 * SECOND)
    learn(clocks, [call(0, 40 * MS, MS, MS, 5 * SECOND)], now=SECOND)
    learn(clocks, [call(0, MS, MS, MS, -5 * SECOND)], now=SECOND, pair=(2, 1))
    first, second = clocks.all(SECOND)
    assert first == Offset(1, 2, 5 * SECOND, second.within_ns)
    assert second.ahead_ns == -5 * SECOND


def test_a_clock_that_was_set_right_is_believed_after_a_while() -> None:
    clocks = Clocks(300 * SECOND)
    learn(clocks, [call(0, MS, MS, MS, 5 * SECOND)], now=0)
    for now in range(10, 100, 10):
        learn(clocks, [call(0, 3 * MS, MS, MS, 0)], now=now * SECOND)
    (found,) = clocks.all(100 * SECOND)
    assert abs(found.ahead_ns) <= found.within_ns


def test_what_cannot_be_is_not_believed() -> None:
    clocks = Clocks(300 * SECOND)
    learn(clocks, [call(0, MS, MS, MS, 301 * SECOND)], now=1)
    learn(clocks, [(0, 10, 0, 20)], now=1)  # the callee went on after it had answered
    learn(clocks, [call(0, MS, MS, MS, 0)], now=1, pair=(1, 1))
    assert not list(clocks.all(1))


def test_pairs_are_bounded_and_nodes_are_forgotten() -> None:
    clocks = Clocks(300 * SECOND)
    for n in range(5000):
        learn(clocks, [call(0, MS, MS, MS, 0)], now=n, pair=(n, n + 1))
    assert len(list(clocks.all(1))) == 4096
    clocks.forget({4999, 5000})
    assert len(list(clocks.all(1))) == 4094


def test_rows_are_taken_up_again() -> None:
    clocks, again = Clocks(300 * SECOND), Clocks(300 * SECOND)
    learn(clocks, [call(0, MS, MS, MS, 7)], now=1)
    learn(clocks, [call(0, MS, MS, 2 * MS, 9)], now=60 * SECOND)
    again.load(clocks.rows())
    assert list(again.all(99)) == list(clocks.all(99))
