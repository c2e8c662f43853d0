"""The fault matrix: what may go wrong between edgeobs, the API server and the nodes. The first line of every
test's docstring is its row in the table."""

import time
from contextlib import suppress
from dataclasses import replace

import pytest

from edgeobs.remediate import Operation, marks
from edgeobs.remediate.conductor import Conductor
from edgeobs.remediate.journal import JournalError
from tests.real.api import wait
from tests.real.fault_proxy import Answer, Duplicate, Ending, Fault, Late, Lost, watches, writes
from tests.real.trial import OPTED_IN, Replica, Trial, asking, disk

pytestmark = pytest.mark.real

ENDINGS: tuple[Ending, ...] = ("closed", "cut", "gone")


def calls(trial: Trial) -> int:
    """Cordons and evictions that reached the API server."""
    return len(trial.referee.acts())


@pytest.mark.parametrize("ending", ENDINGS)
def test_watches_end(trial: Trial, ending: Ending) -> None:
    """410 Gone, closed and cut watches, in the middle of a drain"""
    here, there = trial.pair()
    replica = trial.replica(asking("drain"))
    replica.opens(disk("inc-1", replica.node(here)))
    seen = 0

    def over() -> Operation | None:
        nonlocal seen
        if calls(trial) > seen:  # after each call
            seen = calls(trial)
            trial.proxy.end_watches(ending)
        return replica.ended(here)()

    done = replica.until("the drain is over", over)
    assert done is not None
    assert done.state == "done", done.reason
    assert seen >= 4
    wait("all run elsewhere", lambda: len(trial.running(there)) == 3)
    assert not trial.running(here)


@pytest.mark.parametrize("fault", [Duplicate(), Late()], ids=["twice", "late"])
def test_events_twice_and_late(trial: Trial, fault: Fault) -> None:
    """Events of watches twice, and after their successors"""
    here, there = trial.pair()
    replica = trial.replica(asking("drain"))
    with trial.proxy.fault(fault, watches):
        trial.proxy.end_watches()
        replica.opens(disk("inc-1", replica.node(here)))
        done = replica.until("the drain is over", replica.ended(here))
    assert done is not None
    assert done.state == "done", done.reason
    wait("all run elsewhere", lambda: len(trial.running(there)) == 3)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_storms(trial: Trial, code: int) -> None:
    """429 and 5xx to everything, in the middle of a drain"""
    here, there = trial.pair()
    replica = trial.replica(asking("drain"))
    replica.opens(disk("inc-1", replica.node(here)))
    replica.until("one pod has left", lambda: len(trial.running(here)) < 3)
    before = calls(trial)
    with trial.proxy.fault(Answer(code, 1 if code == 429 else None)):
        replica.until("it was refused", lambda: code in {each.code for each in _faults(trial)})
        replica.until("our leave to act is over", lambda: replica.says().leader)
        assert calls(trial) == before
    done = replica.until("the drain is over", replica.ended(here), 30)
    assert done is not None
    assert done.state == "done", done.reason
    wait("all run elsewhere", lambda: len(trial.running(there)) == 3)


def test_answers_are_lost(trial: Trial) -> None:
    """Every change is made, and its answer lost"""
    here, there = trial.pair(pods=1)
    replica = trial.replica(asking("drain"))
    with trial.proxy.fault(Lost(), _of_nodes_and_pods):
        replica.opens(disk("inc-1", replica.node(here)))
        done = replica.until("the drain is over", replica.ended(here), 40)
    assert done is not None
    assert done.state == "done", done.reason
    wait("all run elsewhere", lambda: len(trial.running(there)) == 1)


@pytest.mark.parametrize("how", ["cut", "freeze"])
def test_we_are_cut_off(trial: Trial, how: str) -> None:
    """One-way partition: the nodes see the API server, edgeobs does not"""
    here, there = trial.pair()
    replica = trial.replica(asking("drain"))
    replica.opens(disk("inc-1", replica.node(here)))
    replica.until("one pod has left", lambda: len(trial.running(here)) < 3)
    trial.proxy.cut() if how == "cut" else trial.proxy.freeze()
    before = calls(trial)
    replica.until("our leave to act is over", lambda: replica.says().leader)
    assert calls(trial) == before
    trial.proxy.restore() if how == "cut" else trial.proxy.thaw()
    done = replica.until("the drain is over", replica.ended(here), 40)
    assert done is not None
    assert done.state == "done", done.reason
    wait("all run elsewhere", lambda: len(trial.running(there)) == 3)


