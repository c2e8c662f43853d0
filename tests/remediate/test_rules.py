"""Each rule of the guard, where nothing else forbids."""

from dataclasses import replace
from typing import Any

import pytest

from edgeobs.objects import Node
from edgeobs.remediate import (
    POLICIES,
    FleetView,
    Guard,
    Ledger,
    MemoryCluster,
    Remediation,
    Settings,
    fleet_view,
    marks,
)
from edgeobs.remediate.guards import budgets
from edgeobs.remediate.windows import Window
from edgeobs.signals import (
    SECOND,
    Action,
    Counts,
    Decision,
    Heartbeat,
    HeartState,
    Incident,
    Resource,
    Verb,
)

NOW = 1_700_000_000 * SECOND
LONG = 10**6 * SECOND
SETTINGS = Settings()
PLACES = [Resource("site", zone, f"{zone}{i}") for zone in "abc" for i in range(5)]


def node(place: Resource, **changes: Any) -> Node:
    known = Node(
        place.node, f"uid-{place.node}", "1", {SETTINGS.zone_label: place.zone}, {SETTINGS.opt_in: "enabled"},
        ready="True", cluster="site",
    )  # fmt: skip
    return replace(known, **changes)


def fleet(silent: str = "", changed: dict[str, Node] | None = None, journal: str = "") -> FleetView:
    """Fifteen nodes in three zones; those whose name begins with a word of ``silent`` are silent."""
    beats = [
        Heartbeat(p, "silent", NOW - 60 * SECOND, SECOND)
        if p.node.startswith(tuple(silent.split()) or ("-",))
        else Heartbeat(p, "alive", NOW, SECOND)
        for p in PLACES
    ]
    nodes = [(changed or {}).get(p.node, node(p)) for p in PLACES]
    return fleet_view(beats, nodes, SETTINGS, journal)


def action(place: Resource = PLACES[0], verb: Verb = "cordon", incident: str = "inc-1") -> Action:
    policy = "node_silent" if verb == "reschedule" else "disk_failing"
    made = Action("cordon", place, (("/spec/unschedulable", "true"),), "errors", policy, incident)
    return replace(made, verb=verb)


def guard(settings: Settings = SETTINGS, *past: tuple[Resource, str, float]) -> Guard:
    """One that allowed (place, incident, seconds ago) before."""
    made = Guard(settings, Counts(), POLICIES)
    free = Guard(
        replace(settings, nodes_per_zone=99, cluster_share=1.0, per_hour=99, cooldown_s=0), Counts(), POLICIES
    )
    for place, incident, ago_s in past:
        decision = free.decide(action(place, incident=incident), fleet(), NOW - int(ago_s * SECOND))
        assert decision.verdict == "allowed"
        made.ledger.record(replace(decision, steady_ns=LONG - int(ago_s * SECOND)))
    made.ledger.last_ns, made.ledger.steady_ns = NOW, LONG
    return made


def decide(world: FleetView, settings: Settings = SETTINGS, act: Action | None = None) -> Decision:
    return guard(settings).decide(act or action(), world, NOW)


def test_allows_what_nothing_forbids() -> None:
    decision = decide(fleet())
    assert (decision.verdict, decision.rule, decision.dry_run) == ("allowed", "all", True)
    assert decision.text() == "would cordon a0: errors"
    assert {check.verdict for check in decision.checks} == {"allowed"}


@pytest.mark.parametrize(
    ("world", "verdict", "rule"),
    [
        (fleet(journal="the disk is full"), "denied", "journal"),
        (fleet(changed={"a0": node(PLACES[0], annotations={})}), "denied", "opted_in"),
        (fleet(changed={"a0": node(PLACES[0], labels={})}), "denied", "zone_label_known"),
        (fleet("a0 a1 a2"), "held", "zone_hold"),
        (fleet("a b"), "held", "self_doubt"),
        (fleet("a1"), "allowed", "all"),
        (fleet(changed={"a3": node(PLACES[3], unschedulable=True)}), "held", "zone_budget"),
        (fleet_view([Heartbeat(PLACES[0], "alive", NOW, SECOND)], [], SETTINGS), "denied", "known_node"),
    ],
)
def test_world_decides(world: FleetView, verdict: str, rule: str) -> None:
    decision = decide(world)
    assert (decision.verdict, decision.rule) == (verdict, rule)
    assert decision.reason


