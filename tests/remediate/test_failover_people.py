"""A failover between people who scale, turn and opt out meanwhile: what they do stays as they left it."""

from dataclasses import replace
from typing import Any

import pytest

from edgeobs.remediate import moves
from edgeobs.remediate.marks import INCIDENT
from edgeobs.remediate.operation import Do, End, Operation
from edgeobs.signals import SECOND
from tests.remediate.test_failover import NOW, World, begun, deployment, replicas, run


def midway(world: World, calls: int) -> Operation:
    """A failover after so many calls."""
    operation, said = run(world, begun(), calls=calls, patience_s=5)
    assert not isinstance(said, End)
    return operation


def over(world: World, operation: Operation | None = None) -> End:
    _, said = run(world, operation or begun())
    assert isinstance(said, End)
    return said


def scaled(world: World, name: str, number: int) -> None:
    world.deployments[name] = replace(world.deployments[name], replicas=number, ready_replicas=number)


def opted_out(world: World, name: str = "web") -> None:
    world.deployments[name] = replace(world.deployments[name], labels={})


def test_a_destination_that_somebody_scales_down_is_not_scaled_up_again() -> None:
    world = World.usual()
    operation = midway(world, 1)
    scaled(world, "web-b", 1)
    said = over(world, operation)
    assert said.state == "cancelled"
    assert "web-b was scaled to 1 by somebody else" in said.reason
    assert said.memo is not None
    assert said.memo["person"]
    assert replicas(world) == {"web": 2, "web-b": 1, "web-c": 0}
    over(world, begun("failback"))
    assert replicas(world) == {"web": 2, "web-b": 1, "web-c": 0}, "it stays as that person left it"
    assert INCIDENT not in world.deployments["web-b"].annotations


def test_a_service_that_somebody_turns_back_is_not_turned_again() -> None:
    world = World.usual()
    operation = midway(world, 2)
    world.selector = {"site": "web"}
    said = over(world, operation)
    assert (said.state, world.selector) == ("cancelled", {"site": "web"})
    assert "service web was turned by somebody else" in said.reason
    assert replicas(world)["web"] == 2, "and the origin goes on serving"


@pytest.mark.parametrize("calls", [1, 2])
def test_a_workload_that_opts_out_in_the_middle_is_left_alone(calls: int) -> None:
    world = World.usual()
    operation = midway(world, calls)
    opted_out(world)
    made = len(world.said)
    said = over(world, operation)
    assert said.state == "cancelled"
    assert "has not opted in any more" in said.reason
    assert len(world.said) == made
    over(world, begun("failback"))
    assert len(world.said) == made


def test_a_failback_leaves_a_service_that_somebody_turned_and_what_serves_it() -> None:
    world = World.usual()
    over(world)
    world.selector = {"site": "maintenance"}
    said = over(world, begun("failback"))
    assert world.selector == {"site": "maintenance"}
    assert replicas(world)["web-b"] == 2
    assert "service web was turned by somebody else" in said.reason
    assert not world.notes


def test_a_failback_leaves_a_destination_that_somebody_scaled() -> None:
    world = World.usual()
    over(world)
    scaled(world, "web-b", 5)
    said = over(world, begun("failback"))
    assert replicas(world) == {"web": 2, "web-b": 5, "web-c": 0}
    assert "web-b was scaled to 5 by somebody else" in said.reason
    assert moves.BEFORE not in world.deployments["web-b"].annotations


def test_a_failback_does_not_fight_over_the_origin() -> None:
    world = World.usual()
    over(world)
    operation, _ = run(world, begun("failback"), calls=1)
    scaled(world, "web", 1)
    said = over(world, operation)
    assert replicas(world)["web"] == 1
    assert "shop/web was scaled to 1 by somebody else" in said.reason


def test_two_workloads_of_one_service_are_not_turned_back_and_forth() -> None:
    world = World.usual()
    notes = {"edgeobs.io/failover-to": "web-c", "edgeobs.io/failover-service": "web"}
    world.deployments["other"] = deployment("other", "a", 1, **notes)
    said = over(world)
    assert (said.state, world.said) == ("cancelled", [])
    assert "share a Service" in said.reason


def test_a_service_that_is_turned_for_another_incident_is_not_turned() -> None:
    world = World.usual()
    world.notes, world.selector = {INCIDENT: "inc-0", moves.SELECTOR: '{"site":"web"}'}, {"site": "x"}
    said = over(world)
    assert (said.state, world.selector) == ("failed", {"site": "x"})
    assert replicas(world)["web"] == 2


def test_a_node_that_is_gone_has_nothing_to_fail_over(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.usual()
    facts = world.facts
    monkeypatch.setattr(world, "facts", lambda operation: replace(facts(operation), nodes={"a1": None}))
    assert over(world) == End("cancelled", "a1 is not in the cluster any more")
    monkeypatch.setattr(world, "facts", facts)
    operation = replace(midway(world, 1), state="working")
    monkeypatch.setattr(world, "facts", lambda operation: replace(facts(operation), nodes={"a1": None}))
    assert over(world, operation).state == "verifying", "what is begun does not hang in the air"


def test_what_is_given_up_but_was_scaled_meanwhile_keeps_its_size() -> None:
    world = World.usual(to="web-b")
    world.starts = False
    operation = midway(world, 1)
    world.deployments["web-b"] = replace(world.deployments["web-b"], replicas=4)
    since: Any = {"since:shop/web": NOW - 1000 * SECOND}
    _, said = run(world, replace(operation, memo={**operation.memo, **since}))
    assert not isinstance(said, Do)
    assert world.deployments["web-b"].replicas == 4


def test_a_service_that_does_not_select_the_origin_is_not_turned() -> None:
    world = World.usual()
    world.selector = {"site": "elsewhere"}
    said = over(world)
    assert (said.state, world.selector) == ("failed", {"site": "elsewhere"})
    assert replicas(world)["web"] == 2


def test_what_somebody_scaled_to_nothing_is_not_failed_over() -> None:
    world = World.usual()
    world.deployments["web"] = replace(world.deployments["web"], replicas=0)  # its pods are leaving
    over(world)
    assert (world.said, world.selector) == ([], {"site": "web"})


def test_a_failback_does_not_lower_what_somebody_turned_the_service_to_in_the_middle() -> None:
    world = World.usual()
    over(world)
    operation, _ = run(world, begun("failback"), calls=2)
    world.selector = {"site": "web-b"}
    over(world, operation)
    assert (replicas(world)["web-b"], world.selector) == (2, {"site": "web-b"})
