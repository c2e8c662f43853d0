"""The fault matrix: nodes, zones, clocks, people and pods. First lines of docstrings are rows."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edgeobs.remediate import Operation, marks
from edgeobs.signals import SECOND
from tests.real.api import wait
from tests.real.nodes import LEASES
from tests.real.trial import OPTED_IN, Replica, Trial, asking, decision, disk, silence

pytestmark = pytest.mark.real

MINUTES = 60 * SECOND
RELEASING = replace(asking("release"), release_quorum=3, lease_dead_s=6.0)
"""Long beside the second in which a Lease is renewed: a busy machine may leave one out."""


class Clock:
    """This process's, ``offset_ns`` off."""

    def __init__(self) -> None:
        self.offset_ns = 0
        self._right = time.time_ns

    def __call__(self) -> int:
        return self._right() + self.offset_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What `time.time_ns` is for the whole process; to be asked for before a replica is made."""
    made = Clock()
    monkeypatch.setattr(time, "time_ns", made)
    return made


@contextmanager
def renewing(trial: Trial, name: str, off: timedelta) -> Iterator[Callable[[], int]]:
    """A kubelet whose clock is off renews the Lease of a killed node; how often it did."""
    over, count = threading.Event(), 0

    def run() -> None:
        nonlocal count
        while not over.wait(0.3):
            at = (datetime.now(UTC) + off).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            trial.plane.api("PATCH", f"{LEASES}/{name}", {"spec": {"renewTime": at}})
            count += 1

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield lambda: count
    finally:
        over.set()
        thread.join()


def neighbour(trial: Trial, name: str = "a-2") -> str:
    """Another node of the zone, that is heard: three of them, so that one silent is not the zone's."""
    for each in (name, "a-3"):
        trial.nodes.add(each, "a", OPTED_IN)
    trial.nodes.wait_ready([name, "a-3"])
    return name


def left(trial: Trial, here: str, number: int) -> Callable[[], bool]:
    return lambda: len(trial.running(here)) < number


def over(replica: Replica, node: str, state: str = "done") -> Operation:
    done = replica.until(f"what was begun on {node} is over", replica.ended(node), 40)
    assert done is not None
    assert done.state == state, done.reason
    return done


@pytest.mark.parametrize("minutes", [-5, 5])
def test_our_clock_is_off(trial: Trial, clock: Clock, minutes: int) -> None:
    """Our clock is off by ±5 min against the API server's, in a drain and its undo"""
    clock.offset_ns = minutes * MINUTES
    here, there = trial.pair()
    replica = trial.replica(replace(asking("drain"), undo_after_s=0.5))
    replica.opens(disk("inc-1", replica.node(here)))
    over(replica, here)
    wait("all run elsewhere", lambda: len(trial.running(there)) == 3)
    replica.resolves("inc-1")
    replica.until("it is undone", lambda: not trial.cordoned(here))
    replica.rests()


@pytest.mark.parametrize("minutes", [-5, 5])
def test_our_clock_is_set(trial: Trial, clock: Clock, minutes: int) -> None:
    """Our clock is set by ±5 min in the middle of a drain"""
    here, there = trial.pair()
    replica = trial.replica(replace(asking("drain"), deadline_s=600.0))
    replica.opens(disk("inc-1", replica.node(here)))
    replica.until("one pod has left", left(trial, here, 3))
    clock.offset_ns = minutes * MINUTES
    over(replica, here)
    wait("all run elsewhere", lambda: len(trial.running(there)) == 3)


@pytest.mark.parametrize("minutes", [-5, 5])
def test_the_nodes_clock_is_off(trial: Trial, minutes: int) -> None:
    """A node's clock is off by ±5 min: alive, it keeps its pods; dead, it is released"""
    here, _ = trial.pair(pods=2)
    neighbour(trial)
    replica = trial.replica(RELEASING)
    trial.silent.add(here)
    trial.nodes.kill(here)
    with renewing(trial, here, timedelta(minutes=minutes)) as renewed:
        wait("its clock is off", lambda: renewed() > 2)
        replica.opens(silence("inc-1", replica.node(here)))
        replica.until("it waits for proof", replica.waits(here, "it is not dead"))
        until = renewed() + int(2 * RELEASING.lease_dead_s / 0.3)
        replica.until("longer than a dead one is waited for", lambda: renewed() > until)
        assert len(trial.running(here)) == 2
    over(replica, here)
    assert not trial.running(here)


def test_lease_stops_and_telemetry_goes_on(trial: Trial) -> None:
    """One-way partition: a node's Lease stops, its telemetry goes on"""
    here, _ = trial.pair(pods=2)
    neighbour(trial)
    replica = trial.replica(replace(RELEASING, deadline_s=4.0))
    trial.nodes.kill(here)
    replica.until("Kubernetes gives it up", lambda: trial.nodes.ready(here) == "Unknown", 30)
    replica.opens(silence("inc-1", replica.node(here)))
    replica.until("it is denied", lambda: replica.decided and replica.decided[-1].rule == "alive_if_sends")
    replica.resolves("inc-1")
    replica.offer(decision(replica.node(here), "release", "dec-release", "inc-2"))  # decided a moment before
    done = over(replica, here, "cancelled")
    assert "it was heard" in done.reason
    assert len(trial.plane.api.items(f"/api/v1/namespaces/{trial.namespace}/pods")) == 2
    assert not trial.referee.acts()


