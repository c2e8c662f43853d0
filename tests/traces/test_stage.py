"""What becomes of spans: series of services, operations and edges."""

import random
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.signals import SECOND, Kind, Principal
from edgeobs.traces import Settings
from edgeobs.traces.sketch import ALPHA
from tests.traces.making import ANYONE, CLIENT, INTERNAL, MS, SERVER, T0, Bench, Span, batch

# gateway on n1 calls orders on n2, which takes 30 of the 40 ms that its caller sees.
ROOT = Span("gateway", "GET /", 1, 0, SERVER, 0, 50 * MS)
ASKS = Span("gateway", "GET", 2, 1, CLIENT, 5 * MS, 45 * MS)
DOES = Span("orders", "GET /orders", 3, 2, SERVER, 10 * MS, 40 * MS, node="n2")
INSIDE = Span("orders", "read", 4, 3, INTERNAL, 12 * MS, 22 * MS, node="n2")
TRACE = (ROOT, ASKS, DOES, INSIDE)


def near(seconds: float) -> object:
    """Within the promised error."""
    return pytest.approx(seconds, rel=ALPHA)


def test_services_operations_and_edges() -> None:
    bench = Bench()
    bench.take(*TRACE, at=1)
    bench.until(30)
    assert bench.value("calls gateway@n1") == 1
    assert bench.value("calls orders@n2") == 1  # what is inside does not enter it
    assert bench.value("duration_seconds:p50 gateway@n1") == near(0.050)
    assert bench.value("duration_seconds:p50 orders@n2 GET /orders") == near(0.030)
    assert bench.value("duration_seconds:p50 orders@n2 read") == near(0.010)
    assert bench.value("calls gateway@n1 GET") == 1
    edge = "orders@n2 gateway orders n1"
    assert bench.value(f"calls {edge}") == 1
    assert bench.value(f"duration_seconds:p50 {edge}") == near(0.040)  # as the caller sees it
    assert bench.value(f"link_seconds:p50 {edge}") == near(0.010)
    assert bench.value(f"error_ratio {edge}") == 0
    assert not [key for key in bench.given if "p99" in key[0] or "p90" in key[0]]  # of one call: none


def test_what_a_series_is() -> None:
    bench = Bench()
    bench.take(*TRACE, at=1)
    points = bench.close(30)
    assert set(points.time_ns.tolist()) == {T0 + 10 * SECOND}
    assert set(points.start_ns.tolist()) == {T0}
    kinds = {bench.text(s): bench.table[s] for s in points.series.tolist()}
    calls = kinds["calls orders@n2 GET /orders"]
    assert (calls.kind, calls.unit, calls.source.resource.zone) == (Kind.DELTA, "{call}", "z")
    assert dict(calls.labels) == {
        "operation": "GET /orders", "pod": "orders-n2", "service": "orders", "span_kind": "server",
        "workload": "orders",
    }  # fmt: skip
    assert kinds["error_ratio orders@n2"].kind == Kind.GAUGE
    assert kinds["link_seconds:p50 orders@n2 gateway orders n1"].unit == "s"


def test_an_interval_closes_once_it_is_over_and_stragglers_had_their_time() -> None:
    bench = Bench(Settings(interval_s=10, wait_s=5))
    bench.take(*TRACE, at=1)
    bench.until(15)
    assert not bench.given
    bench.close(16)  # it began when the first span came, at 1
    assert bench.given


def test_failures_are_seen_by_callee_and_caller() -> None:
    bench = Bench()
    bench.take(ROOT, ASKS._replace(failed=True), DOES, at=1)
    bench.take(*(s._replace(trace=2) for s in (ROOT, ASKS, DOES._replace(failed=True))), at=2)
    bench.take(*(s._replace(trace=3) for s in TRACE), at=2)
    bench.take(*(s._replace(trace=4) for s in TRACE), at=2)
    bench.until(30)
    assert bench.value("error_ratio orders@n2") == 0.25
    assert bench.value("error_ratio gateway@n1") == 0
    assert bench.value("error_ratio orders@n2 gateway orders n1") == 0.5


def test_quantiles_need_calls_beyond_them() -> None:
    bench = Bench()
    for n in range(100):
        bench.take(ROOT._replace(trace=n + 1, end=(n + 1) * MS), at=1)
    bench.take(*(DOES._replace(trace=1000 + n, parent=0) for n in range(99)), at=1)
    bench.until(30)
    assert bench.value("duration_seconds:p90 gateway@n1") == near(0.090)
    assert bench.value("duration_seconds:p99 gateway@n1") == near(0.099)
    assert bench.value("duration_seconds:p90 orders@n2") is not None
    assert bench.value("duration_seconds:p99 orders@n2") is None


