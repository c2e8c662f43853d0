"""Pods leave a node: by eviction when it lives, by proof when it is dead."""

from dataclasses import replace
from typing import Any

import pytest

from edgeobs.calls import Answer, Call
from edgeobs.objects import Inventory, Node, Pod, Ref, Taint
from edgeobs.remediate import marks
from edgeobs.remediate.fleet import FleetView, NodeView, ZoneView
from edgeobs.remediate.operation import Do, End, Facts, Next, Operation, Told, Wait
from edgeobs.remediate.procedures import PROCEDURES
from edgeobs.signals import SECOND, Action, Evidence, Incident, Resource, Verb

NOW = 1_000_000 * SECOND
ZONE = "topology.kubernetes.io/zone"
OPT_IN = {"edgeobs.io/remediation": "enabled"}
ROOM = {"cpu": 4000, "memory": 1 << 32, "pods": 20}
WEB = Ref("ReplicaSet", "shop", "web-5d", "rs-1")
DB = Ref("StatefulSet", "shop", "db", "ss-1")


def node(name: str = "edge-7", **more: Any) -> Node:
    plain = Node(name, f"uid-{name}", "1", {ZONE: "a"}, ready="True", allocatable=ROOM, cluster="site")
    return replace(plain, **more)


def pod(name: str, **more: Any) -> Pod:
    plain = Pod("shop", name, f"uid-{name}", node="edge-7", phase="Running", owner=WEB, labels=OPT_IN)
    return replace(plain, **{"requests": {"cpu": 100}, **more})


def operation(verb: Verb, **memo: Any) -> Operation:
    action = Action(verb, Resource("site", "a", "edge-7"), (), "its disk is failing", "disk_failing", "inc-1")
    memo = {"uid": "uid-edge-7", **memo}
    return Operation(
        id="dec-1", action=action, memo=memo, begun_ns=NOW, updated_ns=NOW, deadline_ns=NOW + 600 * SECOND
    )


def cordoned(**more: Any) -> Node:
    notes = marks.notes("dec-1", "inc-1", "its disk is failing", "me", NOW, NOW)
    return node(unschedulable=True, taints=(marks.cordon_taint("inc-1"),), annotations=notes, **more)


def facts(target: Node | None, *pods: Pod, others: tuple[Node, ...] | None = None, **more: Any) -> Facts:
    others = (node("edge-8"),) if others is None else others
    held = {each.name: each for each in (*others, *([target] if target else []))}
    world = Inventory(held, tuple(pods))
    plain = Facts(nodes={"edge-7": target}, pods_of={"edge-7": tuple(pods)}, inventory=world)
    return replace(plain, **more)


def step(verb: Verb, world: Facts, **memo: Any) -> Next:
    return PROCEDURES[verb].step(operation(verb, **memo), world, NOW)


def call(said: Next) -> Call:
    assert isinstance(said, Do), said
    return said.call


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (pod("p", owner=None), "has no controller that would start it again"),
        (pod("p", empty_dir=True), "keeps data in an emptyDir"),
        (pod("p", labels={}), "has not opted in"),
    ],
)
def test_what_must_not_be_evicted_stops_a_drain_before_the_cordon(kept: Pod, why: str) -> None:
    said = step("drain", facts(node(), pod("web-1"), kept))
    assert isinstance(said, End)
    assert said.state == "failed"
    assert f"shop/p: {why}" in said.reason


def test_what_does_not_fit_elsewhere_stops_a_drain_before_the_cordon() -> None:
    small = node("edge-8", allocatable={**ROOM, "cpu": 150})
    said = step("drain", facts(node(), pod("web-1"), pod("web-2"), others=(small,)))
    assert isinstance(said, End)
    assert said.state == "failed"
    assert "1 of 2 pods fit nowhere: shop/web-2: 1 node: not enough cpu" in said.reason


def test_what_does_not_fit_any_more_waits_for_room_once_pods_have_left() -> None:
    away = node("edge-8", ready="Unknown")
    world = facts(cordoned(), pod("web-2"), others=(away,))
    said = step("drain", world, seen=True, evicted=["uid-web-1"], first=2)
    assert isinstance(said, Wait)
    assert "would not fit: 1 of 1 pods fit nowhere: shop/web-2: 1 node: node not ready" in said.reason
    back = replace(world, inventory=replace(world.inventory, nodes={"edge-8": node("edge-8")}))
    assert call(step("drain", back, seen=True, evicted=["uid-web-1"], first=2)).verb == "evict"


def test_pods_that_wait_for_a_node_are_given_room_first() -> None:
    small = node("edge-8", allocatable={**ROOM, "cpu": 350})
    waiting = pod("other", node="", requests={"cpu": 250}, phase="Pending")
    world = facts(node(), pod("web-1"), others=(small,))
    world = replace(world, inventory=replace(world.inventory, pods=(pod("web-1"), waiting)))
    said = step("drain", world)
    assert isinstance(said, End)
    assert "not enough cpu" in said.reason


