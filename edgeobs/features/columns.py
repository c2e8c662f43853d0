"""Points → Batch: every kind of metric becomes levels and rates, as columns."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeobs.columns import rounds
from edgeobs.features.distributions import Part, Shapes
from edgeobs.features.lateness import Lateness
from edgeobs.features.settings import Settings
from edgeobs.features.settle import RATE, Settler
from edgeobs.series import SeriesTable
from edgeobs.signals import Batch, Counts, Floats, Int32s, Int64s, Points

_SCHEMA = 1
_Loaded = tuple[Int64s, Floats, Int32s, Int64s, Floats, Floats]
State = dict[str, NDArray[np.generic]]


class Features:
    """Columnar and bounded: 48 bytes a series, and 16 a bucket of each cumulative histogram.

    Gauges and non-monotonic sums pass as they are; counters and deltas become rates a second; histograms and
    summaries become the series ``:rate`` (events a second), ``:mean`` and ``:p50`` … of what was added since
    their last point. Nothing is given for a first cumulative point, unless its start time says since when it
    counts (`Settings.first_s`).
    """

    def __init__(self, table: SeriesTable, settings: Settings, counts: Counts) -> None:
        self.table, self.settings, self.counts = table, settings, counts
        self._settler = Settler(settings, counts)
        self._shapes = Shapes(table, self._settler, settings, counts)
        self._lateness = Lateness(settings)
        self._reserve()

    def apply(self, points: Points, now_ns: int) -> Batch:
        """Feature samples of one request, finite, per series in ascending time.

        A point without a time is taken to be of now.
        """
        self._reserve()
        self.table.seen_ns[points.series] = now_ns
        parts = list(self._scalars(points, now_ns))
        d = points.distributions
        if len(d.series):
            self.table.seen_ns[d.series] = now_ns
            parts += self._shapes.apply(replace(d, time_ns=_timed(d.time_ns, now_ns)), now_ns)
        return self._batch(parts, now_ns)

    def forget(self, ids: Int32s) -> None:
        """Let go of series whose ids may be used again."""
        self._settler.forget(ids)
        self._shapes.forget(ids)

    def state(self) -> State:
        """A copy of what the next points are measured against."""
        used = len(self.table.identities)
        self._reserve()
        ids, first, edge, weight = self._shapes.buckets.ragged()
        return {
            "schema": np.array([_SCHEMA]),
            "rows": self._settler.rows[:used].copy(),
            "total": self._shapes.totals[:used].copy(),
            "bucket_series": ids,
            "bucket_first": first,
            "bucket_edge": edge,
            "bucket_weight": weight,
        }

    def restore(self, state: State) -> None:
        """Take up a `state`; ValueError with the reason, and nothing changed, when it does not fit."""
        fresh = Features(self.table, self.settings, self.counts)
        fresh._load(_validated(state, self.table.capacity))
        self._settler, self._shapes, self._lateness = fresh._settler, fresh._shapes, fresh._lateness

    def _load(self, loaded: _Loaded) -> None:
        rows, total = loaded[:2]
        self._settler.rows[: len(rows)] = rows
        self._shapes.totals[: len(total)] = total
        self._shapes.buckets.load(*loaded[2:])

    def _scalars(self, points: Points, now_ns: int) -> Iterator[Part]:
        time, taken = _timed(points.time_ns, now_ns), 0
        for index in rounds(points.series, self.settings.repeats):
            series = points.series[index]
            taken += len(series)
            yield self._round(series, time[index], points.start_ns[index], points.value[index], now_ns)
        self._settler.dropped("limit", len(points.series) - taken)

    def _round(self, series: Int32s, time: Int64s, start: Int64s, value: Floats, now_ns: int) -> Part:
        settler = self._settler
        before = settler.rows.take(series, axis=0)
        ok = settler.accept(series, time, value, before, now_ns)
        if ok is not None:
            series, time, start, value, before = series[ok], time[ok], start[ok], value[ok], before[ok]
        kind = self.table.kind.take(series)
        settler.remember(series, time, start, value, now_ns)
        rated = np.flatnonzero(RATE[kind])
        if not len(rated):
            return Part(series, time, value)
        gained = settler.increase(
            series[rated], kind[rated], time[rated], start[rated], value[rated], before[rated]
        )
        value, known = value.copy(), np.ones(len(series), np.bool_)
        with np.errstate(over="ignore"):
            value[rated] = gained.amount / gained.seconds
        known[rated] = ~np.isnan(gained.seconds)
        return Part(series, time, value) if known.all() else Part(series[known], time[known], value[known])

    def _batch(self, parts: Sequence[Part], now_ns: int) -> Batch:
        series, time, value = parts[0] if len(parts) == 1 else _joined(parts)
        finite = np.isfinite(value)
        if not finite.all():  # a difference or quotient that no float64 can hold
            self._settler.dropped("nonfinite", int(np.count_nonzero(~finite)))
            series, time, value = series[finite], time[finite], value[finite]
        late = self._lateness.late(self.table.node.take(series), time, now_ns)
        if late.any():
            self.counts[("edgeobs_points_late_total",)] += int(np.count_nonzero(late))
        return Batch(series, time, value, late, self._settler.restarted())

    def _reserve(self) -> None:
        self._settler.reserve(self.table.capacity)
        self._shapes.reserve(self.table.capacity)


def _timed(time: Int64s, now_ns: int) -> Int64s:
    return np.where(time > 0, time, now_ns)


def _joined(parts: Sequence[Part]) -> Part:
    if not parts:
        return Part(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0))
    return Part(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _validated(state: State, capacity: int) -> _Loaded:
    """The arrays of a state in their types; ValueError with the reason when they do not belong together."""
    try:
        if state["schema"].tolist() != [_SCHEMA]:
            raise ValueError(f"features: schema {state['schema'].tolist()}, expected [{_SCHEMA}]")
        rows = state["rows"].astype(np.int64, casting="same_kind")
        first = state["bucket_first"].astype(np.int64, casting="same_kind")
        ids = state["bucket_series"].astype(np.int32, casting="same_kind")
        total = state["total"].astype(np.float64)
        edge, weight = state["bucket_edge"].astype(np.float64), state["bucket_weight"].astype(np.float64)
    except (KeyError, TypeError) as wrong:
        raise ValueError(f"features: missing or of another type: {wrong}") from wrong
    if rows.ndim != 2 or rows.shape[1] != 4 or total.shape != (len(rows),) or len(rows) > capacity:
        raise ValueError(f"features: rows {rows.shape}, total {total.shape} for {capacity} series")
    if ids.ndim != 1 or first.shape != (len(ids) + 1,) or edge.shape != weight.shape or edge.ndim != 1:
        raise ValueError("features: buckets do not belong together")
    if first[0] != 0 or first[-1] != len(edge) or (np.diff(first) < 1).any():
        raise ValueError("features: buckets are not where they should be")
    if len(ids) and (ids.min() < 0 or ids.max() >= len(rows) or len(np.unique(ids)) != len(ids)):
        raise ValueError("features: buckets of a series that is not there")
    return rows, total, ids, first, edge, weight
