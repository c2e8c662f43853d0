"""Spans of late, found again by who they are: two generations of an open-addressed table, in columns.

A generation takes spans for the length of the wait, then it is the older one, then it is let go whole: a span
is found for one to two waits, and nothing is ever taken out singly. When a generation is full before its time
the next begins early.

Identity is 64 bits mixed of trace and span id: among a million spans two are taken for one with odds below
10⁻⁷. Whoever makes ids collide on purpose gains what he could have by sending the ids themselves; how long he
can make us look is bounded.
"""

from typing import NamedTuple

import numpy as np

from edgeobs.columns import grown
from edgeobs.signals import Bools, Int32s, Int64s, UInt64s

_START = 4096
_LOOKS = 64  # slots looked at for one span at most; half of the table is empty
_A, _B, _C, _D = (
    np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)
)
_HALF = np.uint64(32)


def identities(trace: UInt64s, span: UInt64s) -> UInt64s:
    """One number for each span id (n) of a trace (n, 2)."""
    mixed = (trace[:, 0] * _A + trace[:, 1]) * _B + span * _C
    mixed ^= mixed >> _HALF
    mixed *= _D
    made: UInt64s = mixed ^ (mixed >> _HALF)
    return made


class Generation:
    """Rows by identity; those that are found are told by number."""

    def __init__(self, width: int) -> None:
        self.used = 0
        self.key = np.zeros(_START, np.uint64)
        self.facts = np.zeros((_START, width), np.int64)
        self.inner_ns = np.zeros(_START, np.int64)  # what children took; −1: a row that stands for nobody
        self.asked = np.zeros(_START, np.int32)  # the last source waited for, + 1; 0: none
        self.slot = np.zeros(2 * _START, np.int32)  # row + 1; 0 is free
        self._shift = np.uint64(64 - 13)

    def find(self, key: UInt64s) -> Int32s:
        """The row of each, or −1."""
        row, at = np.full(len(key), -1, np.int32), self._home(key)
        which, wanted = np.arange(len(key)), key
        for _ in range(_LOOKS):
            here = self.slot[at]
            held = here > 0
            same = held & (self.key[here - 1] == wanted)
            row[which[same]] = here[same] - 1
            on = held & ~same
            if not on.any():
                break
            which, wanted, at = which[on], wanted[on], self._next(at[on])
        return row

    def add(self, key: UInt64s, facts: Int64s) -> Bools:
        """Take rows in; false for those whose identity is there already, or was earlier in ``key``."""
        self._reserve(len(key))
        row = np.arange(self.used, self.used + len(key), dtype=np.int32)
        self.key[row], self.facts[row] = key, facts
        fresh, at, which = np.ones(len(key), np.bool_), self._home(key), np.arange(len(key))
        for _ in range(_LOOKS):
            here = self.slot[at]
            free = here == 0
            # Where several want one slot the last written has it: written backwards, that is the first.
            self.slot[at[free][::-1]] = row[which[free]][::-1] + 1
            here = self.slot[at]
            mine = here == row[which] + 1
            same = ~mine & (self.key[here - 1] == key[which])
            fresh[which[same]] = False
            on = ~(mine | same)
            if not on.any():
                break
            which, at = which[on], self._next(at[on])
        self.inner_ns[row[~fresh]] = -1
        self.used += len(key)
        return fresh

    def _home(self, key: UInt64s) -> Int64s:
        return (key >> self._shift).astype(np.int64)

    def _next(self, at: Int64s) -> Int64s:
        return (at + 1) & (len(self.slot) - 1)

    def _reserve(self, more: int) -> None:
        rows = self.used + more
        self.key, self.facts = grown(self.key, rows, 0), grown(self.facts, rows, 0)
        self.inner_ns, self.asked = grown(self.inner_ns, rows, 0), grown(self.asked, rows, 0)
        if 2 * rows <= len(self.slot):
            return
        while 2 * rows > len(self.slot):
            self.slot = np.zeros(2 * len(self.slot), np.int32)
            self._shift -= np.uint64(1)
        self._again()

    def _again(self) -> None:
        """Put every row where it belongs in slots that have just been emptied."""
        key = self.key[: self.used]
        row, at = np.arange(self.used, dtype=np.int32), self._home(key)
        for _ in range(_LOOKS):
            free = self.slot[at] == 0
            self.slot[at[free][::-1]] = row[free][::-1] + 1
            on = self.slot[at] != row + 1
            if not on.any():
                break
            row, at = row[on], self._next(at[on])


class Rows(NamedTuple):
    """Where m spans are."""

    old: Bools  # in the older generation
    row: Int32s


class Window:
    """At most ``limit`` spans with ``width`` facts each, held for ``wait_ns`` or more while there is room."""

    def __init__(self, limit: int, wait_ns: int, width: int) -> None:
        self.limit, self.wait_ns, self.width = limit, wait_ns, width
        self._new, self._old = Generation(width), Generation(width)
        self._since_ns = 0
        self.ended: list[Generation] = []  # let go since the last look; who looks takes them out

    def __len__(self) -> int:
        return self._new.used + self._old.used

    def pass_time(self, now_ns: int) -> None:
        """Let go of what has been there long enough; a clock that was set back begins a generation."""
        age = now_ns - self._since_ns
        if 0 <= age < self.wait_ns:
            return
        self._turn(now_ns)
        if age >= 2 * self.wait_ns:
            self._end(Generation(self.width))

    def add(self, key: UInt64s, facts: Int64s, now_ns: int) -> Bools:
        """Remember spans (n) with facts (n, width); false where one was seen before."""
        if not self._new.used:
            self.pass_time(now_ns)  # for the older generation
            self._since_ns = now_ns
        elif 2 * (self._new.used + len(key)) > self.limit:
            self._turn(now_ns)
        fresh = self._old.find(key) < 0
        index = np.flatnonzero(fresh)
        fresh[index] = self._new.add(key[index], facts[index])
        return fresh

    def find(self, key: UInt64s) -> tuple[Bools, Int64s, Rows]:
        """Which are there, and the facts (m, width) of those, and where they are."""
        row = self._new.find(key)
        found = row >= 0
        missing = np.flatnonzero(~found)
        old = self._old.find(key[missing])
        facts = np.zeros((len(key), self.width), np.int64)
        facts[found] = self._new.facts[row[found]]
        there = missing[old >= 0]
        facts[there] = self._old.facts[old[old >= 0]]
        found[there] = True
        is_old = np.zeros(len(key), np.bool_)
        is_old[there], row[there] = True, old[old >= 0]
        return found, facts[found], Rows(is_old[found], row[found])

    def took(self, rows: Rows, duration_ns: Int64s, source: Int32s) -> None:
        """Children took so long (< 0: unknown), and are of these sources: −1 where of their parent's."""
        for generation, which in ((self._new, ~rows.old), (self._old, rows.old)):
            at = rows.row[which]
            np.add.at(generation.inner_ns, at, np.maximum(duration_ns[which], 0))
            away = source[which] >= 0
            generation.asked[at[away]] = source[which][away] + 1

    def _turn(self, now_ns: int) -> None:
        self._end(self._new)
        self._new, self._since_ns = Generation(self.width), now_ns

    def _end(self, following: Generation) -> None:
        """Let go of the older generation."""
        if self._old.used:
            self.ended.append(self._old)
        self._old = following
