"""What is likely to have caused an incident: pods, nodes and links, and nothing that breaks it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.incidents.codec import read_incident, write_incident
from edgeobs.signals import SECOND, Edge, Evidence, Incident, Labels, Resource, Suspect
from edgeobs.suspects import TOGETHER_NS, clue, suspects

NOW = 1_700_000_000 * SECOND
NODE = Resource("west", "a", "edge-1")


def pod(name: str, node: str = "edge-1") -> Resource:
    return Resource("west", "a", node, "shop", name.rsplit("-", 1)[0], name)


RUNNING = {pod("web-1"): "web", pod("till-1"): "till", pod("redis-1", "edge-2"): "redis"}
EDGES = [Edge("", "web", 5.0, 0.0, 0.1, 0.2, ()), Edge("web", "till", 5.0, 0.0, 0.1, 0.2, ()),
         Edge("till", "redis", 9.0, 0.0, 0.1, 0.2, ())]  # fmt: skip


def evidence(
    whose: Resource, score: float, kind: str = "span duration", after_s: float = 0.0, labels: Labels = (),
    source: Any = "series", name: str = "span_duration_seconds:p99",
) -> Evidence:  # fmt: skip
    at = NOW + int(after_s * SECOND)
    return Evidence(
        source, f"{name} of {whose.pod or whose.node} {labels}", name, labels, "s", at, at, score, 0.5, 1.0,
        0.1, 0.0, 0.2, kind=kind, resource=whose,
    )  # fmt: skip


def incident(*found: Evidence, place: Resource = NODE, name: str = "i-1") -> Incident:
    return Incident(name, "node", place, "open", NOW, NOW, 0, 9.0, "", found)


def test_a_callee_explains_its_callers_on_another_node() -> None:
    here = incident(evidence(pod("web-1"), 8.0, after_s=2), evidence(pod("till-1"), 8.0, after_s=1))
    there = incident(
        evidence(pod("redis-1", "edge-2"), 8.0), place=Resource("west", "a", "edge-2"), name="i-2"
    )
    first, *_ = suspects(here, [here, there], RUNNING, EDGES)
    assert (first.kind, first.name) == ("pod", "redis-1")
    assert "called by till-1" in first.reason
    alone, *_ = suspects(here, [here], RUNNING, EDGES)
    assert alone.name == "till-1", "without the other incident it is the last that is seen"


def test_what_nothing_joins_to_an_incident_is_no_cause_of_it() -> None:
    """However surprising it is, and however early."""
    far = Resource("west", "c", "edge-9")
    arm = Resource("west", "c", "edge-9", "shop", "arm", "arm-1")
    running = RUNNING | {arm: "arm"}
    here = incident(evidence(pod("web-1"), 8.0, after_s=20))
    silent = incident(evidence(far, 12.0, "", source="absence", name="the node"), place=far, name="i-2")
    found = suspects(here, [silent], running, EDGES)
    assert [each.name for each in found] == ["web-1"]
    asked = [*EDGES, Edge("till", "arm", 1.0, 0.0, 0.1, 0.2, ())]  # which till, and so web, waits for
    assert "node edge-9" in {each.name for each in suspects(here, [silent], running, asked)}
    near = far._replace(zone="a")
    beside = incident(evidence(near, 12.0, "", source="absence", name="the node"), place=near, name="i-3")
    assert "node edge-9" in {each.name for each in suspects(here, [beside], RUNNING, EDGES)}


def test_pods_of_one_node_that_suffer_together_suspect_the_node() -> None:
    pods = {pod(f"app{i}-1"): f"app{i}" for i in range(4)}
    elsewhere = {pod(f"app{i}-2", "edge-2"): f"app{i}" for i in range(4)}
    found = [evidence(each, 7.0, "log rate", name="log_lines") for each in pods]
    disk = evidence(NODE, 9.0, "", name="system_disk_errors_total")
    first, *_ = suspects(incident(*found, disk), [], pods | elsewhere, [])
    assert (first.kind, first.name) == ("node", "node edge-1")


def test_time_on_the_way_suspects_the_link() -> None:
    running = RUNNING | {pod("search-1"): "search"}
    edges = [
        *EDGES,
        Edge("search", "redis", 3.0, 0.0, 0.1, 0.2, ()),
        Edge("till", "web", 1.0, 0.0, 0.1, 0.2, ()),
    ]
    labels = (("callee", "redis"), ("caller", "till"))
    slow = evidence(
        pod("redis-1", "edge-2"), 9.0, "span link time", labels=labels, name="span_link_seconds:p50"
    )
    first, *_ = suspects(incident(slow), [], running, edges)
    assert (first.kind, first.name) == ("link", "the link from till-1 to redis")


def test_what_a_piece_of_evidence_speaks_against() -> None:
    metric = evidence(Resource("west", "a", "edge-1", "", "node-exporter", ""), 5.0, "", name="system_load")
    assert clue(metric, NODE, {})[:2] == (NODE, "metric")
    assert (
        clue(evidence(pod("web-1"), 5.0, "log template never seen", source="sign"), NODE, {}).signal == "log"
    )
    silent = Evidence("absence", "silent", "node", (), "", NOW, NOW, 12.0, 1.0, nan, nan, nan, nan)
    assert clue(silent, NODE, {})[:2] == (NODE, "absence")
    zone = replace(silent, source="series", labels=(("node", "edge-9"),), name="system_load")
    assert clue(zone, Resource("west", "a"), {}).place == Resource("west", "a", "edge-9")


def test_other_times_and_clusters_say_nothing() -> None:
    here = incident(evidence(pod("till-1"), 6.0))
    other = evidence(pod("redis-1", "edge-2"), 12.0)
    late = replace(other, onset_ns=NOW + TOGETHER_NS + 1)
    far = incident(other, place=Resource("east", "a", "edge-2"), name="i-2")
    then = incident(late, place=Resource("west", "a", "edge-2"), name="i-3")
    assert [each.name for each in suspects(here, [far, then], RUNNING, EDGES)] == ["till-1"]


def test_an_incident_keeps_its_suspects() -> None:
    whole = replace(incident(), suspects=(Suspect("pod", "till-1", pod("till-1"), 0.7, "likely"),))
    assert read_incident(*write_incident(whole)) == whole


places = st.sampled_from(
    [NODE, pod("web-1"), pod("till-1"), pod("redis-1", "edge-2"), Resource(), Resource("west")]
)
kinds = st.sampled_from(["", "log rate", "span duration", "span link time", "log silence"])
found = st.builds(
    evidence, places, st.floats(0, 20), kinds, st.floats(-500, 500),
    st.sampled_from([(), (("callee", "redis"), ("caller", "web")), (("callee", "x"),)]),
    st.sampled_from(["series", "sign", "absence", "alert", "joint"]),
)  # fmt: skip


@given(st.lists(found, max_size=8), st.lists(found, max_size=8), st.booleans())
def test_whatever_the_evidence_the_shares_are_of_one_whole(
    mine: list[Evidence], theirs: list[Evidence], traced: bool
) -> None:
    told = suspects(incident(*mine), [incident(*theirs, name="i-2")], RUNNING if traced else {}, EDGES)
    assert sum(each.share for each in told) <= 1 + 1e-9
    assert [each.share for each in told] == sorted((each.share for each in told), reverse=True)
    assert all(each.reason and each.name for each in told)


def test_a_ranking_that_fails_stops_nobody(site: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no idea")

    made = site()
    made.seconds(60)
    monkeypatch.setattr("edgeobs.pipeline.suspects", broken)
    made.seconds(10, failing=1)
    (one,) = made.pipeline.incidents.active()
    assert one.suspects == ()
    assert "causes" in made.pipeline.detection.failing(made.now_ns)
    monkeypatch.undo()
    made.seconds(10, failing=2)
    both = made.pipeline.incidents.active()
    assert {each.place.node for each in both} == {"n1", "n2"}
    second = next(each for each in both if each.place.node == "n2")
    assert "node n2" in {each.name for each in second.suspects}


def test_many_incidents_at_once_are_looked_into_one_at_each_look(
    site: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that no request, and no decision, waits for long."""
    asked: list[tuple[str, int]] = []

    def asking(each: Incident, *_: Any) -> tuple[Suspect, ...]:
        asked.append((each.place.node, made.now_ns))
        return (Suspect("node", f"node {each.place.node}", each.place, 1.0, "very likely"),)

    made = site(nodes=12)
    made.seconds(60)
    monkeypatch.setattr("edgeobs.pipeline.suspects", asking)
    made.seconds(60, failing=-2)  # every node's disk
    at_once = Counter(at for _, at in asked)
    assert {node for node, _ in asked} == {f"n{i}" for i in range(12)}
    assert max(at_once.values()) == 1
    told = {each.place.node: each.suspects[0].name for each in made.pipeline.incidents.active()}
    assert told == {f"n{i}": f"node n{i}" for i in range(12)}
