"""Deliveries between the threads that receive them and the one that processes them: bounded by bytes."""

import threading
from collections import deque

from edgeobs.ingest.delivery import Delivery, Overloaded, Receipt, Unavailable

_ANSWER_S = 30.0  # until who waits is told to come back


class Waiting:
    """A delivery and what became of it."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self._done = threading.Event()
        self._outcome: Receipt | Exception = Unavailable("it was not processed in time")

    def answer(self, outcome: Receipt | Exception) -> None:
        """Say what became of it; an exception of those that `Submit` raises."""
        self._outcome = outcome
        self._done.set()

    def wait(self) -> Receipt:
        """The receipt; raises what it was answered with."""
        self._done.wait(_ANSWER_S)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


class Inlet:
    """What waits, oldest first; past ``limit_bytes`` senders are told to come back."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._bytes = 0
        self._closed = ""
        self._lock = threading.Lock()
        self._waiting: deque[Waiting] = deque()

    def submit(self, delivery: Delivery) -> Receipt:
        """Wait until a delivery is processed (`listen.Take`)."""
        size = len(delivery.body)
        with self._lock:
            if self._closed:
                raise Unavailable(self._closed)
            if self._bytes and self._bytes + size > self._limit:
                raise Overloaded(1.0)
            self._bytes += size
            waiting = Waiting(delivery)
            self._waiting.append(waiting)
        return waiting.wait()

    def drain(self) -> list[Waiting]:
        """All that wait."""
        with self._lock:
            found = list(self._waiting)
            self._waiting.clear()
            self._bytes = 0
        return found

    def close(self, why: str) -> None:
        """Take no more, and tell who waits."""
        with self._lock:
            self._closed = why
        for waiting in self.drain():
            waiting.answer(Unavailable(why))