def test_static_and_daemon_pods_and_finished_ones_stay() -> None:
    daemon = pod("log", owner=Ref("DaemonSet", "kube-system", "log"), labels={})
    static = pod("etcd", owner=Ref("Node", "", "edge-7"), mirror=True, labels={})
    job = pod("job", owner=Ref("Job", "shop", "job"), phase="Succeeded", labels={})
    said = step("drain", facts(node(), daemon, static, job))
    assert said == End("done", "no pod of edge-7 is to leave it")


def test_the_cordon_comes_first_then_what_matters_most_by_uid() -> None:
    low, high = pod("low"), pod("high", priority=1000)
    first = call(step("drain", facts(node(), low, high)))
    assert first.verb == "patch"
    assert first.body["spec"]["unschedulable"] is True
    second = step("drain", facts(cordoned(), low, high), marked=True)
    assert call(second).verb == "evict"
    assert call(second).ref == Ref("Pod", "shop", "high", "uid-high")
    assert isinstance(second, Do)
    assert second.memo is not None
    assert second.memo["evicted"] == ["uid-high"]
    assert second.memo["seen"] is True


def test_a_pod_that_its_budget_keeps_waits_and_the_others_go() -> None:
    kept, other = pod("kept", priority=9), pod("other")
    refused = Answer(
        429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget."
    )
    told = {kept.ref: Told(refused, NOW, NOW + 7 * SECOND, Call("evict", kept.ref))}
    world = facts(cordoned(), kept, other, told=told)
    assert call(step("drain", world, seen=True)).ref == other.ref
    said = step("drain", facts(cordoned(), kept, told=told), seen=True)
    assert isinstance(said, Wait)
    assert said.until_ns == NOW + 7 * SECOND
    assert "shop/kept: Cannot evict pod as it would violate" in said.reason


def test_a_stuck_finalizer_is_told_and_never_stripped() -> None:
    stuck = pod("db-0", deleted_ns=NOW - 120 * SECOND, finalizers=("example.com/hold",))
    said = step("drain", facts(cordoned(), stuck), seen=True, evicted=["uid-db-0"], first=1)
    assert isinstance(said, Wait)
    assert "1 are stuck: shop/db-0: waits for its finalizers example.com/hold" in said.reason
    young = pod("db-0", deleted_ns=NOW - 5 * SECOND, finalizers=("example.com/hold",))
    said = step("drain", facts(cordoned(), young), seen=True)
    assert isinstance(said, Wait)
    assert said.reason == "1 pods are shutting down"


def test_pods_that_keep_coming_back_end_it() -> None:
    past = [f"uid-{number}" for number in range(14)]
    said = step("drain", facts(cordoned(), pod("again")), seen=True, evicted=past, first=1)
    assert isinstance(said, End)
    assert said.state == "failed"
    assert "keep coming back" in said.reason


def test_a_persons_uncordon_in_the_middle_ends_it() -> None:
    back = cordoned()
    said = step("drain", facts(replace(back, unschedulable=False), pod("web-1")), seen=True, marked=True)
    assert isinstance(said, End)
    assert said.state == "cancelled"
    assert "uncordoned by somebody else" in said.reason


def test_a_node_made_anew_in_the_middle_is_not_one_that_a_person_uncordoned() -> None:
    said = step("drain", facts(node(uid="another"), pod("web-1")), marked=True, seen=True, evicted=["u"])
    assert isinstance(said, End)
    assert said.state == "cancelled"
    assert "another node by now" in said.reason
    assert said.memo is not None
    assert (said.memo.get("person"), said.memo.get("gone")) == (None, True)


def test_an_empty_node_is_drained() -> None:
    said = step("drain", facts(cordoned()), seen=True, evicted=["uid-a", "uid-b"], first=2)
    assert said == End("verifying", "2 pods have left edge-7")


def test_rescheduling_moves_who_opted_in_and_leaves_the_others() -> None:
    bare = pod("bare", owner=None, labels={})
    said = step("reschedule", facts(cordoned(), pod("web-1"), bare), seen=True)
    assert call(said).ref.name == "web-1"


# --- a dead node


def view(name: str, state: Any, heard_s: float) -> NodeView:
    return NodeView("site", name, True, "a", "a", True, False, state, NOW - int(heard_s * SECOND))


def dead(
    target: Node | None = None, *pods: Pod, seen_s: float = 60, neighbour: str = "alive", **more: Any
) -> Facts:
    """A node whose Lease was last seen renewed so long ago, and what else is known of it."""
    target = target if target is not None else node(lease_ns=5, ready="Unknown")
    held = replace(target, lease_seen_ns=100 * SECOND)
    views = [view("edge-7", "silent", 60), view("edge-8", neighbour, 1 if neighbour == "alive" else 60)]
    fleet = FleetView({("site", each.name): each for each in views}, {("site", "a"): ZoneView(1, 2)})
    world = facts(target, *pods)
    steady = int((100 + seen_s) * SECOND)
    inventory = replace(world.inventory, nodes={"edge-7": held, "edge-8": node("edge-8")}, steady_ns=steady)
    return replace(world, inventory=inventory, fleet=fleet, **more)


def reason(said: Next) -> str:
    assert not isinstance(said, Do), said
    return said.reason


