"""One rung after the other; playbooks that alerts call."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.calls import Answer, Call
from edgeobs.config import ConfigError, parse
from edgeobs.objects import Node
from edgeobs.remediate import Settings
from edgeobs.remediate.operation import Do, End, Facts, Next, Operation, Told, Wait
from edgeobs.remediate.policies.ladder import Past, Rung, climb
from edgeobs.remediate.policies.playbook import Playbook, policy_of
from edgeobs.remediate.procedures import PROCEDURES
from edgeobs.remediate.procedures.playbook import run
from edgeobs.signals import SECOND, Action, Evidence, Incident, Resource, Verb

NOW = 1_000_000 * SECOND
PLACE = Resource("site", "a", "edge-7")
CORDON = Action("cordon", PLACE, (), "its disk is failing", "disk_failing", "inc-1")
RUNGS = Rung(verb="cordon"), Rung(verb="reschedule", after_s=300), Rung(verb="drain", after_s=900)
FIXED = Playbook(url="http://127.0.0.1:1/", alerts=("ModemHangs",))


def verbs(past: dict[Verb, Past], rungs: tuple[Rung, ...] = RUNGS) -> list[str]:
    return [each.verb for each in climb([CORDON], rungs, lambda _, verb: past.get(verb, Past(0, None)), NOW)]


def ago(seconds: int, helped: bool | None = False) -> Past:
    return Past(NOW - seconds * SECOND, helped)


@pytest.mark.parametrize(
    ("past", "reached"),
    [
        ({}, ["cordon"]),
        ({"cordon": ago(299)}, ["cordon"]),
        ({"cordon": ago(300)}, ["cordon", "reschedule"]),
        ({"cordon": ago(300, None)}, ["cordon", "reschedule"]),
        ({"cordon": ago(9999, True)}, ["cordon"]),
        ({"cordon": ago(9999), "reschedule": ago(900)}, ["cordon", "reschedule", "drain"]),
        ({"cordon": ago(9999), "reschedule": ago(9999, True)}, ["cordon", "reschedule"]),
        ({"reschedule": ago(9999)}, ["cordon"]),
    ],
)
def test_a_rung_is_reached_when_the_one_below_was_given_its_time(past: Any, reached: list[str]) -> None:
    assert verbs(past) == reached


def test_a_rung_without_a_wait_comes_with_the_one_below() -> None:
    assert verbs({}, (Rung(verb="cordon"), Rung(verb="release"))) == ["cordon", "release"]


def test_without_a_finding_nothing_climbs_and_without_a_ladder_the_finding_stands() -> None:
    assert climb([], RUNGS, lambda *_: ago(9999), NOW) == []
    assert climb([CORDON], (), lambda *_: ago(9999), NOW) == [CORDON]


@given(st.dictionaries(st.sampled_from(["cordon", "reschedule", "drain"]), st.integers(0, 2000)))
def test_no_rung_is_ever_leapt_over(times: dict[Verb, int]) -> None:
    reached = verbs({verb: ago(seconds) for verb, seconds in times.items()})
    assert reached == [rung.verb for rung in RUNGS][: len(reached)]
    assert reached


# --- playbooks


def alerted(name: str, calm: bool = False, **labels: str) -> Incident:
    nan = float("nan")
    pairs = (("fingerprint", "f"), *labels.items())
    alert = Evidence(
        "alert", "the modem hangs", name, pairs, "", NOW, NOW, 9.0, 1.0, nan, nan, nan, nan, calm=calm
    )
    return Incident("inc-1", "node", PLACE, "open", NOW, NOW, 0, 9.0, "modem", (alert,))


def test_an_alert_calls_its_playbook_by_name_and_labels() -> None:
    policy = policy_of({"power-cycle": replace(FIXED, labels={"modem": "lte"})})
    found = policy(alerted("ModemHangs", modem="lte"), NOW)
    assert [(each.verb, each.patch, each.target) for each in found] == [
        ("playbook", (("playbook", "power-cycle"),), PLACE)
    ]
    assert policy(alerted("ModemHangs", modem="5g"), NOW) == []
    assert policy(alerted("Other", modem="lte"), NOW) == []
    assert policy(alerted("ModemHangs", calm=True, modem="lte"), NOW) == []


@pytest.mark.parametrize(
    ("radius", "target"), [("zone", Resource("site", "a")), ("cluster", Resource("site"))]
)
def test_a_wider_radius_is_a_wider_target(radius: Any, target: Resource) -> None:
    found = policy_of({"reset": replace(FIXED, radius=radius)})(alerted("ModemHangs"), NOW)
    assert found[0].target == target


def operation(verb: Verb, **memo: Any) -> Operation:
    act = Action(verb, PLACE, (("playbook", "fix"),), "the modem hangs: run fix", "playbook", "inc-1")
    return Operation(
        id="dec-1", action=act, memo=memo, begun_ns=NOW, updated_ns=NOW, deadline_ns=NOW + 10**12
    )


def step(
    verb: Verb, state: dict[str, Any] | None = None, *, book: Playbook = FIXED, told: Any = None, **memo: Any
) -> Next:
    doing = operation(verb, **memo)
    node = Node("edge-7", "uid-7", "5", cluster="site")
    world = Facts(
        nodes={"edge-7": node},
        objects={run(doing): state},
        told=told or {},
        settings=Settings(playbooks={"fix": book}),
    )
    return PROCEDURES[verb].step(doing, world, NOW)


def test_a_playbook_is_started_once_and_its_answer_is_the_outcome() -> None:
    first = step("playbook")
    assert isinstance(first, Do)
    assert (first.call.verb, first.call.ref.name, first.call.body["incident"]) == ("run", "dec-1", "inc-1")
    assert first.memo == {"started": True}
    assert isinstance(step("playbook", {"done": False, "status": 0, "text": ""}, started=True), Wait)
    ran = step("playbook", {"done": True, "status": 200, "text": "cycled"}, started=True)
    assert ran == End("verifying", "playbook fix ran: 200 cycled")
    for status, text in ((500, "no modem"), (0, "")):
        said = step("playbook", {"done": True, "status": status, "text": text}, started=True)
        assert isinstance(said, End)
        assert said.state == "failed"


def test_what_may_have_run_is_repeated_only_where_that_is_safe() -> None:
    said = step("playbook", started=True)
    assert isinstance(said, End)
    assert "whether playbook fix ran is not known" in said.reason
    assert isinstance(step("playbook", book=replace(FIXED, repeatable=True), started=True), Do)
    ref = run(operation("playbook"))
    unsent = {ref: Told(Answer(0, "NotSent"), NOW, NOW, Call("run", ref))}
    assert isinstance(step("playbook", told=unsent, started=True), Do)


def test_a_note_and_an_event_take_nothing_from_the_cluster() -> None:
    note, event = step("annotate"), step("notify")
    assert isinstance(note, Do)
    assert set(note.call.body["metadata"]["annotations"]) == {"edgeobs.io/note"}
    assert "spec" not in note.call.body
    assert isinstance(event, Do)
    assert (event.call.verb, event.call.ref.kind) == ("create", "Event")
    assert event.call.body["message"] == "incident inc-1: the modem hangs: run fix"
    assert not any(PROCEDURES[verb].takes for verb in ("notify", "annotate"))
    there = {event.call.ref: Told(Answer(409, "AlreadyExists"), NOW, NOW, event.call)}
    assert step("notify", told=there) == End("done", "an Event tells of it on edge-7")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "ladders: {disk_fails: [{verb: cordon}]}",
            "remediate.ladders.disk_fails: expected one of the policies",
        ),
        (
            "ladders: {disk_failing: [{verb: reboot}]}",
            "remediate.ladders.disk_failing[0].verb: expected 'notify'",
        ),
        ("playbooks: {fix: {alerts: [A]}}", "remediate.playbooks.fix: expected either url or function"),
        (
            "playbooks: {fix: {url: 'ftp://x', alerts: [A]}}",
            "remediate.playbooks.fix.url: expected an http://",
        ),
        (
            "playbooks: {fix: {function: 'os.system', alerts: [A]}}",
            "remediate.playbooks.fix.function: expected package",
        ),
        ("playbooks: {fix: {url: 'http://x'}}", "remediate.playbooks.fix.alerts: expected at least one"),
        ("cluster_share: 2.0", "remediate.cluster_share: expected less than or equal to 1; found 2.0"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"remediate: {{{text}}}")
    assert problem in str(caught.value)
