"""Between a decision and its calls the world goes on: what it was decided upon may be over."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeobs.calls import Answer
from edgeobs.objects import Pod, Ref
from edgeobs.remediate import Switches, marks
from edgeobs.remediate.policies.playbook import Playbook
from edgeobs.signals import Decision, Resource
from tests.remediate.acting import START, World, an_incident


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def the_undo(world: World) -> Decision:
    """Of a cordon whose incident is over."""
    world.take(world.decision())
    world.run(2)
    del world.incidents["inc-a0"]
    world.run(10)
    decision = world.decision(verb="uncordon", undoes="dec-cordon-a0")
    del world.incidents["inc-a0"]
    return decision


def test_nothing_is_begun_for_an_incident_that_is_over(world: World) -> None:
    world.switches = Switches(paused="a pause")
    world.take(world.decision())
    world.run(5)
    del world.incidents["inc-a0"]
    world.switches = Switches()
    world.run(30)
    assert not world.api.calls
    assert (world.operation().state, world.operation().reason) == ("cancelled", "its incident is over")


def test_a_drain_stops_when_its_incident_is_over(world: World) -> None:
    owner, labels = Ref("ReplicaSet", "shop", "web", "rs"), {world.settings.opt_in: "enabled"}
    for at in range(2):
        world.cluster.put(
            Pod(
                "shop",
                f"web-{at}",
                f"uid-{at}",
                node="a0",
                phase="Running",
                ready=True,
                owner=owner,
                labels=labels,
            )
        )
    for node in world.cluster.nodes():
        world.cluster.put(replace(node, allocatable={"pods": 10}))
    world.api.before = lambda call: Answer(429) if call.verb == "evict" else None
    world.take(world.decision(verb="drain"))
    world.run(5)
    assert world.node().unschedulable
    del world.incidents["inc-a0"]
    world.api.before = lambda _: None
    world.run(100)
    assert world.operation("dec-drain-a0").state == "cancelled"
    assert not any(pod.deleted_ns for pod in world.cluster.pods_of("a0"))
    assert world.operation("dec-drain-a0").standing, "its cordon is to be taken back"


def test_an_undo_is_not_done_when_something_new_is_wrong_with_the_node(world: World) -> None:
    decision = the_undo(world)
    world.switches = Switches(paused="a pause")
    world.take(decision)
    world.run(5)
    new = an_incident("inc-new", world.places[0])
    world.incidents["inc-new"] = replace(new, opened_ns=world.now_ns)
    world.switches = Switches()
    world.run(30)
    assert world.node().unschedulable
    assert marks.read(world.node()) is not None
    assert world.operation("dec-uncordon-a0").state == "cancelled"
    assert "inc-new" in world.operation("dec-uncordon-a0").reason


def test_an_undo_is_not_held_up_by_another_node_or_by_what_was_known(world: World) -> None:
    """What did not help is taken back while its incident goes on."""
    decision = the_undo(world)
    world.incidents["inc-a0"] = an_incident("inc-a0", world.places[0])
    world.incidents["inc-b"] = replace(
        an_incident("inc-b", Resource("site", "b", "b0")), opened_ns=START + 10**15
    )
    world.take(decision)
    world.run(30)
    assert not world.node().unschedulable


def wide(world: World, **changes: Any) -> Decision:
    """A playbook that reaches as far as zone a; two nodes of a zone may be in flight."""
    books = {"reset": Playbook(url="http://127.0.0.1:9/", radius="zone", alerts=("Down",))}
    world.settings = replace(world.settings, live=("playbook",), playbooks=books, nodes_per_zone=2, **changes)
    world.conductor.settings = world.settings
    decision = world.decision(verb="playbook", uid="")
    action = replace(decision.action, target=Resource("site", "a"), patch=(("playbook", "reset"),))
    return replace(decision, action=action)


def _opts_out(world: World) -> None:
    world.kubectl("a1", annotations={})


def _vetoes(world: World) -> None:
    world.kubectl("a1", annotations={**world.node("a1").annotations, marks.VETO: "*"})


def _fills(world: World) -> None:
    for name in ("b0", "b1", "c0"):
        world.kubectl(name, unschedulable=True)


def _nothing(world: World) -> None:
    pass


@pytest.mark.parametrize(
    ("happens", "state", "why"),
    [
        (_opts_out, "cancelled", "a1 has not opted in"),
        (_vetoes, "cancelled", "annotation of a1"),
        (_fills, "intended", "the budget is 4"),
        (_nothing, "failed", "reset"),  # the hook is none that could be asked
    ],
)
def test_what_is_about_a_zone_is_checked_again_on_each_of_its_nodes(
    world: World, happens: Callable[[World], None], state: str, why: str
) -> None:
    decision = wide(world, cluster_share=0.6)
    world.api.before = lambda _: Answer(202)
    happens(world)
    world.take(decision)
    world.run(0)
    operation = world.operation(decision.id)
    assert (operation.state, bool(world.api.calls)) == (state, state == "failed")
    assert why in operation.reason
