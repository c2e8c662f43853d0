"""Two replicas, people, faults and restarts in any order: no promise is ever broken, and nothing is lost.

``make sim`` runs more than 100,000 steps; a seed that it prints runs the same again
(``make sim ARGS=--hypothesis-seed=N``).
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgeobs.remediate import marks
from edgeobs.signals import SECOND, Resource, Verb
from tests.remediate.simulated import HOUR, PLACES, VERBS, ZONES, Replica, Truth
from tests.remediate.simulated_moves import NAMES

LONG = bool(os.environ.get("EDGEOBS_SIM"))
places = st.sampled_from(PLACES)
who = st.sampled_from(["one", "two"])
faults = st.sampled_from(
    ["killed before", "killed after", "killed between", "lost", "lost", "429", "500", "503", "409", "403"]
)


class Simulation(RuleBasedStateMachine):
    """Every rule is something that happens; the referee in `simulated` says when a promise is broken."""

    steps = 0

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.truth = Truth()
        self.wishes = self.truth.wishes
        self.broken: dict[str, str] = {}  # name of what is wrong → node
        self.replicas = {
            name: Replica(self.truth, name, Path(self.folder.name), self.wish) for name in ("one", "two")
        }

    def teardown(self) -> None:
        if hasattr(self, "replicas"):
            self.calm()
            for replica in self.replicas.values():
                replica.close()
            self.folder.cleanup()

    def wish(self, incident: str) -> str:
        return self.wishes[incident.rpartition("-")[0]]

    # -- what goes wrong

    @rule(place=places, verb=st.sampled_from([*VERBS, "ladder", "failover"]))
    def breaks(self, place: Resource, verb: Verb) -> None:
        self.fault(place.node, verb)

    @rule(verb=st.sampled_from(VERBS))
    def everything_breaks(self, verb: Verb) -> None:
        """A wave of false positives: on every node at once."""
        for place in PLACES:
            self.fault(place.node, verb)

    def fault(self, node: str, verb: str) -> None:
        Simulation.steps += 1
        if node in self.broken.values():
            return
        name = f"inc-{len(self.wishes)}"
        self.wishes[name], self.broken[name] = verb, node
        place = next(place for place in PLACES if place.node == node)
        for replica in self.replicas.values():
            replica.opens(f"{name}-{replica.name}", place)

    @precondition(lambda self: self.broken)
    @rule(at=st.integers(0, 8))
    def is_over(self, at: int) -> None:
        Simulation.steps += 1
        if not self.broken:
            return
        name = list(self.broken)[at % len(self.broken)]
        del self.broken[name]
        for replica in self.replicas.values():
            replica.resolves(f"{name}-{replica.name}")

    @rule(place=places, kubelet=st.booleans(), telemetry=st.booleans())
    def falls_silent(self, place: Resource, kubelet: bool, telemetry: bool) -> None:
        """A partition may be one-way: the API server hears a node that we do not, or the reverse."""
        Simulation.steps += 1
        if telemetry:
            self.truth.silent.add(place.node)
        if kubelet:
            self.truth.dead.setdefault(place.node, self.truth.now_ns)

    @rule(place=places, verb=st.sampled_from(["release", "drain"]))
    def dies(self, place: Resource, verb: Verb) -> None:
        """Alone, as a rule: who is left says that it is not the link."""
        self.truth.silent.clear()
        self.falls_silent(place, True, True)
        self.fault(place.node, verb)
        self.time_passes(60)

    @rule(zone=st.sampled_from(ZONES))
    def zone_goes_dark(self, zone: str) -> None:
        Simulation.steps += 1
        self.truth.silent |= {place.node for place in PLACES if place.zone == zone}

    @rule(place=places)
    def comes_back(self, place: Resource) -> None:
        Simulation.steps += 1
        self.truth.silent.discard(place.node)
        self.truth.dead.pop(place.node, None)

    @rule(zone=st.sampled_from(ZONES))
    def zone_comes_back(self, zone: str) -> None:
        Simulation.steps += 1
        self.truth.silent -= {place.node for place in PLACES if place.zone == zone}

    # -- what people do

    @rule(place=places)
    def person_cordons(self, place: Resource) -> None:
        Simulation.steps += 1
        node = self.truth.node(place.node)
        if node is not None and not node.unschedulable:
            self.truth.persons.add(node.uid)
            self.truth.cluster.put(replace(node, unschedulable=True, cordoned_by="kubectl-cordon"))

    @rule(place=places)
    def person_uncordons(self, place: Resource) -> None:
        Simulation.steps += 1
        node = self.truth.node(place.node)
        if node is None or not node.unschedulable:
            return
        found = marks.read(node)
        if found is not None and found.incident:
            self.truth.hands_off.add((found.incident, node.uid))
        self.truth.persons.discard(node.uid)
        self.truth.cluster.put(replace(node, unschedulable=False, cordoned_by=""))

    @rule(place=places)
    def person_takes_our_taint_away(self, place: Resource) -> None:
        """And so makes the cordon theirs."""
        Simulation.steps += 1
        node = self.truth.node(place.node)
        if node is None or not any(taint.key == marks.TAINT for taint in node.taints):
            return
        if node.unschedulable:
            self.truth.persons.add(node.uid)
        kept = tuple(taint for taint in node.taints if taint.key != marks.TAINT)
        self.truth.cluster.put(replace(node, taints=kept))

    @rule(place=places, enabled=st.booleans())
    def opts(self, place: Resource, enabled: bool) -> None:
        Simulation.steps += 1
        node = self.truth.node(place.node)
        if node is not None:
            notes = {**node.annotations, self.truth.settings.opt_in: "enabled" if enabled else "disabled"}
            self.truth.cluster.put(replace(node, annotations=notes))

    @rule(place=places)
    def is_another_of_the_same_name(self, place: Resource) -> None:
        Simulation.steps += 1
        self.truth.cluster.remove(place.node, "site")
        self.truth.join(place)

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        Simulation.steps += 1
        self.truth.paused = paused

    @precondition(lambda self: self.broken)
    @rule(at=st.integers(0, 8))
    def veto(self, at: int) -> None:
        Simulation.steps += 1
        name = list(self.broken)[at % len(self.broken)]
        self.truth.vetoed |= {f"{name}-{replica}" for replica in self.replicas}

    @precondition(lambda self: self.broken)
    @rule(given=st.booleans())
    def approves_all(self, given: bool) -> None:
        """Or every approval has expired, also of what is under way."""
        Simulation.steps += 1
        truth = self.truth
        truth.approved = {f"{name}-{each}" for name in self.broken for each in self.replicas if given}
        truth.allowed |= truth.approved

    @rule(name=st.sampled_from(NAMES), replicas=st.integers(0, 3))
    def person_scales(self, name: str, replicas: int) -> None:
        Simulation.steps += 1
        self.truth.moving.person_scales(name, replicas)

    @rule(name=st.sampled_from(NAMES))
    def person_turns_the_service(self, name: str) -> None:
        Simulation.steps += 1
        self.truth.moving.person_turns(name)

    @rule(enabled=st.booleans())
    def workload_opts(self, enabled: bool) -> None:
        Simulation.steps += 1
        self.truth.moving.opts(enabled)

    @rule(node=st.sampled_from(PLACES))
    def fails_over_and_back(self, node: Resource) -> None:
        """All the way, if nothing is in between."""
        there = [pod.node for pod in self.truth.cluster.inventory(0).pods if pod.name.startswith("svc-a")]
        self.fault(there[0] if there and there[0] else node.node, "failover")
        self.time_passes(60)
        self.is_over(len(self.broken) - 1)
        self.time_passes(120)

    # -- what happens to us

    @rule(them=st.lists(faults, min_size=1, max_size=4))
    def next_calls_fail(self, them: list[str]) -> None:
        Simulation.steps += 1
        self.truth.faults = them

    @rule(name=who)
    def is_killed(self, name: str) -> None:
        Simulation.steps += 1
        self.replicas[name].killed()

    @rule(name=st.sampled_from(["one", "two", ""]))
    def leads(self, name: str) -> None:
        Simulation.steps += 1
        self.truth.leader, self.truth.led_since_ns = name, self.truth.now_ns

    @rule(name=who, stale=st.booleans())
    def watch_falls_silent(self, name: str, stale: bool) -> None:
        Simulation.steps += 1
        cache = self.replicas[name].cache
        (cache.freeze if stale else cache.thaw)()

    @rule(name=who, skew_s=st.sampled_from([-300, 0, 300]))
    def clock_is_set(self, name: str, skew_s: int) -> None:
        Simulation.steps += 1
        self.replicas[name].skew_ns = skew_s * SECOND

    @rule(seconds=st.sampled_from([5, 20, 60, 120]))
    def time_passes(self, seconds: int) -> None:
        step = max(seconds // 12, 1)
        for _ in range(0, seconds, step):
            self.tick(step)

    @invariant()
    def a_moment_passes(self) -> None:
        """Between any two things that happen both replicas have their turn: most happens in the middle."""
        if hasattr(self, "truth"):
            self.tick(2)

    def tick(self, seconds: int) -> None:
        Simulation.steps += 1
        self.truth.passes(seconds * SECOND)
        for replica in self.replicas.values():
            replica.step()

    def calm(self) -> None:
        """Everything is well again: then all that was begun ends, and nothing was lost."""
        truth = self.truth
        truth.silent.clear()
        truth.dead.clear()
        truth.faults.clear()
        truth.paused = False
        for replica in self.replicas.values():
            replica.cache.thaw()
        for name in self.replicas:
            self.leads(name)
            for _ in range(90):
                self.tick(5)
            replica = self.replicas[name]
            assert not replica.conductor.operations, f"{name} still has {replica.conductor.operations}"
            assert not replica.lost(), f"{name} lost {replica.lost()}"
        assert truth.now_ns - truth.cordons[0] < 100 * HOUR if truth.cordons else True


@pytest.fixture(autouse=True, scope="module")
def told() -> Iterator[None]:
    yield
    print(f"{Simulation.steps} steps")


TestSimulation = Simulation.TestCase
TestSimulation.settings = settings(
    max_examples=330 if LONG else 20,
    stateful_step_count=60 if LONG else 40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
