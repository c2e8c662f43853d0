"""Logs and spans in the pipeline: isolated, joined with metrics, alive where metrics are silent."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.hearing import LATE_NS, Hearing, still_heard, without_metrics
from edgeobs.logs import Template
from edgeobs.signals import (
    SECOND,
    Absence,
    Batch,
    Closed,
    Edge,
    Heartbeat,
    HeartState,
    Identity,
    Kind,
    LogBatch,
    Points,
    Principal,
    Resource,
    Scores,
    Sign,
    Source,
    SpanBatch,
)
from edgeobs.streams import RECENT_NS, Arrays, Streams, both, both_scores, joined
from edgeobs.traces import Hint

SENDER = Principal(0, "loopback", None, 1000)
NOW = 1_700_000_000 * SECOND


def source(node: str, pod: str = "") -> Source:
    place = Resource("", f"z{node.removeprefix('n')}", node, "shop", "till", pod)
    return Source((("host.name", node), ("k8s.pod.name", pod)), place)


def logs(node: str, time_ns: int, rows: int = 1) -> LogBatch:
    return LogBatch(
        SENDER, (source(node),), np.zeros(rows, np.int32), np.full(rows, time_ns), np.full(rows, 3, np.int8),
        b"x" * rows, np.arange(rows + 1), np.zeros((rows, 2), np.uint64),
    )  # fmt: skip


def spans(node: str, end_ns: int) -> SpanBatch:
    one, i = np.zeros(1, np.int32), np.full(1, end_ns)
    return SpanBatch(
        SENDER, (source(node),), ("GET",), one, one, one - 1, np.full(1, 2, np.int8), np.zeros(1, np.bool_),
        i - 5, i, np.ones((1, 2), np.uint64), np.ones(1, np.uint64), np.zeros(1, np.uint64),
    )  # fmt: skip


class Stage:
    """A stage that counts what it takes, and gives what a test has laid out for it."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.closed: list[Closed] = []
        self.gone: list[int] = []
        self.surprised: list[tuple[int, int]] = []
        self.graph: list[Edge] = []
        self.learned = 0
        self.broken = False

    def _may_fail(self) -> None:
        if self.broken:
            raise RuntimeError("a stage's own mistake")

    def take(self, batch: Any, now_ns: int) -> None:
        self._may_fail()
        self.taken.append((batch, now_ns))

    def close(self, _: int) -> Closed:
        self._may_fail()
        return self.closed.pop() if self.closed else Closed(Points.none())

    def forget(self, ids: Any) -> None:
        self.gone += ids.tolist()

    def state(self) -> Arrays:
        self._may_fail()
        return {"learned": np.array([self.learned])}

    def restore(self, state: Mapping[str, Any]) -> None:
        if "learned" not in state:
            raise ValueError("nothing learned")
        self.learned = int(state["learned"][0])

    def template(self, ident: str) -> Template:
        return Template(ident, f"user <*> ({ident})", 3, "user 7", 1)

    def edges(self, _: int) -> Sequence[Edge]:
        self._may_fail()
        return self.graph

    def surprising(self, series: Any, time_ns: Any, _: Any) -> None:
        self.surprised += zip(series.tolist(), time_ns.tolist(), strict=True)

    def exemplars(self, series: int) -> tuple[str, ...]:
        return (f"{series:032x}",)

    def hints(self, least: float, _: int) -> tuple[Hint, ...]:
        self._may_fail()
        return (Hint("f" * 32, "slow", "till POST", "till", "POST", 1, least),)


@pytest.fixture
def staged(site: Callable[..., Any]) -> tuple[Any, Stage, Stage]:
    """A site whose pipeline has such stages."""
    made = site()
    one, other = Stage(), Stage()
    made.pipeline.streams = Streams(one, other, made.pipeline.detection.parts)
    made.pipeline.incidents._intake._lore = made.pipeline.streams.lore
    return made, one, other


