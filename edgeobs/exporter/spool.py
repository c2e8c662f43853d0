"""What waits to be sent: bounded in bytes, the oldest dropped first. On disk, and its twin in memory."""

from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from edgeobs.exporter.files import replace

_END = ".otlp"


class Spool(Protocol):
    """A queue of bodies. ``size`` is its bytes, ``dropped`` how many bodies had to go."""

    size: int
    dropped: int

    def put(self, body: bytes) -> None:
        """Take one more."""

    def oldest(self) -> bytes | None:
        """Tell what is to be sent next; None: nothing waits."""

    def done(self) -> None:
        """Let the oldest go: it was sent, or will never be."""


class MemorySpool:
    """In memory: what waits is lost with the process."""

    def __init__(self, most: int) -> None:
        self._most, self._waiting = most, deque[bytes]()
        self.size = self.dropped = 0

    def put(self, body: bytes) -> None:
        """Take one more; what is larger than all room is dropped itself."""
        if len(body) > self._most:
            self.dropped += 1
            return
        self._waiting.append(body)
        self.size += len(body)
        while self.size > self._most:
            self.done()
            self.dropped += 1

    def oldest(self) -> bytes | None:
        """Tell what is to be sent next."""
        return self._waiting[0] if self._waiting else None

    def done(self) -> None:
        """Let the oldest go."""
        self.size -= len(self._waiting.popleft())


class DiskSpool:
    """A file a body in a folder, named by number; what waits survives the process and a loss of power.

    Parameters
    ----------
    folder
        Is made when it is not there; one exporter's alone.
    most
        Bytes of all bodies together, ≥ 1.
    block
        What a file system gives out at least: a file counts as whole blocks, or many small ones would take
        far more than they seem to.

    Raises
    ------
    OSError
        The folder cannot be used.

    """

    def __init__(self, folder: Path, most: int, block: int = 4096) -> None:
        self._folder, self._most, self._block = folder, most, block
        folder.mkdir(parents=True, exist_ok=True)
        for draft in folder.glob(f".*{_END}.*"):  # of a process that ended while it wrote
            draft.unlink()
        found = sorted(path for path in folder.glob(f"*{_END}") if path.stem.isdigit())
        self._waiting = deque((path, self._room(path.stat().st_size)) for path in found)
        self._next = int(found[-1].stem) + 1 if found else 0
        self.size = sum(size for _, size in self._waiting)
        self.dropped = 0
        self._bound()

    def put(self, body: bytes) -> None:
        """Take one more; what is larger than all room, or finds the disk full, is dropped itself."""
        size = self._room(len(body))
        if size > self._most:
            self.dropped += 1
            return
        path = self._folder / f"{self._next:020d}{_END}"
        try:
            replace(path, body, durable=True)
        except OSError:
            self.dropped += 1
            return
        self._next += 1
        self._waiting.append((path, size))
        self.size += size
        self._bound()

    def _room(self, size: int) -> int:
        return -(-size // self._block) * self._block

    def _bound(self) -> None:
        while self.size > self._most:
            self.done()
            self.dropped += 1

    def oldest(self) -> bytes | None:
        """Tell what is to be sent next; what cannot be read is dropped."""
        while self._waiting:
            path, _ = self._waiting[0]
            try:
                return path.read_bytes()
            except OSError:
                self.done()
                self.dropped += 1
        return None

    def done(self) -> None:
        """Let the oldest go."""
        path, size = self._waiting.popleft()
        self.size -= size
        with suppress(OSError):  # then it is sent once more after a restart, which a cumulative value bears
            path.unlink()
