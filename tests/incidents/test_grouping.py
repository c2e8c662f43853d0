"""What becomes an incident, what does not, and what is kept of it."""

from collections.abc import Callable
from math import log10
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.incidents import Incidents, Settings
from edgeobs.incidents.exhibit import Exhibit
from edgeobs.incidents.history import History
from edgeobs.incidents.points import fitted
from edgeobs.incidents.promise import alone, opening
from edgeobs.incidents.words import title
from edgeobs.quantity import quantity
from edgeobs.signals import SECOND, Batch, ExternalAlert, Joint, Point, Resource, Scores

DISK = ("a1", "system_disk_latency_seconds")
ERRORS = ("a1", "system_disk_errors_total")
BAD = {DISK: 9.0, ERRORS: 8.0}


def test_evidence_says_what_when_and_what_was_expected(world: Any) -> None:
    world.run(10, {DISK: 0.5, ERRORS: 0.1})
    began = world.now_ns + SECOND
    (incident,) = world.run(3, BAD)
    assert (incident.scope, incident.state, incident.place) == ("node", "open", world.place("a1"))
    assert incident.title.startswith(
        "disk of a1 is failing: system_disk_latency_seconds 19 s, expected 10 s ± 3 s"
    )
    assert incident.simulated
    assert abs(sum(each.weight for each in incident.evidence) - 1) < 1e-9
    first = incident.evidence[0]
    assert (first.name, first.onset_ns, first.last_ns) == (DISK[1], began, world.now_ns)
    assert (first.value, first.expected, first.low, first.high, first.score) == (19.0, 10.0, 7.0, 13.0, 9.0)


@pytest.mark.parametrize(
    ("unit", "value", "low"),
    [
        ("s", 9.0, 0.0),
        ("By/s", 9.0, 0.0),
        ("1", 0.0, 0.0),
        ("{request}", 9.0, 0.0),
        ("Cel", 9.0, -2.0),
        ("s", -1.0, -2.0),
        ("", 9.0, -2.0),
    ],
)
def test_no_less_than_nothing_is_expected_of_what_is_never_negative(
    unit: str, value: float, low: float
) -> None:
    exhibit = Exhibit(
        source="series", place=Resource(), text="x", name="x", unit=unit, onset_ns=0, last_ns=0, heard_ns=0
    )
    exhibit.show(Point(1, value, -2.0, 4.0, 9.0), 1.0, 16)
    evidence = exhibit.evidence(1.0, whole_place=False)
    assert (evidence.low, evidence.high) == (low, 4.0)
    assert "± 3" in title(Resource("", "", "n"), [evidence], 1)


def test_a_busy_disk_is_not_said_to_fail(world: Any) -> None:
    busy = {DISK: 0.5, ("a1", "system_disk_pending_operations"): 0.1}
    world.run(10, busy)
    (incident,) = world.run(3, dict.fromkeys(busy, 9.0))
    assert incident.title.startswith("disk of a1 is abnormal: ")


def test_earlier_evidence_is_the_likelier_cause(world: Any) -> None:
    world.run(20, {DISK: 8.0})
    world.run(5, {DISK: 8.0, ("a1", "http_latency_seconds"): 12.0})
    (incident,) = world.incidents.active()
    assert [each.name for each in incident.evidence] == [DISK[1], "http_latency_seconds"]


def test_one_series_needs_to_insist(world: Any) -> None:
    assert not world.run(29, {DISK: 15.0})
    assert [i.state for i in world.run(5, {DISK: 15.0})] == ["open"]


def test_one_series_that_is_merely_odd_opens_nothing_in_a_fleet(world: Any) -> None:
    world.others(2000)
    assert not world.run(200, {DISK: 12.0})
    assert world.run(5, {DISK: 12.6})


@pytest.mark.parametrize(("score", "opens"), [(5.0, True), (4.0, False)])
def test_one_sample_is_enough_of_a_series_that_seldom_speaks(world: Any, score: float, opens: bool) -> None:
    """Of ten series a minute, .1 false incidents a day are promised from 4.9 decades on."""
    world.interval_s = 60.0
    world.others(5)
    world.step({DISK: 0.5}, after_s=60)
    assert bool(world.step({DISK: score}, after_s=60)) == opens


