"""Counts around an incident as clues, and which intervals tell what is usual."""

import numpy as np

from edgeobs.causes import Settings, rank
from edgeobs.causes.changes import changes, usual
from edgeobs.causes.contrast import due
from edgeobs.past import Counted
from edgeobs.signals import SECOND, Edge
from tests.causes.conftest import ALL_MEMBERS, CALLS, pod

TEN = 10 * SECOND
B = 60
BEGINS = (1_700_000_000 + 10 * np.arange(B)) * SECOND
DURING = np.arange(B) >= 50
BEFORE = ~DURING


def errors(place: str = "stock-1") -> Counted:
    return Counted(pod(place), "lines", "error lines", worse=True)


def test_errors_that_become_more_are_a_clue_and_fewer_are_none() -> None:
    asked = np.full((1, B), 10.0)
    more, fewer = np.full((1, B), 1.0), np.full((1, B), 1.0)
    more[0, 52:], fewer[0, DURING] = 9.0, 0.0
    (clue,) = changes([errors()], more, asked, BEGINS, BEFORE, DURING)
    assert clue.place == pod("stock-1")
    assert clue.text == "error lines: 74, where 10 were due"
    assert clue.onset_ns == BEGINS[52]
    assert clue.decades > 8
    assert changes([errors()], fewer, asked, BEGINS, BEFORE, DURING) == []
    steady = errors()._replace(worse=False)
    assert len(changes([steady], fewer, asked, BEGINS, BEFORE, DURING)) == 1


def test_who_is_looked_at_more_often_is_asked_for_more() -> None:
    asked = np.full((100, B), 10.0)
    count = np.ones((100, B))
    count[0, DURING] = 4.0
    (alone,) = changes([errors()], count[:1], asked[:1], BEGINS, BEFORE, DURING)
    many = changes([errors()] * 100, count, asked, BEGINS, BEFORE, DURING)
    assert [round(alone.decades - each.decades, 6) for each in many] == [2.0]


def test_nothing_to_compare_with_is_no_clue() -> None:
    count, nothing = np.ones((1, B)), np.zeros(B, np.bool_)
    assert changes([errors()], count, count, BEGINS, nothing, DURING) == []
    assert changes([errors()], count, count, BEGINS, BEFORE, nothing) == []
    assert changes([], np.zeros((0, B)), np.zeros((0, B)), BEGINS, BEFORE, DURING) == []


def test_what_is_usual_ends_a_guard_before_and_is_bounded() -> None:
    calm, ends = np.ones(B, np.bool_), BEGINS + TEN
    calm[10] = False
    begin = int(BEGINS[50])
    chosen = usual(ends, calm, begin, Settings(guard_s=60, memory=40))
    assert np.flatnonzero(chosen).tolist() == [*range(10), *range(11, 44)][-40:]
    assert ends[np.flatnonzero(chosen)[-1]] == begin - 60 * SECOND


def test_the_guard_gives_way_where_nothing_else_is_there() -> None:
    ends = BEGINS + TEN
    chosen = usual(ends, np.ones(B, np.bool_), int(BEGINS[4]), Settings())
    assert np.flatnonzero(chosen).tolist() == [0, 1, 2, 3]
    assert not usual(ends, np.zeros(B, np.bool_), int(BEGINS[4]), Settings()).any()


def test_from_counts_to_the_cause() -> None:
    """Stock fails for cart, which fails for front; pay, which is called less for it, is none of it."""
    dice = np.random.default_rng(6)
    asked = dice.poisson(8.0, B).astype(float)
    seen = {
        "front-1": np.where(DURING, 0.6 * asked, 0.0),  # errors, the most of all
        "cart-1": np.where(DURING, 0.5 * asked, 0.0),
        "stock-1": np.where(DURING, 0.5 * asked, 0.0),
    }
    series = [errors(name) for name in seen]
    clues = changes(
        series, np.array(list(seen.values())).round(), np.tile(asked, (3, 1)), BEGINS, BEFORE, DURING
    )
    less = np.where(DURING, asked * 0.3, asked).round()[None]  # half of its requests never come
    lines = Counted(pod("pay-1"), "lines", "lines", worse=False)
    clues += changes([lines], 2 * less, due(2 * less, less, BEFORE), BEGINS, BEFORE, DURING)
    assert {clue.place.pod for clue in clues} == set(seen)
    graph = [Edge(caller, callee, 1, 0, 0, 0, ()) for caller, callee in CALLS]
    assert rank(clues, ALL_MEMBERS, graph)[0].name() == "stock-1"
