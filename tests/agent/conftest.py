"""Queues to try the way up with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeobs.signals import Counts
from edgeobs.uplink.queue import Queue


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def queue(tmp_path: Path, counts: Counts) -> Iterator[Queue]:
    found = Queue(tmp_path / "queue.sqlite", 1 << 20, counts)
    yield found
    found.close()


@pytest.fixture
def open_queue(tmp_path: Path, counts: Counts) -> Iterator[Callable[..., Queue]]:
    """Opens the same file again and again, as one process after another would."""
    opened: list[Queue] = []

    def make(limit: int = 1 << 20, max_pages: int | None = None) -> Queue:
        opened.append(Queue(tmp_path / "again.sqlite", limit, counts, max_pages))
        return opened[-1]

    yield make
    for each in opened:
        each.close()
