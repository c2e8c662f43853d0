"""Between a decision and its calls the world goes on: what it was decided upon may be over."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgeobs.calls import Answer
from edgeobs.objects import Pod, Ref
from edgeobs.remediate import Switches, marks
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
