"""People speak to a core that acts, and ask it: engine, actor, journal, page and desk together."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeobs.actor import Actor
from edgeobs.calls import Answer
from edgeobs.config import parse
from edgeobs.desk import Desk, words
from edgeobs.engine import Engine
from edgeobs.objects import Node, Ref
from edgeobs.people import People
from edgeobs.publish import Board
from edgeobs.remediate import Switches, asked, marks
from edgeobs.remediate.words import What
from edgeobs.signals import SECOND, Counts, Decision, Incident
from edgeobs.web import Refused

TEXT = """
cluster: {opted_in: true}
remediate: {dry_run: false, live: [cordon], approve: [cordon], cluster_share: 1.0}
engine: {snapshot_interval_s: 3600}
"""


class Core:
    """A core without threads of its own, and the desk of it; one incident on n1."""

    def __init__(self, site: Any, folder: Path) -> None:
        self.site, self.pipeline = site, site.pipeline
        settings, clock = site.pipeline.remediation.settings, site.clock
        self.people = People(folder, settings, clock=clock)
        self.people.open()
        self.pipeline.switches = self.people
        cluster = self.pipeline.cluster
        self.actor = Actor(cluster, cluster, folder, settings, Counts(), switches=self.people, clock=clock)
        self.engine = Engine(
            site.pipeline, site.keeper, lambda *_: site.points(), lambda _: ([], 0), queue_bytes=1, tick_ns=1,
            counts=Counts(), actor=self.actor, clock=clock,
        )  # fmt: skip
        self.board = Board(
            site.pipeline, site.keeper, [], decoder="", dry_run=False, paused=False, open_score=6.0,
            clock=clock,
        )  # fmt: skip
        self.board.words = lambda: words(self.people)
        self.desk = Desk(self.people, self.engine, settings, self.board.published, folder, clock)
        self.incident: Incident | None = None
        site.open()
        self.pipeline.incidents.active = lambda: [self.incident] if self.incident else []
        self.actor.work()

    def breaks(self) -> None:
        place = self.pipeline.table.nodes[1].resource
        self.incident = Incident(
            "inc-1", "node", place, "open", self.site.now_ns, self.site.now_ns, 0, 9.0, "x", ()
        )

    def second(self) -> list[Decision]:
        """Time passes; the policy of the test asks for a cordon while the incident lasts."""
        self.site.now_ns += SECOND
        before = len(self.site.keeper.decisions)
        self.engine._commit(self.pipeline.step(self.site.points(), self.site.now_ns))
        self.engine._tick()
        self.desk.look()
        for _ in range(20):
            self.actor.work()
        self.board.publish()
        return list(self.site.keeper.decisions)[before:]

    def node(self) -> Node:
        found = self.pipeline.cluster.node("n1")
        assert isinstance(found, Node)
        return found


def cordon(incident: Incident, _: int) -> list[Any]:
    from edgeobs.signals import Action

    return [Action("cordon", incident.place, (), "its disk is failing", "disk_failing", incident.id)]


@pytest.fixture
def core(site: Callable[..., Any], tmp_path: Path) -> Iterator[Core]:
    made = Core(site(TEXT), tmp_path / "data")
    made.pipeline.remediation.policies = {"disk_failing": cordon}
    made.site.seconds(3)
    made.breaks()
    made.second()
    yield made
    made.actor.close()


def refused(core: Core, what: What, *said: str) -> int:
    with pytest.raises(Refused) as raised:
        core.desk.say(what, *said)
    return raised.value.status


def test_what_waits_for_a_person_is_done_once_approved_and_says_who(core: Core) -> None:
    held = core.site.keeper.decisions[-1]
    assert (held.verdict, held.rule) == ("held", "approved")
    assert core.desk.say("approve", "ada", "the disk is to be swapped", "inc-1", "cordon") == ""
    (allowed,) = core.second()
    assert (allowed.verdict, core.node().unschedulable) == ("allowed", True)
    (said,) = [check.reason for check in allowed.checks if check.rule == "approved"]
    assert "by ada" in said
    assert "the disk is to be swapped" in said
    core.second()
    (shown,) = core.board.published().operations
    assert (shown.id, shown.state, shown.standing) == (allowed.id, "verifying", True)
    kinds = [step.kind for step in core.desk.steps(allowed.id)]
    assert kinds[:3] == ["intent", "call", "answer"]
    assert "cordon" in core.desk.steps(allowed.id)[1].text


def test_an_approval_expires(core: Core) -> None:
    core.desk.say("approve", "ada", "yes", "inc-1", "")
    core.people._settings = replace(core.people._settings, pause=False)
    core.site.now_ns += 1800 * SECOND
    assert core.people().approved == {}


def test_a_veto_stops_what_is_allowed_and_ends_with_its_incident(core: Core) -> None:
    core.desk.say("approve", "ada", "yes", "inc-1", "")
    core.desk.say("veto", "bob", "we work on it", "inc-1", "")
    (denied,) = core.second()
    assert (denied.verdict, denied.rule) == ("denied", "vetoed")
    assert "by bob" in denied.reason
    assert not core.node().unschedulable
    assert [(w.what, w.by) for w in core.board.published().words] == [("veto", "bob")]
    core.incident = None
    for _ in range(17):
        core.second()
    assert core.people() == Switches()


def test_a_pause_holds_everything_until_resumed(core: Core) -> None:
    core.desk.say("approve", "ada", "yes", "inc-1", "")
    core.desk.say("pause", "bob", "we change the switch", "", "")
    assert core.second()[-1].rule == "paused"
    assert "by bob" in core.board.published().status.paused
    core.desk.say("resume", "bob", "done", "", "")
    allowed = core.second()[-1]
    assert (allowed.verdict, allowed.reason) == ("allowed", "its disk is failing")
    assert core.node().unschedulable


def test_a_node_s_annotation_approves_and_vetoes(core: Core) -> None:
    put = core.pipeline.cluster.put
    put(replace(core.node(), annotations={**core.node().annotations, marks.VETO: "*"}))
    assert core.second()[-1].rule == "vetoed"
    notes = {key: value for key, value in core.node().annotations.items() if key != marks.VETO}
    put(replace(core.node(), annotations={**notes, marks.APPROVE: "inc-1"}))
    made = [each for _ in range(3) for each in core.second()]
    assert made[-1].verdict == "allowed"
    assert core.node().unschedulable


def test_words_that_make_no_sense_are_refused(core: Core) -> None:
    assert refused(core, "approve", "ada", "yes", "inc-9", "") == 404
    assert refused(core, "veto", "ada", "no", "inc-9", "") == 404
    assert refused(core, "resume", "ada", "go on", "", "") == 409
    assert core.desk.say("approve", "ada", "yes", "inc-1", "taint") == "taint needs no approval"


def test_an_incident_that_is_over_cannot_be_spoken_about(core: Core) -> None:
    assert core.incident is not None
    core.incident = replace(core.incident, state="resolved", resolved_ns=core.site.now_ns)
    core.second()
    assert refused(core, "veto", "ada", "no", "inc-1", "") == 409


def test_who_does_not_lead_refuses_approvals_and_tells_of_vetoes(core: Core) -> None:
    core.people._base = lambda: Switches(leader="we do not lead: edge-b leads")
    assert refused(core, "approve", "ada", "yes", "inc-1", "") == 409
    assert "edge-b leads" in core.desk.say("veto", "ada", "no", "inc-1", "")
    core.people._call, core.people._control = lambda _: Answer(200), Ref("ConfigMap", "edgeobs", "x")
    assert core.desk.say("approve", "ada", "yes", "inc-1", "") == "", "all replicas are told"


def test_what_is_paused_in_the_configuration_is_resumed_there(core: Core) -> None:
    core.desk._settings = replace(core.desk._settings, pause=True)
    assert refused(core, "resume", "ada", "go on", "", "") == 409


def test_steps_of_nothing(core: Core) -> None:
    with pytest.raises(Refused) as raised:
        core.desk.steps("dec-none")
    assert raised.value.status == 404


def test_explain_says_what_every_rule_says_of_every_verb(core: Core) -> None:
    told = core.desk._explain("n1", None)
    (proposed,) = told.proposed
    assert (proposed.action.verb, proposed.rule) == ("cordon", "approved")
    assert {decision.action.verb for decision in told.verbs} >= {"drain", "failover", "uncordon", "release"}
    assert all(len(decision.checks) == len(proposed.checks) for decision in told.verbs)
    assert dict(told.facts)["zone"] == "z1"
    before = core.pipeline.remediation.guard.ledger.pending.copy()
    core.desk._explain("n1", None)
    assert core.pipeline.remediation.guard.ledger.pending == before, "nothing is decided by asking"
    for name, cluster in (("n9", None), ("n1", "elsewhere")):
        with pytest.raises(Refused) as raised:
            core.desk._explain(name, cluster)
        assert raised.value.status == 404


def test_explain_is_of_incidents_that_concern_the_node(core: Core) -> None:
    fleet = core.pipeline.fleet(core.site.now_ns)
    other = fleet.nodes["", "n2"]
    answer = asked.asked(
        core.pipeline.remediation, other, core.pipeline.incidents.active(), fleet, core.site.now_ns
    )
    assert answer.proposed == ()


def test_names_in_the_settings_that_nothing_has_are_told(site: Callable[..., Any], tmp_path: Path) -> None:
    text = TEXT.replace("approve: [cordon]", "windows: [{start: '01:00', end: '02:00', zones: [z1, zz]}]")
    core = Core(site(text), tmp_path / "data")
    core.site.seconds(3)
    core.second()
    assert core.desk.notices == ("remediate.windows[0].zones: no node is of zone 'zz'",)
    put, node = core.pipeline.cluster.put, core.node()
    put(replace(node, labels={}))
    core.site.now_ns += 30 * SECOND
    core.second()
    assert any("1 of 4 nodes have no label" in text for text in core.desk.notices)
    core.actor.close()


def test_the_settings_of_the_test_are_valid() -> None:
    assert parse(TEXT).remediate.approve == ("cordon",)