def test_a_child_may_come_long_before_its_parent() -> None:
    bench = Bench()
    bench.take(INSIDE, DOES, at=1)
    bench.until(9)
    bench.take(ASKS, ROOT, at=9.5)
    bench.until(30)
    assert bench.value("calls orders@n2 gateway orders n1") == 1
    assert bench.dropped("orphan") == 0
    assert bench.counts["edgeobs_spans_joined_total",] == 3


def test_a_parent_that_never_comes_is_counted_and_the_child_still_tells_what_it_can() -> None:
    bench = Bench()
    bench.take(INSIDE, DOES, at=1)
    bench.until(30)
    assert bench.dropped("orphan") == 1
    assert bench.value("calls orders@n2") == 1
    assert bench.value("calls orders@n2 gateway orders n1") is None


def test_without_kinds_the_parents_source_tells_what_enters() -> None:
    bench = Bench()
    bench.take(*(s._replace(kind=0) for s in TRACE), at=1)
    bench.until(30)
    assert bench.value("calls gateway@n1") == 1
    assert bench.value("calls orders@n2") == 1
    assert bench.value("duration_seconds:p50 orders@n2 gateway orders n1") == near(0.030)


def test_what_was_sent_twice_counts_once() -> None:
    bench = Bench()
    bench.take(*TRACE, *TRACE, at=1)
    bench.take(*TRACE, at=2)
    bench.close(3)
    bench.take(*TRACE, at=4)
    bench.until(30)
    assert bench.dropped("duplicate") == 12
    assert bench.value("calls orders@n2 gateway orders n1") == 1


def test_one_span_id_in_two_traces_is_two_spans() -> None:
    bench = Bench()
    bench.take(*TRACE, *(s._replace(trace=2) for s in TRACE), at=1)
    bench.until(30)
    assert bench.value("calls orders@n2 gateway orders n1") == 2
    assert bench.dropped("duplicate") == 0


def test_a_duration_that_cannot_be_counts_as_a_call_without_one() -> None:
    bench = Bench()
    bench.take(ROOT._replace(start=9 * MS, end=3 * MS, failed=True), at=1)
    bench.until(30)
    assert bench.dropped("negative") == 1
    assert bench.value("calls gateway@n1") == 1
    assert bench.value("error_ratio gateway@n1") == 1
    assert bench.value("duration_seconds:p50 gateway@n1") is None


def test_a_span_without_times_is_of_now() -> None:
    bench = Bench()
    bench.stage.take(
        replace(batch([ROOT]), start_ns=np.zeros(1, np.int64), end_ns=np.zeros(1, np.int64)), T0 + SECOND
    )
    bench.until(30)
    assert bench.value("calls gateway@n1") == 1
    assert bench.value("duration_seconds:p50 gateway@n1") is None


def test_the_future_and_the_long_past_are_dropped() -> None:
    bench = Bench()
    bench.take(ROOT._replace(end=100 * SECOND), at=1)
    bench.take(ROOT._replace(trace=2), at=7200)
    bench.until(7230)
    assert bench.dropped("future") == 1
    assert bench.dropped("too_old") == 1
    assert not bench.given


def test_clocks_apart_are_told_and_change_no_duration() -> None:
    bench, ahead = Bench(), -4 * SECOND
    for n in range(5):
        skewed = (s._replace(start=s.start + ahead, end=s.end + ahead) for s in (DOES, INSIDE))
        spans = (s._replace(trace=n + 1) for s in (ROOT, ASKS, *skewed))
        bench.take(*(s._replace(start=s.start + 5 * SECOND, end=s.end + 5 * SECOND) for s in spans), at=6)
    bench.until(30)
    assert bench.counts["edgeobs_spans_skewed_total",] == 5
    assert bench.value("clock_offset_seconds @n2 n1") == pytest.approx(-4, abs=0.006)
    assert bench.value("link_seconds:p50 orders@n2 gateway orders n1") == near(0.010)
    (found,) = bench.stage.offsets(T0 + 30 * SECOND)
    assert found[:2] == ("n1", "n2")
    assert abs(found[2].ahead_ns - ahead) <= found[2].within_ns


def test_who_is_called_is_told_by_an_attribute_when_he_sends_no_spans() -> None:
    bench = Bench()
    for at in range(50):
        redis = Span("orders", "GET", 2, 0, CLIENT, at * SECOND, at * SECOND + MS, trace=at + 1, peer="redis")
        stock = redis._replace(trace=1000 + at, peer="stock.svc")
        answers = Span(
            "stock", "GET /", 3, 2, SERVER, at * SECOND, at * SECOND + MS, trace=1000 + at, node="n2"
        )
        bench.take(redis, stock, answers, at=at)
        bench.close(at)
    bench.until(70)
    assert bench.value("calls orders@n1 orders redis", end=40) == 10
    assert bench.value("calls stock@n2 orders stock n1", end=40) == 10
    assert not [key for key in bench.given if "stock.svc" in key[0]]


