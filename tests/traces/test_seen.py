"""What people get to see: the graph, exemplars, hints."""

import json
import math

import numpy as np
import pytest

from edgeobs.signals import SECOND, Edge
from edgeobs.traces import Settings, graph
from edgeobs.traces.hints import Candidate, Hint, text_of, worth
from tests.traces.making import CLIENT, MS, SERVER, T0, Bench, Span
from tests.traces.test_stage import TRACE


def trace(number: int) -> str:
    """Of `Span.trace`."""
    return f"{7:016x}{number:016x}"


def test_the_graph_joins_the_pods_of_a_service() -> None:
    bench = Bench()
    for n, node in enumerate(["n2", "n3", "n3", "n4"]):
        spans = (s._replace(trace=n + 1, node=node if s.service == "orders" else "n1") for s in TRACE)
        bench.take(*(s._replace(failed=s.service == "orders" and n == 3) for s in spans), at=1)
    bench.until(30)
    outside, inside = sorted(bench.stage.edges(T0 + 31 * SECOND))
    assert (outside.caller, outside.callee, outside.series) == ("", "gateway", ())
    assert (inside.caller, inside.callee) == ("gateway", "orders")
    assert inside.rate == pytest.approx(0.4)
    assert inside.error_ratio == 0.25
    assert inside.p50_s == pytest.approx(0.04, rel=0.01)
    assert {bench.table[s].source.resource.node for s in inside.series} == {"n2", "n3", "n4"}
    assert {bench.table[s].name for s in inside.series} == {
        "span_calls", "span_error_ratio", "span_duration_seconds:p50", "span_link_seconds:p50",
    }  # fmt: skip


def test_the_graph_is_of_the_last_minute_and_then_of_nothing() -> None:
    bench = Bench(Settings(quiet_s=100))
    for n in range(9):
        at = 10 * n
        spans = (s._replace(trace=n + 1, start=s.start + at * SECOND, end=s.end + at * SECOND) for s in TRACE)
        bench.take(*spans, at=at + 1)
    bench.until(130)
    (edge,) = (e for e in bench.stage.edges(T0 + 130 * SECOND) if e.caller)
    assert edge.rate == pytest.approx(0.1)
    assert bench.stage.edges(T0 + 300 * SECOND) == ()


def test_a_graph_for_the_page() -> None:
    edges = [
        Edge("", "gateway", 3.0, 0.0, 0.1, 0.2, ()),
        Edge("gateway", "orders", 2.0, 0.5, 0.1, math.nan, (4, 5), ("t",)),
        Edge("cron", "orders", 2.0, 0.0, 0.1, 0.2, (6,)),
    ]
    made = graph(edges, {5: 7.5, 6: 1.0, 99: 20.0}, 6.0)
    json.dumps(made, allow_nan=False)
    assert [(e["caller"], e["callee"], e["anomalous"]) for e in made["edges"]] == [
        ("gateway", "orders", True),
        ("cron", "orders", False),
        ("outside", "gateway", False),
    ]
    assert made["edges"][0]["p99_s"] is None
    services = {s["name"]: s for s in made["services"]}
    assert set(services) == {"gateway", "orders", "cron"}
    assert services["orders"] == {"name": "orders", "rate": 4.0, "error_ratio": 0.25, "anomalous": True}
    assert graph(list(reversed(edges)), {5: 7.5, 6: 1.0}, 6.0) == made
    assert graph([], {}, 6.0) == {"services": [], "edges": []}


def busy() -> tuple[Bench, int]:
    """Ten calls of one operation, the fourth the slowest, the seventh failed; the series of their rate."""
    bench = Bench()
    for n in range(1, 11):
        end = 500 * MS if n == 4 else n * MS
        bench.take(Span("orders", "GET", 1, 0, SERVER, 0, end, failed=n == 7, trace=n), at=1)
    points = bench.close(30)
    (series,) = (s for s in points.series.tolist() if bench.text(s) == "calls orders@n1 GET")
    return bench, series


