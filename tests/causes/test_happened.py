"""Counts of logs and traces around an incident as clues, and how they go with what detectors found."""

import numpy as np

from edgeobs.causes import Clue, Settings
from edgeobs.causes.happened import happened
from edgeobs.causes.merging import merged
from edgeobs.past import INTERVAL_NS, NOTHING, Counted, Tallies, bins
from edgeobs.signals import SECOND
from tests.causes.conftest import clue, pod

FIRST, B, BEGAN = 170_000_000, 120, 100  # number of the first interval, how many, and where it began
BEGIN_NS = (FIRST + BEGAN) * INTERVAL_NS
END_NS = (FIRST + B) * INTERVAL_NS


def tallies(*told: tuple[Counted, dict[int, list[int]]]) -> Tallies:
    """Series, each with its counts by bin: one an interval."""
    rows = [
        (row, FIRST + i, where, n)
        for row, (_, by_bin) in enumerate(told)
        for where, count in by_bin.items()
        for i, n in enumerate(count)
    ]
    row, interval, where, many = np.array(rows, np.int64).T
    return Tallies(tuple(each for each, _ in told), np.arange(FIRST, FIRST + B), row, interval, where, many)


def changing(before: int, after: int) -> list[int]:
    return [before] * BEGAN + [after] * (B - BEGAN)


REQUESTS = Counted(pod("stock-1"), "requests", "GET /", worse=False)
ERRORS = Counted(pod("stock-1"), "lines", "error lines “no stock”", worse=True)
ASKED = tallies((REQUESTS, {0: changing(10, 10)}))


def what(lines: Tallies, spans: Tallies, **more: object) -> list[Clue]:
    return happened(lines, spans, BEGIN_NS, END_NS, more.pop("troubles", ()), Settings(**more))  # type: ignore[arg-type]


def test_lines_that_come_with_the_same_requests_are_a_clue() -> None:
    (found,) = what(tallies((ERRORS, {0: changing(0, 5)})), ASKED)
    assert (found.place, found.signal, found.onset_ns) == (pod("stock-1"), "log", BEGIN_NS)
    assert found.decades > 10


def test_lines_that_follow_the_load_are_none() -> None:
    twice = tallies((REQUESTS, {0: changing(10, 30)}))
    assert what(tallies((ERRORS, {0: changing(1, 3)})), twice) == []


def test_where_no_request_is_known_nothing_is_due() -> None:
    elsewhere = tallies((REQUESTS._replace(place=pod("pay-1")), {0: changing(10, 10)}))
    assert what(tallies((ERRORS, {0: changing(0, 5)})), elsewhere) == []
    assert what(NOTHING, NOTHING) == []


def test_spans_that_take_four_times_as_long_are_slow_and_ways_name_whom_they_lead_to() -> None:
    usual, long = bins(np.array([10_000_000, 40_000_000])).tolist()
    by_bin = {usual: changing(10, 0), long: changing(0, 10)}
    spans = Counted(pod("pay-1"), "spans", "slow spans SELECT", worse=True)
    ways = Counted(pod("front-1"), "ways", "slow ways to cart", worse=True, callee="cart")
    found = what(NOTHING, tallies((REQUESTS, {0: changing(10, 10)}), (spans, by_bin), (ways, by_bin)))
    assert [(each.place, each.callee) for each in found] == [(pod("pay-1"), ""), (pod("front-1"), "cart")]
    a_little = {usual: changing(10, 0), usual + 3: changing(0, 10)}
    assert what(NOTHING, tallies((spans, a_little))) == []


def test_calls_that_are_no_longer_made_are_a_clue_of_the_caller() -> None:
    calls = Counted(pod("stock-1"), "calls", "calls of db", worse=False, callee="db")
    (found,) = what(NOTHING, tallies((REQUESTS, {0: changing(10, 10)}), (calls, {0: changing(10, 2)})))
    assert (found.place, found.signal, found.callee) == (pod("stock-1"), "trace", "")


def test_what_was_when_something_else_was_wrong_is_not_usual() -> None:
    """An earlier trouble of the same kind would hide this one; where all was trouble, that is usual."""
    count = [5 if 40 <= i < 80 or i >= BEGAN else 0 for i in range(B)]
    lines = tallies((ERRORS, {0: count}))
    trouble = ((FIRST + 40) * INTERVAL_NS, (FIRST + 80) * INTERVAL_NS)
    (apart,), (hidden,) = what(lines, ASKED, troubles=[trouble]), what(lines, ASKED)
    assert apart.decades > hidden.decades + 5
    assert what(lines, ASKED, troubles=[(0, END_NS)]) == [hidden]


def test_what_was_written_over_is_not_taken_for_no_lines() -> None:
    """The ring of lines reaches back less far than that of spans."""
    twenty = [0] * 80 + [5] * (B - 80)
    lines = tallies((ERRORS, {0: twenty}))
    assert what(lines, ASKED)[0].decades > 0.5, "they seem to be new"
    assert what(lines._replace(since=FIRST + 80), ASKED) == []


def test_many_operations_of_a_place_are_looked_at_as_few() -> None:
    asked = [(REQUESTS._replace(text=f"GET /{n}"), {0: changing(1 + n % 3, 1 + n % 3)}) for n in range(600)]
    (found,) = what(tallies((ERRORS, {0: changing(0, 5)})), tallies(*asked))
    assert found.decades > 5


def test_only_so_much_of_what_came_after_is_looked_at() -> None:
    late = tallies((ERRORS, {0: [0] * (BEGAN + 6) + [5] * (B - BEGAN - 6)}))
    assert what(late, ASKED, changes_s=60.0) == []
    assert len(what(late, ASKED, changes_s=120.0)) == 1
    assert happened(late, ASKED, BEGIN_NS, BEGIN_NS + 5 * SECOND, ()) == [], "no interval is over yet"


def test_counts_that_tell_of_a_change_stand_for_what_detectors_say_of_logs_and_traces() -> None:
    detected = [clue("pay-1", 9, "trace"), clue("edge-2", 5), clue("front-1", 6, "trace", callee="cart")]
    changed = [clue("stock-1", 7, "log")]
    assert merged(detected, changed) == [*detected[1:], *changed]
    weak = [clue("stock-1", 1, "log")]
    assert merged(detected, weak) == [*detected, *weak]