def test_who_seldom_speaks_is_no_new_incident_with_every_sample(world: Any) -> None:
    world.interval_s = 300.0
    world.step({DISK: 9.0})
    (incident,) = world.incidents.active()
    for _ in range(10):
        world.step({}, after_s=150)
        world.step({DISK: 9.0}, after_s=150)
    again = Incidents(world.table, world.settings, world.counts)
    again.restore_incidents(world.incidents.active(), world.now_ns)
    for each in (world.incidents, again):
        world.incidents = each
        world.step({}, after_s=299)
        assert [other.id for other in each.active()] == [incident.id]
    world.run(1300)
    assert not again.active()


@given(st.lists(st.floats(1, 3600), min_size=1, max_size=50), st.floats(0.001, 10))
def test_all_series_together_promise_what_is_asked_of_them(intervals: list[float], a_day: float) -> None:
    settings = Settings(alone_a_day=a_day)
    eases = [log10(each) for each in intervals]
    scores = [alone(ease, len(intervals), settings) for ease in eases]
    known = [min(score, 6 + (score - 6) / 2) for score in scores]
    promised = sum(86_400 / each * 10**-score for each, score in zip(intervals, known, strict=True))
    assert promised <= a_day * (1 + 1e-9)
    if all(score > opening(ease, settings) for ease, score in zip(eases, scores, strict=True)):
        assert promised == pytest.approx(a_day)


def test_late_samples_open_nothing(world: Any) -> None:
    for _ in range(50):
        assert not world.step(BAD, late=True)
    assert not world.incidents.active()


def test_late_samples_do_not_keep_an_incident_open(world: Any) -> None:
    world.run(3, BAD)
    states = [i.state for _ in range(70) for i in world.step(BAD, late=True)]
    assert states[-1] == "resolved"


def test_hysteresis(world: Any) -> None:
    world.run(3, BAD)
    world.run(100, {DISK: 4.0, ERRORS: 4.0})
    assert [i.state for i in world.incidents.active()] == ["ongoing"]
    (*_, last) = world.run(61, {DISK: 2.0, ERRORS: 2.0})
    assert last.state == "resolved"
    assert not world.incidents.active()
    assert world.incidents.recent() == [last]


def test_what_returns_is_a_new_incident(world: Any) -> None:
    first = world.run(3, BAD)[-1]
    world.run(70, {DISK: 0.0, ERRORS: 0.0})
    second = world.run(3, BAD)[-1]
    assert first.id != second.id


def test_the_plot_shows_the_time_before(world: Any) -> None:
    world.run(100, {DISK: 0.5, ERRORS: 0.1})
    world.run(3, BAD)
    (filled,) = world.incidents.fill(world.now_ns)
    times = [point.time_ns for point in filled.evidence[0].points]
    assert times == [world.now_ns - i * SECOND for i in reversed(range(103))]
    world.run(400, BAD)
    (incident,) = world.incidents.active()
    assert all(100 <= len(each.points) <= 240 for each in incident.evidence)
    assert all(sorted(e.points) == list(e.points) for e in incident.evidence)


def test_restart_goes_on_where_it_was(world: Any) -> None:
    (before,) = world.run(3, BAD)
    again = Incidents(world.table, world.settings, world.counts)
    again.restore_incidents([before], world.now_ns)
    assert again.active() == [before]
    world.incidents = again
    assert world.run(20, {DISK: 4.0, ERRORS: 4.0}) == []
    world.run(15, {DISK: 4.0, ERRORS: 4.0})
    (active,) = again.active()
    assert (active.id, active.state) == (before.id, "ongoing")
    last = world.run(80, {DISK: 0.0, ERRORS: 0.0})[-1]
    assert (last.id, last.state) == (before.id, "resolved")


def test_a_store_opened_late_leaves_one_incident_of_a_place(world: Any) -> None:
    (before,) = world.run(3, BAD)
    world.incidents = Incidents(world.table, world.settings, world.counts)
    (now,) = world.run(3, BAD)
    world.incidents.restore_incidents([before], world.now_ns)
    (over,) = world.step(BAD)
    assert (over.id, over.state) == (before.id, "resolved")
    assert [each.id for each in world.incidents.active()] == [now.id]