@pytest.mark.parametrize(
    ("settings", "verdict", "rule"),
    [
        (Settings(pause=True), "held", "paused"),
        (Settings(verbs=("taint",)), "denied", "verb"),
        (Settings(nodes_per_zone=None), "denied", "zone_budget"),
        (Settings(cluster_share=None), "denied", "cluster_budget"),
        (Settings(cluster_share=0.0), "held", "cluster_budget"),
        (Settings(per_hour=None), "denied", "hourly_rate"),
        (Settings(cooldown_s=None), "denied", "cooldown"),
        (Settings(dry_run=False, live=("cordon",)), "allowed", "all"),
    ],
)
def test_settings_decide(settings: Settings, verdict: str, rule: str) -> None:
    decision = decide(fleet(), settings)
    assert (decision.verdict, decision.rule) == (verdict, rule)
    assert decision.dry_run == (not settings.live)


def test_an_unknown_policy_is_denied() -> None:
    assert decide(fleet(), act=replace(action(), policy="made_up")).rule == "policy"


def test_one_node_in_flight_per_zone_until_its_incident_is_over() -> None:
    busy = guard(SETTINGS, (PLACES[1], "inc-0", 10))
    assert busy.decide(action(), fleet(), NOW).rule == "zone_budget"
    assert busy.decide(action(PLACES[5], incident="inc-2"), fleet(), NOW).verdict == "allowed"
    busy.ledger.close("inc-0")
    assert busy.decide(action(), fleet(), NOW).verdict == "allowed"


def test_a_share_of_the_cluster_in_flight() -> None:
    settings = Settings(cluster_share=0.13)
    busy = guard(settings, (PLACES[5], "inc-5", 10), (PLACES[10], "inc-6", 10))
    decision = busy.decide(action(), fleet(), NOW)
    assert (decision.verdict, decision.rule) == ("held", "cluster_budget")


def test_so_many_actions_an_hour() -> None:
    past = [(PLACES[i], f"inc-{i + 10}", 3500.0) for i in range(6)]
    tired = guard(SETTINGS, *past)
    for _, incident, _ in past:
        tired.ledger.close(incident)
    assert tired.decide(action(PLACES[12]), fleet(), NOW).rule == "hourly_rate"
    assert tired.decide(action(PLACES[12]), fleet(), NOW + 101 * SECOND).verdict == "allowed"


def test_a_node_cools_down_from_another_incident() -> None:
    warm = guard(SETTINGS, (PLACES[0], "inc-0", 1700))
    warm.ledger.close("inc-0")
    assert warm.decide(action(), fleet(), NOW).rule == "cooldown"
    assert warm.decide(action(), fleet(), NOW + 101 * SECOND).verdict == "allowed"


def marked(place: Resource, ago_s: float, **changes: Any) -> Node:
    """As another replica left it."""
    at = NOW - int(ago_s * SECOND)
    known = node(place, **changes)
    notes = marks.notes("dec-0", "inc-0", "errors", "other", at, at + LONG)
    return replace(known, annotations={**known.annotations, **notes})


def test_what_another_replica_marked_is_in_flight() -> None:
    world = fleet(changed={"a3": marked(PLACES[3], 60)})
    assert decide(world).rule == "zone_budget"
    assert decide(world, act=action(PLACES[5])).verdict == "allowed"
    two = fleet(changed={"b0": marked(PLACES[5], 60), "c0": marked(PLACES[10], 60)})
    assert decide(two).rule == "cluster_budget"