def admit(site: Any, name: str, node: int, kind: Kind = Kind.GAUGE, **labels: str) -> int:
    whose = Source(
        (("host.name", f"n{node}"),), Resource("", f"z{node}", f"n{node}", "shop", "till", "till-7")
    )
    number = site.pipeline.table.intern(
        Identity(whose, name, tuple(sorted(labels.items())), kind, "s"), 0, site.now_ns
    )
    assert number is not None
    return int(number)


def point(number: int, time_ns: int, value: float, start_ns: int = 0) -> Points:
    return Points(
        np.array([number], np.int32), np.array([time_ns]), np.array([start_ns]), np.array([float(value)])
    )


def test_each_batch_goes_to_its_own_stage(staged: Any) -> None:
    site, one, other = staged
    batch, more = logs("n0", site.now_ns), spans("n0", site.now_ns)
    site.pipeline.step(Points.none(), site.now_ns, stream=batch)
    site.pipeline.step(Points.none(), site.now_ns + 1, stream=more)
    assert [taken for taken, _ in one.taken] == [batch]
    assert [taken for taken, _ in other.taken] == [more]


def test_a_stage_that_raises_stops_nobody(staged: Any) -> None:
    site, one, other = staged
    one.broken = True
    site.seconds(5)
    site.now_ns += SECOND
    outputs = site.pipeline.step(site.points(), site.now_ns, stream=logs("n0", site.now_ns))
    site.pipeline.step(Points.none(), site.now_ns, stream=spans("n0", site.now_ns))
    assert outputs.scored == 2 * site.nodes
    assert len(other.taken) == 1
    assert "logs" in site.pipeline.detection.failing(site.now_ns)
    assert "traces" not in site.pipeline.detection.failing(site.now_ns)
    assert site.core.counts["edgeobs_detector_errors_total", "logs"] >= 2
    assert "logs" not in site.pipeline.state()
    one.broken = False
    site.pipeline.step(Points.none(), site.now_ns, stream=logs("n0", site.now_ns))
    assert len(one.taken) == 1


def test_closed_intervals_are_scored_and_are_no_sign_of_life(staged: Any) -> None:
    site, _, other = staged
    site.seconds(3)
    number = admit(site, "span_calls", 0, Kind.DELTA, operation="GET")
    seen: list[Any] = []
    site.pipeline.observer = lambda batch, _: seen.append(batch)
    heard = site.pipeline.heartbeats.beats(site.now_ns)[0].heard_ns
    site.now_ns += SECOND
    other.closed = [Closed(point(number, site.now_ns, 50.0, site.now_ns - 10 * SECOND))]
    outputs = site.pipeline.step(Points.none(), site.now_ns)
    assert outputs.scored == 1
    (batch,) = [each for each in seen if len(each.series)]
    assert batch.value.tolist() == [5.0], "a delta is a rate"
    assert site.pipeline.heartbeats.beats(site.now_ns)[0].heard_ns == heard


def test_an_incident_carries_all_three_signals(staged: Any) -> None:
    site, one, other = staged
    site.seconds(60)
    duration = admit(site, "span_duration_seconds:p99", 1, operation="GET /cart")
    rate = admit(site, "log_lines", 1, Kind.DELTA, template="3f", severity="error")
    for second in range(60):
        bad = second >= 50
        site.second(failing=1 if bad else -1)
        span = point(duration, site.now_ns, (2.0 if bad else 0.1) + site.random.normal(0, 0.005))
        log = point(rate, site.now_ns, site.random.poisson(500 if bad else 10), site.now_ns - SECOND)
        sign = Sign(
            "log template never seen", source("n1", "till-7"), "never seen: panic <*>", (("template", "9a"),),
            site.now_ns, 7.0, 10.0, traces=("ab" * 16,),
        )  # fmt: skip
        other.closed = [Closed(span)]
        one.closed = [Closed(log, (sign,) if bad else ())]
        site.pipeline.step(Points.none(), site.now_ns + 1)
    (incident,) = site.pipeline.incidents.active()
    assert incident.place.node == "n1"
    found = {each.kind or each.name: each for each in incident.evidence}
    assert {
        "span duration",
        "log rate",
        "log template never seen",
        "system_disk_errors_total",
    } <= found.keys()
    assert found["span duration"].traces == (f"{duration:032x}",)
    assert found["log rate"].detail == "user <*> (3f)"
    assert found["log rate"].query.startswith('{k8s_namespace_name="shop"} |~')
    assert found["log template never seen"].detail == "user <*> (9a)"
    assert found["log template never seen"].traces == ("ab" * 16,)
    assert found["span duration"].resource.pod == found["log template never seen"].resource.pod == "till-7"
    assert found["span duration"].brief() == "span duration of shop/till-7: GET /cart"
    assert (duration, site.now_ns) in other.surprised
    assert site.core.counts["edgeobs_signs_total", "log template never seen"] == 10


