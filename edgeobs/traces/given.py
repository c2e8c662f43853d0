"""The series of every unit: which there are, and the samples of an interval for them."""

from typing import NamedTuple

import numpy as np

from edgeobs.columns import grown
from edgeobs.signals import Admit, Bools, Counts, Floats, Identity, Int32s, Int64s, Kind
from edgeobs.traces.sketch import QUANTILES, Summary
from edgeobs.traces.units import Family, Units

_UNMADE, _REFUSED = -1, -2


class _Stat(NamedTuple):
    name: str
    kind: Kind
    unit: str


CALLS, FAILED = 0, 1
_STATS = (
    _Stat("span_calls", Kind.DELTA, "{call}"),
    _Stat("span_error_ratio", Kind.GAUGE, "1"),
    *(_Stat(f"span_duration_seconds:p{100 * q:.6g}", Kind.GAUGE, "s") for q in QUANTILES),
)
_LINK = _Stat("span_link_seconds:p50", Kind.GAUGE, "s")
"""Of a `Family.LINK`, in the place of the first of `QUANTILES`; it has no others."""


class Samples(NamedTuple):
    """One a series."""

    series: Int32s
    value: Floats


class Given:
    """Ids of series by unit; they are asked for when there is something to give."""

    def __init__(self, units: Units, admit: Admit, counts: Counts) -> None:
        self.units, self.admit, self.counts = units, admit, counts
        self.ids = np.zeros((0, len(_STATS)), np.int32)
        self.last_ns = np.zeros(0, np.int64)  # by unit: end of the last interval with calls
        self._unit: dict[int, int] = {}  # id → unit

    def samples(self, found: Summary, now_ns: int) -> Samples:
        """What an interval tells of its units.

        A quantile is told where at least one call is expected beyond it; the median always.
        """
        self._reserve(found.unit)
        link = found.unit % 4 == Family.LINK
        values = [found.calls.astype(np.float64), found.failed / np.maximum(found.calls, 1), *found.seconds]
        wanted = [~link, ~link]
        for q, seconds in zip(QUANTILES, found.seconds, strict=True):
            enough = (found.timed * (1 - q) >= 1 - 1e-9) & ~link if q > 0.5 else np.ones(len(link), np.bool_)
            wanted.append(enough & ~np.isnan(seconds))
        parts = []
        for stat, (value, which) in enumerate(zip(values, wanted, strict=True)):
            series = self._series(found.unit[which], stat, now_ns)
            parts.append(Samples(series[series >= 0], value[which][series >= 0]))
        return Samples(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def silent(self, spoke: Int64s, heard: Int32s, end_ns: int, quiet_ns: int, now_ns: int) -> Samples:
        """Zeros for units that spoke within ``quiet_ns`` before and did not now, of sources that one hears.

        ``spoke`` are the units of the interval, ``heard`` the sources of senders that sent anything in it.
        """
        since = end_ns - self.last_ns
        can = (self.last_ns > 0) & (since > 0) & (since <= quiet_ns)
        can[spoke] = False
        units = np.array([u for u in np.flatnonzero(can).tolist() if self.units.has_calls(u)], np.int64)
        sources = np.array([self.units.source_of(u) for u in units.tolist()], np.int32)
        series = self._series(units[np.isin(sources, heard)], CALLS, now_ns)
        return Samples(series[series >= 0], np.zeros(np.count_nonzero(series >= 0)))

    def told(self, unit: Int64s, end_ns: int) -> None:
        """They had calls in an interval that ended then."""
        self._reserve(unit)
        self.last_ns[unit] = np.maximum(self.last_ns[unit], end_ns)

    def was_told(self, unit: Int64s) -> Bools:
        """Which had calls in an interval before."""
        self._reserve(unit)
        told: Bools = self.last_ns[unit] > 0
        return told

    def unit_of(self, series: int) -> int | None:
        """The unit of one of our series."""
        return self._unit.get(series)

    def of(self, unit: int) -> tuple[int, ...]:
        """The ids of a unit's series."""
        return tuple(n for n in self.ids[unit].tolist() if n >= 0) if unit < len(self.ids) else ()

    def forget(self, ids: Int32s) -> None:
        """Series that are no more; where there was no room, there may be now."""
        for number in ids.tolist():
            unit = self._unit.pop(number, None)
            if unit is not None:
                row = self.ids[unit]
                row[row == number] = _UNMADE
        self.ids[self.ids == _REFUSED] = _UNMADE

    def drop(self, units: set[int]) -> None:
        """Units that may become others; their series are left to expire."""
        for unit in units:
            if unit < len(self.ids):
                for number in self.of(unit):
                    self._unit.pop(number, None)
                self.ids[unit], self.last_ns[unit] = _UNMADE, 0

    def _series(self, unit: Int64s, stat: int, now_ns: int) -> Int32s:
        series: Int32s = self.ids[unit, stat]
        for k in np.flatnonzero(series == _UNMADE).tolist():
            series[k] = self._make(int(unit[k]), stat, now_ns)
        refused = int(np.count_nonzero(series == _REFUSED))
        if refused:
            self.counts["edgeobs_points_dropped_total", "limit"] += refused
        return series

    def _make(self, unit: int, stat: int, now_ns: int) -> int:
        number = self.units.source_of(unit)
        source, principal = self.units.sources[number], self.units.principals.get(number)
        if principal is None:  # known from a snapshot, and not heard since
            return _UNMADE
        name, kind, measure = _LINK if unit % 4 == Family.LINK else _STATS[stat]
        labels = tuple(sorted((*source.whose(), *self.units.labels_of(unit))))
        series = self.admit(principal, Identity(source, name, labels, kind, measure), now_ns)
        if series < 0:
            self.ids[unit, stat] = _REFUSED
            return _REFUSED
        self.ids[unit, stat] = series
        self._unit[series] = unit
        return series

    def _reserve(self, unit: Int64s) -> None:
        size = int(unit.max(initial=-1)) + 1
        self.ids = grown(self.ids, size, _UNMADE)
        self.last_ns = grown(self.last_ns, size, 0)
