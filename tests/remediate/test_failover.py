"""Failover and back, stage by stage, against a cluster that is a few dictionaries."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from edgeobs.calls import Call
from edgeobs.objects import HOSTNAME, Inventory, Node, Pod, Ref, Requirement, Selector, Workload
from edgeobs.remediate import Settings
from edgeobs.remediate.moves import Origin
from edgeobs.remediate.operation import Do, End, Facts, Operation, Wait
from edgeobs.remediate.procedures.failback import failback
from edgeobs.remediate.procedures.failover import failover, reads
from edgeobs.signals import SECOND, Action, Resource

NOW = 1_000_000 * SECOND
ZONE = "topology.kubernetes.io/zone"
ROOM = {"cpu": 1000, "memory": 1 << 30, "pods": 10}
SETTINGS = Settings()


def where(zone: str) -> Selector:
    return (Requirement(ZONE, "In", (zone,)),)


def node(name: str, zone: str, **more: Any) -> Node:
    labels = {ZONE: zone, HOSTNAME: name}
    return replace(Node(name, name, "1", labels, ready="True", allocatable=ROOM), **more)


def deployment(name: str, zone: str, replicas: int, **notes: str) -> Workload:
    template = Pod("shop", name, requests={"cpu": 300}, node_selector=where(zone))
    return Workload(
        "Deployment", "shop", name, f"uid-{name}", "1", {"edgeobs.io/remediation": "enabled"}, notes, None,
        (Requirement("site", "In", (name,)),), replicas, replicas, template,
    )  # fmt: skip


def replica(of: Workload, at: int) -> Pod:
    assert of.template is not None
    owner = Ref("ReplicaSet", "shop", f"{of.name}-rs", f"rs-{of.name}")
    zone = of.template.node_selector[0].values[0]
    return replace(of.template, name=f"{of.name}-{at}", uid=f"{of.name}-{at}", node=f"{zone}1", owner=owner)


@dataclass
class World:
    """Deployments, one Service and nodes in zones a, b and c."""

    deployments: dict[str, Workload]
    selector: dict[str, str] = field(default_factory=lambda: {"site": "web"})
    notes: dict[str, str] = field(default_factory=dict)
    nodes: tuple[Node, ...] = (node("a1", "a"), node("b1", "b"), node("c1", "c"))
    said: list[str] = field(default_factory=list)
    starts: bool = True  # whether what is scaled up becomes Ready

    @staticmethod
    def usual(to: str = "web-b,web-c", service: str = "web") -> "World":
        notes = {"edgeobs.io/failover-to": to, "edgeobs.io/failover-service": service}
        web = deployment("web", "a", 2, **notes)
        return World({"web": web, "web-b": deployment("web-b", "b", 0), "web-c": deployment("web-c", "c", 0)})

    def facts(self, operation: Operation) -> Facts:
        wanted = reads(operation)
        sets = [
            Workload("ReplicaSet", "shop", f"{n}-rs", f"rs-{n}", owner=d.ref)
            for n, d in self.deployments.items()
        ]
        pods = [replica(each, at) for each in self.deployments.values() for at in range(each.ready_replicas)]
        nodes = {each.name: each for each in self.nodes}
        inventory = Inventory(nodes, tuple(pods), (*sets, *self.deployments.values()))
        service = {
            "metadata": {"namespace": "shop", "name": "web", "uid": "s", "annotations": dict(self.notes)},
            "spec": {"selector": dict(self.selector)},
        }
        return Facts(
            workloads={ref: self.deployments.get(ref.name) for ref in wanted.workloads},
            objects={ref: service if ref.name == "web" else None for ref in wanted.objects},
            inventory=inventory,
        )

    def does(self, call: Call) -> None:
        self.said.append(call.says)
        body = json.loads(json.dumps(call.body))
        notes = body["metadata"]["annotations"]
        if call.ref.kind == "Service":
            self.notes = merged(self.notes, notes)
            self.selector = merged(self.selector, body["spec"]["selector"])
            return
        held = self.deployments[call.ref.name]
        replicas = body.get("spec", {}).get("replicas", held.replicas)
        ready = replicas if self.starts or replicas < held.ready_replicas else held.ready_replicas
        held = replace(held, replicas=replicas, ready_replicas=ready)
        self.deployments[call.ref.name] = replace(held, annotations=merged(held.annotations, notes))


def merged(old: Any, new: dict[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in {**old, **new}.items() if value is not None}


def begun(verb: Any = "failover", node: str = "a1") -> Operation:
    action = Action(verb, Resource("site", "a", node), (), "it is failing", "disk_failing", "inc-1")
    return Operation(id="dec-1", action=action, begun_ns=NOW, updated_ns=NOW, deadline_ns=NOW + 10**12)


def run(
    world: World, operation: Operation, *, calls: int = 100, patience_s: int = 600
) -> tuple[Operation, Any]:
    """Carry an operation out until it ends, or so many calls were made."""
    step = failover if operation.action.verb == "failover" else failback
    now, made = NOW, 0
    while True:
        said = step(operation, world.facts(operation), now)
        memo = said.memo if said.memo is not None else operation.memo
        operation = replace(operation, memo=json.loads(json.dumps(dict(memo))))
        if isinstance(said, End):
            return operation, said
        if isinstance(said, Do):
            if made == calls:
                return operation, said
            made += 1
            world.does(said.call)
        else:
            now = max(now, said.until_ns)
            if now - NOW > patience_s * SECOND:
                return operation, said


def replicas(world: World) -> dict[str, int]:
    return {name: each.replicas for name, each in world.deployments.items()}


def test_the_destination_serves_before_the_origin_is_drained() -> None:
    world = World.usual()
    _, said = run(world, begun())
    assert said == End("verifying", "failed over: shop/web")
    assert world.said == [
        "bring up 2 of web-b for web",
        "turn service web to web-b",
        "drain web: web-b serves in its place",
    ]
    assert replicas(world) == {"web": 0, "web-b": 2, "web-c": 0}
    assert world.selector == {"site": "web-b"}


def test_nothing_is_taken_away_while_the_destination_is_not_ready() -> None:
    world = World.usual(to="web-b")
    world.starts = False
    _, said = run(world, begun(), patience_s=100)
    assert isinstance(said, Wait)
    assert said.reason == "0 of 2 of web-b are Ready"
    assert world.selector == {"site": "web"}
    assert replicas(world)["web"] == 2


def test_edge_b_then_the_cloud_and_what_was_given_up_is_as_it_was() -> None:
    world = World.usual()
    world.nodes = (node("a1", "a"), node("b1", "b", ready="Unknown"), node("c1", "c"))
    _, said = run(world, begun())
    assert isinstance(said, End)
    assert said.state == "verifying"
    assert replicas(world) == {"web": 0, "web-b": 0, "web-c": 2}
    slow = World.usual()
    slow.starts = False
    operation, said = run(slow, begun(), calls=1)
    assert replicas(slow) == {"web": 2, "web-b": 2, "web-c": 0}
    operation, said = run(slow, operation)
    assert said == End("failed", "shop/web cannot be brought up elsewhere: web-b, web-c")
    assert replicas(slow) == {"web": 2, "web-b": 0, "web-c": 0}
    assert "edgeobs.io/failover-from" not in slow.deployments["web-b"].annotations


def test_a_destination_that_is_full_or_missing_or_anothers_is_passed_over() -> None:
    world = World.usual(to="none,web-b,web-c")
    taken = {"edgeobs.io/failover-from": "other"}
    world.deployments["web-b"] = replace(world.deployments["web-b"], annotations=taken)
    run(world, begun())
    assert replicas(world) == {"web": 0, "web-b": 0, "web-c": 2}


def test_a_crash_between_any_two_calls_changes_nothing() -> None:
    plain = World.usual()
    run(plain, begun())
    for calls in range(4):
        world = World.usual()
        operation, _ = run(world, begun(), calls=calls)
        run(world, operation)
        assert world.said == plain.said
        lost = World.usual()
        run(lost, begun(), calls=calls)
        run(lost, begun())  # not even the memo is left
        assert replicas(lost) == replicas(plain)
        assert lost.selector == plain.selector


def test_who_did_not_opt_in_or_runs_elsewhere_stays() -> None:
    world = World.usual()
    _, said = run(world, begun(node="c1"))
    assert said == End("cancelled", "nothing that runs there opted in to a failover")
    world.deployments["web"] = replace(world.deployments["web"], labels={})
    _, said = run(world, begun())
    assert isinstance(said, End)
    assert said.state == "cancelled"


def test_a_service_that_is_not_there_ends_it_before_the_origin_is_touched() -> None:
    world = World.usual(service="other")
    _, said = run(world, begun())
    assert said == End("failed", "there is no Service other to turn to web-b")
    assert replicas(world)["web"] == 2


def test_a_failback_makes_all_as_it_was() -> None:
    before, world = World.usual(), World.usual()
    run(world, begun())
    world.said.clear()
    _, said = run(world, begun("failback"))
    assert isinstance(said, End)
    assert said.state == "done"
    assert world.said == [
        "bring up 2 of web again",
        "turn service web back to shop/web",
        "shop/web serves again: web-b back to what it was",
        "shop/web serves again: take our notes off it",
    ]
    assert world.deployments == before.deployments
    assert (world.selector, world.notes) == (before.selector, before.notes)


def test_a_failback_waits_for_the_origin_and_leaves_what_a_person_scaled() -> None:
    world = World.usual()
    run(world, begun())
    world.nodes = (node("a1", "a", ready="Unknown"), node("b1", "b"), node("c1", "c"))
    _, said = run(world, begun("failback"), patience_s=60)
    assert isinstance(said, Wait)
    assert "does not fit where it was" in said.reason
    world.deployments["web"] = replace(world.deployments["web"], replicas=5, ready_replicas=5)
    _, said = run(world, begun("failback"))
    assert "scaled to 5 by somebody else: it is left as it is" in said.reason
    assert world.deployments["web"].replicas == 5
    assert world.deployments["web-b"].replicas == 2
    assert world.selector == {"site": "web-b"}


def test_what_was_brought_up_for_nothing_is_taken_back_too() -> None:
    world = World.usual(service="other")
    run(world, begun())
    assert replicas(world) == {"web": 2, "web-b": 2, "web-c": 0}
    _, said = run(world, begun("failback"))
    assert isinstance(said, End)
    assert said.state == "done"
    assert replicas(world) == {"web": 2, "web-b": 0, "web-c": 0}


def test_an_origin_comes_back_from_its_memo_as_it_went() -> None:
    made = Origin(Ref("Deployment", "shop", "web", "u"), ("a", "b"), "svc")
    assert Origin.read(json.loads(json.dumps(made.memo()))) == made
