"""Operations, call by call: on record first, checked again, resumed from anywhere."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeobs.calls import Answer, Call
from edgeobs.objects import Taint
from edgeobs.remediate import Switches, marks
from edgeobs.remediate.journal import Journal, JournalError
from edgeobs.remediate.windows import Window
from edgeobs.signals import SECOND
from tests.remediate.acting import LIVE, SETTINGS, START, Killed, World, an_incident


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_cordon_is_written_down_done_and_read_back(world: World) -> None:
    world.take(world.decision())
    world.run()
    node = world.node()
    assert node.unschedulable
    assert node.taints == (Taint(marks.TAINT, "inc-a0", "NoSchedule"),)
    found = marks.read(node)
    assert found is not None
    assert found[:3] == ("dec-cordon-a0", "inc-a0", "its disk is failing")
    assert (found.since_ns, found.until_ns - found.since_ns) == (START, 21_600 * SECOND)
    assert node.annotations[SETTINGS.opt_in] == "enabled"
    assert world.kinds() == ["intent", "call", "answer", "state"]
    assert world.operation().state == "verifying"
    (call,) = world.api.calls
    assert (call.ref.uid, call.version) == ("uid-a0", "1")


def test_the_call_is_on_disk_before_it_is_made(world: World) -> None:
    seen: list[list[str]] = []

    def look(_: Call) -> None:
        other = Journal(world.conductor.journal.path, read_only=True)
        seen.append([entry.kind for entry in other.story("dec-cordon-a0")])
        assert other.unanswered("dec-cordon-a0")
        other.close()

    world.api.before = look
    world.take(world.decision())
    world.run()
    assert seen == [["intent", "call"]]


STEPS = ("journal.begin", "journal.call", "api.before", "api.after", "journal.answer", "journal.move")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("late", [False, True])
def test_kill_9_between_any_two_steps_loses_nothing_and_repeats_nothing(
    world: World, step: str, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just before the step, or just after it; the decision is offered again, as the engine does."""

    def kill(*_: Any) -> Any:
        raise Killed

    def broken(do: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*given: Any) -> Any:
            if late:
                do(*given)
            raise Killed

        return instead

    if step == "api.before":
        world.api.before = kill
    elif step == "api.after":
        world.api.after = kill
    else:
        name = step.partition(".")[2]
        monkeypatch.setattr(world.conductor.journal, name, broken(getattr(world.conductor.journal, name)))
    decision = world.decision()
    with pytest.raises(Killed):
        world.go(decision)
    world.api.before, world.api.after = lambda _: None, lambda _, answer: answer
    world.restart()
    world.take(decision)
    world.run()
    assert world.operation().state == "verifying"
    assert world.node().unschedulable
    assert world.cluster.writes - len(_asides(world)) == 1, "done once"
    assert len({entry.seq for entry in world.story() if entry.kind == "intent"}) == 1