def test_permission_is_withdrawn(trial: Trial) -> None:
    """Permission withdrawn in the middle (403), and given back"""
    here, there = trial.pair()
    replica = trial.replica(asking("drain"))
    replica.opens(disk("inc-1", replica.node(here)))
    replica.until("one pod has left", lambda: len(trial.running(here)) < 3)
    api, where = trial.plane.api, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/edgeobs"
    binding = api("GET", where)
    api.delete(where)
    try:
        replica.until("it is told why", replica.waits(here, "403 Forbidden"))
        before = calls(trial)
        replica.until("it asks again", lambda: replica.counts["edgeobs_api_calls_total", "read", "0"] >= 2)
        assert calls(trial) == before
    finally:
        kept = {key: binding[key] for key in ("apiVersion", "kind", "roleRef", "subjects")}
        api("POST", where.rpartition("/")[0], kept | {"metadata": {"name": "edgeobs"}})
    done = replica.until("the drain is over", replica.ended(here), 40)
    assert done is not None
    assert done.state == "done", done.reason
    wait("all run elsewhere", lambda: len(trial.running(there)) == 3)


def test_credentials_are_revoked(trial: Trial) -> None:
    """Credentials revoked in the middle (401), and new ones"""
    here, there = trial.pair()
    replica = trial.replica(asking("drain"))
    replica.opens(disk("inc-1", replica.node(here)))
    replica.until("one pod has left", lambda: len(trial.running(here)) < 3)
    before = calls(trial)
    with trial.proxy.fault(Answer(401)):
        replica.until("it is told why", replica.waits(here, "401 Unauthorized"))
        replica.until("our leave to act is over", lambda: replica.says().leader)
        assert calls(trial) == before
    done = replica.until("the drain is over", replica.ended(here), 40)
    assert done is not None
    assert done.state == "done", done.reason
    wait("all run elsewhere", lambda: len(trial.running(there)) == 3)


def test_disk_full(trial: Trial) -> None:
    """The journal's disk is full in the middle of a drain, and has room again"""
    here, there = trial.pair()
    other = "b-1"
    trial.nodes.add(other, "b", OPTED_IN)
    trial.nodes.wait_ready([other])
    replica = trial.replica(asking("drain"))
    replica.opens(disk("inc-1", replica.node(here)))
    replica.until("one pod has left", lambda: len(trial.running(here)) < 3)
    conductor = replica.actor._conductor
    assert conductor is not None
    database = conductor.journal._db
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages}")
    _fill(conductor)
    replica.until("it is told why", lambda: "the disk is full" in replica.actor.problem)
    before = calls(trial)
    replica.opens(disk("inc-2", replica.node(other)))
    until = replica.counts["edgeobs_store_errors_total", "journal"] + 20
    replica.until("it tries again", lambda: replica.counts["edgeobs_store_errors_total", "journal"] > until)
    assert calls(trial) == before
    assert not trial.cordoned(other)
    database.execute("PRAGMA max_page_count = 1000000")
    done = replica.until("the drain is over", replica.ended(here), 30)
    assert done is not None
    assert done.state == "done", done.reason
    wait("all run elsewhere", lambda: len(trial.running(there)) == 3)
    replica.until("the other too", replica.ended(other))


@pytest.mark.parametrize("when", ["before", "in the middle"])
def test_node_made_anew(trial: Trial, when: str) -> None:
    """A node deleted and made anew under its name"""
    here, _ = trial.pair()
    replica = trial.replica(asking("drain"))
    first = replica.node(here)
    replica.opens(disk("inc-1", first))
    if when == "in the middle":
        replica.until("one pod has left", lambda: len(trial.running(here)) < 3)
    else:
        replica.until("an intent", lambda: replica.journal_of(here), 5)
    trial.plane.api.delete(f"/api/v1/nodes/{here}")
    trial.nodes.add(here, "a", OPTED_IN | {"pool": "a"})
    trial.nodes.wait_ready([here])
    before = calls(trial)
    done = replica.until("the drain is over", replica.ended(here))
    assert done is not None
    assert done.state == ("undone" if when == "in the middle" else "cancelled")
    assert "another node by now" in done.reason
    replica.resolves("inc-1")
    second = replica.node(here)
    assert second.uid != first.uid
    assert not second.unschedulable
    assert marks.read(second) is None
    replica.rests()
    assert all(each.action.verb == "drain" for each in replica.operations.values())
    assert calls(trial) == before


