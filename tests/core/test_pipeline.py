"""The stages joined: what is stamped, forgotten and restored."""

from typing import Any

import numpy as np
import pytest

from edgeobs.pipeline import EXPIRY_NS
from edgeobs.signals import SECOND, ExternalAlert, Points, Resource

SHORT = "limits: {idle_expiry_s: 60}\ncluster: {opted_in: true}\nremediate: {cluster_share: 1.0}\n"


def test_a_decision_knows_when_its_evidence_arrived(site: Any) -> None:
    made = site()
    made.open()
    made.seconds(40)
    decisions: tuple[Any, ...] = ()
    while not decisions:
        made.now_ns += SECOND
        decisions = made.pipeline.step(made.points(failing=1), made.now_ns, made.now_ns - 777).decisions
    assert [decision.evidence_ns for decision in decisions] == [made.now_ns - 777]


@pytest.mark.parametrize("name", ["heard", "beats", "absences"])
def test_heartbeats_that_raise_stop_nobody_and_claim_nothing(
    site: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = site("detect: {silent_s: 3}\n" + SHORT)
    made.open()
    made.seconds(20)
    assert len(made.pipeline.beats) == made.nodes
    with monkeypatch.context() as patch:
        patch.setattr(made.pipeline.heartbeats, name, lambda *_: 1 / 0)
        before = made.pipeline.scored
        made.seconds(20)
    assert made.pipeline.scored == before + 20 * 2 * made.nodes
    assert made.pipeline.detection.failing(made.now_ns).keys() == {"heartbeats"}
    assert made.core.counts["edgeobs_detector_errors_total", "heartbeats"] >= 20
    assert not made.pipeline.incidents.active()
    assert not made.pipeline.beats
    assert not any(
        node.alive(made.now_ns, SECOND) for node in made.pipeline.fleet(made.now_ns).nodes.values()
    )
    made.seconds(61)  # well again, and believed so
    assert {beat.state for beat in made.pipeline.beats} == {"alive"}
    assert not made.pipeline.absences


def test_an_absence_stays_while_heartbeats_raise(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = site("detect: {silent_s: 3}\n" + SHORT)
    made.open()
    made.seconds(20)
    made.nodes -= 1  # the last is heard no more
    made.seconds(20)
    (absence,) = made.pipeline.absences
    assert absence.place.node == "n3"
    monkeypatch.setattr(made.pipeline.heartbeats, "absences", lambda *_: 1 / 0)
    made.seconds(5)
    assert made.pipeline.absences == [absence]


def test_what_is_not_heard_is_forgotten_in_every_stage(site: Any) -> None:
    made = site(SHORT)
    made.open()
    made.seconds(40)
    gone = [made.series(3, name) for name in ("a", "b")]
    made.pipeline.step(
        Points(np.array(gone, np.int32), np.full(2, made.now_ns), np.zeros(2, np.int64), np.ones(2)),
        made.now_ns,
    )
    before = len(made.pipeline.table)
    made.seconds((60 * SECOND + 2 * EXPIRY_NS) // SECOND)
    assert made.core.counts["edgeobs_series_expired_total",] == 2
    assert len(made.pipeline.table) == before - 2
    state = made.pipeline.state()
    assert not state["detect.series"]["reals"][gone[0] :, 0].any(), (
        "an id that is used again learns from nothing"
    )
    assert not state["features"]["rows"][gone][:, 0].any()
    again = made.series(0, "new")
    assert again in gone
    scored = made.pipeline.step(
        Points(np.array([again], np.int32), np.array([made.now_ns]), np.zeros(1, np.int64), np.array([1e9])),
        made.now_ns,
    )
    assert scored.scored == 1
    assert not scored.incidents


def test_a_state_restored_goes_on_as_if_nothing_had_been(site: Any) -> None:
    one = site()
    one.open()
    one.seconds(40)
    other = site()
    other.pipeline.restore_state(one.pipeline.table.state(), [0], one.pipeline.state())
    other.now_ns, other.errors = one.now_ns, one.errors.copy()
    points = [one.points(failing=2) for _ in range(2)]
    for each in points:
        for made in (one, other):
            made.now_ns += SECOND
            now = np.full(len(each.series), made.now_ns)
            made.pipeline.step(Points(each.series, now, each.start_ns, each.value), made.now_ns)
    assert one.pipeline.scored - 40 * 8 + 4 == other.pipeline.scored
    np.testing.assert_equal(one.pipeline.state()["detect.series"], other.pipeline.state()["detect.series"])
    np.testing.assert_equal(one.pipeline.state()["features"], other.pipeline.state()["features"])


def test_alerts_that_the_store_knew_are_told_again_once(site: Any) -> None:
    made = site()
    place = Resource("", "z0", "n0")
    alert = ExternalAlert("f1", "firing", place, "DiskFull", "nearly full", made.now_ns, 0)
    made.pipeline.restore_history([], [], [alert], made.now_ns)
    first = made.pipeline.step(Points.none(), made.now_ns + SECOND)
    assert [incident.place.node for incident in first.incidents] == ["n0"]
    second = made.pipeline.step(Points.none(), made.now_ns + 2 * SECOND)
    assert not second.incidents
    assert len(made.pipeline.incidents.active()) == 1