def test_foreign_alerts_come_and_go(world: Any) -> None:
    alert = ExternalAlert("f1", "firing", world.place("a1"), "Hot", "a1 is hot", world.now_ns, 0)
    (opened,) = world.step({}, alerts=[alert])
    assert opened.title.startswith("alert Hot on a1: a1 is hot")
    assert not world.step({}, alerts=[alert])
    world.run(500)
    assert world.incidents.active()
    resolved = alert._replace(status="resolved", ends_ns=world.now_ns)
    (over,) = world.step({}, alerts=[resolved])
    assert over.state == "resolved"


def test_an_end_told_of_another_place_ends_nothing(world: Any) -> None:
    place = world.place("a1")
    alert = ExternalAlert("f1", "firing", place, "Hot", "a1 is hot", world.now_ns, 0)
    world.step({}, alerts=[alert])
    for other in (place._replace(cluster="x"), place._replace(zone="b"), place._replace(node="a2")):
        forged = alert._replace(status="resolved", place=other, ends_ns=world.now_ns)
        assert not world.step({}, alerts=[forged])
        assert not world.run(3)
    again = Incidents(world.table, world.settings, world.counts)
    again.restore_incidents(world.incidents.active(), world.now_ns)
    world.incidents = again
    (over,) = world.step({}, alerts=[alert._replace(status="resolved", ends_ns=world.now_ns)])
    assert over.state == "resolved"


def test_absences_beyond_the_bound_are_counted_once_and_cost_no_case(
    make_world: Callable[[Settings], Any],
) -> None:
    world = make_world(Settings(max_active=3))
    absences = [world.absence("node", world.place(f"a{i}")) for i in range(50)]
    for _ in range(10):
        world.step({}, list(absences))
    assert len(world.incidents.active()) == 3
    assert len(world.incidents.cases.by_place) == 3
    assert world.counts["edgeobs_incidents_dropped_total", "node"] == 47
    world.run(70, absences=absences[40:])
    assert [i.place for i in world.incidents.active()] == [a.place for a in absences[40:43]]
    assert world.counts["edgeobs_incidents_dropped_total", "node"] == 47


def test_our_own_alerts_told_back_are_no_news(world: Any) -> None:
    own = ExternalAlert("f1", "firing", world.place("a1"), "EdgeobsIncident", "x", world.now_ns, 0)
    assert not world.step({}, alerts=[own])
    assert world.counts["edgeobs_evidence_dropped_total", "own_alert"] == 1


def test_an_alert_of_a_zone_does_not_swallow_its_nodes(world: Any) -> None:
    zone = Resource("site", "a")
    world.step({}, alerts=[ExternalAlert("f1", "firing", zone, "Hot", "hot", world.now_ns, 0)])
    assert world.run(3, BAD)[-1].place == world.place("a1")


def test_a_cluster_that_is_dark_takes_its_zones_in(world: Any) -> None:
    cluster, zone = Resource("site"), Resource("site", "a")
    world.step({}, [world.absence("zone", zone)])
    changed = world.step({}, [world.absence("zone", zone), world.absence("cluster", cluster)])
    assert {(i.scope, i.state) for i in changed} == {("cluster", "open"), ("zone", "resolved")}
    assert any("part of" in i.title for i in changed)


def test_everything_is_bounded(make_world: Callable[[Settings], Any]) -> None:
    world = make_world(
        Settings(max_active=3, max_watched=50, max_watched_per_node=10, max_samples_per_step=40)
    )
    flood = {(f"{zone}{i}", f"metric_{j}"): 15.0 for zone in "abcdefgh" for i in range(2) for j in range(20)}
    world.run(10, flood)
    assert len(world.incidents.active()) <= 3
    dropped = {key[1]: n for key, n in world.counts.items() if key[0] == "edgeobs_evidence_dropped_total"}
    assert dropped["step"] == 10 * (len(flood) - 40)
    assert world.counts["edgeobs_incidents_dropped_total", "node"] > 0


def test_one_metric_does_not_crowd_out_the_others(world: Any) -> None:
    labelled = {("a1", "cpu_seconds", (("core", str(i)),)): 20.0 for i in range(30)}
    world.run(5, labelled | {("a1", "memory_utilization"): 9.0})
    (incident,) = world.incidents.active()
    assert len(incident.evidence) == 16
    assert "memory_utilization" in {each.name for each in incident.evidence}


def test_a_series_id_given_to_another_starts_anew(world: Any) -> None:
    world.run(2, BAD)
    world.table.drop([world.series(*DISK), world.series(*ERRORS)])
    other = {("b1", "x"): 9.0, ("b1", "y"): 9.0}
    assert not world.run(2, other)
    assert world.run(1, other)[0].place.node == "b1"