def test_flapping(trial: Trial) -> None:
    """Flapping: an incident opens and is over, again and again"""
    (here, *_) = trial.fleet({"a": 2, "b": 2})
    settings = replace(asking("cordon"), per_hour=3)
    replica = trial.replica(settings)
    for turn in range(8):
        replica.opens(disk(f"inc-{turn}", replica.node(here)))
        if turn < 3:
            replica.until("it is cordoned", replica.ended(here, "cordon", "done"))
        else:
            replica.until("it is held", lambda: replica.decided[-1].rule == "hourly_rate")
        replica.resolves(f"inc-{turn}")
        replica.until("it is not cordoned any more", lambda: not trial.cordoned(here))
    replica.rests()
    assert trial.referee.marked == 3


@pytest.mark.parametrize("again", ["cool-down", "restarts"])
def test_flapping_within_the_cooldown(trial: Trial, again: str) -> None:
    """Flapping within the cool-down, also with a restart that forgets all"""
    (here, *_) = trial.fleet({"a": 2, "b": 2})
    replica = trial.replica(replace(asking("cordon"), cooldown_s=600.0))
    for turn in range(4):
        replica.opens(disk(f"inc-{turn}", replica.node(here)))
        if turn == 0:
            replica.until("it is cordoned", replica.ended(here, "cordon", "done"))
        else:
            replica.until("it is held", lambda: replica.decided[-1].rule == "cooldown")
        replica.resolves(f"inc-{turn}")
        replica.until("it is not cordoned any more", lambda: not trial.cordoned(here))
        if again == "restarts":
            replica.rests()
            replica.actor.close()
            replica.open()
    replica.rests()
    assert trial.referee.marked == 1


def test_false_positives_everywhere(trial: Trial) -> None:
    """A wave of false positives on every node at once"""
    names = trial.fleet({"a": 4, "b": 4, "c": 4})
    replica = trial.replica(replace(asking("cordon"), cluster_share=0.15, per_hour=6))
    for name in names:
        replica.opens(disk(f"inc-{name}", replica.node(name)))
    replica.until("the budget is spent", lambda: sum(map(trial.cordoned, names)) == 2)
    _settled(replica, names)
    assert sum(map(trial.cordoned, names)) == 2
    for name in names:
        replica.resolves(f"inc-{name}")
    replica.until("all is undone", lambda: not any(map(trial.cordoned, names)))
    replica.rests()
    assert trial.referee.marked == 2


def test_false_positives_after_all_was_forgotten(trial: Trial) -> None:
    """The same wave, to a new leader that knows nothing of the old one's work"""
    names = trial.fleet({"a": 4, "b": 4, "c": 4})
    settings = replace(asking("cordon"), cluster_share=0.15, per_hour=6)
    for name in ("edge-a", "edge-b"):
        replica = trial.replica(settings, name)
        for node in names:
            replica.opens(disk(f"{name}-{node}", replica.node(node)))
        replica.until("the budget is spent", lambda: sum(map(trial.cordoned, names)) == 2)
        _settled(replica, names)
        replica.cluster.stop()
    assert sum(map(trial.cordoned, names)) == 2
    assert trial.referee.marked == 2


def _fill(conductor: Conductor) -> None:
    """Leave no room in the journal for anything at all."""
    with suppress(JournalError):
        while True:
            conductor.journal.move(conductor.operations[0], time.time_ns(), "wait")


def _settled(replica: Replica, names: list[str]) -> None:
    """Until everything was decided, and nothing is under way."""

    def quiet() -> bool:
        told = {each.action.target.node for each in replica.decided}
        return told.issuperset(names) and all(each.over for each in replica.operations.values())

    replica.until("all was decided", quiet)


def _faults(trial: Trial) -> list[Answer]:
    return [each.outcome for each in trial.proxy.seen if isinstance(each.outcome, Answer)]


def _of_nodes_and_pods(method: str, path: str) -> bool:
    return writes(method, path) and path.startswith("/api/v1/") and "/events" not in path
