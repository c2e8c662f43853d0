"""How often what happened of late, in intervals of ten seconds: counts of logs and traces.

A ring of entries in flat columns, each of which says that in one interval one thing happened so many times.
Entries of the same thing and interval add up, so what comes late is simply one more of them. The newest write
over the oldest: that is all there is to forget, and the bound on memory.
"""

from collections import deque
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from edgeobs.columns import room
from edgeobs.signals import SECOND, Bools, Int64s, Resource

INTERVAL_NS = 10 * SECOND

MOST, KEPT = 1 << 20, 540
"""Entries of a ring, of 20 bytes each, at most; and intervals that are kept while there is room: half an hour
of what is usual, beside an hour of what was not. Where thousands of things happen in each, it is fewer.
"""

PER_OCTAVE = 4
"""Bins of durations in a doubling."""

BINS, _SHORTEST_NS = 120, 1000

What = Literal["lines", "requests", "calls", "failed", "spans", "ways"]


class Counted(NamedTuple):
    """What is counted: log lines of a template; requests by operation; calls of a service; failed spans; or,
    by duration without their children's, spans that wait for nobody, and ways to a service.
    """

    place: Resource
    what: What
    text: str  # in the plural: "error lines of …"
    worse: bool  # more of it is worse, and fewer are no harm: errors, slow requests
    callee: str = ""  # a service: of calls and ways


class Tallies(NamedTuple):
    """Entries of some things; those of the same row, interval and bin add up."""

    series: tuple[Counted, ...]
    intervals: Int64s  # numbers since 1970, ascending: those of which anything at all is known
    row: Int64s  # [n] into ``series``
    interval: Int64s  # [n]
    bin: Int64s  # [n] of durations; 0 where there are none
    many: Int64s  # [n]
    since: int = 0  # the first interval that is known whole: of those before, something was written over


_NONE = np.zeros(0, np.int64)
NOTHING = Tallies((), _NONE, _NONE, _NONE, _NONE, _NONE)


class Past:
    """The ring. A key is of whoever adds it, and at least 0.

    It grows while entries of the newest ``kept`` intervals are in its way, up to ``most`` entries.
    """

    def __init__(self, most: int = MOST, kept: int = KEPT) -> None:
        self.most = most
        self._interval = np.zeros(0, np.int64)
        self._key = np.zeros(0, np.int64)  # −1: forgotten
        self._many = np.zeros(0, np.int32)
        self._used, self._next, self._added = 0, 0, 0
        self._newest = -1
        self._begun: deque[tuple[int, int]] = deque(maxlen=kept)  # and how much had been added by then

    def add(self, interval: Int64s, key: Int64s, many: Int64s) -> None:
        """Things (n) that happened in intervals (their numbers since 1970)."""
        n = min(len(key), self.most)
        if n == 0:
            return
        if (last := int(interval.max())) > self._newest:
            self._newest = last
            self._begun.append((last, self._added))
        self._reserve(n)
        at = (self._next + np.arange(n)) % len(self._key)
        self._interval[at], self._key[at], self._many[at] = interval[-n:], key[-n:], many[-n:]
        self._next = (self._next + n) % len(self._key)
        self._used, self._added = min(self._used + n, len(self._key)), self._added + n

    def forget(self, which: Bools) -> None:
        """Entries, as `keys` tells them, whose key will be another's."""
        self.keys()[which] = -1

    def keys(self) -> Int64s:
        """Of every entry, −1 where it was forgotten."""
        return self._key[: self._used]

    def entries(self, which: Bools) -> tuple[Int64s, Int64s, Int64s]:
        """Intervals, keys and counts of those chosen, as `keys` tells them."""
        at = np.flatnonzero(which)
        return self._interval[at], self._key[at], self._many[at].astype(np.int64)

    def intervals(self) -> Int64s:
        """Numbers of all of which there is an entry, ascending."""
        return summed(self._interval[: len(self.keys())])[0]

    def since(self) -> int:
        """The first interval that is known whole; 0: nothing was written over yet."""
        gone = self._added - self._used
        whole = (interval for interval, added in self._begun if added >= gone)
        return next(whole, self._newest + 1) if gone else 0

    def _reserve(self, more: int) -> None:
        """Make room, unless what would be written over is old enough to go."""
        have = len(self._key)
        whole = len(self._begun) == self._begun.maxlen
        needed = min(self._used, self._added - self._begun[0][1] if whole else self._used)
        if self._used + more <= have or (have and needed + more <= have) or have == self.most:
            return
        size = min(room(have, needed + more), self.most)
        order = (self._next - self._used + np.arange(self._used)) % max(have, 1)
        self._interval = np.append(self._interval[order], np.zeros(size - self._used, np.int64))
        self._key = np.append(self._key[order], np.zeros(size - self._used, np.int64))
        self._many = np.append(self._many[order], np.zeros(size - self._used, np.int32))
        self._next = self._used


def bins(duration_ns: Int64s) -> Int64s:
    """The bin of each duration, in [0, BINS)."""
    octaves = np.log2(np.maximum(duration_ns, _SHORTEST_NS) / _SHORTEST_NS)
    found: Int64s = np.minimum(octaves * PER_OCTAVE, BINS - 1).astype(np.int64)
    return found


def summed(code: Int64s, weight: Int64s | None = None) -> tuple[Int64s, Int64s]:
    """Each code once, ascending, and how often it occurs, or what it weighs; what weighs nothing is left out.
    Codes that lie close together are counted without being sorted.
    """
    if not len(code):
        return code, code
    low, high = int(code.min()), int(code.max())
    if high - low < 8 * len(code) + 1024:
        many = np.bincount(code - low, weight)
        some = np.flatnonzero(many)
        return some + low, many[some].astype(np.int64)
    unique, inverse = np.unique(code, return_inverse=True)
    many = np.bincount(inverse, weight)
    some = np.flatnonzero(many)
    return unique[some], many[some].astype(np.int64)


def tallies(
    past: Past, which: Bools, shift: int, series: Sequence[Counted | None], things: Int64s
) -> Tallies:
    """Entries as `Tallies`: ``things`` are ``key >> shift``, ascending, and ``series`` says what each is; the
    bits below are the bin. What is None is left out, and what is the same is one row.
    """
    interval, key, count = past.entries(which)
    rows: dict[Counted, int] = {}
    row_of = np.array([-1 if each is None else rows.setdefault(each, len(rows)) for each in series], np.int64)
    row = row_of[np.searchsorted(things, key >> shift)] if len(key) else key
    kept = row >= 0
    row, interval, count = row[kept], interval[kept], count[kept]
    bin_ = key[kept] & ((1 << shift) - 1)
    return Tallies(tuple(rows), past.intervals(), row, interval, bin_, count, past.since())
