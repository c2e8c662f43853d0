"""Whether an action helped: by its incident, by the node's conditions, and never by what is not known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeobs.remediate.reading import Seen
from edgeobs.signals import SECOND
from tests.remediate.acting import World, an_incident


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def calms(world: World) -> None:
    world.incidents["inc-a0"] = an_incident("inc-a0", world.places[0], calm=True)


def test_what_telemetry_says_is_waited_for_after_a_restart(world: World) -> None:
    world.take(world.decision())
    world.run(2)
    assert world.operation().state == "verifying"
    world.restart()
    for _ in range(5):
        world.conductor.work(Seen())
    assert world.operation().state == "verifying", "an incident that is not known yet is not resolved"
    world.run(400)
    assert world.operation().memo["helped"] is False


@pytest.mark.parametrize(
    ("ill", "why"),
    [
        ({"ready": "Unknown"}, "Ready is Unknown"),
        ({"conditions": {"DiskPressure": "True"}}, "DiskPressure is True"),
        ({"conditions": {"KernelDeadlock": "True"}}, "KernelDeadlock is True"),
    ],
)
def test_it_has_not_helped_while_the_node_is_ill(world: World, ill: dict[str, Any], why: str) -> None:
    world.take(world.decision())
    world.run(2)
    world.kubectl(**ill)
    calms(world)
    world.run(200)
    assert world.operation().state == "verifying"
    assert why in world.operation().reason
    world.run(200)
    assert (world.operation().state, world.operation().memo["helped"]) == ("done", False)
    assert why in world.operation().reason


def test_it_helped_as_soon_as_the_node_is_well_too(world: World) -> None:
    world.take(world.decision())
    world.run(2)
    world.kubectl(ready="False")
    calms(world)
    world.run(60)
    assert world.operation().state == "verifying"
    world.kubectl(ready="True", conditions={"DiskPressure": "False", "EdgeobsRemediation": "True"})
    world.run(10)
    assert world.operation().memo["helped"] is True


def test_a_failover_stands_when_the_node_it_was_for_is_gone(world: World) -> None:
    """What is elsewhere must come back one day: it did not go with the node."""
    decision = world.decision(verb="failover")
    world.take(decision)
    under = next(iter(world.conductor._under.values()))
    memo = {**under.operation.memo, "marked": True, "verify_ns": world.now_ns + 60 * SECOND}
    under.operation = replace(under.operation, state="verifying", memo=memo)
    world.cluster.remove("a0", "site")
    world.run(100)
    operation = world.operation(decision.id)
    assert (operation.over, operation.standing) == (True, True), operation.text()