def test_telemetry_stops_and_the_lease_goes_on(trial: Trial) -> None:
    """One-way partition: a node's telemetry stops, its Lease is renewed"""
    here, _ = trial.pair(pods=2)
    neighbour(trial)
    replica = trial.replica(replace(RELEASING, deadline_s=12.0))
    trial.silent.add(here)
    replica.opens(silence("inc-1", replica.node(here)))
    replica.until("it waits for proof", replica.waits(here, "it is not dead"))
    done = over(replica, here, "cancelled")
    assert "not begun by its deadline" in done.reason
    replica.resolves("inc-1")
    replica.rests()
    assert len(trial.running(here)) == 2
    assert not trial.referee.acts()


def test_zone_dark_and_back(trial: Trial) -> None:
    """A zone dark in the middle of a drain, and back"""
    here, there = trial.pair()
    other = neighbour(trial)
    replica = trial.replica(asking("drain"))
    replica.opens(disk("inc-1", replica.node(here)))
    replica.until("one pod has left", left(trial, here, 3))
    trial.silent |= {here, other, "a-3"}
    before = trial.referee.acts()
    replica.until("it is held", replica.waits(here, "of zone a is silent"))
    replica.opens(silence("inc-2", replica.node(other)))
    replica.until("the other is held", lambda: replica.decided[-1].rule == "zone_hold")
    assert trial.referee.acts() == before
    trial.silent.clear()
    replica.resolves("inc-2")
    over(replica, here)
    wait("all run elsewhere", lambda: len(trial.running(there)) == 3)
    replica.rests()
    assert not trial.cordoned(other)


@pytest.mark.parametrize("does", ["uncordon", "uncordon and cordon"])
def test_a_person_in_the_middle(trial: Trial, does: str) -> None:
    """A person's uncordon, or cordon, in the middle of a drain"""
    here, _ = trial.pair(pods=4)
    replica = trial.replica(asking("drain"))
    replica.opens(disk("inc-1", replica.node(here)))
    replica.until("one pod has left", left(trial, here, 4))
    for word in does.split(" and "):
        trial.plane.kubectl(word, here)
    before = [act for act in trial.referee.acts() if act.what != "nodes"]
    over(replica, here, "cancelled")
    replica.until("what is left of ours is gone", lambda: marks.read(replica.node(here)) is None)
    replica.rests()
    evicted = [act for act in trial.referee.acts() if act.what != "nodes"]
    assert evicted == before
    assert trial.cordoned(here) == ("and" in does)
    assert replica.decided[-1].rule in {"all", "person"}


def test_pdb_of_zero(trial: Trial) -> None:
    """A PodDisruptionBudget that allows nothing, to the deadline"""
    here, _ = trial.pair(pods=2)
    where = f"/apis/policy/v1/namespaces/{trial.namespace}/poddisruptionbudgets"
    spec = {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "a"}}}
    trial.plane.api("POST", where, {"metadata": {"name": "none"}, "spec": spec})
    replica = trial.replica(replace(asking("drain"), deadline_s=8.0))
    replica.opens(disk("inc-1", replica.node(here)))
    replica.until("it waits", replica.waits(here, "disruption budget"))
    done = over(replica, here, "failed")
    assert "not complete by its deadline" in done.reason
    assert "disruption budget" in done.reason
    assert len(trial.running(here)) == 2
    assert [act.what for act in trial.referee.acts()] == ["nodes"]  # it was cordoned, nothing more
    replica.resolves("inc-1")
    replica.until("it is undone", lambda: not trial.cordoned(here))
    replica.rests()


def test_stuck_finalizer(trial: Trial, clock: Clock) -> None:
    """A pod whose finalizer nobody removes"""
    here, there = trial.pair(pods=2)
    replica = trial.replica(replace(asking("drain"), deadline_s=600.0))
    name, _ = trial.running(here)
    pod = f"/api/v1/namespaces/{trial.namespace}/pods/{name}"
    trial.plane.api("PATCH", pod, {"metadata": {"finalizers": ["edgeobs.test/never"]}})
    replica.opens(disk("inc-1", replica.node(here)))
    replica.until("the other has left, this one is asked to", lambda: not trial.running(here))
    replica.until("it waits", replica.waits(here, "shutting down"))
    clock.offset_ns = MINUTES
    replica.until("it is reported", replica.waits(here, "waits for its finalizers edgeobs.test/never"))
    clock.offset_ns = 11 * MINUTES
    done = over(replica, here, "failed")
    assert "edgeobs.test/never" in done.reason
    assert trial.plane.api("GET", pod)["metadata"]["finalizers"] == ["edgeobs.test/never"]
    wait("the others run elsewhere", lambda: len(trial.running(there)) == 2)
