"""Calls counted by unit and interval of event time, and the traces worth showing of each."""

from typing import NamedTuple

import numpy as np

from edgeobs.columns import grown
from edgeobs.signals import Bools, Int32s, Int64s, UInt64s
from edgeobs.traces import sketch
from edgeobs.traces.sketch import Sketch

_LOOSE = 1 << 18  # keys kept one a call before they are counted together
_OPEN = 32
"""Intervals that may be open at once; the oldest is closed early when there are more."""


class Calls(NamedTuple):
    """Calls to count; n of each."""

    unit: Int64s
    source: Int32s  # to whose series the unit's belong
    when_ns: Int64s
    duration_ns: Int64s  # −1: unknown
    failed: Bools
    trace: UInt64s  # (n, 2)

    def of(self, which: Bools | Int64s) -> "Calls":
        """Some of them."""
        return Calls._make(column[which] for column in self)

    @staticmethod
    def joined(parts: "list[Calls]") -> "Calls":
        """All of them."""
        return Calls._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


class Shown(NamedTuple):
    """Of each unit of an interval (ascending) the slowest call's trace and a failed one's; zeros: none."""

    unit: Int64s
    slow: UInt64s  # (n, 2)
    failed: UInt64s  # (n, 2)


class Interval:
    """One that is open."""

    def __init__(self, begin_ns: int, opened_ns: int, counted: Sketch) -> None:
        self.begin_ns, self.opened_ns = begin_ns, opened_ns
        self._loose: list[Int64s] = []
        self._loose_calls = 0
        self._counted = counted
        self._unit = np.zeros(0, np.int64)  # ascending; of each, in the same place:
        self._slow_ns = np.zeros(0, np.int64)
        self._slow, self._failed = np.zeros((0, 2), np.uint64), np.zeros((0, 2), np.uint64)

    def add(self, calls: Calls) -> None:
        """Count them."""
        self._loose.append(sketch.keys(calls.unit, calls.duration_ns, calls.failed))
        self._loose_calls += len(calls.unit)
        if self._loose_calls > _LOOSE:
            self.counted()
        at = self._places(calls.unit)
        np.maximum.at(self._slow_ns, at, calls.duration_ns)
        slowest = calls.duration_ns == self._slow_ns[at]
        self._slow[at[slowest]] = calls.trace[slowest]
        self._failed[at[calls.failed]] = calls.trace[calls.failed]

    def counted(self) -> Sketch:
        """All calls so far."""
        if self._loose:
            fresh = sketch.counted(np.concatenate(self._loose))
            self._counted = sketch.merged([self._counted, fresh]) if len(self._counted.key) else fresh
            self._loose, self._loose_calls = [], 0
        return self._counted

    def shown(self, unit: Int64s) -> Shown:
        """The traces of units; of those restored from a snapshot there may be none."""
        at = self._places(unit)
        return Shown(unit, self._slow[at], self._failed[at])

    def _places(self, unit: Int64s) -> Int64s:
        """Where units are in the columns, which make room for those that are new."""
        at = np.searchsorted(self._unit, unit)
        new = at == len(self._unit)
        new[~new] = self._unit[at[~new]] != unit[~new]
        if not new.any():
            return at
        more = np.unique(unit[new])
        where = np.searchsorted(self._unit, more)
        self._unit = np.insert(self._unit, where, more)
        self._slow_ns = np.insert(self._slow_ns, where, -2)
        self._slow, self._failed = (np.insert(c, where, 0, axis=0) for c in (self._slow, self._failed))
        return np.searchsorted(self._unit, unit)


class Tally:
    """Open intervals.

    A source's intervals close in order; what comes for one that its source has closed is late. Another
    source, back after a cut, may still open that interval anew.
    """

    def __init__(self, interval_ns: int, wait_ns: int) -> None:
        self.interval_ns, self.wait_ns = interval_ns, wait_ns
        self.open: dict[int, Interval] = {}  # by begin
        self.closed_ns = np.zeros(0, np.int64)  # by source: the end of the last interval it has closed

    def add(self, calls: Calls, came_ns: int) -> Bools:
        """Count calls, the first of which came at ``came_ns``; false where one came too late."""
        self.closed_ns = grown(self.closed_ns, int(calls.source.max(initial=-1)) + 1, 0)
        begin = calls.when_ns - calls.when_ns % self.interval_ns
        timely = begin >= self.closed_ns[calls.source]
        if not timely.all():
            calls, begin = calls.of(timely), begin[timely]
        for one in np.unique(begin).tolist():
            if one not in self.open:
                self.open[one] = Interval(one, came_ns, Sketch.none())
            self.open[one].add(calls.of(begin == one))
        return timely

    def is_due(self, now_ns: int) -> bool:
        """Whether there is anything to close."""
        return len(self.open) > _OPEN or any(self._is_due(each, now_ns) for each in self.open.values())

    def due(self, now_ns: int) -> list[Interval]:
        """Those to be closed now, in order of time: each that is due, and whatever is older than it."""
        last = max((begin for begin, each in self.open.items() if self._is_due(each, now_ns)), default=-1)
        begins = sorted(self.open)
        over = [begin for k, begin in enumerate(begins) if begin <= last or k < len(begins) - _OPEN]
        return [self.open.pop(begin) for begin in over]

    def close(self, sources: Int32s, end_ns: int) -> None:
        """What comes of these sources from before then is late from now on."""
        self.closed_ns = grown(self.closed_ns, int(sources.max(initial=-1)) + 1, 0)
        self.closed_ns[sources] = np.maximum(self.closed_ns[sources], end_ns)

    def forget(self, sources: set[int]) -> None:
        """Their numbers may be given to others from now on."""
        self.closed_ns[[s for s in sources if s < len(self.closed_ns)]] = 0

    def _is_due(self, interval: Interval, now_ns: int) -> bool:
        """Whether its time, and the time it takes to come in whole, is over for as long as spans wait."""
        over_ns = max(interval.begin_ns, interval.opened_ns) + self.interval_ns + self.wait_ns
        return now_ns >= over_ns or now_ns < interval.opened_ns