def test_what_another_replica_did_counts_for_rate_and_cooldown() -> None:
    known = marked(PLACES[6], 3000)
    left = {marks.SINCE: known.annotations[marks.SINCE], **node(PLACES[6]).annotations}
    world = fleet(changed={"b1": replace(known, annotations=left)})
    assert decide(world, Settings(per_hour=1)).rule == "hourly_rate"
    assert decide(world, Settings(per_hour=2)).verdict == "allowed"
    warm = Settings(cooldown_s=3100.0)
    assert decide(world, warm, action(PLACES[6])).rule == "cooldown"
    assert decide(world, Settings(cooldown_s=2900.0), action(PLACES[6])).verdict == "allowed"


@pytest.mark.parametrize(
    ("share", "size", "most"), [(0.1, 30, 3), (0.07, 100, 7), (0.1, 11, 2), (0.0, 9, 0), (1.0, 9, 9)]
)
def test_a_share_is_rounded_up(share: float, size: int, most: int) -> None:
    assert budgets.most_of(share, size) == most


def test_nodes_that_are_not_ready_are_in_flight_in_the_cluster() -> None:
    down = {name: node(PLACES[n], ready="Unknown") for n, name in ((5, "b0"), (10, "c0"))}
    assert decide(fleet(changed=down)).rule == "cluster_budget"
    alone = {"a0": node(PLACES[0], ready="False"), "b0": down["b0"]}
    assert decide(fleet(changed=alone)).verdict == "allowed"


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"leader": "edge-b leads"}, "leader"),
        ({"age_ns": 31 * SECOND, "stale_ns": 30 * SECOND}, "fresh_view"),
        ({"paused": "paused by ada"}, "paused"),
        ({"vetoed": {"inc-1": "by ada"}}, "vetoed"),
    ],
)
def test_who_does_not_lead_or_know_decides_nothing(said: dict[str, Any], rule: str) -> None:
    beats = [Heartbeat(p, "alive", NOW, SECOND) for p in PLACES]
    stopped = decide(fleet_view(beats, [node(p) for p in PLACES], SETTINGS, **said))
    assert (stopped.verdict, stopped.rule) == ("denied" if rule == "vetoed" else "held", rule)


@pytest.mark.parametrize(("note", "verdict"), [("inc-1", "denied"), ("*", "denied"), ("inc-2", "allowed")])
def test_a_node_s_annotation_vetoes(note: str, verdict: str) -> None:
    notes = {**node(PLACES[0]).annotations, marks.VETO: note}
    world = fleet(changed={"a0": node(PLACES[0], annotations=notes)})
    decision = decide(world)
    assert (decision.verdict, decision.rule) == (verdict, "vetoed" if verdict == "denied" else "all")
    assert decide(world, act=action(PLACES[1])).verdict == "allowed"
    zone = Action("cordon", Resource("site", "a"), (), "dark", "zone_dark", "inc-1")
    assert (decide(world, act=zone).rule == "vetoed") == (verdict == "denied")


def test_what_moves_work_waits_for_a_person() -> None:
    world, drain = fleet("a0"), action(verb="drain")
    held = decide(world, act=drain)
    assert (held.verdict, held.rule) == ("held", "approved")
    assert "edgeobs approve inc-1" in held.reason
    assert f"kubectl annotate node a0 {marks.APPROVE}=inc-1" in held.reason
    for key, verdict in ((("inc-1", ""), "allowed"), (("inc-1", "drain"), "allowed"),
                         (("inc-1", "failover"), "held"), (("inc-2", ""), "held")):  # fmt: skip
        assert decide(replace(world, approved={key: "approved by ada"}), act=drain).verdict == verdict
    assert decide(world, Settings(approve=()), drain).verdict == "allowed"
    assert decide(world, Settings(approve=("cordon",))).rule == "approved"