def _asides(world: World) -> list[str]:
    return ["condition"] * (world.counts["edgeobs_events_total", "told"] // 2)


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("status", [0, 500, 503])
def test_after_an_answer_that_says_nothing_the_cluster_is_read(world: World, status: int, done: bool) -> None:
    lost = [Answer(status, "Lost")]
    if done:
        world.api.after = lambda _, answer: lost.pop() if lost else answer
    else:
        world.api.before = lambda _: lost.pop() if lost else None
    world.take(world.decision())
    world.run(5)
    assert world.operation().state == "verifying"
    assert len(world.api.calls) == (1 if done else 2)


def test_a_conflict_is_read_again_and_never_overwrites(world: World) -> None:
    def meddle(_: Call) -> None:
        if len(world.api.calls) == 1:
            world.kubectl(taints=(Taint("team", "x", "NoExecute", "2026-11-25T00:00:00Z"),))

    world.api.before = meddle
    world.take(world.decision())
    world.run(5)
    assert [taint.key for taint in world.node().taints] == ["team", marks.TAINT]
    assert world.node().taints[0].added == "2026-11-25T00:00:00Z"
    assert [entry.body["status"] for entry in world.story() if entry.kind == "answer"] == [409, 200]


def test_429_waits_as_long_as_it_was_told_and_longer_by_chance(world: World) -> None:
    answers = [Answer(429, "TooManyRequests", retry_after_s=10.0)]
    times: list[int] = []

    def busy(_: Call) -> Answer | None:
        times.append(world.now_ns)
        return answers.pop() if answers else None

    world.api.before = busy
    world.take(world.decision())
    world.run(30)
    assert world.operation().state == "verifying"
    assert times[1] - times[0] == 15 * SECOND  # dice .5


def test_what_the_api_refuses_is_not_tried_again(world: World) -> None:
    world.api.before = lambda _: Answer(422, "Invalid", "spec.taints: too many")
    world.take(world.decision())
    world.run(60)
    assert world.operation().state == "failed"
    assert "spec.taints: too many" in world.operation().reason
    assert len(world.api.calls) == 1


def test_it_gives_up_at_its_deadline(world: World) -> None:
    world.api.before = lambda _: Answer(503, "ServiceUnavailable")
    world.take(world.decision())
    world.run(700)
    operation = world.operation()
    assert operation.state == "failed"
    assert "deadline" in operation.reason
    assert operation.updated_ns >= operation.deadline_ns
    assert 10 < len(world.api.calls) < 60


def test_what_is_too_old_is_not_begun(world: World) -> None:
    world.take(world.decision(decided_ns=START - 601 * SECOND))
    world.run()
    assert (world.operation().state, world.api.calls) == ("cancelled", [])


def _recreated(world: World) -> None:
    world.cluster.put(replace(world.node(), uid="uid-new"))


def _opts_out(world: World) -> None:
    world.kubectl(annotations={})


def _deleting(world: World) -> None:
    world.kubectl(deleting=True)


def _cordons(world: World) -> None:
    world.kubectl(unschedulable=True)


def _vetoes(world: World) -> None:
    world.switches = Switches(vetoed={"inc-a0": "ada"})


def _annotates(world: World) -> None:
    world.kubectl(annotations={**world.node().annotations, marks.VETO: "inc-a0"})


def _annotates_all(world: World) -> None:
    world.kubectl(annotations={**world.node().annotations, marks.VETO: "*"})


def _unlabels(world: World) -> None:
    world.kubectl(labels={})


def _removes(world: World) -> None:
    world.cluster.remove("a0", "site")


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (_recreated, "another node by now"),
        (_opts_out, "has not opted in any more"),
        (_deleting, "being deleted"),
        (_cordons, "cordoned already, not by us"),
        (_vetoes, "vetoed: ada"),
        (_annotates, "edgeobs.io/veto=inc-a0"),
        (_annotates_all, "edgeobs.io/veto=*"),
        (_unlabels, "no label"),
        (_removes, "not in the cluster"),
    ],
)
def test_a_target_that_changed_cancels(world: World, happens: Callable[[World], None], why: str) -> None:
    decision = world.decision()
    happens(world)
    world.take(decision)
    world.run(60)
    assert world.operation().state == "cancelled"
    assert why in world.operation().reason
    assert not world.api.calls


def test_which_node_it_was_must_be_on_record(world: World) -> None:
    world.take(world.decision(uid=""))
    world.run()
    assert (world.operation().state, world.api.calls) == ("cancelled", [])


def _pause(world: World) -> None:
    world.switches = Switches(paused="paused by ada")


def _lose(world: World) -> None:
    world.switches = Switches(leader="edge-b leads")


def _lead_since(world: World) -> None:
    world.switches = Switches(led_since_ns=START + 20 * SECOND)


def _age(world: World) -> None:
    world.cluster.age_ns = lambda: 40 * SECOND  # type: ignore[method-assign]


def _darken(world: World) -> None:
    world.silent = {"a0", "a1"}


def _closes(world: World) -> None:
    over = Window(start="22:00", end="22:13")  # it is 22:13:20
    world.conductor.settings = replace(world.settings, windows=(over,))


