"""What was done is taken back, by the guard's leave; what a person did is not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeobs.objects import Pod, Ref, Taint
from edgeobs.remediate import Operation, Remediation, marks
from edgeobs.remediate.undo import undo
from edgeobs.signals import SECOND, Action, Counts, Decision, Incident, Resource, Verb
from tests.remediate.acting import SETTINGS, START, World, an_incident

QUICK = replace(SETTINGS, undo_after_s=60.0, recheck_s=0.0)


class Site(World):
    """With a remediation in charge, whose policy wants one verb for every incident."""

    def __post_init__(self) -> None:
        self.verb: Verb = "cordon"
        super().__post_init__()
        self.remediation = self.in_charge()

    def in_charge(self) -> Remediation:
        def wish(incident: Incident, now_ns: int) -> list[Action]:
            return [Action(self.verb, incident.place, (), f"bad since {now_ns}", "wish", incident.id)]

        made = Remediation(self.settings, Counts(), {"wish": wish})
        made.guard.ledger.look(self.now_ns)
        return made

    def breaks(self, node: str = "a0", name: str = "inc-a0") -> None:
        place = next(place for place in self.places if place.node == node)
        self.incidents[name] = an_incident(name, place)
        self.step([self.incidents[name]])

    def resolves(self, name: str = "inc-a0") -> None:
        over = replace(self.incidents.pop(name), state="resolved", resolved_ns=self.now_ns)
        self.step([over])

    def step(self, changed: list[Incident] | None = None) -> list[Decision]:
        for operation in self.news:
            self.remediation.told(operation)
        self.news.clear()
        active = list(self.incidents.values())
        made = self.remediation.step(lambda: active, changed or [], self.fleet, self.now_ns)
        self.take(*made)
        self.run(1)
        return made

    def passes(self, seconds: int) -> list[Decision]:
        return [decision for _ in range(seconds) for decision in self.step()]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, QUICK)


def undone(site: Site) -> list[str]:
    return [node.name for node in site.cluster.nodes() if not node.unschedulable and marks.acted_ns(node)]


def test_a_cordon_is_taken_back_once_its_incident_has_been_over_for_a_while(site: Site) -> None:
    site.breaks()
    assert site.node().unschedulable
    site.resolves()
    assert not site.passes(58)
    assert site.node().unschedulable
    (back,) = site.passes(5)
    assert (back.action.verb, back.verdict, back.undoes, back.dry_run) == (
        "uncordon",
        "allowed",
        back.undoes,
        False,
    )
    assert back.undoes in site.remediation.operations
    node = site.node()
    assert not node.unschedulable
    assert not node.taints
    assert marks.read(node) is None
    assert node.annotations.keys() == {SETTINGS.opt_in, marks.SINCE}
    assert site.operation(back.undoes).state == "undone"
    assert not site.passes(100), "once"


def test_not_while_something_new_is_wrong_with_the_node(site: Site) -> None:
    site.breaks()
    site.resolves()
    site.breaks(name="inc-2")
    site.passes(100)
    assert site.node().unschedulable
    site.resolves("inc-2")
    site.passes(100)
    assert not site.node().unschedulable


def test_a_person_cordons_anew_and_that_stays(site: Site) -> None:
    site.breaks()
    site.kubectl(unschedulable=False)
    site.kubectl(unschedulable=True)
    site.resolves()
    site.passes(100)
    node = site.node()
    assert node.unschedulable, "a person's cordon is never undone"
    assert marks.read(node) is None


def test_a_person_who_takes_the_taint_away_decides_about_the_cordon(site: Site) -> None:
    site.breaks()
    site.kubectl(taints=())
    site.resolves()
    site.passes(100)
    assert site.node().unschedulable
    assert marks.read(site.node()) is None


def test_after_a_persons_uncordon_nothing_follows_and_our_leftovers_go(site: Site) -> None:
    site.breaks()
    site.kubectl(unschedulable=False, taints=(*site.node().taints, Taint("team", "x", "NoSchedule")))
    owner = Ref("ReplicaSet", "shop", "web", "uid-rs")
    site.cluster.put(Pod("shop", "web-1", "uid-web-1", node="a0", phase="Running", owner=owner))
    site.verb = "drain"
    made = [d for d in site.passes(20) if d.action.verb == "drain"]
    assert [(d.verdict, site.operation(d.id).state) for d in made] == [("allowed", "cancelled")]
    assert "uncordoned by somebody else" in site.operation(made[0].id).reason
    site.verb = "reschedule"
    assert [(d.verdict, d.rule) for d in site.passes(20)] == [("denied", "person")]
    node = site.node()
    assert not node.unschedulable
    assert [taint.key for taint in node.taints] == ["team"]
    assert marks.read(node) is None
    site.verb = "cordon"
    assert not [d for d in site.passes(50) if d.verdict == "allowed"]
    assert not site.node().unschedulable


def test_a_taint_that_did_not_help_is_taken_back_and_another_incident_waits(site: Site) -> None:
    site.verb = "taint"
    site.breaks()
    assert site.node().taints
    site.passes(330)
    assert not site.node().taints
    site.resolves()
    site.remediation.guard.settings = replace(QUICK, cooldown_s=0.0)
    site.breaks(name="inc-2")
    held = site.remediation.guard.ledger.pending
    assert [decision.rule for decision in held.values()] == ["back_off"]


def test_a_cordon_that_did_not_help_stays_while_its_incident_does(site: Site) -> None:
    site.breaks()
    site.passes(400)
    (operation,) = [o for o in site.remediation.operations.values() if o.action.verb == "cordon"]
    assert operation.memo["helped"] is False
    assert site.node().unschedulable


def test_it_is_taken_back_after_a_restart_too(site: Site) -> None:
    site.breaks()
    site.resolves()
    site.passes(10)
    site.restart()
    site.hear()
    before, site.remediation = site.remediation, site.in_charge()
    site.remediation.restore([], [], site.now_ns, steady_ns=before.guard.ledger.steady_ns)
    site.passes(59)
    assert site.node().unschedulable
    site.now_ns += 300 * SECOND  # restarts settle
    site.passes(310)
    assert not site.node().unschedulable


def test_marks_of_a_replica_that_is_gone_are_taken_away_once_their_time_is_over(site: Site) -> None:
    """Its journal is not here: the marks are all there is."""
    site.breaks()
    site.incidents.clear()
    site.conductor.journal.close()
    site.conductor = site.opened("other.sqlite", "edge-b")
    site.news.clear()
    site.remediation = site.in_charge()
    site.passes(100)
    assert site.node().unschedulable
    site.now_ns += int(QUICK.marks_s) * SECOND
    site.remediation = site.in_charge()
    made = site.passes(70)
    assert [(d.action.verb, d.verdict) for d in made] == [("uncordon", "allowed")]
    assert not site.node().unschedulable
    assert marks.read(site.node()) is None


def test_a_node_that_opted_out_is_left_alone_with_our_marks(site: Site) -> None:
    site.breaks()
    notes = {key: value for key, value in site.node().annotations.items() if key != SETTINGS.opt_in}
    site.kubectl(annotations=notes)
    site.resolves()
    made = site.passes(100)
    assert [(d.verdict, d.rule) for d in made if d.action.verb == "uncordon"] == [("denied", "opted_in")]
    assert site.node().unschedulable


def test_a_node_of_the_same_name_is_not_touched(site: Site) -> None:
    site.breaks()
    site.cluster.put(replace(site.node(), uid="uid-new", taints=(), annotations={SETTINGS.opt_in: "enabled"}))
    site.resolves()
    calls = len(site.api.calls)
    site.passes(100)
    assert site.node().unschedulable
    assert len(site.api.calls) == calls
    assert all(o.over for o in site.remediation.operations.values())


@pytest.mark.parametrize("changes", [{"unschedulable": False}, {"taints": ()}])
def test_what_a_person_does_between_the_read_and_the_patch_is_not_overwritten(
    site: Site, changes: dict[str, Any]
) -> None:
    site.breaks()
    site.resolves()
    site.api.before = lambda _: site.kubectl(**changes) if len(site.api.calls) == 2 else None
    site.passes(80)
    assert site.node().unschedulable == ("taints" in changes)
    assert marks.read(site.node()) is None


def test_marks_of_another_replica_go_when_what_was_wrong_here_is_over(site: Site) -> None:
    """The leader of before marked it for an incident of its own, which it alone knows."""
    site.breaks()
    site.incidents.clear()
    site.conductor.journal.close()
    site.conductor = site.opened("other.sqlite", "edge-b")
    site.news.clear()
    site.remediation = site.in_charge()
    site.breaks(name="inc-b")
    (held,) = site.remediation.guard.ledger.pending.values()
    assert held.rule == "cooldown"
    site.passes(10)
    site.resolves("inc-b")
    site.passes(150)
    assert not site.node().unschedulable
    assert marks.read(site.node()) is None


def test_what_came_to_nothing_costs_no_budget_and_is_decided_anew_after_a_while(site: Site) -> None:
    site.remediation.guard.settings = replace(QUICK, per_hour=1)
    view = site.fleet()
    site.cluster.put(replace(site.node(), uid="uid-new"))  # made anew, and the cache does not know yet
    site.incidents["inc-a0"] = an_incident("inc-a0", site.places[0])
    made = site.remediation.step(lambda: list(site.incidents.values()), [], lambda: view, site.now_ns)
    site.take(*made)
    site.run(1)
    assert site.operation(made[0].id).state == "cancelled"
    assert not site.passes(58), "not at once"
    assert not site.remediation.guard.ledger.past
    (again,) = site.passes(10)
    assert (again.verdict, again.uid) == ("allowed", "uid-new")
    assert site.node().unschedulable


def test_a_failover_comes_back_only_after_a_long_healthy_hold_whatever_people_did() -> None:
    action = Action("failover", Resource("site", "a", "a0"), (), "", "disk_failing", "inc-a0")
    memo = {"marked": True, "person": "scaled", "helped": False}
    stands = Operation(
        id="dec-1", action=action, state="cancelled", memo=memo,
        begun_ns=START, updated_ns=START, deadline_ns=START,
    )  # fmt: skip
    eager = replace(QUICK, undo_unhelpful=("failover",))
    wrong = {"inc-a0": an_incident("inc-a0", action.target)}
    assert not undo([stands], wrong, {}, eager, START + SECOND)
    hold_ns = int(eager.failback_after_s * SECOND)
    assert not undo([stands], {}, {"inc-a0": START}, eager, START + hold_ns - 1)
    assert undo([stands], {}, {"inc-a0": START}, eager, START + hold_ns)["dec-1"].verb == "failback"
