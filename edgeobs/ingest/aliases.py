"""What raw bytes meant the last time: keyed hash → series id or refusal. Needs Numba.

An alias is only a memory of what `Interner.admit` said of the identity that some bytes spell; many aliases
may lead to one series (attribute order, another sender). Refusals are remembered too, so that a flood of them
is cheap; one over a cap holds until some series has expired.
"""

import secrets

import numpy as np

from edgeobs.ingest import hashing
from edgeobs.ingest.hashing import Words
from edgeobs.ingest.intern import Interner
from edgeobs.signals import Bools, Int32s, Principal

_START = 4096
_MAX_SENDERS = 65_536


class Aliases:
    """A bounded table of aliases that follows the series table's epoch; kernels get ``keys`` and ``slots``.

    Parameters
    ----------
    interner
        Whose answers are remembered.
    per_series
        Aliases held at most, refusals included, per series that may live at once. When they are used up
        refusals are forgotten first, then everything: costs time, never correctness.

    """

    def __init__(self, interner: Interner, per_series: int = 4) -> None:
        self.table = interner.table
        self.limit = max(_START // 2, per_series * self.table.limit)
        k, m = (2 + secrets.randbelow(hashing.PRIME - 2) for _ in range(2))
        self.keys: Words = np.array([k, k * k % hashing.PRIME, m, m * m % hashing.PRIME], np.uint64)
        self.slots: Words = np.zeros((_START, 3), np.uint64)
        self.used = 0
        self._epoch = self.table.epoch
        self._seeds: dict[Principal, int] = {}

    def ready(self, principal: Principal) -> int:
        """Call before every walk: forgets what no longer holds; the seed of this sender's hashes.

        Senders that differ in anything (the nodes they may speak for, above all) never share an alias.
        """
        if self._epoch != self.table.epoch:
            self._keep(self._still_meant())
            self._epoch = self.table.epoch
        seed = self._seeds.get(principal)
        if seed is None:
            if len(self._seeds) >= _MAX_SENDERS:
                self._seeds.clear()
                self.clear()
            seed = self._seeds[principal] = len(self._seeds)
        return seed

    def remember(self, a: Words, b: Words, numbers: Int32s) -> None:
        """Take down what `admit` said just now for finished hashes; ``slots`` may be replaced."""
        a, b, numbers = a[: self.limit], b[: self.limit], numbers[: self.limit]
        if self.used + a.size > self.limit:
            self._keep(hashing.numbers_of(self._taken()) >= 0)
        if self.used + a.size > self.limit:
            self.clear()
        self._make_room(a.size)
        self.used += hashing.insert(self.slots, a, b, numbers)

    def clear(self) -> None:
        """Forget everything."""
        self.slots = np.zeros((_START, 3), np.uint64)
        self.used = 0

    def _taken(self) -> Words:
        rows: Words = self.slots[self.slots[:, 2] != 0]
        return rows

    def _still_meant(self) -> Bools:
        """Per taken slot: its id is alive and was not given to another identity since `ready` last looked."""
        numbers = hashing.numbers_of(self._taken())
        ids = np.maximum(numbers, 0)
        alive = (self.table.owner[ids] >= 0) & (self.table.born[ids] <= self._epoch)
        meant: Bools = (numbers >= 0) & alive
        return meant

    def _keep(self, which: Bools) -> None:
        rows = self._taken()[which]
        self.clear()
        self._make_room(len(rows))
        a, b = np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1])
        self.used = hashing.insert(self.slots, a, b, hashing.numbers_of(rows))

    def _make_room(self, more: int) -> None:
        """Load stays below 5/8, where linear probing is short, and above a half once there are many."""
        size = len(self.slots)
        while (self.used + more) * 8 > size * 5:
            size += size // 4
        if size == len(self.slots):
            return
        rows = self._taken()
        self.slots = np.zeros((size, 3), np.uint64)
        a, b = np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1])
        hashing.insert(self.slots, a, b, hashing.numbers_of(rows))