def _others(world: World) -> None:
    world.kubectl("a1", unschedulable=True)


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (_pause, "paused by ada"),
        (_lose, "edge-b leads"),
        (_lead_since, "not read anew since we lead"),
        (_age, "40 s old"),
        (_darken, "zone a is silent"),
        (_closes, "outside the maintenance windows"),
        (_others, "nodes of zone a"),
    ],
)
def test_what_may_change_by_itself_waits(world: World, happens: Callable[[World], None], why: str) -> None:
    happens(world)
    world.take(world.decision())
    world.run(10)
    assert (world.operation().state, world.api.calls) == ("intended", [])
    assert why in world.operation().reason
    assert world.kinds() == ["intent", "wait"], "said once"
    world.switches, world.silent = Switches(), set()
    world.conductor.settings = world.settings
    world.kubectl("a1", unschedulable=False)
    world.cluster.__dict__.pop("age_ns", None)
    world.run(5)
    assert world.node().unschedulable


def begun(world: World) -> None:
    """A cordon whose first call had no answer of use."""
    world.api.before = lambda _: Answer(503, "Unavailable")
    world.take(world.decision())
    world.run(0)
    assert (world.operation().state, len(world.api.calls)) == ("working", 1)
    world.api.before = lambda _: None


@pytest.mark.parametrize("happens", [_annotates, _annotates_all, _vetoes])
def test_a_veto_stops_what_is_under_way(world: World, happens: Callable[[World], None]) -> None:
    begun(world)
    happens(world)
    world.run(60)
    assert (world.operation().state, len(world.api.calls)) == ("cancelled", 1)
    assert "vetoed" in world.operation().reason
    assert not world.node().unschedulable


def test_what_is_begun_is_carried_to_its_end_outside_the_window(world: World) -> None:
    begun(world)
    _closes(world)
    world.run(60)
    assert world.node().unschedulable


def test_leadership_lost_between_the_record_and_the_call_sends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = world.conductor.journal.call

    def call(*given: Any) -> int:
        _lose(world)
        return put(*given)

    monkeypatch.setattr(world.conductor.journal, "call", call)
    world.take(world.decision())
    world.run(10)
    assert not world.api.calls
    assert "not sent: edge-b leads" in world.story()[2].body["text"]


def test_two_replicas_never_exceed_a_budget_that_the_marks_tell(world: World) -> None:
    """Each believes that it leads; both have an allowed decision in the same zone."""
    other = world.opened("other.sqlite", "edge-b")
    world.take(world.decision("a0"))
    other.take([world.decision("a1")])
    for _ in range(50):
        world.conductor.work(world.seen())
        other.work(world.seen())
        world.now_ns += SECOND
    assert [node.name for node in world.cluster.nodes() if node.unschedulable] == ["a0"]
    found = other.journal.operation("dec-cordon-a1")
    assert found is not None
    assert "nodes of zone a" in found.reason


def test_a_verb_that_is_not_live_any_more_is_not_done(world: World) -> None:
    world.take(world.decision())
    world.settings = replace(SETTINGS, live=("drain",))
    world.restart()
    world.run()
    assert (world.operation().state, world.api.calls) == ("cancelled", [])


def test_a_full_disk_means_no_act(world: World) -> None:
    pages = world.conductor.journal._db.execute("PRAGMA page_count").fetchone()[0]
    world.take(world.decision())
    world.conductor.journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalError, match="the disk is full"):
        world.take(*(world.decision("b0", id=f"dec-{number}") for number in range(500)))
    known = [operation.id for operation in world.conductor.journal.unfinished()]
    assert known == [operation.id for operation in world.conductor.operations], "no half of an intent"
    world.conductor.journal._db.execute("PRAGMA cache_spill = 0")
    world.fill()
    before = len(world.api.calls)
    with pytest.raises(JournalError, match="the disk is full"):
        world.run()
    assert (before, len(world.api.calls), world.node().unschedulable) == (0, 0, False)
    world.conductor.journal._db.execute("PRAGMA max_page_count = 100000")
    world.run(1)
    assert world.node().unschedulable
    assert len(world.api.calls) == 1


