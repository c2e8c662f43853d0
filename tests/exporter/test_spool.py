"""What waits to be sent: in order, bounded, and the same in memory and on disk."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.exporter.spool import DiskSpool, MemorySpool

acts = st.lists(
    st.one_of(st.binary(min_size=1, max_size=12), st.just("done"), st.just("restart")), max_size=30
)


@given(acts, st.integers(1, 30))
def test_both_spools_do_the_same(does: list[bytes | str], most: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        memory, disk = MemorySpool(most), DiskSpool(Path(folder), most, 1)
        dropped = 0
        for act in does:
            if act == "restart":
                dropped += disk.dropped
                disk = DiskSpool(Path(folder), most, 1)
            elif act == "done":
                if memory.oldest() is not None:
                    memory.done()
                    disk.done()
            elif isinstance(act, bytes):
                memory.put(act)
                disk.put(act)
            assert disk.oldest() == memory.oldest()
            assert disk.size == memory.size <= most
            assert disk.dropped + dropped == memory.dropped
            assert sum(path.stat().st_size for path in Path(folder).iterdir()) == disk.size


def test_a_smaller_bound_after_a_restart_drops_the_oldest(tmp_path: Path) -> None:
    first = DiskSpool(tmp_path, 100, 1)
    for body in (b"one", b"two", b"three"):
        first.put(body)
    second = DiskSpool(tmp_path, 8, 1)
    assert (second.oldest(), second.size, second.dropped) == (b"two", 8, 1)


def test_a_draft_of_a_process_that_ended_is_taken_away(tmp_path: Path) -> None:
    draft = tmp_path / ".00000000000000000007.otlp.4711.1"
    draft.write_bytes(b"half")
    spool = DiskSpool(tmp_path, 100, 1)
    assert spool.oldest() is None
    assert not draft.exists()


def test_what_was_taken_away_by_others_is_dropped_and_counted(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, 100, 1)
    spool.put(b"one")
    spool.put(b"two")
    min(tmp_path.iterdir()).unlink()
    assert (spool.oldest(), spool.size, spool.dropped) == (b"two", 3, 1)


def test_a_disk_that_is_full_drops_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = DiskSpool(tmp_path, 100, 1)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgeobs.exporter.spool.replace", full)
    spool.put(b"one")
    assert (spool.oldest(), spool.size, spool.dropped) == (None, 0, 1)


def test_small_bodies_count_as_the_blocks_that_they_take(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, 3 * 4096)
    for number in range(5):
        spool.put(b"%d" % number)
    assert (spool.oldest(), spool.size, spool.dropped) == (b"2", 3 * 4096, 2)
    assert len(list(tmp_path.iterdir())) == 3