@given(st.lists(st.integers(1, 7), max_size=12), st.integers(1, 9), st.integers(1, 20))
def test_history_keeps_the_newest(sizes: list[int], rows: int, limit: int) -> None:
    history = History(28 * rows, 1e6)
    sent: list[int] = []
    for size in sizes:
        times = np.arange(len(sent), len(sent) + size)
        sent += times.tolist()
        flat = np.zeros(size)
        batch = Batch(np.zeros(size, np.int32), times, times.astype(float), np.zeros(size, np.bool_))
        history.append(batch, Scores(flat, flat, flat))
    assert [p.time_ns for p in history.take(0, 0, limit)] == sent[-rows:][-limit:]
    assert not history.take(1, 0, limit)


@given(st.lists(st.floats(0, 20), max_size=300), st.integers(1, 50))
def test_a_thinned_plot_keeps_its_peak_and_order(scores: list[float], limit: int) -> None:
    points = [Point(i, 0.0, 0.0, 0.0, score) for i, score in enumerate(scores)]
    kept = fitted(points, limit)
    assert len(kept) <= limit
    assert sorted(kept) == kept
    assert max((p.score for p in kept), default=0) == max(scores, default=0)


def test_quantities_read_well() -> None:
    said = [
        quantity(0.014, "s"),
        quantity(3 * 2**30, "By/s"),
        quantity(0.93, "1"),
        quantity(float("nan"), "s"),
    ]
    assert said == ["14 ms", "3 GiB/s", "0.93", "unknown"]


PARTS = (('cpu{mode="user"}', 0.6), ("memory", 0.3))


def as_a_whole(world: Any, seconds: int, score: float, every_s: float = 1.0) -> list[Any]:
    """Seconds in which a1 as a whole scores so much; all changes."""
    changed = []
    none = Scores(np.zeros(0), np.zeros(0), np.zeros(0))
    for _ in range(seconds):
        world.now_ns += int(every_s * SECOND)
        joint = Joint(world.place("a1"), world.now_ns, score, score / 2, every_s, PARTS)
        changed += world.incidents.step(Batch.none(), none, (), (), world.now_ns, [joint])
    return changed


def test_a_node_as_a_whole_needs_to_insist_and_names_what_has_to_do_with_it(world: Any) -> None:
    assert not as_a_whole(world, 60, 9.0) + as_a_whole(world, 70, 1.0) + as_a_whole(world, 29, 13.0)
    (incident,) = as_a_whole(world, 4, 13.0)
    (evidence,) = incident.evidence
    assert (evidence.source, evidence.parts, evidence.value) == ("joint", PARTS, 6.5)
    assert not incident.resolved_ns
    (over,) = [each for each in as_a_whole(world, 70, 5.0) if each.state == "resolved"]
    assert over.id == incident.id, "its memory is long"
    assert incident.title.startswith(
        'a1 as a whole is unlike itself: most of it cpu{mode="user"} (60%), memory'
    )


def test_a_node_as_a_whole_is_no_second_metric_and_no_cause(world: Any) -> None:
    as_a_whole(world, 5, 9.0)
    assert not world.run(5, {DISK: 9.0}), "it is one metric that says so, whatever else that moves"
    (incident,) = world.run(3, BAD)
    assert incident.evidence[-1].source == "joint"


def test_who_speaks_seldom_needs_less_and_is_not_asked_thrice(make_world: Callable[[Settings], Any]) -> None:
    world = make_world(Settings(min_names=1))
    number = world.series(*DISK)
    found = {}
    for interval in (1.0, 3600.0):
        for score in (2.0, 3.0, 6.5):
            world.now_ns += 7200 * SECOND
            batch = Batch(
                np.array([number], np.int32), np.array([world.now_ns]), np.ones(1), np.zeros(1, np.bool_)
            )
            scores = Scores(np.full(1, score), np.zeros(1), np.ones(1), interval_s=np.full(1, interval))
            found[interval, score] = bool(world.incidents.step(batch, scores, (), (), world.now_ns))
    assert found == {
        (1.0, 2.0): False, (1.0, 3.0): False, (1.0, 6.5): False,
        (3600.0, 2.0): False, (3600.0, 3.0): True, (3600.0, 6.5): True,
    }  # fmt: skip