def test_signs_of_long_ago_are_nobodys_business(staged: Any) -> None:
    site, one, _ = staged
    site.seconds(3)
    old = Sign("log silence", source("n0"), "silent", (), site.now_ns - LATE_NS - 1, 20.0, 60.0)
    one.closed = [Closed(Points.none(), (old,))]
    site.pipeline.step(Points.none(), site.now_ns)
    new = old._replace(time_ns=site.now_ns, text="silent now")
    assert site.pipeline.incidents.active() == []
    one.closed = [Closed(Points.none(), (new,))]
    site.pipeline.step(Points.none(), site.now_ns)
    (incident,) = site.pipeline.incidents.active()
    assert [each.text for each in incident.evidence] == ["silent now"]
    assert incident.title.startswith("till on n0: silent now, since ")


def test_what_is_rare_but_not_enough_joins_what_is_there(staged: Any) -> None:
    site, one, _ = staged
    site.seconds(60)
    weak = Sign("log template never seen", source("n1"), "never seen: oops", (), site.now_ns, 3.0, 10.0)
    one.closed = [Closed(Points.none(), (weak, weak._replace(text="usual", score=1.9)))]
    site.seconds(5)
    assert site.pipeline.incidents.active() == []
    site.seconds(10, failing=1)
    (incident,) = site.pipeline.incidents.active()
    assert {each.name for each in incident.evidence} >= {
        "system_disk_errors_total",
        "log template never seen",
    }
    assert "usual" not in {each.text for each in incident.evidence}
    for _ in range(150):  # what is weak does not keep it alive
        one.closed = [Closed(Points.none(), (weak._replace(time_ns=site.now_ns),))]
        site.seconds(1)
    assert site.pipeline.incidents.active() == []


def test_logs_alone_agree_with_nobody(staged: Any) -> None:
    site, one, _ = staged
    site.seconds(3)
    signs = [
        Sign(kind, source("n0"), f"{kind}!", (), site.now_ns, 7.0, 10.0)
        for kind in ("log template never seen", "log parameter", "log silence")
    ]
    one.closed = [Closed(Points.none(), tuple(signs))]
    site.pipeline.step(Points.none(), site.now_ns)
    assert site.pipeline.incidents.active() == []


def test_what_was_learned_survives(site: Callable[..., Any]) -> None:
    first, second = site(), site()
    for made in (first, second):
        made.pipeline.streams = Streams(Stage(), Stage(), made.pipeline.detection.parts)
    first.pipeline.streams.logs.learned, first.pipeline.streams.traces.learned = 7, 8
    state = first.pipeline.state()
    second.pipeline.restore_state(first.pipeline.table.state(), [0], state)
    assert (second.pipeline.streams.logs.learned, second.pipeline.streams.traces.learned) == (7, 8)
    third = site()
    third.pipeline.streams = Streams(Stage(), Stage(), third.pipeline.detection.parts)
    with pytest.raises(ValueError, match="nothing learned"):
        third.pipeline.restore_state(first.pipeline.table.state(), [0], state | {"logs": {}})
    assert third.pipeline.streams.traces.learned == 0
    assert len(third.pipeline.table) == 0


