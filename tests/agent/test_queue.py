"""What waits for the core survives, is bounded, and loses summaries before all else."""

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeobs.signals import SECOND, Counts
from edgeobs.uplink.parcel import Letter
from edgeobs.uplink.queue import Queue, QueueError

T0 = 1_700_000_000 * SECOND
HOUR = 3600 * SECOND


def summary(number: int, size: int = 1000) -> Letter:
    return Letter("summary", T0 + number, bytes([number % 251]) * size)


def incident(number: int, size: int = 1000, key: str = "") -> Letter:
    return Letter("incident", T0 + number, bytes([number % 251]) * size, key or f"inc-{number}")


def all_waiting(queue: Queue) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for lane in ("first", "rest"):
        while (parcel := queue.head(lane)) is not None:
            found.append((parcel.kind, parcel.sequence))
            queue.taken(lane, parcel.sequence)
    return found


def test_what_was_put_is_there_after_the_file_was_opened_again(open_queue: Callable[..., Queue]) -> None:
    first = open_queue()
    first.put([summary(1), incident(2), Letter("window", T0, b"w")], T0)
    name = first.id
    first.close()
    again = open_queue()
    assert again.id == name
    assert all_waiting(again) == [("incident", 1), ("summary", 1), ("window", 2)]
    again.put([summary(3)], T0)
    head = again.head("rest")
    assert head is not None
    assert head.sequence == 3, "a sequence is never used again, not even after the queue was empty"


def test_taken_lets_go_of_all_up_to_it_and_of_nothing_of_the_other_lane(queue: Queue) -> None:
    queue.put([summary(i) for i in range(5)] + [incident(9)], T0)
    assert queue.taken("rest", 3) == 3
    head = queue.head("rest")
    assert head is not None
    assert head.sequence == 4
    assert queue.waiting() == {"incident": 1, "window": 0, "summary": 2}


def test_a_newer_state_of_an_incident_takes_the_place_of_one_that_waits(queue: Queue) -> None:
    queue.put([incident(1, key="inc-1"), incident(2, key="inc-2")], T0)
    queue.put([incident(3, key="inc-1")], T0)
    assert queue.waiting()["incident"] == 2
    head = queue.head("first")
    assert head is not None
    assert head.body == incident(2).body


def test_a_full_queue_drops_the_oldest_summaries_then_windows_and_never_incidents(
    open_queue: Callable[..., Queue], counts: Counts
) -> None:
    queue = open_queue(limit=40_000)
    queue.put([Letter("window", T0, b"w" * 1000)] * 8, T0)
    for number in range(60):
        queue.put([summary(number)], T0)
    waiting = queue.waiting()
    assert waiting["window"] == 8
    assert counts["edgeobs_uplink_dropped_total", "summary"] == 60 - waiting["summary"] > 0
    assert queue.bytes <= queue.limit_bytes
    for number in range(60):
        queue.put([incident(number)], T0)
    assert queue.waiting() == {"incident": 60, "window": 0, "summary": 0}
    assert counts["edgeobs_uplink_dropped_total", "window"] == 8
    assert ("edgeobs_uplink_dropped_total", "incident") not in counts
    assert len(all_waiting(queue)) == 60


def test_the_bytes_it_counts_are_those_that_lie_there(open_queue: Callable[..., Queue]) -> None:
    queue = open_queue()
    queue.put([summary(1), summary(2, 500), incident(3, key="a"), incident(4, 700, key="a")], T0)
    queue.taken("rest", 1)
    counted = queue.bytes
    queue.close()
    assert open_queue().bytes == counted


def test_on_a_full_disk_summaries_make_room_for_incidents(
    open_queue: Callable[..., Queue], counts: Counts
) -> None:
    queue = open_queue(limit=1 << 30, max_pages=64)
    with pytest.raises(QueueError, match="the disk is full"):
        queue.put([incident(i, 100_000) for i in range(9)], T0)
    assert queue.waiting()["incident"] == 0, "all or nothing"
    for number in range(40):
        queue.put([summary(number, 10_000)], T0)
    before = queue.waiting()["summary"]
    assert before < 40
    for number in range(10):
        queue.put([incident(number, 10_000)], T0)
    waiting = queue.waiting()
    assert waiting["incident"] == 10
    assert waiting["summary"] < before
    assert counts["edgeobs_uplink_dropped_total", "summary"] == 40 - waiting["summary"]


def test_spent_is_of_the_last_hour_alone(queue: Queue) -> None:
    queue.put([summary(1, 1000)], T0)
    queue.put([incident(2, 500)], T0 + HOUR // 2)
    assert queue.spent(T0 + HOUR // 2) == 1500
    assert queue.spent(T0 + HOUR + HOUR // 4) == 500
    assert queue.spent(T0 + 2 * HOUR) == 0
    assert queue.spent(T0 - HOUR) == 0, "our clock was set back"


def test_a_file_of_another_version_or_none_at_all_is_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE x (y)")
    db.close()
    with pytest.raises(QueueError, match=r"other\.sqlite: has schema version 0"):
        Queue(other, 1000, Counts())
    none = tmp_path / "none.sqlite"
    none.write_bytes(b"no database" * 1000)
    with pytest.raises(QueueError, match="no database"):
        Queue(none, 1000, Counts())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True, timeout=20)


def test_on_a_disk_that_is_really_full_incidents_are_kept_and_what_yields_is_counted(
    small_disk: Path, counts: Counts
) -> None:
    queue = Queue(small_disk / "queue.sqlite", 1 << 30, counts)
    for number in range(200):
        queue.put([summary(number, 20_000)], T0)
    dropped = counts["edgeobs_uplink_dropped_total", "summary"]
    assert dropped > 0, "the disk is full, and the oldest made room for the newest"
    assert queue.waiting()["summary"] == 200 - dropped
    for number in range(12):
        queue.put([incident(number, 20_000)], T0)
    assert queue.waiting()["incident"] == 12
    queue.close()
    again = Queue(small_disk / "queue.sqlite", 1 << 30, counts)
    assert again.waiting()["incident"] == 12
    assert len(all_waiting(again)) == 12 + 200 - counts["edgeobs_uplink_dropped_total", "summary"]
    again.close()