def test_silence_is_told_while_the_sender_speaks() -> None:
    bench = Bench(Settings(quiet_s=30))
    bench.close(0)
    bench.take(*TRACE, at=1)
    for at in range(2, 90):
        if at < 70:
            late = Span("other", "x", 9, 0, SERVER, at * SECOND, at * SECOND, trace=at)
            bench.take(late, at=at)
        bench.close(at)
    edge = "calls orders@n2 gateway orders n1"
    assert [bench.value(edge, end=end) for end in range(10, 60, 10)] == [1, 0, 0, 0, None]
    assert bench.value("error_ratio orders@n2", end=20) is None
    assert bench.value("calls other@n1", end=70) is not None
    assert bench.value("calls other@n1", end=80) is None  # nobody of that sender spoke


def test_a_node_that_is_silent_as_a_whole_is_left_to_heartbeats() -> None:
    bench = Bench()
    bench.heard = set()
    bench.close(0)
    bench.take(*TRACE, Span("idle", "x", 8, 0, trace=77), at=1)
    for at in range(5, 40, 5):
        bench.close(at)
        bench.take(Span("other", "x", 9, 0, SERVER, at * SECOND, at * SECOND, trace=at), at=at)
    bench.until(70)
    assert bench.value("calls idle@n1", end=30) == 0  # its node sent spans of another service
    assert bench.value("calls orders@n2", end=30) is None


def test_our_own_pause_is_nobodys_silence() -> None:
    bench = Bench()
    bench.until(5)
    bench.take(*TRACE, at=5)
    bench.close(45)  # nothing was looked at meanwhile
    bench.take(Span("other", "x", 9, 0, SERVER, 44 * SECOND, 44 * SECOND, trace=9), at=45)
    bench.close(50)
    bench.take(Span("other", "x", 9, 0, SERVER, 52 * SECOND, 52 * SECOND, trace=10), at=53)
    bench.until(90)
    assert bench.value("calls orders@n2", end=10) == 1
    assert bench.value("calls other@n1", end=50) == 1
    assert bench.value("calls orders@n2", end=50) is None
    assert bench.value("calls orders@n2", end=60) == 0


def test_what_comes_after_its_interval_closed_is_late_for_that_source_alone() -> None:
    bench = Bench()
    bench.take(*TRACE, at=1)
    bench.until(40)
    bench.take(ROOT._replace(trace=2), Span("back", "x", 1, 0, SERVER, node="n9", trace=3), at=41)
    bench.until(70)
    assert bench.dropped("late") == 1
    assert bench.value("calls gateway@n1") == 1
    assert bench.value("calls back@n9") == 1  # a node that was cut off tells of its own time


def test_hours_that_come_at_once_are_told_in_order() -> None:
    bench = Bench()
    for n in range(0, 3000, 5):
        bench.take(Span("a", "x", 1, 0, SERVER, n * SECOND, n * SECOND, trace=n + 1), at=3000 + n / 1000)
    points = [bench.close(3004), bench.close(3030)]
    ends = [t for p in points for t in p.time_ns.tolist()]
    assert ends == sorted(ends)
    assert sum(value for (text, _), value in bench.given.items() if text == "calls a@n1") == 600


def test_an_hour_in_one_request_opens_no_more_than_it_must() -> None:
    bench = Bench(Settings(interval_s=1))
    seconds = range(0, 3500, 2)
    spans = [Span("a", "x", 1, 0, SERVER, n * SECOND, n * SECOND, trace=n + 1) for n in seconds]
    bench.take(*spans, at=3500)
    bench.close(3502)
    assert len(bench.stage.tally.open) == 32
    bench.until(3520)
    assert not bench.stage.tally.open
    assert sum(value for (text, _), value in bench.given.items() if text == "calls a@n1") == len(spans)


def test_too_many_of_anything_count_as_other() -> None:
    bench = Bench(Settings(services=5, operations=3, edges=4))
    calm = Span("calm", "x", 1, 0, trace=999)
    for n in range(20):
        bench.take(Span("storm", f"GET /users/{n}", 1, 0, trace=n + 1), at=1)
    bench.take(calm, at=1)
    for n in range(20):
        asks = Span("calm", "ask", 1, 0, CLIENT, trace=2000 + n)
        bench.take(asks, Span(f"s{n}", "do", 2, 1, SERVER, trace=2000 + n, node="n2"), at=1)
    bench.until(30)
    assert bench.value("calls storm@n1 other") == 17
    assert bench.value("calls storm@n1") == 20
    assert bench.value("calls calm@n1 x") == 1
    assert bench.value("calls other@n2") == 17  # calm, storm and three more are five
    assert bench.counts["edgeobs_spans_other_total", "operation"] == 17
    assert bench.counts["edgeobs_spans_other_total", "service"] == 17