def test_nothing_is_done_outside_a_maintenance_window_but_to_tell() -> None:
    never = Settings(windows=(Window(start="22:00", end="22:13"),))  # NOW is 22:13:20
    held = decide(fleet(), never)
    assert (held.verdict, held.rule) == ("held", "window")
    assert decide(fleet(), never, action(verb="notify")).verdict == "allowed"
    assert decide(fleet(), never, action(verb="uncordon")).rule == "window"
    assert decide(fleet(), Settings(windows=(Window(start="22:00", end="22:14"),))).verdict == "allowed"
    others = Settings(windows=(Window(start="22:00", end="22:13", zones=("b",)),))
    assert decide(fleet(), others).verdict == "allowed"
    assert decide(fleet(), others, action(PLACES[5])).rule == "window"


def test_a_label_opts_in_as_well() -> None:
    zone = {SETTINGS.zone_label: "a"}
    labelled = node(PLACES[0], annotations={}, labels=zone | {SETTINGS.opt_in: "enabled"})
    assert decide(fleet(changed={"a0": labelled})).verdict == "allowed"
    other = node(PLACES[0], annotations={}, labels=zone | {SETTINGS.opt_in: "true"})
    assert decide(fleet(changed={"a0": other})).rule == "opted_in"


def test_what_gives_back_is_asked_for_no_budget_but_for_consent() -> None:
    back = replace(action(), verb="uncordon")
    busy = {f"a{n}": node(PLACES[n], unschedulable=True) for n in range(3)}
    tight = Settings(per_hour=0, cluster_share=0.0, nodes_per_zone=0)
    assert decide(fleet(changed=busy), tight, back).verdict == "allowed"
    assert decide(fleet(changed={"a0": node(PLACES[0], annotations={})}), act=back).rule == "opted_in"
    assert not decide(fleet(), Settings(dry_run=False, live=("cordon",)), back).dry_run
    assert decide(fleet(), Settings(dry_run=False), back).dry_run


def test_where_a_person_interfered_nothing_follows() -> None:
    careful = guard()
    careful.ledger.hands_off["inc-1"] = "it was uncordoned by somebody else"
    denied = careful.decide(action(), fleet(), NOW)
    assert (denied.verdict, denied.rule) == ("denied", "person")
    assert careful.decide(replace(action(), verb="uncordon"), fleet(), NOW).verdict == "allowed"


def test_what_did_not_help_is_not_soon_tried_again_for_another_incident() -> None:
    wary = guard()
    place = ("site", "a0")
    wary.ledger.helped(place, "dec-0", "inc-0", 1800.0)
    wary.ledger.helped(place, "dec-0", "inc-0", 1800.0)  # told twice, counts once
    assert wary.decide(action(), fleet(), NOW).rule == "back_off"
    assert wary.decide(action(incident="inc-0"), fleet(), NOW).verdict == "allowed"
    wary.ledger.close("inc-0")
    assert wary.ledger.back_off[place].until_ns - LONG == 1800 * SECOND
    wary.ledger.helped(place, "dec-1", "inc-9", 1800.0)
    assert wary.ledger.back_off[place].until_ns - LONG == 3600 * SECOND
    wary.ledger.helped(place, "dec-2", "inc-10", 0.0)
    assert place not in wary.ledger.back_off


@pytest.mark.parametrize("step_s", [-1, 601, 7200, 10**9])
def test_a_step_of_the_clock_holds_and_frees_no_budget(step_s: int) -> None:
    past = [(PLACES[i], f"inc-{i + 10}", 0.0) for i in range(6)]
    tired = guard(SETTINGS, *past)
    for _, incident, _ in past:
        tired.ledger.close(incident)
    held = tired.decide(action(PLACES[12]), fleet(), NOW + step_s * SECOND)
    assert (held.verdict, held.rule) == ("held", "clock")
    for later in range(1, 3600, 599):
        tired.ledger.look(NOW + (step_s + later) * SECOND)
    assert tired.decide(action(PLACES[12]), fleet(), NOW + (step_s + 3599) * SECOND).rule == "hourly_rate"
    free = tired.decide(action(PLACES[12]), fleet(), NOW + (step_s + 3601) * SECOND)
    assert free.verdict == "allowed"