def test_lease_telemetry_and_neighbours_prove_a_death() -> None:
    assert call(step("release", dead(None, pod("web-1")))).body["spec"]["unschedulable"] is True
    gone = cordoned(lease_ns=5, ready="Unknown")
    said = step("release", dead(gone, pod("web-1")), seen=True)
    assert (call(said).verb, call(said).ref) == ("delete", pod("web-1").ref)


def test_a_clock_that_is_off_kills_nobody() -> None:
    """The Lease is old by its own time, but it was seen renewed a moment ago."""
    assert "its Lease was last renewed 3 s ago" in reason(step("release", dead(None, pod("web-1"), seen_s=3)))


def test_a_renewal_that_the_cache_has_not_seen_counts() -> None:
    world = dead(None, pod("web-1"))
    world = replace(world, nodes={"edge-7": node(lease_ns=6, ready="Unknown")})
    assert "renewed just now" in reason(step("release", world))


@pytest.mark.parametrize(
    ("state", "heard_s", "why"),
    [("alive", 1, "it was heard 1 s ago"), ("late", 9, "it was heard 9 s ago"), ("unheard", 0, "never sent")],
)
def test_a_node_that_sends_or_never_did_is_not_dead(state: str, heard_s: float, why: str) -> None:
    world = dead(None, pod("web-1"))
    nodes = {**world.fleet.nodes, ("site", "edge-7"): view("edge-7", state, heard_s)}
    said = step("release", replace(world, fleet=replace(world.fleet, nodes=nodes)))
    assert isinstance(said, Wait)
    assert why in said.reason


def alerted(name: str) -> Incident:
    nan = float("nan")
    alert = Evidence("alert", "down", name, (), "", NOW, NOW, 9.0, 1.0, nan, nan, nan, nan)
    place = Resource("site", "a", "edge-7")
    return Incident("inc-1", "node", place, "open", NOW, NOW, 0, 9.0, "down", (alert,))


def test_without_neighbours_an_alert_or_a_person_is_needed() -> None:
    alone = dead(None, pod("web-1"), neighbour="silent")
    assert "2 witnesses of its death, the quorum is 3" in reason(step("release", alone))
    assert "the quorum is 3" in reason(step("release", replace(alone, incident=alerted("HighLatency"))))
    assert call(step("release", replace(alone, incident=alerted("NodeDown")))).verb == "patch"
    told = {"edgeobs.io/confirmed-dead": "uid-edge-7"}
    named = node(lease_ns=5, ready="Unknown", annotations=told)
    assert call(step("release", dead(named, pod("web-1"), neighbour="silent"))).verb == "patch"
    other = node(lease_ns=5, ready="Unknown", annotations={"edgeobs.io/confirmed-dead": "uid-of-old"})
    assert "the quorum is 3" in reason(step("release", dead(other, pod("web-1"), neighbour="silent")))


def test_pods_with_state_are_kept_until_the_node_is_fenced() -> None:
    state = pod("db-0", owner=DB, claims=("data",))
    gone = cordoned(lease_ns=5, ready="Unknown")
    said = step("release", dead(gone, state), seen=True, released=["uid-web-1"])
    assert isinstance(said, End)
    assert said.state == "verifying"
    assert "1 pods of edge-7 were released; kept until the node is fenced" in said.reason
    fenced = replace(gone, annotations={**gone.annotations, "edgeobs.io/fenced": "uid-edge-7"})
    taints = call(step("release", dead(fenced, state), seen=True)).body["spec"]["taints"]
    assert {"key": "node.kubernetes.io/out-of-service", "value": "edgeobs", "effect": "NoExecute"} in taints
    out = replace(fenced, taints=(*fenced.taints, marks.OUT_OF_SERVICE))
    assert "being taken off by Kubernetes" in reason(step("release", dead(out, state), seen=True))


def test_only_who_opted_in_and_is_started_again_is_released() -> None:
    others = pod("bare", owner=None), pod("plain", labels={}), pod("log", owner=Ref("DaemonSet", "", "log"))
    said = step("release", dead(cordoned(lease_ns=5, ready="Unknown"), *others), seen=True)
    assert said == End(
        "verifying", "0 pods of edge-7 were released", said.memo if isinstance(said, End) else None
    )


def test_a_node_that_comes_back_in_the_middle_keeps_what_it_has() -> None:
    back = dead(cordoned(lease_ns=5), pod("web-2"), seen_s=1)
    said = step("release", back, seen=True, released=["uid-web-1"])
    assert isinstance(said, End)
    assert said.state == "cancelled"
    assert "1 pods were released before" in said.reason


def test_an_uncordon_takes_the_out_of_service_taint_of_ours_away_and_nobody_elses() -> None:
    theirs = Taint("node.kubernetes.io/out-of-service", "nodeshutdown", "NoExecute")
    mine = cordoned()
    for taint, left in (
        (marks.OUT_OF_SERVICE, None),
        (theirs, [{"key": theirs.key, "value": theirs.value, "effect": "NoExecute"}]),
    ):
        target = replace(mine, taints=(*mine.taints, taint))
        said = step("uncordon", facts(target))
        assert call(said).body["spec"]["taints"] == left
