"""The shared folder: slots, who is dead, and files that are not what they should be."""

import fcntl
from pathlib import Path

import pytest

from edgeobs.exporter.merge import Snapshot, merged
from edgeobs.exporter.share import ENDED, Share
from tests.exporter.snapshots import counted, taken


def own(share: Share, asks: int) -> Snapshot:
    return {**taken(share.slot, {"a": asks}, []), "id": share.identity}


def asks(share: Share, mine: Snapshot) -> float:
    others, ended = share.others()
    return counted(merged([mine, *others], ended))["dev_asks_total[('who', 'a')]"]


def test_slots_are_the_lowest_that_are_free(tmp_path: Path) -> None:
    first, second = Share(tmp_path, {}, 10), Share(tmp_path, {}, 10)
    assert (first.slot, second.slot) == (0, 1)
    first.leave()
    third = Share(tmp_path, {}, 10)
    assert third.slot == 0
    second.leave()
    third.leave()


def test_one_leads_and_another_when_it_left(tmp_path: Path) -> None:
    first, second = Share(tmp_path, {}, 10), Share(tmp_path, {}, 10)
    assert (first.lead(), second.lead(), first.lead()) == (True, False, True)
    first.leave()
    assert second.lead()
    second.leave()


def test_whoever_left_is_counted_once_however_often_one_looks(tmp_path: Path) -> None:
    first, second = Share(tmp_path, {}, 10), Share(tmp_path, {}, 10)
    first.write(own(first, 3))
    mine = own(second, 4)
    second.write(mine)
    assert asks(second, mine) == 7
    first.leave()
    assert [asks(second, mine) for _ in range(3)] == [7, 7, 7]
    assert not (tmp_path / "worker-0.json").exists()
    assert (tmp_path / ENDED).exists()
    second.leave()


def test_a_file_that_was_folded_and_is_still_there_counts_once(tmp_path: Path) -> None:
    """As when the one who folded it was killed before it could take the file away."""
    first, second = Share(tmp_path, {}, 10), Share(tmp_path, {}, 10)
    first.write(own(first, 3))
    mine = own(second, 4)
    left = (tmp_path / "worker-0.json").read_bytes()
    first.leave()
    assert asks(second, mine) == 7
    (tmp_path / "worker-0.json").write_bytes(left)
    assert [asks(second, mine), asks(second, mine)] == [7, 7]
    second.leave()


def test_garbage_is_left_out_and_counted(tmp_path: Path) -> None:
    first, second = Share(tmp_path, {}, 10), Share(tmp_path, {}, 10)
    (tmp_path / "worker-0.json").write_bytes(b'{"id": ')
    mine = own(second, 4)
    assert asks(second, mine) == 4
    assert second.unreadable == 1
    first.leave()
    second.leave()


def test_a_folder_in_which_nobody_lives_is_begun_anew(tmp_path: Path) -> None:
    first = Share(tmp_path, {}, 10)
    first.write(own(first, 3))
    draft = tmp_path / ".worker-0.json.4711.1"  # of one that was killed while it wrote
    draft.write_bytes(b"{")
    first.leave()
    second = Share(tmp_path, {}, 10)
    mine = own(second, 4)
    assert asks(second, mine) == 4
    assert not draft.exists()
    second.leave()


def test_a_worker_that_holds_the_lock_for_ever_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeobs.exporter.share.PATIENCE_S", 0.05)
    with (tmp_path / "folder.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match=r"folder\.lock: another worker has held it"):
            Share(tmp_path, {}, 10)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Share(tmp_path / "file", {}, 10)
