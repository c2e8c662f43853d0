"""The machine that is read: files below a root, all of bounded size, and what sources remember of it.

Below another root (a container's ``/host``, a test's folder) everything is read there; nothing decides here.
"""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from edgeobs.node.meters import Ledger
from edgeobs.node.settings import Settings

LONGEST = 1 << 20
"""Bytes read of a file; what a kernel tells is far shorter."""
FOUND_S = 60.0
"""Seconds for which the devices that were found are not looked for again."""


class MissingError(Exception):
    """This machine has no such thing; the text says what was looked for."""


class Host:
    """One machine, and what its sources remember between two readings.

    Parameters
    ----------
    settings
        With the root that ``proc`` and ``sys`` are below.
    clock
        Seconds that never go back.

    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.clock = clock
        self.root = settings.root.rstrip("/")
        self.proc, self.sys = f"{self.root}/proc", f"{self.root}/sys"
        self.ledger = Ledger()
        self._found: dict[str, tuple[float, tuple[str, ...]]] = {}

    def text(self, path: str) -> str:
        """A file's first ``LONGEST`` bytes; OSError as the kernel gives it."""
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts, left = [], LONGEST
            while left and (part := os.read(file, min(left, 1 << 16))):
                parts.append(part)
                left -= len(part)
        finally:
            os.close(file)
        return b"".join(parts).decode("utf-8", "replace")

    def word(self, path: str) -> str:
        """A file's text without the space around it; empty where it cannot be read."""
        try:
            return self.text(path).strip()
        except OSError:
            return ""

    def number(self, path: str) -> float:
        """The number that a file consists of; OSError, or ValueError where it is none."""
        return float(self.text(path))

    def maybe(self, path: str) -> float | None:
        """The number that a file consists of, where it is there and is one."""
        try:
            return self.number(path)
        except (OSError, ValueError):
            return None

    def found(self, pattern: str, for_s: float = FOUND_S) -> tuple[str, ...]:
        """What matches below the root, sorted by name, as looked up at most ``for_s`` ago."""
        now = self.clock()
        until, known = self._found.get(pattern, (now, ()))
        if now >= until:
            known = tuple(str(path) for path in sorted(Path(self.root or "/").glob(pattern), key=_natural))
            self._found[pattern] = now + for_s, known
        return known

    def there(self, *paths: str) -> bool:
        """Whether any of these, given from the root, exists."""
        return any(Path(f"{self.root}{path}").exists() for path in paths)


def _natural(path: Path) -> str:
    """So that ``cpu10`` comes after ``cpu9``."""
    return re.sub("[0-9]+", lambda digits: digits[0].zfill(12), str(path))