def test_expired_series_are_forgotten_by_both(staged: Any) -> None:
    site, one, other = staged
    site.second()
    ids = sorted(site.pipeline.table.ids().values())
    site.now_ns += 4000 * SECOND
    site.pipeline.step(Points.none(), site.now_ns)
    assert sorted(one.gone) == sorted(other.gone) == ids


def test_an_edge_stays_marked_for_a_minute(staged: Any) -> None:
    site, _, other = staged
    site.second()
    duration = admit(site, "span_duration_seconds:p99", 1, caller="a", callee="b")
    other.graph = [Edge("a", "b", 1.0, 0.0, 0.1, 0.2, (duration,)), Edge("a", "c", 1.0, 0.0, 0.1, 0.2, ())]
    streams = site.pipeline.streams
    streams.surprising(np.array([duration]), np.array([site.now_ns]), np.array([6.5]), site.now_ns)
    now = site.now_ns + RECENT_NS - 1
    marked = {
        each["callee"]: (each["anomalous"], each["score"]) for each in site.pipeline.services(now)["edges"]
    }
    assert marked == {"b": (True, 6.5), "c": (False, 0.0)}
    assert not any(each["anomalous"] for each in site.pipeline.services(now + 1)["edges"])
    streams.surprising(np.array([duration]), np.array([site.now_ns]), np.array([6.5]), site.now_ns)
    streams.forget(np.array([duration], np.int32))
    assert not any(each["anomalous"] for each in site.pipeline.services(site.now_ns)["edges"])
    (hint,) = site.pipeline.hints(site.now_ns)
    assert hint.score == site.pipeline.incidents.settings.open_score - 1, "as an edge is marked"
    other.broken = True
    assert site.pipeline.services(site.now_ns) == {"services": [], "edges": []}
    assert site.pipeline.hints(site.now_ns) == ()


# -- signs of life


def beat(node: str, state: HeartState, heard_ns: int) -> Heartbeat:
    return Heartbeat(Resource("", f"z{node}", node), state, heard_ns, SECOND)


def test_who_sends_logs_is_not_silent() -> None:
    silent = beat("n0", "silent", NOW - 8 * SECOND)
    gone = [Absence("node", silent.place, silent.heard_ns, "the node sends nothing")]
    beats, absences = still_heard([silent], gone, {silent.place: NOW - SECOND}, NOW)
    assert [each.state for each in beats] == ["late"]
    assert [(each.scope, each.place) for each in absences] == [("exporter", silent.place)]


@pytest.mark.parametrize("at", [NOW - 20 * SECOND, NOW - 8 * SECOND, NOW - int(7.5 * SECOND), 0])
def test_what_was_on_its_way_is_no_sign_of_life(at: int) -> None:
    silent = beat("n0", "silent", NOW - 8 * SECOND)
    gone = [Absence("node", silent.place, silent.heard_ns, "the node sends nothing")]
    assert still_heard([silent], gone, {silent.place: at}, NOW) == ([silent], gone)


def test_a_zone_is_dark_while_one_of_its_nodes_is() -> None:
    place = [Resource("c", "a", f"n{i}") for i in range(2)]
    beats = [Heartbeat(each, "silent", NOW - 8 * SECOND, SECOND) for each in place]
    dark = [Absence("zone", Resource("c", "a"), NOW - 8 * SECOND, "2 of 2 nodes silent")]
    assert still_heard(beats, dark, {place[0]: NOW}, NOW)[1] == dark
    assert still_heard(beats, dark, dict.fromkeys(place, NOW), NOW)[1] == []


def test_logs_of_now_count_and_those_of_a_queue_do_not() -> None:
    hearing = Hearing()
    hearing.hear(logs("n0", NOW - SECOND), NOW)
    hearing.hear(logs("n1", 0), NOW)
    hearing.hear(logs("n2", NOW - 2 * LATE_NS), NOW)
    hearing.hear(spans("n3", NOW), NOW)
    assert {place.node for place in hearing.spoke} == {"n0", "n1", "n3"}
    hearing.look([beat("n4", "alive", NOW), beat("n5", "silent", NOW)], [], NOW + SECOND)
    alive = {f"n{i}" for i in range(6) if hearing.alive(Resource("", f"z{i}", f"n{i}"))}
    assert alive == {"n0", "n1", "n3"}, "and n4, whose zone is another"
    assert hearing.alive(Resource("", "zn4", "n4"))
    hearing.look([], [], NOW + LATE_NS)
    assert hearing.spoke == {}


