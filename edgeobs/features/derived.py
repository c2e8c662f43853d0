"""The ids of what is computed from a distribution: ``parent:rate``, ``parent:mean``, ``parent:p99``, …"""

import numpy as np

from edgeobs.series import SeriesTable
from edgeobs.signals import Counts, Int32s, Kind

_NONE = -1


def stat_of(q: float) -> str:
    """``p99`` for 0.99, ``p99.9`` for 0.999."""
    return f"p{100 * q:.6g}"


class Derived:
    """Remembers the ids that `SeriesTable.derive` gave, so that identities are only looked at once."""

    def __init__(self, table: SeriesTable, counts: Counts) -> None:
        self.table, self.counts = table, counts
        self._ids: dict[int, dict[str, int]] = {}  # parent → stat → id
        self._parent: dict[int, tuple[int, str]] = {}
        self._refused: set[tuple[int, str]] = set()
        self._epoch = table.epoch

    def ids(self, parents: Int32s, stat: str, unit: str | None, now_ns: int) -> Int32s:
        """One id a parent, −1 where the table is full (counted); ``unit`` None is the parent's own."""
        if self._epoch != self.table.epoch:  # something was freed: there may be room
            self._epoch = self.table.epoch
            self._refused.clear()
        made = np.array([self._id(parent, stat, unit, now_ns) for parent in parents.tolist()], np.int32)
        refused = int(np.count_nonzero(made == _NONE))
        if refused:
            self.counts["edgeobs_points_dropped_total", "limit"] += refused
        return made

    def touch(self, parents: Int32s, now_ns: int) -> None:
        """A distribution that is heard keeps all that was derived from it alive, events or not."""
        live = [number for p in parents.tolist() if p in self._ids for number in self._ids[p].values()]
        self.table.seen_ns[live] = now_ns

    def forget(self, ids: Int32s) -> None:
        """Let go of parents and of what was derived."""
        for number in ids.tolist():
            for derived in self._ids.pop(number, {}).values():
                self._parent.pop(derived, None)
            parent, stat = self._parent.pop(number, (_NONE, ""))
            self._ids.get(parent, {}).pop(stat, None)

    def _id(self, parent: int, stat: str, unit: str | None, now_ns: int) -> int:
        known = self._ids.setdefault(parent, {})
        if stat in known:
            return known[stat]
        if (parent, stat) in self._refused:
            return _NONE
        unit = self.table[parent].unit if unit is None else unit
        made = self.table.derive(parent, stat, Kind.GAUGE, unit, now_ns)
        if made is None:
            self._refused.add((parent, stat))
            return _NONE
        known[stat] = made
        self._parent[made] = (parent, stat)
        return made
