"""All templates of all workloads, by number: columns and words."""

from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from edgeobs.columns import grown
from edgeobs.logs.drain import Line
from edgeobs.signals import Int64s, Source

NOBODY = -1
_EXAMPLE_BYTES = 256
SEVERE = 5
"""From this severity on a template is an error's."""


class Template(NamedTuple):
    """What people are told of a template."""

    id: str  # 16 hexadecimal digits: of the words of its first line, and the same in every run
    text: str  # its words today
    severity: int  # into `SEVERITIES`, of its first line
    example: str  # its first line, cut to 256 bytes
    lines: int  # since it was first seen
    stamped: bool = False  # lines may begin with a date and time, which are not part of the text
    source: Source | None = None  # who wrote it last


def ident(words: Line) -> str:
    """The identity of the template that begins with this line; collisions: 2⁻⁶⁴ a pair."""
    return blake2b(" ".join(words).encode("utf-8", "replace"), digest_size=8).hexdigest()


class Book:
    """Templates by number, at most ``limit``. Numbers of forgotten ones are given again after `settle`.

    Columns by number: ``owner`` (workload; −1: the number is free), ``severity`` of the first line,
    ``lines``, ``used`` (tick in which it was last heard), ``stamped``.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.owner = np.zeros(0, np.int32)
        self.severity = np.zeros(0, np.int8)
        self.lines = np.zeros(0, np.int64)
        self.used = np.zeros(0, np.int64)
        self.stamped = np.zeros(0, np.bool_)
        self.ids: list[str] = []
        self.born: list[Line] = []  # words of the first line
        self.example: list[bytes] = []
        self.by_id: dict[str, set[int]] = {}
        self._free: list[int] = []
        self._leaving: list[int] = []

    def __len__(self) -> int:
        return len(self.ids) - len(self._free) - len(self._leaving)

    def add(self, owner: int, words: Line, example: bytes, tick: int) -> int:
        """A number for a new template; who adds one looks first whether there is room."""
        if not self._free:
            self._append()
        number = self._free.pop()
        self.owner[number], self.used[number] = owner, tick
        self.severity[number] = self.lines[number] = self.stamped[number] = 0
        self.ids[number], self.born[number] = ident(words), words
        self.example[number] = example[:_EXAMPLE_BYTES]
        self.by_id.setdefault(self.ids[number], set()).add(number)
        return number

    def drop(self, numbers: list[int]) -> None:
        """Forget templates."""
        for number in numbers:
            same = self.by_id[self.ids[number]]
            same.discard(number)
            if not same:
                del self.by_id[self.ids[number]]
            self.ids[number], self.born[number], self.example[number] = "", (), b""
        self.owner[numbers] = NOBODY
        self._leaving += numbers

    def settle(self) -> None:
        """Nobody holds the numbers of forgotten templates any longer."""
        self._free += self._leaving
        self._leaving = []

    def of(self, owner: int) -> Int64s:
        """Numbers of a workload's templates."""
        return np.flatnonzero(self.owner[: len(self.ids)] == owner)

    def largest(self) -> int:
        """The workload with the most templates."""
        owners = self.owner[: len(self.ids)]
        return int(np.bincount(owners[owners >= 0]).argmax())

    def longest_unheard(self, among: Int64s, tick: int, share: int) -> list[int]:
        """A ``share``-th of these (at least one), the longest unheard; none that was heard in this tick."""
        quiet = among[self.used[among] < tick]
        some = max(1, len(among) // share)
        return [int(number) for number in quiet[np.argsort(self.used[quiet], kind="stable")][:some]]

    def _append(self) -> None:
        number = len(self.ids)
        self.owner = grown(self.owner, number + 1, NOBODY)
        self.severity = grown(self.severity, number + 1, 0)
        self.lines = grown(self.lines, number + 1, 0)
        self.used = grown(self.used, number + 1, 0)
        self.stamped = grown(self.stamped, number + 1, 0)
        self.ids.append("")
        self.born.append(())
        self.example.append(b"")
        self._free.append(number)
