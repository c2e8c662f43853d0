"""What the page and /metrics are given: states of nodes and zones, counts, notices."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgeobs.publish import Board
from edgeobs.signals import SECOND, Counts, Points
from edgeobs.web import Node, Zone
from tests.core.test_streams import logs, spans


def board(made: Any, *counts: Counts) -> Board:
    return Board(
        made.pipeline, made.keeper, [made.core.counts, *counts], decoder="upb", dry_run=True, paused=False,
        open_score=6.0, clock=made.clock,
    )  # fmt: skip


def zones(it: Board) -> dict[str, Zone]:
    it.publish()
    return {zone.name: zone for zone in it.published().fleet}


def only(zone: Zone) -> Node:
    (node,) = zone.nodes
    return node


def metrics(it: Board, name: str) -> dict[tuple[str, ...], float]:
    """Label values, in order of the labels' names → value."""
    text = it.metrics("text/plain")[0].decode()
    parse: Any = text_string_to_metric_families
    return {
        tuple(value for _, value in sorted(s.labels.items())): s.value
        for f in parse(text)
        for s in f.samples
        if s.name == name
    }


def test_nodes_are_learning_then_ok_then_abnormal_then_silent(site: Any) -> None:
    made = site(nodes=3)
    made.open()
    it = board(made)
    made.second()
    found = zones(it)
    assert {name: zone.state for name, zone in found.items()} == dict.fromkeys(("z0", "z1", "z2"), "learning")
    assert only(found["z0"]).score != only(found["z0"]).score, "no score while it learns"
    assert it.published().status.warm == "3 of 3 nodes are new: learning what is normal"
    made.seconds(40)
    found = zones(it)
    assert {only(zone).state for zone in found.values()} == {"ok"}
    assert only(found["z1"]).series == 2
    assert only(found["z1"]).heard_ns == made.now_ns
    assert it.published().status.warm == ""

    made.seconds(10, failing=1)
    found = zones(it)
    assert (only(found["z1"]).state, found["z1"].state) == ("abnormal", "abnormal")
    assert only(found["z1"]).score > 6
    (incident,) = it.published().incidents
    assert only(found["z1"]).incident_ids == (incident.id,)
    assert only(found["z0"]).state == "ok"

    made.nodes, made.errors = 2, made.errors[:2]  # n2 is heard no more
    made.seconds(10)
    found = zones(it)
    assert (only(found["z2"]).state, only(found["z2"]).heart, found["z2"].state) == ("silent",) * 3
    assert metrics(it, "edgeobs_nodes") == {
        ("alive",): 2, ("silent",): 1, ("young",): 0, ("late",): 0, ("retired",): 0,
    }  # fmt: skip


def test_a_node_that_sends_logs_alone_is_shown_with_what_it_sends(site: Any) -> None:
    made = site(nodes=1)
    made.open()
    it = board(made)
    made.seconds(20)
    for batch in (logs("n0", made.now_ns), logs("n7", made.now_ns), spans("n7", made.now_ns)):
        made.core.pipeline.step(Points.none(), made.now_ns, stream=batch)
    found = zones(it)
    assert only(found["z0"]).sends == ("metrics", "logs")
    mute = only(found["z7"])
    assert (mute.sends, mute.state, mute.heart, mute.heard_ns) == (
        ("logs", "spans"),
        "ok",
        "alive",
        made.now_ns,
    )
    made.now_ns += 3600 * SECOND
    mute = only(zones(it)["z7"])
    assert (mute.state, mute.heard_ns) == ("retired", made.now_ns - 3600 * SECOND)
    assert made.core.pipeline.fleet(made.now_ns).nodes.keys().isdisjoint({"n7"}), (
        "and nothing is decided of it"
    )


def test_gauges_count_what_is_published(site: Any) -> None:
    made = site()
    made.open()
    servers = Counts({("edgeobs_samples_scored_total",): 1000, ("edgeobs_requests_total", "otlp", "200"): 7})
    it = board(made, servers)
    made.seconds(40)
    made.seconds(10, failing=2)
    it.publish()
    assert metrics(it, "edgeobs_incidents") == {("node",): 1, ("zone",): 0, ("cluster",): 0}
    assert metrics(it, "edgeobs_series") == {(): 8}
    assert metrics(it, "edgeobs_series_limit") == {(): made.pipeline.table.limit}
    assert metrics(it, "edgeobs_store_healthy") == {(): 1}
    scored = made.core.counts["edgeobs_samples_scored_total",]
    assert metrics(it, "edgeobs_samples_scored_total") == {(): scored + 1000}, "all parts together"
    assert metrics(it, "edgeobs_requests_total") == {("200", "otlp"): 7}

    made.seconds(90)
    it.publish()
    assert metrics(it, "edgeobs_incidents") == {("node",): 0, ("zone",): 0, ("cluster",): 0}
    assert [i.state for i in it.published().incidents] == ["resolved"]


def test_a_rate_is_told_over_seconds(site: Any) -> None:
    made = site()
    made.open()
    it = board(made)
    it.publish()
    assert it.published().status.samples_per_s != it.published().status.samples_per_s, "not known yet"
    made.seconds(4)
    before = made.pipeline.scored
    it.publish()
    assert it.published().status.samples_per_s == pytest.approx(before / 4)
    assert it.published().status.uptime_s == 4.0


def test_every_publication_is_new_and_the_newest_decision_comes_first(site: Any) -> None:
    made = site()
    made.open()
    it = board(made)
    versions = []
    for node in (-1,) * 40 + (1,) * 12 + (3,) * 12:
        made.second(node)
        it.publish()
        versions.append(it.published().version)
    assert versions == list(range(1, 65))
    decided = [decision.decided_ns for decision in it.published().decisions]
    assert len(decided) >= 2
    assert decided == sorted(decided, reverse=True)
    assert decided[0] > decided[-1] >= made.now_ns - 60 * SECOND


def test_what_an_operator_should_know(site: Any) -> None:
    made = site()
    it = board(made)
    it.publish()
    status = it.published().status
    assert status.notices == ("incidents and decisions cannot be kept: the store is not open yet",)
    assert not status.store_healthy
    assert metrics(it, "edgeobs_store_healthy") == {(): 0}
    made.open()
    it.publish()
    assert it.published().status.notices == ()


def test_what_detection_goes_on_without(site: Any) -> None:
    made = site()
    made.open()
    it = board(made)

    def broken(*_: Any) -> None:
        raise RuntimeError("no luck")

    made.pipeline.detection.changes.observe = broken
    made.second()
    it.publish()
    assert it.published().status.notices == ("detection goes on without changes: RuntimeError: no luck",)
    assert metrics(it, "edgeobs_detector_errors_total") == {("changes",): 1}
    assert made.pipeline.scored > 0


MODELS = """
detectors:
  odd:
    model: anomaly.StandardAbsoluteDeviation
    max_models: 3
"""


def test_how_many_models_there_are_and_how_many_found_no_room(site: Any) -> None:
    pytest.importorskip("river")
    made = site(MODELS)
    made.open()
    it = board(made)
    made.seconds(3)
    it.publish()
    series = len(made.pipeline.table)
    assert metrics(it, "edgeobs_models") == {("river.odd", "alive"): 3, ("river.odd", "failing"): 0}
    assert metrics(it, "edgeobs_models_left_out_total") == {("river.odd",): series - 3}
