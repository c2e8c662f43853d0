"""What is settled once for every series: order in time, resets, and from when an increase is measured."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeobs.columns import grown
from edgeobs.features.settings import Settings
from edgeobs.signals import SECOND, STALE_NAN, Bools, Counts, Floats, Int32s, Int64s, Kind

TIME, START, VALUE, ARRIVED = range(4)
_STALE = STALE_NAN.view(np.int64)
_NONE = np.array(np.nan).view(np.int64)[()]  # no value to measure from
_SHORTEST = 1e-3  # seconds; closer samples count as so far apart
_WANDERS_NS = 5 * SECOND  # start times are computed, from clocks that are being set

_CUMULATIVE = np.isin(np.arange(len(Kind)), (Kind.COUNTER, Kind.HISTOGRAM, Kind.SUMMARY))
_DELTA = np.isin(np.arange(len(Kind)), (Kind.DELTA, Kind.UPDOWN_DELTA, Kind.HISTOGRAM_DELTA))
RATE = _CUMULATIVE | _DELTA  # by kind: becomes a rate


class Increase(NamedTuple):
    """Of n rows: what was added, in which time. ``seconds`` is NaN where there is nothing to measure from."""

    amount: Floats
    seconds: Floats
    anew: Bools  # cumulative, and counted from 0: first sample or reset


class Settler:
    """Four integers a series: last time, start and value (the bits of a float64), and when it arrived."""

    def __init__(self, settings: Settings, counts: Counts) -> None:
        self.settings, self.counts = settings, counts
        self.rows = np.zeros((0, 4), np.int64)
        self._restarted: list[Int32s] = []

    def reserve(self, capacity: int) -> None:
        """Room for ids below ``capacity``."""
        old = len(self.rows)
        self.rows = grown(self.rows, capacity, 0)
        self.rows[old:, VALUE] = _NONE

    def dropped(self, reason: str, points: int) -> None:
        """Count points that were taken and give no sample."""
        if points:  # no entry without a point
            self.counts["edgeobs_points_dropped_total", reason] += points

    def accept(self, series: Int32s, time: Int64s, value: Floats, rows: Int64s, now_ns: int) -> Bools | None:
        """Which samples count; None when all do. ``series`` are unique, ``rows`` what was known of them."""
        s = self.settings
        high, low = now_ns + int(s.future_s * SECOND), now_ns - int(s.too_old_s * SECOND)
        finite, early, old = np.isfinite(value), time > high, time < low
        forward = time > rows[:, TIME]
        good = finite & forward & ~(early | old)
        if good.all():
            return None
        bits = value.view(np.int64)
        stale = bits == _STALE
        # Before now, or after it: then it was our own clock that was set back.
        quiet = np.abs(now_ns - rows[:, ARRIVED]) > int(s.restart_s * SECOND)
        forward |= quiet & (time < rows[:, TIME])
        rest = np.ones(len(series), np.bool_)
        for reason, which in (
            ("stale", stale),
            ("nonfinite", ~finite),
            ("future", early),
            ("too_old", old),
            ("duplicate", ~forward & (time == rows[:, TIME])),
            ("out_of_order", ~forward),
        ):
            self.dropped(reason, int(np.count_nonzero(rest & which)))
            rest &= ~which
        ended = stale & (time >= rows[:, TIME]) & ~early
        self.rows[series[ended], VALUE] = _NONE
        return rest

    def remember(self, series: Int32s, time: Int64s, start: Int64s, value: Floats, now_ns: int) -> None:
        """Keep what the next sample of each series is measured against."""
        rows = np.empty((len(series), 4), np.int64)
        rows[:, TIME], rows[:, START], rows[:, VALUE], rows[:, ARRIVED] = (
            time,
            start,
            value.view(np.int64),
            now_ns,
        )
        self.rows[series] = rows

    def restarted(self) -> Int32s:
        """Cumulative series whose start time moved by more than clocks wander, since this was asked last."""
        found, self._restarted = self._restarted, []
        return np.concatenate(found) if found else np.zeros(0, np.int32)

    def increase(
        self,
        series: Int32s,
        kind: NDArray[np.int8],
        time: Int64s,
        start: Int64s,
        value: Floats,
        rows: Int64s,
    ) -> Increase:
        """What was added since the last sample, a reset or the start time.

        A cumulative value that fell, or whose start moved forward, counts from 0 since the later of the last
        sample and the start (Prometheus's rule for resets, OpenTelemetry's for start times).
        """
        last_time, last_start = rows[:, TIME], rows[:, START]
        last = np.ascontiguousarray(rows[:, VALUE]).view(np.float64)
        have, cumulative = ~np.isnan(last), _CUMULATIVE[kind]
        reset = have & cumulative & ((value < last) | ((start > last_start) & (last_start > 0)))
        if reset.any():
            self.counts[("edgeobs_series_resets_total",)] += int(np.count_nonzero(reset))
            self._restarted.append(series[reset & (last_start > 0) & (start - last_start > _WANDERS_NS)])
        started = (start > 0) & (start < time)
        fresh = started & (time - start <= int(self.settings.first_s * SECOND))
        since = np.where(have, last_time, np.where(fresh, start, 0))
        since = np.where(reset & started, np.maximum(since, start), since)
        since = np.where(~cumulative & started, start, since)
        anew = cumulative & (~have | reset)
        base = np.where(cumulative & ~anew, last, 0.0)
        # A restart of the clock (see Settings.restart_s) leaves a previous time that is not before this one.
        known = (since > 0) & (since < time)
        seconds = np.where(known, np.maximum((time - since) / SECOND, _SHORTEST), np.nan)
        with np.errstate(over="ignore"):
            return Increase(value - base, seconds, anew)

    def forget(self, ids: Int32s) -> None:
        """As if the series had never been."""
        ids = ids[ids < len(self.rows)]
        self.rows[ids] = 0
        self.rows[ids, VALUE] = _NONE