def test_a_step_of_the_clock_while_we_were_down_holds_too() -> None:
    allowed = guard().decide(action(), fleet(), NOW)
    remediation = Remediation(SETTINGS, Counts(), {"disk_failing": lambda i, _: [action(incident=i.id)]})
    remediation.restore([allowed], [], NOW + 7200 * SECOND)
    (held,) = remediation.step(lambda: [incident()], [], fleet, NOW + 7201 * SECOND)
    assert (held.verdict, held.rule) == ("held", "clock")
    again = Remediation(SETTINGS, Counts(), {"disk_failing": lambda i, _: [action(incident=i.id)]})
    again.restore([held], [incident()], NOW + 7202 * SECOND)
    assert not again.step(lambda: [incident()], [], fleet, NOW + 7500 * SECOND)
    (free,) = again.step(lambda: [incident()], [], fleet, NOW + 7503 * SECOND)
    assert free.verdict == "allowed"


def test_nodes_that_are_not_there_enlarge_no_budget() -> None:
    there = Settings(cluster_share=0.13)
    ghosts = [replace(node(PLACES[0]), name=f"ghost{i}") for i in range(90)]
    places = [PLACES[0]._replace(node=ghost.name) for ghost in ghosts]
    states: list[HeartState] = ["retired", "young"]
    beats = [Heartbeat(p, "alive", NOW, SECOND) for p in PLACES]
    beats += [Heartbeat(p, states[i % 2], NOW, SECOND) for i, p in enumerate(places[:60])]
    unheard = [replace(ghost, annotations={}) for ghost in ghosts[60:]]
    world = fleet_view(beats, [*(node(p) for p in PLACES), *ghosts[:60], *unheard], SETTINGS)
    busy = guard(there, (PLACES[5], "inc-5", 10), (PLACES[10], "inc-6", 10))
    assert busy.decide(action(), world, NOW).rule == "cluster_budget"


def test_the_twin_does_not_learn_who_is_gone() -> None:
    cluster = MemoryCluster(SETTINGS)
    cluster.learn([Heartbeat(PLACES[0], "retired", NOW, SECOND), Heartbeat(PLACES[1], "alive", NOW, SECOND)])
    assert [each.name for each in cluster.nodes()] == ["a1"]


def test_a_proposal_for_which_there_is_no_room_is_denied_once() -> None:
    settings = replace(SETTINGS, max_pending=1, pause=True, recheck_s=0.0)
    remediation = Remediation(settings, Counts(), {"disk_failing": lambda i, _: [action(incident=i.id)]})
    active = [replace(incident(), id=f"inc-{i}") for i in range(3)]
    made = remediation.step(lambda: active, [], fleet, NOW)
    assert [(d.verdict, d.rule) for d in made] == [("held", "paused"), *[("denied", "full")] * 2]
    assert all("1 proposals" in d.reason for d in made[1:])
    assert not remediation.step(lambda: active, [], fleet, NOW + SECOND)
    remediation.step(lambda: active[1:], [replace(active[0], state="resolved")], fleet, NOW + 2 * SECOND)
    (held,) = remediation.guard.ledger.pending.values()
    assert (held.action.incident, held.rule) == ("inc-1", "paused")


def test_who_still_sends_is_alive() -> None:
    assert decide(fleet(), act=action(verb="reschedule")).rule == "alive_if_sends"
    assert decide(fleet("a0"), act=action(verb="reschedule")).verdict == "allowed"


