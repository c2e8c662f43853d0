"""Trace ids of what was surprising, kept after their intervals are gone; bounded."""

from collections import deque
from collections.abc import Iterable

import numpy as np

from edgeobs.signals import Int64s
from edgeobs.traces.hints import text_of
from edgeobs.traces.tally import Shown

_INTERVALS = 64
"""Closed intervals that can still be found surprising: detectors score them in the same step."""

_EACH = 3


class Exemplars:
    """Traces by unit, for ``limit`` units; whose were surprising longest ago go first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._late: deque[tuple[int, Shown]] = deque(maxlen=_INTERVALS)
        self._kept: dict[int, tuple[str, ...]] = {}

    def remember(self, end_ns: int, shown: Shown) -> None:
        """What an interval that closes has to show."""
        self._late.append((end_ns, shown))

    def shown(self, unit: int, end_ns: int) -> tuple[str, str]:
        """The slowest and a failed trace of a unit in an interval; empty where there is none."""
        for shown in (shown for end, shown in self._late if end == end_ns):
            at = int(np.searchsorted(shown.unit, unit))
            if at < len(shown.unit) and shown.unit[at] == unit:
                return text_of(shown.slow[at]), text_of(shown.failed[at])
        return "", ""

    def keep(self, unit: int, traces: Iterable[str]) -> None:
        """Keep traces of a unit, the newest first."""
        new = [trace for trace in dict.fromkeys(traces) if trace]
        if not new or not self.limit:
            return
        old = self._kept.pop(unit, ())
        self._kept[unit] = (*new, *(trace for trace in old if trace not in new))[:_EACH]
        while len(self._kept) > self.limit:
            del self._kept[next(iter(self._kept))]

    def of(self, unit: int) -> tuple[str, ...]:
        """What is kept of a unit."""
        return self._kept.get(unit, ())

    def forget(self, units: set[int]) -> None:
        """Units that may become others."""
        for unit in units & self._kept.keys():
            del self._kept[unit]
        if units:
            gone = np.array(sorted(units), np.int64)
            self._late = deque(((end, _without(shown, gone)) for end, shown in self._late), _INTERVALS)

    def all(self) -> dict[int, tuple[str, ...]]:
        """All that is kept, the longest ago first."""
        return dict(self._kept)

    def load(self, kept: dict[int, tuple[str, ...]]) -> None:
        """Take up what `all` gave."""
        self._kept = dict(kept)


def _without(shown: Shown, gone: Int64s) -> Shown:
    left = ~np.isin(shown.unit, gone)
    return Shown._make(column[left] for column in shown)
