"""What time of day it is where a series lives."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from edgeobs.signals import SECOND, Floats, Int64s

_QUARTER_NS = 900 * SECOND
"""Clocks are set at full quarters of an hour."""
_DAY_NS, _HOUR_NS = 86_400 * SECOND, 3600 * SECOND


def phase(time_ns: Int64s, zone: ZoneInfo | None = None) -> Floats:
    """Hours since local midnight, in [0, 24); None is UTC. Where clocks are set, so is this."""
    if zone is None:
        return np.asarray(_since_midnight(time_ns) / _HOUR_NS, np.float64)
    quarters, which = np.unique(time_ns // _QUARTER_NS, return_inverse=True)
    offsets = np.array([_offset_ns(int(q) * _QUARTER_NS, zone) for q in quarters.tolist()], np.int64)
    return np.asarray(((time_ns + offsets[which]) % _DAY_NS) / _HOUR_NS, np.float64)


def _since_midnight(time_ns: Int64s) -> Int64s:
    """Within a day of UTC; what is of one day, as almost always, needs no remainders."""
    since = time_ns - time_ns[:1] // _DAY_NS * _DAY_NS
    return since if since.view(np.uint64).max(initial=0) < _DAY_NS else time_ns % _DAY_NS


def _offset_ns(at_ns: int, zone: ZoneInfo) -> int:
    """Local time minus UTC; at times that no calendar holds, 0."""
    try:
        offset = datetime.fromtimestamp(at_ns // SECOND, UTC).astimezone(zone).utcoffset()
    except (ValueError, OverflowError, OSError):
        return 0
    return 0 if offset is None else int(offset.total_seconds()) * SECOND
