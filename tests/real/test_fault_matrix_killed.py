"""The fault matrix: edgeobs itself is killed, stopped, replaced. First lines of docstrings are rows."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from edgeobs.incidents.codec import write_decision
from edgeobs.remediate import marks
from edgeobs.remediate.journal import NAME, Journal
from edgeobs.signals import Decision, Verb
from tests.real.api import wait
from tests.real.trial import OPTED_IN, SETTINGS, Replica, Trial, decision, disk, workload
from tests.real.victim import Fate, text

pytestmark = pytest.mark.real

NEVER = -1
STEPS: dict[Verb, int] = {"cordon": 6, "uncordon": 6, "drain": 12}
"""Intent; for each change its call, the change, its answer; then the states. Two pods are drained.

A conflict adds three, so that once in a while the last ones are not come to.
"""


LASTING = replace(SETTINGS, undo_after_s=3600.0)
"""Nothing is taken back of itself."""


class Victims:
    """Processes of edgeobs, one after another, made by one that has imported all they need."""

    def __init__(self) -> None:
        pipe: Any = subprocess.PIPE
        self._maker = subprocess.Popen(
            [sys.executable, "-m", "tests.real.victim"], stdin=pipe, stdout=pipe, text=True,
            cwd=Path(__file__).parents[2], env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        self.pid = 0

    def begin(self, fate: Fate) -> None:
        """One that will come to this."""
        assert self._maker.stdin is not None
        self._maker.stdin.write(text(fate) + "\n")
        self._maker.stdin.flush()
        self.pid = self._line()

    def ended(self) -> int:
        """How it did; negative: by a signal."""
        number, self.pid = self._line(), 0
        return number

    def stopped(self) -> bool:
        """Whether it stands still."""
        return psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

    def close(self) -> None:
        """Whatever they do."""
        for pid in (self.pid, self._maker.pid):
            if pid:
                os.kill(pid, signal.SIGKILL)
        with self._maker:
            pass

    def _line(self) -> int:
        assert self._maker.stdout is not None
        return int(self._maker.stdout.readline())


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    """Who makes them."""
    made = Victims()
    yield made
    made.close()


@pytest.mark.parametrize("verb", ["cordon", "uncordon", "drain"])
def test_killed_between_any_two_steps(trial: Trial, victims: Victims, verb: Verb) -> None:
    """kill -9 between every two journal steps of a cordon, a drain, an uncordon"""
    steps = STEPS[verb]
    names = _nodes(trial, steps, verb)
    next_of = trial.replica(LASTING, "next")  # who finds what each of them left
    for step, name in enumerate(names):
        made = _prepared(trial, next_of, verb, name)
        trial.referee.decided.append([made])
        next_of.actor.close()  # one process at a time has the journal
        victims.begin(_fate(trial, next_of, made, step if step <= steps else NEVER))
        assert victims.ended() == (-signal.SIGKILL if step <= steps else 0)
        before = len(trial.referee.acts())
        next_of.open()
        next_of.offer(made)  # as what was decided, and is not an intent yet, is after a restart
        next_of.rests()
        _as_it_should_be(trial, next_of, verb, name, made)
        if step > steps:  # all was done by then
            assert len(trial.referee.acts()) == before


def _nodes(trial: Trial, steps: int, verb: Verb) -> list[str]:
    """One for each step after which it is killed, and one on which it is not; with pods, to be drained."""
    names = [f"k{step}" for step in range(steps + 2)]
    for name in names:
        trial.nodes.add(name, name, OPTED_IN | {"pool": name})
        if verb == "drain":
            taint = {"key": "edgeobs.test/last", "effect": "PreferNoSchedule"}
            trial.nodes.add(f"{name}x", f"{name}x", OPTED_IN | {"pool": name}, taints=[taint])
    trial.nodes.wait_ready(names)
    if verb == "drain":
        trial.nodes.wait_ready([f"{name}x" for name in names])
        for name in names:
            trial.plane.api.apply(workload(name, trial.namespace, 2, nodeSelector={"pool": name}))
        wait("all pods run", lambda: all(len(trial.running(name)) == 2 for name in names))
    return names


def _prepared(trial: Trial, replica: Replica, verb: Verb, name: str) -> Decision:
    """What is to be done to a node; a cordon first, where that is to be undone."""
    if verb != "uncordon":
        return decision(replica.node(name), verb, f"dec-{verb}-{name}", f"inc-{name}")
    first = decision(replica.node(name), "cordon", f"dec-cordon-{name}", f"inc-{name}")
    replica.offer(first)
    replica.rests()
    assert trial.cordoned(name)
    return decision(replica.node(name), verb, f"dec-{verb}-{name}", f"inc-{name}", first.id)


def _fate(trial: Trial, replica: Replica, made: Decision, step: int, **more: Any) -> Fate:
    file = trial.plane.kubeconfig(trial.account.name, trial.account.token, trial.proxy.server)
    return Fate(str(file), str(replica.folder), write_decision(made), step, **more)


def _as_it_should_be(trial: Trial, replica: Replica, verb: Verb, name: str, made: Decision) -> None:
    done = replica.journal_of(name)
    assert done is not None
    assert (done.id, done.state) == (made.id, "done"), done.reason
    node = replica.node(name)
    if verb == "uncordon":
        assert not node.unschedulable
        assert marks.read(node) is None
        return
    assert marks.cordoned(node, f"inc-{name}")
    if verb == "drain":
        assert not trial.running(name)


@pytest.mark.parametrize("at", ["before its next call", "with its next call on record"])
def test_two_leaders(trial: Trial, victims: Victims, at: str) -> None:
    """Two leaders: one stands still past its lease, another takes over, the first wakes"""
    here, there = trial.pair(pods=2)
    third = "c-1"
    trial.nodes.add(third, "c", OPTED_IN)
    trial.nodes.wait_ready([third])
    first = trial.folder / "first"
    first.mkdir()
    trial.referee.journals.add(first / NAME)
    made = decision(trial.plain(here), "drain", "dec-drain", "inc-1")
    trial.referee.decided.append([made])
    file = trial.plane.kubeconfig(trial.account.name, trial.account.token, trial.proxy.server)
    step = 5 if "on record" in at else 4  # its first eviction is its next call
    victims.begin(Fate(str(file), str(first), write_decision(made), step, signal.SIGSTOP, elected=True))
    wait("the first stands still", victims.stopped)
    assert trial.cordoned(here)
    assert len(trial.running(here)) == 2

    other = trial.candidate(LASTING, "other", trial.plane.server)
    wait("the other leads", lambda: other.leads([here, there, third]))
    other.opens(disk("inc-2", other.node(third)))
    other.until("it has acted", other.ended(third, "cordon"))
    other.rests()
    before = trial.referee.acts()

    os.kill(victims.pid, signal.SIGCONT)
    wait("the first has seen that it does not lead", lambda: "leads" in _reason(first))
    assert trial.referee.acts() == before
    other.cluster.stop()
    assert victims.ended() == 0
    assert len(trial.referee.acts()) == len(before) + 2
    wait("both run elsewhere", lambda: len(trial.running(there)) == 2)


def _reason(folder: Path) -> str:
    journal = Journal(folder / NAME, read_only=True)
    (found,) = journal.recent()
    journal.close()
    return found.reason
