"""The folder that the workers of one service share: a snapshot of each, and who is alive.

A worker holds a slot, which is a lock (flock) on a file: it ends with the process, however that ends. Its
snapshot is a file that is replaced. What the ended had counted is folded into one file. A folder in which
nobody is alive is begun anew, as a process is that was started again.
"""

import fcntl
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from edgeobs.exporter.files import replace
from edgeobs.exporter.merge import Snapshot, folded

SLOTS = 1024
PATIENCE_S = 5.0
ENDED = "ended.json"


class Share:
    """One worker's place in the folder.

    Parameters
    ----------
    folder
        Is made when it is not there; best in memory (/run, /dev/shm). Nothing else may lie in it.
    cap
        Label sets that are kept of a family of the ended, by its name.
    otherwise
        The same for families that ``cap`` does not name.

    Raises
    ------
    OSError
        The folder cannot be used, it has no free slot, or another worker holds its lock for 5 s.

    """

    def __init__(self, folder: Path, cap: Mapping[str, int], otherwise: int) -> None:
        self.folder, self._cap, self._otherwise = folder, cap, otherwise
        self.identity = os.urandom(16).hex()
        self.unreadable = 0
        self._leading: int | None = None
        folder.mkdir(parents=True, exist_ok=True)
        with _Lock(folder / "folder.lock", PATIENCE_S):
            self.slot, self._held = self._claim()
            locks = (path for path in folder.glob("worker-*.lock") if path != self._lock_file())
            if not any(_taken(path) for path in locks):
                for path in [*folder.glob("*.json"), *folder.glob(".*.json.*")]:  # these are drafts
                    path.unlink()
            self._fold(self._file(self.slot))

    def _claim(self) -> tuple[int, int]:
        for slot in range(SLOTS):
            held = _locked(self.folder / f"worker-{slot}.lock")
            if held is not None:
                return slot, held
        raise OSError(f"{self.folder}: all {SLOTS} slots are taken")

    def _lock_file(self) -> Path:
        return self.folder / f"worker-{self.slot}.lock"

    def _file(self, slot: int) -> Path:
        return self.folder / f"worker-{slot}.json"

    def write(self, own: Snapshot) -> None:
        """Replace this worker's snapshot."""
        replace(self._file(self.slot), json.dumps(own, separators=(",", ":")).encode(), durable=False)

    def others(self) -> tuple[list[Snapshot], Snapshot | None]:
        """The snapshots of who else is alive, and the sum of who is not."""
        mine = self._file(self.slot)
        alive: list[Snapshot] = []
        dead: list[tuple[Path, Snapshot]] = []
        for path in sorted(self.folder.glob("worker-*.json")):
            found = self._read(path) if path != mine else None
            if found is not None and _taken(path.with_suffix(".lock")):
                alive.append(found)
            elif found is not None:
                dead.append((path, found))
        # The workers first, then the ended: who was folded in between is named there, and counted once.
        ended = self._read(self.folder / ENDED)
        for _, found in dead:
            if ended is None or found["id"] not in ended["folded"]:
                ended = folded(ended, found, self._cap, self._otherwise)
        if dead:
            self._tidy([path for path, _ in dead])
        gone = () if ended is None else ended["folded"]
        return [found for found in alive if found["id"] not in gone], ended

    def _tidy(self, paths: list[Path]) -> None:
        try:
            with _Lock(self.folder / "folder.lock", 0.0):
                for path in paths:
                    if not _taken(path.with_suffix(".lock")):
                        self._fold(path)
        except OSError:  # another one is at it, or the disk is full: the next who looks
            return

    def _fold(self, path: Path) -> None:
        found = self._read(path)
        if found is not None:
            ended = self._read(self.folder / ENDED)
            if ended is None or found["id"] not in ended["folded"]:
                ended = folded(ended, found, self._cap, self._otherwise)
                replace(self.folder / ENDED, json.dumps(ended, separators=(",", ":")).encode(), durable=False)
        path.unlink(missing_ok=True)

    def _read(self, path: Path) -> Snapshot | None:
        try:
            found: Snapshot = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            self.unreadable += 1
            return None
        return found

    def lead(self) -> bool:
        """Whether this worker does what one alone does (serve the port, push); once true it stays so."""
        if self._leading is None:
            self._leading = _locked(self.folder / "leader.lock")
        return self._leading is not None

    def leave(self) -> None:
        """Give the slot back; the last snapshot stays, and counts."""
        for held in (self._held, self._leading):
            if held is not None:
                os.close(held)
        self._leading = None


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock; None: another process does."""
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return None
    return opened


def _taken(path: Path) -> bool:
    held = _locked(path)
    if held is None:
        return True
    _release(held)
    return False


def _release(held: int) -> None:
    """Unlock by name: a process that was forked meanwhile has a copy, and closing ours would not do."""
    fcntl.flock(held, fcntl.LOCK_UN)
    os.close(held)


class _Lock:
    """The folder's lock, waited for at most that long; raises TimeoutError."""

    def __init__(self, path: Path, patience_s: float) -> None:
        self._path, self._patience_s = path, patience_s

    def __enter__(self) -> None:
        until = time.monotonic() + self._patience_s
        while (held := _locked(self._path)) is None:
            if time.monotonic() >= until:
                raise TimeoutError(f"{self._path}: another worker has held it for {self._patience_s:g} s")
            time.sleep(0.01)
        self._held = held

    def __exit__(self, *_: object) -> None:
        _release(self._held)