def test_several_operations_do_not_wait_for_one_another(world: World) -> None:
    stuck = [world.node("a0").name]
    world.api.before = lambda call: Answer(503) if call.ref.name in stuck else None
    world.take(*(world.decision(node) for node in ("a0", "b0", "c0")))
    world.run(1)
    assert [node.name for node in world.cluster.nodes() if node.unschedulable] == ["b0", "c0"]


def test_what_is_to_be_done_goes_before_what_is_only_watched(world: World) -> None:
    for node in ("a0", "b0"):
        world.go(world.decision(node))
    world.now_ns += 60 * SECOND
    world.take(world.decision("c0"))
    world.conductor.work(world.seen())
    assert world.node("c0").unschedulable


def test_it_helped_when_what_was_abnormal_is_calm(world: World) -> None:
    world.take(world.decision())
    world.run(20)
    world.incidents["inc-a0"] = an_incident("inc-a0", world.places[0], calm=True)
    world.run(10)
    operation = world.operation()
    assert (operation.state, operation.memo["helped"]) == ("done", True)
    assert operation.reason.startswith("helped")
    assert world.node().unschedulable, "it stands until its incident is over"


def test_it_did_not_help_when_it_goes_on(world: World) -> None:
    world.take(world.decision())
    world.run(400)
    operation = world.operation()
    assert (operation.state, operation.memo["helped"]) == ("done", False)
    assert "did not help" in operation.reason
    assert "system_disk_errors" in operation.reason


def test_a_persons_uncordon_while_it_is_watched_ends_it(world: World) -> None:
    world.take(world.decision())
    world.run(2)
    world.kubectl(unschedulable=False)
    world.run(10)
    operation = world.operation()
    assert operation.state == "cancelled"
    assert operation.memo["person"] == "it was uncordoned by somebody else"


def test_a_taint_is_its_own_mark(world: World) -> None:
    world.take(world.decision(verb="taint"))
    world.run()
    assert not world.node().unschedulable
    assert [str(taint) for taint in world.node().taints] == ["edgeobs.io/pressure=true:PreferNoSchedule"]
    assert world.operation("dec-taint-a0").state == "verifying"


def test_the_cluster_tells_the_story(world: World) -> None:
    world.take(world.decision())
    world.run(1)
    events = [body for (kind, *_), body in world.cluster._others.objects.items() if kind == "Event"]
    assert {event["reason"] for event in events} >= {"EdgeobsCordonWorking", "EdgeobsCordonVerifying"}
    assert all(event["involvedObject"]["uid"] == "uid-a0" for event in events)
    assert "inc-a0" in events[-1]["message"]
    assert world.node().conditions == {"EdgeobsRemediation": "True"}


def test_who_cannot_be_told_holds_up_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.cluster._others, "call", lambda *_: Answer(403, "Forbidden"))
    world.take(world.decision())
    world.run(1)
    assert world.operation().state == "verifying"
    assert world.counts["edgeobs_events_total", "failed"] > 0


def test_live_verbs_have_procedures() -> None:
    from edgeobs.remediate.procedures import PROCEDURES

    assert PROCEDURES.keys() >= set(LIVE)


def test_a_clock_that_is_set_back_does_not_put_off_what_is_under_way(world: World) -> None:
    world.switches = Switches(paused="paused")
    world.take(world.decision())
    world.run(5)
    world.now_ns -= 86_400 * SECOND
    world.switches = Switches()
    world.run(1)
    assert world.node().unschedulable


def test_a_fault_of_ours_ends_one_operation_and_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = world.cluster.node

    def broken(name: str) -> Any:
        if name == "a0":
            raise KeyError(name)
        return node(name)

    monkeypatch.setattr(world.cluster, "node", broken)
    world.take(world.decision("a0"), world.decision("b0"))
    world.run(1)
    assert world.operation().state == "failed"
    assert "a fault of edgeobs itself" in world.operation().reason
    assert world.operation("dec-cordon-b0").state == "verifying"
