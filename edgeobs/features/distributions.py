"""Histograms and summaries → rate, mean and quantiles of what was added since the last point."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeobs.columns import grown, rounds
from edgeobs.features.buckets import Buckets
from edgeobs.features.derived import Derived, stat_of
from edgeobs.features.quantiles import quantile
from edgeobs.features.settings import Settings
from edgeobs.features.settle import Increase, Settler
from edgeobs.series import SeriesTable
from edgeobs.signals import STALE_NAN, Bools, Counts, Distributions, Floats, Int32s, Int64s, Kind

QUANTILES = (0.5, 0.9, 0.99)
_STALE = STALE_NAN.view(np.int64)


class Part(NamedTuple):
    """Samples of features, not yet known to be finite."""

    series: Int32s
    time: Int64s
    value: Floats


class _Rows(NamedTuple):
    """Distributions of one round that count, and where their buckets are."""

    series: Int32s
    time: Int64s
    total: Floats
    first: Int64s
    width: Int64s
    gained: Increase


class Shapes:
    """What is remembered of distributions beside their counts: sums and buckets."""

    def __init__(self, table: SeriesTable, settler: Settler, settings: Settings, counts: Counts) -> None:
        self.table, self.settler, self.settings = table, settler, settings
        self.buckets = Buckets(settings.cells)
        self.derived = Derived(table, counts)
        self.totals = np.zeros(0)

    def reserve(self, capacity: int) -> None:
        """Room for ids below ``capacity``."""
        self.buckets.reserve(capacity)
        self.totals = grown(self.totals, capacity, 0.0)

    def forget(self, ids: Int32s) -> None:
        """As if the series had never been."""
        self.buckets.drop(ids)
        self.derived.forget(ids)

    def apply(self, d: Distributions, now_ns: int) -> Iterator[Part]:
        """Derived samples, per series in the order of the points."""
        narrow = np.flatnonzero(np.diff(d.first) <= self.settings.buckets)
        counts, taken = _checked(d, self.table.kind[d.series]), 0
        for index in rounds(d.series[narrow], self.settings.repeats):
            taken += len(narrow[index])
            yield from self._round(d, counts, narrow[index], now_ns)
        self.settler.dropped("limit", len(d.series) - taken)
        self.derived.touch(d.series, now_ns)

    def _round(self, d: Distributions, counts: Floats, index: Int64s, now_ns: int) -> Iterator[Part]:
        series, count = d.series[index], counts[index]
        before = self.settler.rows[series]
        ok = self.settler.accept(series, d.time_ns[index], count, before, now_ns)
        if ok is not None:
            index, series, count, before = index[ok], series[ok], count[ok], before[ok]
        time, start, total, kind = (
            d.time_ns[index],
            d.start_ns[index],
            d.total[index],
            self.table.kind[series],
        )
        gained = self.settler.increase(series, kind, time, start, count, before)
        self.settler.remember(series, time, start, count, now_ns)
        rows = _Rows(series, time, total, d.first[index], d.first[index + 1] - d.first[index], gained)
        with np.errstate(over="ignore"):
            rate = gained.amount / gained.seconds
        yield self._part(rows, ~np.isnan(gained.seconds), rate, "rate", unit="1/s", now_ns=now_ns)
        yield self._mean(rows, kind == Kind.HISTOGRAM_DELTA, now_ns)
        yield from self._histograms(rows, kind, d, now_ns)
        yield from self._summaries(rows, kind == Kind.SUMMARY, d, now_ns)

    def _mean(self, r: _Rows, delta: Bools, now_ns: int) -> Part:
        base = np.where(delta | r.gained.anew, 0.0, self.totals[r.series])
        self.totals[r.series] = r.total
        with np.errstate(over="ignore", invalid="ignore"):
            mean = (r.total - base) / np.where(r.gained.amount > 0, r.gained.amount, np.nan)
        return self._part(r, ~(np.isnan(r.gained.seconds) | np.isnan(mean)), mean, "mean", now_ns=now_ns)

    def _histograms(self, r: _Rows, kind: NDArray[np.int8], d: Distributions, now_ns: int) -> Iterator[Part]:
        delta = kind == Kind.HISTOGRAM_DELTA
        for width in np.unique(r.width[kind != Kind.SUMMARY]).tolist():
            at = np.flatnonzero((r.width == width) & (kind != Kind.SUMMARY))
            cells = r.first[at][:, None] + np.arange(width)
            edge, gain, known = d.edge[cells], d.weight[cells], np.ones(len(at), np.bool_)
            old = np.flatnonzero(~delta[at])
            gain[old], known[old] = self.buckets.increase(
                r.series[at[old]], edge[old], gain[old], r.gained.anew[at[old]]
            )
            known &= ~np.isnan(r.gained.seconds[at]) & (gain.sum(axis=1) > 0) & (width > 1)
            rows = _Rows(r.series[at], r.time[at], r.total[at], r.first[at], r.width[at], r.gained)
            for q in QUANTILES:
                yield self._part(rows, known, quantile(q, edge, gain), stat_of(q), now_ns=now_ns)

    def _summaries(self, r: _Rows, which: Bools, d: Distributions, now_ns: int) -> Iterator[Part]:
        """Quantiles as they were sent, one part a rank of the quantile within its point."""
        for rank in range(int(r.width[which].max(initial=0))):
            at = np.flatnonzero(which & (r.width > rank))
            sent = d.edge[r.first[at] + rank]
            for q in np.unique(sent[(sent >= 0) & (sent <= 1)]).tolist():
                one = at[sent == q]
                rows = _Rows(r.series[one], r.time[one], r.total[one], r.first[one], r.width[one], r.gained)
                value = d.weight[r.first[one] + rank]
                yield self._part(rows, ~np.isnan(value), value, stat_of(q), now_ns=now_ns)

    def _part(
        self, r: _Rows, which: Bools, value: Floats, stat: str, *, now_ns: int, unit: str | None = None
    ) -> Part:
        ids = self.derived.ids(r.series[which], stat, unit, now_ns)
        live = ids >= 0
        return Part(ids[live], r.time[which][live], value[which][live])


def _checked(d: Distributions, kind: NDArray[np.int8]) -> Floats:
    """Counts, with the stale marker where the sum has it, and NaN where a bucket holds no count."""
    count = np.where(d.count >= 0, d.count, np.nan)
    stale = (d.count.view(np.int64) == _STALE) | (d.total.view(np.int64) == _STALE)
    with np.errstate(invalid="ignore"):
        bad = np.isnan(d.edge) | ~(d.weight >= 0) | np.isinf(d.weight)
    row = np.repeat(np.arange(len(count)), np.diff(d.first))
    spoilt = np.bincount(row[bad], minlength=len(count)) > 0
    count[spoilt & (kind != Kind.SUMMARY)] = np.nan
    count[stale] = STALE_NAN
    return count
