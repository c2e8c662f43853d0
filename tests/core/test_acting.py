"""Engine, store and actor together: what is decided is done, and who dies in between loses nothing."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeobs.actor import Actor
from edgeobs.calls import Answer, Call
from edgeobs.config import parse
from edgeobs.control import actor, control
from edgeobs.engine import Engine
from edgeobs.remediate import MemoryCluster
from edgeobs.remediate.journal import NAME, Journal
from edgeobs.signals import SECOND, Counts, Decision

LIVE = """
cluster: {opted_in: true}
remediate: {dry_run: false, live: [cordon], cluster_share: 1.0, undo_after_s: 5}
engine: {snapshot_interval_s: 3600}
"""


class Acting:
    """A core without threads of its own: steps, ticks and acts when it is told to."""

    def __init__(self, site: Any, folder: Path) -> None:
        self.site, self.cluster = site, site.pipeline.cluster
        assert isinstance(self.cluster, MemoryCluster)
        settings = site.pipeline.remediation.settings
        self.actor = Actor(self.cluster, self.cluster, folder, settings, Counts(), clock=site.clock)
        self.engine = Engine(
            site.pipeline, site.keeper, lambda *_: site.points(), lambda _: ([], 0), queue_bytes=1, tick_ns=1,
            counts=Counts(), actor=self.actor, clock=site.clock,
        )  # fmt: skip

    def open(self) -> None:
        self.site.open()
        self.actor.work()

    def second(self, failing: int = -1, *, acts: bool = True) -> list[Decision]:
        self.site.now_ns += SECOND
        before = len(self.site.keeper.decisions)
        points = self.site.points(failing)
        self.engine._commit(self.site.pipeline.step(points, self.site.now_ns))
        self.engine._tick()
        for _ in range(20 if acts else 0):
            self.actor.work()
        return list(self.site.keeper.decisions)[before:]

    def seconds(self, number: int, failing: int = -1, *, acts: bool = True) -> list[Decision]:
        return [each for _ in range(number) for each in self.second(failing, acts=acts)]

    def cordoned(self) -> list[str]:
        return [node.name for node in self.cluster.nodes() if node.unschedulable]


@pytest.fixture
def acting(site: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., Acting]]:
    made: list[Acting] = []

    def make(text: str = LIVE) -> Acting:
        made.append(Acting(site(text), tmp_path / "data"))
        return made[-1]

    yield make
    for each in made:
        each.actor.close()


def test_a_failing_disk_is_cordoned_and_released_when_it_is_well(acting: Callable[..., Acting]) -> None:
    core = acting()
    core.open()
    core.seconds(60)
    decisions = core.seconds(15, failing=1)
    cordon = next(each for each in decisions if each.verdict == "allowed" and each.action.verb == "cordon")
    assert not cordon.dry_run
    assert cordon.uid == core.cluster.node("n1").uid
    assert core.cordoned() == ["n1"]
    back = next(d for d in core.seconds(400) if d.action.verb == "uncordon")
    assert (back.verdict, back.undoes) == ("allowed", cordon.id)
    assert core.cordoned() == []
    outcomes = core.site.keeper._store.outcomes()
    assert [(o.decision, o.done) for o in outcomes if o.decision == back.id] == [(back.id, True)]
    assert {o.done for o in outcomes if o.decision == cordon.id} == {True}
    told = core.site.pipeline.remediation.operations
    assert told[cordon.id].state == "undone"


def test_what_was_on_record_and_not_begun_is_done_after_a_crash(acting: Callable[..., Acting]) -> None:
    """Killed between the store and the journal: the actor had not looked yet."""
    core = acting()
    core.open()
    core.seconds(60)
    (decision,) = [d for d in core.seconds(15, failing=1, acts=False) if d.verdict == "allowed"]
    assert core.cordoned() == []
    core.site.keeper._store.close()
    core.actor.close()
    again = acting()
    for node in core.cluster.nodes():
        again.cluster.put(node)
    again.site.now_ns = core.site.now_ns
    again.open()
    again.seconds(2)
    assert again.cordoned() == ["n1"]
    assert again.actor._conductor is not None
    assert again.actor._conductor.journal.known(decision.id)


def test_what_was_on_record_long_ago_is_not_done(acting: Callable[..., Acting]) -> None:
    core = acting()
    core.open()
    core.seconds(60)
    core.seconds(15, failing=1, acts=False)
    core.site.keeper._store.close()
    core.actor.close()
    again = acting()
    for node in core.cluster.nodes():
        again.cluster.put(node)
    again.site.now_ns = core.site.now_ns + 3600 * SECOND
    again.open()
    again.second()
    assert again.cordoned() == []


def test_without_a_journal_everything_is_denied(acting: Callable[..., Acting], tmp_path: Path) -> None:
    core = acting()
    core.site.open()
    (tmp_path / "data" / NAME).write_bytes(b"no database" * 500)
    core.actor.work()
    core.seconds(60)
    decisions = core.seconds(15, failing=1)
    assert {(d.verdict, d.rule) for d in decisions} == {("denied", "journal")}
    assert "move it away" in decisions[0].reason
    (tmp_path / "data" / NAME).unlink()
    again = core.seconds(10, failing=1)
    assert [(d.verdict, d.action.verb) for d in again] == [("allowed", "cordon")]
    assert core.cordoned() == ["n1"]


def test_an_api_that_hangs_holds_up_nobody_but_the_actor(acting: Callable[..., Acting]) -> None:
    core = acting()
    reached, let_go = threading.Event(), threading.Event()
    call: Callable[[Call], Answer] = core.cluster.call

    def hang(given: Call) -> Answer:
        if given.ref.kind == "Node" and not given.subresource:
            reached.set()
            assert let_go.wait(60)
        return call(given)

    core.cluster.call = hang
    core.site.open()
    core.actor.start()
    core.seconds(60, acts=False)
    for _ in range(300):
        core.second(failing=1, acts=False)
        if reached.wait(0.02):
            break
    assert reached.is_set()
    core.seconds(5, acts=False)  # the engine goes on
    assert not core.actor.stop(0.01)
    let_go.set()
    assert core.actor.stop(60)
    assert core.cordoned() == ["n1"]


def test_a_journal_that_another_reads_is_complete(acting: Callable[..., Acting], tmp_path: Path) -> None:
    core = acting()
    core.open()
    core.seconds(60)
    core.seconds(15, failing=1)
    reader = Journal(tmp_path / "data" / NAME, read_only=True)
    (operation,) = reader.recent()
    kinds = [entry.kind for entry in reader.story(operation.id)]
    assert kinds[:3] == ["intent", "call", "answer"]
    reader.close()


@pytest.mark.parametrize(
    "text", ["", "remediate: {dry_run: false}", "remediate: {live: [cordon]}", "remediate: {pause: true}"]
)
def test_nobody_acts_where_nothing_is_live(text: str) -> None:
    config = parse(text)
    assert actor(config, control(config), Counts()) is None


def test_somebody_acts_where_something_is_live() -> None:
    config = parse(LIVE)
    found = control(config)
    made = actor(config, found, Counts())
    assert made is not None
    assert isinstance(found.view, MemoryCluster)