def test_who_sends_logs_or_spans_alone_is_known_for_a_day_and_never_missed() -> None:
    hearing = Hearing()
    hearing.hear(logs("n0", NOW), NOW)
    hearing.hear(spans("n0", NOW), NOW)
    hearing.hear(logs("n1", NOW - 2 * LATE_NS), NOW)  # of a queue
    hearing.hear(logs("n2", NOW), NOW)

    def told(after_ns: int) -> dict[str, str]:
        beats, _ = hearing.look([Heartbeat(Resource("", "zn2", "n2"), "alive", NOW, 1)], [], NOW + after_ns)
        found = without_metrics(
            [beats[0]._replace(place=Resource("c", "z2", "n2"))], hearing.streams, NOW + after_ns
        )
        return {each.place.node: each.state for each in found}

    assert told(0) == {"n0": "alive"}, "n2 is one node, though its logs do not name its cluster"
    assert hearing.streams[Resource("", "z0", "n0")].keys() == {"logs", "spans"}
    assert told(601 * SECOND) == {"n0": "retired"}
    assert told(86_401 * SECOND) == {}
    assert hearing.streams == {}
    other_zone = [Heartbeat(Resource("", "elsewhere", "n0"), "alive", NOW, 1)]
    hearing.hear(logs("n0", NOW), NOW)
    assert len(without_metrics(other_zone, hearing.streams, NOW)) == 1, "of the same name, and another"


def test_a_node_that_stops_its_metrics_and_goes_on_logging(staged: Any) -> None:
    site, _, _ = staged
    site.seconds(30)
    for _ in range(30):
        site.now_ns += SECOND
        points = site.points()
        others = points.series[2:]  # n0's metrics are missing
        site.pipeline.step(
            Points(others, points.time_ns[2:], points.start_ns[2:], points.value[2:]), site.now_ns,
            stream=logs("n0", site.now_ns),
        )  # fmt: skip
    states = {each.place.node: each.state for each in site.pipeline.beats}
    assert states["n0"] == "late"
    assert {absence.scope for absence in site.pipeline.absences} == {"exporter"}
    for _ in range(15):
        site.now_ns += SECOND
        site.pipeline.step(Points.none(), site.now_ns)
    assert {each.place.node: each.state for each in site.pipeline.beats}["n0"] == "silent"


# -- columns joined

rows = st.integers(0, 4)


def batch(n: int, first: int) -> Batch:
    return Batch(
        np.arange(first, first + n, dtype=np.int32),
        np.arange(n),
        np.arange(n, dtype=np.float64),
        np.zeros(n, np.bool_),
    )


@given(rows, rows, st.booleans(), st.booleans())
def test_two_are_joined_row_by_row(n: int, m: int, viewed: bool, paced: bool) -> None:
    whole = both(batch(n, 0), batch(m, 10))
    assert whole.series.tolist() == [*range(n), *range(10, 10 + m)]
    one = Scores(
        np.ones(n), np.ones(n), np.ones(n), np.full(n, 3, np.int8) if viewed else np.zeros(0, np.int8)
    )
    other = Scores(np.ones(m), np.ones(m), np.ones(m), interval_s=np.full(m, 10.0) if paced else np.zeros(0))
    scores = both_scores(one, other)
    assert all(len(column) == n + m for column in (scores.score, scores.view, scores.interval_s))
    assert scores.view.tolist() == [3 * viewed] * n + [0] * m
    assert scores.interval_s.tolist() == [1.0] * n + [10.0 if paced else 1.0] * m
    points = joined(point(1, 2, 3.0), Points.none())
    assert points.series.tolist() == [1]
    assert joined(points, points).series.tolist() == [1, 1]
