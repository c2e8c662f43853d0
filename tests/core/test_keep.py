"""What is kept: while the disk fails, after it is back, from a damaged snapshot, under other names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeobs.incidents.store import Store, StoreError
from edgeobs.ingest.delivery import Unavailable
from edgeobs.keep import RETRY_NS, Keeper
from edgeobs.publish import Board
from edgeobs.signals import SECOND, Decision, ExternalAlert, Resource

WARM_S = 40


class Disk:
    """Lets a store work, or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        transaction = Store._transaction

        def sometimes(store: Store) -> Any:
            if self.full:
                raise StoreError("the disk is full")
            return transaction(store)

        monkeypatch.setattr(Store, "_transaction", sometimes)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def stored(made: Any) -> Store:
    store = made.keeper._store
    assert store is not None
    return store  # type: ignore[no-any-return]  # a Site is known to its conftest alone


def verdicts(decisions: list[Decision]) -> list[tuple[str, str, str]]:
    return [(d.action.target.node, d.verdict, d.rule) for d in decisions]


def alert(status: Any = "firing") -> ExternalAlert:
    return ExternalAlert("f1", status, Resource("", "z0", "n0"), "DiskFull", "nearly full", 5 * SECOND, 0)


def test_while_the_store_fails_nothing_is_allowed_and_no_budget_is_spent(site: Any, disk: Disk) -> None:
    made = site()
    made.open()
    made.seconds(WARM_S)
    disk.full = True
    decisions = made.seconds(10, failing=1)
    assert verdicts(decisions)[0] == ("n1", "denied", "journal")
    assert "on record" in decisions[0].reason
    assert not [d for d in decisions if d.verdict == "allowed"]
    assert not made.pipeline.remediation.guard.ledger.allowed
    assert not stored(made).incidents()
    assert made.pipeline.incidents.active(), "detection goes on"
    assert not made.keeper.healthy
    assert made.core.counts["edgeobs_store_errors_total", "store"] >= 1
    assert not stored(made).outcomes(), "nothing was done"

    disk.full = False
    decisions = made.seconds(RETRY_NS // SECOND + 3, failing=1)
    assert made.keeper.healthy
    assert verdicts(decisions)[-1] == ("n1", "allowed", "all"), "the budget was free"
    made.second(failing=1)
    (incident,) = stored(made).incidents(active=True)
    assert incident.id == made.pipeline.incidents.active()[0].id
    kept = verdicts(stored(made).decisions())
    assert kept[0] == ("n1", "denied", "journal"), "what was decided meanwhile is on record as well"
    assert kept[-1] == ("n1", "allowed", "all")
    assert [d.id for d in made.keeper.decisions] == [d.id for d in stored(made).decisions()]
    assert [outcome.done for outcome in stored(made).outcomes()] == [False]


def test_a_decision_that_finds_the_disk_full_at_its_own_commit_is_denied(site: Any, disk: Disk) -> None:
    """Nobody knew before: the guard had allowed it."""
    made = site()
    made.open()
    made.seconds(WARM_S)
    outputs: Any = None
    while not (outputs and outputs.decisions):
        made.now_ns += SECOND
        outputs = made.pipeline.step(made.points(failing=2), made.now_ns)
        disk.full = bool(outputs.decisions)
        recorded = made.keeper.commit(made.pipeline, outputs, made.clock)
    assert verdicts(list(outputs.decisions)) == [("n2", "allowed", "all")]
    assert verdicts(recorded) == [("n2", "denied", "journal")]
    assert recorded[0].recorded_ns == 0
    assert not made.pipeline.remediation.guard.ledger.allowed


def test_alerts_that_cannot_be_kept_are_not_acknowledged(site: Any, disk: Disk) -> None:
    made = site()
    made.open()
    disk.full = True
    with pytest.raises(Unavailable, match="the disk is full"):
        made.keeper.take([alert()])
    assert not made.keeper.healthy
    disk.full = False
    assert made.keeper.take([alert()]) == [alert()], "told again, it is news"
    assert made.keeper.healthy
    assert made.keeper.take([alert()]) == []


def test_a_store_that_is_back_is_noticed_though_nothing_waits(site: Any, disk: Disk) -> None:
    made = site()
    made.open()
    made.seconds(5)
    disk.full = True
    with pytest.raises(Unavailable):
        made.keeper.take([alert()])
    made.seconds(2 * RETRY_NS // SECOND)
    assert made.pipeline.journal == "the disk is full", "still so"
    disk.full = False
    made.seconds(RETRY_NS // SECOND)
    assert made.keeper.healthy
    assert made.pipeline.journal == ""


def test_what_waits_while_the_store_fails_is_bounded(site: Any, disk: Disk, monkeypatch: Any) -> None:
    monkeypatch.setattr("edgeobs.keep._KEPT", 2)
    made = site()
    made.open()
    made.seconds(WARM_S)
    disk.full = True
    for node in range(4):
        made.seconds(10, failing=node)
    assert len(made.pipeline.incidents.active()) == 4
    assert len(made.keeper._incidents) == 2


def test_a_folder_that_appears_later_is_taken_up(site: Any, tmp_path: Path) -> None:
    before = site()
    before.open()
    before.seconds(WARM_S)
    allowed = before.seconds(15, failing=1)
    assert verdicts(allowed)[-1] == ("n1", "allowed", "all")
    stored(before).close()
    away = tmp_path / "away"
    (tmp_path / "data").rename(away)
    (tmp_path / "data").write_text("in the way")

    made = site()
    made.now_ns = before.now_ns
    made.open()
    assert not made.keeper.healthy
    made.seconds(WARM_S)
    denied = made.seconds(15, failing=3)
    assert {verdict for _, verdict, _ in verdicts(denied)} == {"denied"}
    (tmp_path / "data").unlink()
    away.rename(tmp_path / "data")
    after = made.seconds(RETRY_NS // SECOND + 3, failing=3)
    assert made.keeper.healthy
    assert verdicts(after)[-1] == ("n3", "allowed", "all")
    order = [d.decided_ns for d in made.keeper.decisions]
    assert order == sorted(order), "what an earlier run decided comes before what this one did"
    assert {i.place.node for i in stored(made).incidents()} == {"n1", "n3"}


def test_what_was_learned_comes_back(site: Any) -> None:
    made = site()
    made.open()
    made.seconds(WARM_S)
    expected = learned(made)
    made.keeper.close(made.pipeline, made.now_ns)
    made.keeper._store = None

    again = site()
    again.now_ns = made.now_ns
    again.open()
    assert again.keeper.snapshot_problem == ""
    np.testing.assert_equal(learned(again), expected)
    again.errors = made.errors
    assert verdicts(again.seconds(15, failing=1))[-1] == ("n1", "allowed", "all"), "no warm-up again"


def learned(made: Any) -> dict[str, Any]:
    state: dict[str, Any] = made.pipeline.state()["detect.series"]
    return state


def flip(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [flip, cut, empty])
def test_a_damaged_snapshot_is_refused_and_said(site: Any, harm: Callable[[Path], None]) -> None:
    made = site()
    made.open()
    made.seconds(WARM_S)
    made.keeper.close(made.pipeline, made.now_ns)
    made.keeper._store = None
    harm(made.keeper.snapshot_path)
    starts_anew(site(), made.now_ns)


@pytest.mark.parametrize("change", [{"heartbeats": {"schema": np.array([99])}}, {"features": {}}])
def test_a_snapshot_that_does_not_fit_is_refused_and_said(
    site: Any, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    """Whole, and of another version in one of its parts, or without it."""
    made = site()
    made.open()
    made.seconds(WARM_S)
    state = made.pipeline.state() | change
    monkeypatch.setattr(made.pipeline, "state", lambda: state)
    made.keeper.close(made.pipeline, made.now_ns)
    made.keeper._store = None
    starts_anew(site(), made.now_ns)


def starts_anew(again: Any, now_ns: int) -> None:
    again.now_ns = now_ns
    again.open()
    assert again.keeper.healthy, "incidents and decisions are another file"
    assert again.keeper.snapshot_problem.startswith("starts with nothing learned: ")
    assert again.core.counts["edgeobs_store_errors_total", "snapshot"] == 1
    board = Board(again.pipeline, again.keeper, [], decoder="upb", dry_run=True, paused=False, open_score=6.0)
    board.publish()
    assert again.keeper.snapshot_problem in board.published().status.notices
    again.seconds(WARM_S)
    assert verdicts(again.seconds(15, failing=1))[-1] == ("n1", "allowed", "all")
    again.keeper._snapshot(again.pipeline, again.now_ns, wait=True)
    assert again.keeper.snapshot_problem == "", "what is learned from now on is kept"
    stored(again).close()
    again.keeper._store = None


def test_a_snapshot_that_cannot_be_written_is_said(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = site()
    made.open()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgeobs.snapshot.write", full)
    made.keeper._snapshot(made.pipeline, made.now_ns, wait=True)
    assert "No space left" in made.keeper.snapshot_problem
    assert made.keeper.snapshot_ns == 0
    assert made.keeper.healthy


def test_owners_are_found_again_by_name(site: Any) -> None:
    made = site(principals=("loopback", "north", "south", "gone"))
    made.open()
    owned = {owner: made.series(owner, "cpu", owner=owner) for owner in range(4)}
    made.keeper.close(made.pipeline, made.now_ns)
    made.keeper._store = None

    again = site(principals=("loopback", "south", "new", "north"))
    again.open()
    table = again.pipeline.table
    owners = [int(table.owner[owned[owner]]) for owner in range(4)]
    assert owners == [0, 3, 1, 0], "the series of a sender that is gone count as loopback's"
    assert dict(table.owned) == {0: 2, 3: 1, 1: 1}


def test_snapshots_come_at_their_interval(site: Any) -> None:
    made = site("engine: {snapshot_interval_s: 5}")
    made.open()
    times = set()
    for _ in range(20):
        made.second()
        writer = made.keeper._writer
        if writer is not None:
            writer.join()
        times.add(made.keeper.snapshot_ns)
    seconds = sorted((ns - made.now_ns) // SECOND for ns in times if ns)
    assert seconds == [-15, -10, -5, 0]
    assert isinstance(made.keeper, Keeper)