def test_traces_of_surprising_intervals_are_kept_and_hinted_at_once() -> None:
    bench, series = busy()
    assert bench.stage.exemplars(series) == ()
    at = np.array([T0 + 10 * SECOND])
    bench.stage.surprising(np.array([series], np.int32), at, np.array([3.9]))
    assert bench.stage.exemplars(series) == (trace(7), trace(4))
    assert bench.stage.hints(0.0, T0 + 30 * SECOND) == (), "what is usual among many takes no room"
    bench.stage.surprising(np.array([series], np.int32), at, np.array([6.5]))
    assert bench.stage.exemplars(series) == (trace(7), trace(4))
    now = T0 + 30 * SECOND
    assert [(h.trace, h.reason, h.what, h.service, h.operation) for h in bench.stage.hints(6.0, now)] == [
        (trace(4), "slow", "orders GET", "orders", "GET"),
        (trace(7), "failed", "orders GET", "orders", "GET"),
    ]
    bench.stage.surprising(np.array([series], np.int32), at, np.array([6.5]))
    assert len(bench.stage.hints(6.0, now)) == 2, "whoever asks, and however often, each trace once"
    assert bench.stage.hints(6.0, now + 600 * SECOND) == ()
    assert bench.stage.hints(7.0, now) == (), (
        "an exemplar for whoever looks, and not surprising enough to ask for"
    )


def test_what_is_foreign_or_long_ago_is_not_known() -> None:
    bench, series = busy()
    bench.stage.surprising(
        np.array([9999, series], np.int32), np.array([T0 + 10 * SECOND, T0 + 20 * SECOND]), np.ones(2)
    )
    assert bench.stage.exemplars(series) == ()
    assert bench.stage.exemplars(9999) == ()


def test_kept_traces_are_bounded() -> None:
    bench = Bench(Settings(exemplars=5))
    for n in range(20):
        bench.take(Span(f"s{n}", "x", 1, 0, SERVER, trace=n + 1), at=1)
    points = bench.close(30)
    bench.stage.surprising(points.series, points.time_ns, np.full(len(points.series), 9.0))
    assert len(bench.stage.kept.all()) == 5
    assert 0 < len(bench.stage.hints(6.0, T0 + 30 * SECOND)) <= 1000


def test_an_edge_that_nobody_saw_before_is_news_once_things_are_known() -> None:
    bench = Bench()
    for n in range(70):
        at = 10 * n
        spans = [s._replace(trace=n + 1, start=s.start + at * SECOND, end=s.end + at * SECOND) for s in TRACE]
        if n > 65:
            asks = Span("orders", "GET", 9, 3, CLIENT, at * SECOND, at * SECOND, node="n2", trace=n + 1)
            spans += [asks, Span("ledger", "POST", 10, 9, SERVER, at * SECOND, at * SECOND, trace=n + 1)]
        bench.take(*spans, at=at + 1)
        bench.close(at + 5)
    bench.until(800)
    found = bench.stage.hints(6.0, T0 + 800 * SECOND)
    assert [(h.trace, h.reason, h.what, h.service) for h in found] == [
        (trace(67), "new edge", "orders → ledger", "ledger")
    ]


def test_each_trace_is_hinted_at_once_by_its_strongest_reason() -> None:
    found = worth(
        [
            Candidate("a", "a", "", "t1", "t2", score=7.0, new=False),
            Candidate("b x", "b", "x", "t2", "", score=7.0, new=False),
            Candidate("a → c", "c", "", "t3", "t4", score=0.0, new=True),
            Candidate("d", "d", "", "t5", "t6", score=0.0, new=False),
        ],
        9,
    )
    assert found == (
        Hint("t2", "failed", "a", "a", "", 9, 7.0),
        Hint("t1", "slow", "a", "a", "", 9, 7.0),
        Hint("t3", "new edge", "a → c", "c", "", 9, 0.0),
    )


def test_a_trace_id_as_text() -> None:
    assert text_of(np.array([1, 2**63], np.uint64)) == "00000000000000018000000000000000"
    assert not text_of(np.zeros(2, np.uint64))
