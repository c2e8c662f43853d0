"""What time of what kind of day it is where a series lives."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from edgeobs.signals import SECOND, Floats, Int32s, Int64s

_DAY_NS, _HOUR_NS = 86_400 * SECOND, 3600 * SECOND
_QUARTER_NS = 900 * SECOND
"""Clocks are set at full quarters of an hour."""
_FIRST_WEEKDAY = 3  # 1970-01-01 was a Thursday, and Monday is 0
HOURS = 24
WEEKEND = frozenset({5, 6})


class Calendar(NamedTuple):
    """Where days begin, and on which of them people rest."""

    zone: ZoneInfo | None = None
    """None is UTC."""
    rest: frozenset[int] = WEEKEND
    """Weekdays, Monday is 0."""
    holidays: frozenset[int] = frozenset()
    """Days since 1970-01-01, by local date."""

    def rests(self, day: int) -> bool:
        """Whether a day, counted from 1970-01-01, is one of rest."""
        return (day + _FIRST_WEEKDAY) % 7 in self.rest or day in self.holidays


PLAIN = Calendar()
Phase = Callable[[Int32s, Int64s], Floats]
"""What `phase` gives of series (ids) at times of their own, wherever they live."""


def phase(time_ns: Int64s, calendar: Calendar = PLAIN) -> Floats:
    """Hours since local midnight, in [0, 24), and 24 more on a day of rest; set as clocks are."""
    if not len(time_ns):
        return np.zeros(0)
    local = time_ns if calendar.zone is None else time_ns + _offsets_ns(time_ns, calendar.zone)
    first = int(local[0]) // _DAY_NS
    since = local - first * _DAY_NS
    if since.view(np.uint64).max() < _DAY_NS:  # all of one day, as almost always
        hours: Floats = since / _HOUR_NS
        return hours + HOURS if calendar.rests(first) else hours
    days, which = np.unique(local // _DAY_NS, return_inverse=True)
    more = np.array([HOURS * calendar.rests(day) for day in days.tolist()], np.float64)
    return np.asarray((local - days[which] * _DAY_NS) / _HOUR_NS + more[which], np.float64)


def phases(time_ns: Int64s, which: Int32s, calendars: Sequence[Calendar]) -> Floats:
    """The same, each by the calendar of its number."""
    found = np.empty(len(time_ns))
    for number in np.flatnonzero(np.bincount(which, minlength=1)).tolist():
        mine = np.flatnonzero(which == number)
        found[mine] = phase(time_ns[mine], calendars[number])
    return found


def _offsets_ns(time_ns: Int64s, zone: ZoneInfo) -> Int64s | int:
    """Local time minus UTC, of each or of all."""
    first, last = int(time_ns.min()), int(time_ns.max())
    begins = _offset_ns(first, zone)
    if last - first < _DAY_NS and begins == _offset_ns(last, zone):
        return begins
    quarters, which = np.unique(time_ns // _QUARTER_NS, return_inverse=True)
    offsets = np.array([_offset_ns(quarter * _QUARTER_NS, zone) for quarter in quarters.tolist()], np.int64)
    return offsets[which]


def _offset_ns(at_ns: int, zone: ZoneInfo) -> int:
    """Local time minus UTC; at times that no calendar holds, 0."""
    try:
        offset = datetime.fromtimestamp(at_ns // SECOND, UTC).astimezone(zone).utcoffset()
    except (ValueError, OverflowError, OSError):
        return 0
    return 0 if offset is None else int(offset.total_seconds()) * SECOND