def test_a_table_without_room_drops_and_counts() -> None:
    bench = Bench(Settings(most=16, services=100_000))
    for n in range(30):
        bench.take(Span(f"s{n}", "x", 1, 0, trace=n + 1), at=1)
    bench.until(30)
    assert bench.dropped("limit") >= 14
    assert len([k for k in bench.given if k[0].startswith("calls") and " x" not in k[0]]) == 16


def test_series_that_are_refused_are_counted_and_asked_for_again_when_there_is_room() -> None:
    bench = Bench()
    poor = Principal(0, "poor", None, 0)
    bench.take(*TRACE, at=1, principal=poor)
    bench.until(30)
    assert not bench.given
    assert bench.counts["edgeobs_points_dropped_total", "limit"] > 0
    rich = ANYONE
    bench.stage.forget(np.zeros(0, np.int32))
    bench.take(
        *(s._replace(trace=2, start=31 * SECOND, end=31 * SECOND) for s in TRACE), at=31, principal=rich
    )
    bench.until(60)
    assert bench.value("calls orders@n2", end=40) == 1


def test_an_id_that_was_given_to_another_is_not_used_again() -> None:
    bench = Bench()
    bench.take(*TRACE, at=1)
    points = bench.close(30)
    bench.table.drop(points.series.tolist())
    bench.stage.forget(points.series)
    bench.take(*(s._replace(trace=2, start=31 * SECOND, end=31 * SECOND) for s in TRACE), at=31)
    bench.until(60)
    assert bench.value("calls orders@n2", end=40) == 1


def test_what_is_silent_for_long_is_forgotten() -> None:
    bench = Bench(Settings(forget_s=60, wait_s=5))
    bench.take(*TRACE, at=1)
    bench.until(30)
    for at in range(30, 400, 10):
        bench.take(Span("last", "x", 1, 0, SERVER, at * SECOND, at * SECOND, trace=at, node="n3"), at=at)
        bench.close(at)
    units = bench.stage.units
    assert [len(r) for r in (units.sources, units.operations, units.nodes)] == [1, 1, 1]
    assert [edge.caller for edge in units.edges.keys if edge] == [""]
    assert not bench.stage.offsets(T0 + 400 * SECOND)


def test_hostile_text_is_cut() -> None:
    bench = Bench()
    bench.take(ROOT._replace(name="x" * 10**6), at=1)
    bench.until(30)
    assert bench.value(f"calls gateway@n1 {'x' * 256}") == 1


def oracle(spans: list[Span]) -> dict[str, float]:
    """Calls by series for one interval, told plainly."""
    first: dict[tuple[int, int], Span] = {}
    for s in spans:
        first.setdefault((s.trace, s.span), s)
    told: defaultdict[str, float] = defaultdict(float)
    for s in first.values():
        where = f"{s.service}@{s.node}"
        told[f"calls {where} {s.name}"] += 1
        parent = first.get((s.trace, s.parent)) if s.parent else None
        crossing = parent is not None and (parent.service, parent.node) != (s.service, s.node)
        if s.kind == SERVER or not s.parent or crossing:
            told[f"calls {where}"] += 1
        if parent is not None and crossing:
            far = f" {parent.node}" if parent.node != s.node else ""
            told[f"calls {where} {parent.service} {s.service}{far}"] += 1
    return told


some = st.builds(
    Span,
    service=st.sampled_from("abc"),
    name=st.sampled_from(["f", "g"]),
    span=st.integers(1, 8),
    parent=st.integers(0, 9),
    kind=st.sampled_from([0, INTERNAL, SERVER, CLIENT]),
    start=st.integers(0, 4 * SECOND),
    end=st.integers(0, 9 * SECOND),
    failed=st.booleans(),
    node=st.sampled_from(["n1", "n2"]),
    trace=st.integers(1, 3),
).map(lambda s: s._replace(name=f"{s.name}{s.kind}"))


@given(st.lists(some, max_size=40), st.integers(0, 2**32), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_any_batching_counts_what_an_oracle_counts(spans: list[Span], seed: int, parts: int) -> None:
    chance, bench, at = random.Random(seed), Bench(), 1.0
    cuts = sorted(chance.randrange(len(spans) + 1) for _ in range(parts - 1))
    for start, stop in zip([0, *cuts], [*cuts, len(spans)], strict=True):
        bench.take(*spans[start:stop], at=at)
        if chance.random() < 0.7:
            at += chance.random()
            bench.close(at)
    bench.until(40)
    told = {
        text: value for (text, end), value in bench.given.items() if text.startswith("calls ") and end == 10
    }
    assert told == oracle(spans)
