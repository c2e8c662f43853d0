"""Reads the kernel's log as it grows: the source ``kernel``."""

import os
from collections import Counter, deque
from collections.abc import Iterator

from edgeobs.node.host import Host
from edgeobs.node.kernel_log import SIGNS, Event, event, records
from edgeobs.node.readings import Reading

Found = Iterator[Reading]
KEPT = 256
"""Newest events that are kept for the checks."""
_RECORD = 8192  # the kernel gives a record a read, and EINVAL to who has less room for it
_AT_ONCE = 10_000  # records read at one time


class KernelLog:
    """What the log tells from the machine's start on, as far as the kernel still has it.

    Counts begin with what is in the buffer when it is opened; ``lost`` counts how often it was overwritten
    before it was read.
    """

    def __init__(self) -> None:
        self.events: deque[Event] = deque(maxlen=KEPT)
        self.counts: Counter[str] = Counter()
        self.lost = 0
        self._file: int | None = None
        self._last = -1

    def __call__(self, host: Host) -> Found:
        """Read what is new; how often each event was seen."""
        self._read(f"{host.root}/dev/kmsg")
        for what in SIGNS:
            labels = (("event", what),)
            yield Reading("edgeobs.node.kernel.events", "counter", "{event}", self.counts[what], labels)
        yield Reading("edgeobs.node.kernel.lost", "counter", "{gap}", self.lost)

    def close(self) -> None:
        """Let go of the log."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _read(self, path: str) -> None:
        if self._file is None:
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        for _ in range(_AT_ONCE):
            try:
                part = os.read(self._file, _RECORD)
            except BlockingIOError:
                return
            except BrokenPipeError:  # overwritten; the next read goes on with the oldest there is
                self.lost += 1
                continue
            if not part:
                return
            self._take(part.decode("utf-8", "replace"))

    def _take(self, text: str) -> None:
        for record in records(text):
            if record.sequence <= self._last:
                continue
            self._last = record.sequence
            if (found := event(record)) is not None:
                self.counts[found.what] += 1
                self.events.append(found)