def test_a_zone_with_one_live_node_is_not_failed_over() -> None:
    zone = Action("failover", Resource("site", "a"), (), "dark", "zone_dark", "inc-1")
    assert decide(fleet("a"), act=zone).rule == "zone_hold"
    partly = decide(fleet("a0 a1"), act=zone)
    assert (partly.verdict, partly.rule) == ("held", "alive_if_sends")
    assert partly.reason == "a2 and 2 more still send telemetry: alive"


def test_a_zone_that_is_only_late_as_yet_is_held_too() -> None:
    beats = [Heartbeat(p, "late" if p.zone == "a" else "alive", NOW - SECOND, SECOND) for p in PLACES]
    assert decide(fleet_view(beats, [node(p) for p in PLACES], SETTINGS)).rule == "zone_hold"


def test_dark_zone_is_named() -> None:
    decision = decide(fleet("a"))
    assert decision.text().startswith("held: cordon a0: all of zone a is silent, 5 of 5 nodes")


def test_a_silent_node_that_never_spoke_counts_as_silent_when_it_opted_in() -> None:
    nodes = [node(p) for p in PLACES]
    heard = [Heartbeat(p, "alive", NOW, SECOND) for p in PLACES if p.zone != "a" or p.node == "a0"]
    assert decide(fleet_view(heard, nodes, SETTINGS)).rule == "zone_hold"


def incident(state: str = "open") -> Incident:
    made = Incident("inc-1", "node", PLACES[0], "open", NOW, NOW, 0, 9.0, "x", ())
    return made if state == "open" else replace(made, state="resolved", resolved_ns=NOW)


def test_restart_restores_budgets() -> None:
    allowed = guard().decide(action(), fleet(), NOW)
    again = Guard(SETTINGS, Counts(), POLICIES, Ledger.rebuilt([allowed], [incident()]))
    assert again.decide(action(PLACES[1], incident="inc-2"), fleet(), NOW).rule == "zone_budget"
    over = Guard(SETTINGS, Counts(), POLICIES, Ledger.rebuilt([allowed], []))
    assert over.decide(action(PLACES[1], incident="inc-2"), fleet(), NOW).verdict == "allowed"


def test_what_cannot_be_recorded_is_denied_and_costs_no_budget() -> None:
    remediation = Remediation(SETTINGS, Counts(), {"disk_failing": lambda i, _: [action(incident=i.id)]})
    (allowed,) = remediation.step(lambda: [incident()], [], fleet, NOW)
    denied = remediation.revoke(allowed, "the disk is full")
    assert (denied.verdict, denied.rule, denied.id) == ("denied", "journal", allowed.id)
    assert not remediation.guard.ledger.in_flight()
    (again,) = remediation.step(lambda: [incident()], [], fleet, NOW + 2 * SECOND)
    assert again.verdict == "allowed"


def test_what_only_tells_is_told_of_a_dark_zone_too_and_spends_nothing() -> None:
    teller = guard(Settings(per_hour=1))
    for number in range(3):
        told = replace(action(PLACES[number], incident=f"inc-{number}"), verb="notify")
        assert teller.decide(told, fleet("a b"), NOW).verdict == "allowed"
    assert not teller.ledger.in_flight()
    assert teller.decide(action(), fleet(), NOW).verdict == "allowed"


@pytest.mark.parametrize(("zone", "busy"), [("", 15), ("b", 5)])
def test_what_is_about_a_zone_or_a_cluster_has_all_its_nodes_in_flight(zone: str, busy: int) -> None:
    made = guard(replace(SETTINGS, cluster_share=0.2))
    wide = replace(action(incident="inc-2"), verb="playbook", target=Resource("site", zone))
    made.ledger.record(Decision("d", wide, "allowed", "all", "", (), False, NOW, steady_ns=LONG))
    said = made.decide(action(), fleet(), NOW)
    assert (said.verdict, said.rule) == ("held", "zone_budget" if busy == 15 else "cluster_budget")
    checks = {check.rule: check.reason for check in said.checks}
    assert f"{busy + (busy < 15)} nodes of the cluster" in checks["cluster_budget"]
