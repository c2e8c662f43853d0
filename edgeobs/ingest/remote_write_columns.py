"""What remote write's decoders collect, and what becomes of it: refusals counted, times in nanoseconds."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeobs.ingest.intern import INVALID, REASONS
from edgeobs.ingest.native_histogram import Columns, Side, expand
from edgeobs.signals import Distributions, Floats, Int32s, Int64s, Points

_MS = 1_000_000  # ns
_LAST_MS = np.iinfo(np.int64).max // _MS
_GAUGE_HINT = 3

SCALAR, CUMULATIVE, GAUGE = range(3)
"""What a series can hold, each with a series id of its own: floats, histograms, gauge histograms."""


@dataclass(frozen=True, slots=True)
class Samples:
    """n floats as they were sent; ids may be refusals."""

    series: Int32s
    time_ms: Int64s
    start_ms: Int64s
    value: Floats


@dataclass(frozen=True, slots=True)
class Histograms:
    """m native histograms as they were sent; ids may be refusals."""

    series: Int32s
    time_ms: Int64s
    start_ms: Int64s
    columns: Columns


def points(samples: Samples, histograms: Histograms | None, exemplars: int) -> Points:
    """Leave out and count what was refused; milliseconds to nanoseconds."""
    refused = [samples.series[samples.series < 0]]
    distributions = Distributions.none()
    if histograms is not None and len(histograms.series):
        distributions, bad = _distributions(histograms)
        refused.append(bad)
    codes = np.concatenate(refused)
    ok: Any = samples.series >= 0 if refused[0].size else slice(None)
    return Points(
        samples.series[ok],
        nanoseconds(samples.time_ms[ok]),
        nanoseconds(samples.start_ms[ok]),
        samples.value[ok],
        distributions,
        {why: int((codes == code).sum()) for code, why in REASONS.items() if (codes == code).any()},
        exemplars,
    )


def nanoseconds(ms: Int64s) -> Int64s:
    """Milliseconds to nanoseconds; what int64 cannot hold becomes the furthest time it can."""
    return np.clip(ms, -_LAST_MS, _LAST_MS) * _MS


def _distributions(h: Histograms) -> tuple[Distributions, Int32s]:
    first, edge, weight, count, valid = expand(h.columns)
    ids = np.where(valid | (h.series < 0), h.series, INVALID).astype(np.int32)
    taken = ids >= 0
    sizes = np.diff(first)
    owned = np.repeat(taken, sizes)
    made = Distributions(
        ids[taken],
        nanoseconds(h.time_ms[taken]),
        nanoseconds(h.start_ms[taken]),
        count[taken],
        h.columns.total[taken],
        np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[taken])]),
        edge[owned],
        weight[owned],
    )
    return made, ids[~taken]


class Collector:
    """Takes parsed series in, one by one, and gives the columns. Only for the reference decoder."""

    def __init__(self) -> None:
        self.exemplars = 0
        self._series, self._time, self._start = array("i"), array("q"), array("q")
        self._value = array("d")
        self._histograms = _HistogramCollector()

    def add(self, series: Any, start_ms: int, admitted: Callable[[int], int]) -> None:
        """A series' samples and histograms; ``start_ms`` stands where they have none of their own."""
        if series.samples:
            number = admitted(SCALAR)
            for sample in series.samples:
                self._series.append(number)
                self._time.append(sample.timestamp)
                self._start.append(getattr(sample, "start_timestamp", 0) or start_ms)
                self._value.append(sample.value)
        for histogram in series.histograms:
            holds = GAUGE if histogram.reset_hint == _GAUGE_HINT else CUMULATIVE
            self._histograms.add(histogram, start_ms, admitted(holds))

    def points(self) -> Points:
        """Everything collected."""
        samples = Samples(
            np.frombuffer(self._series, np.int32),
            np.frombuffer(self._time, np.int64),
            np.frombuffer(self._start, np.int64),
            np.frombuffer(self._value, np.float64),
        )
        return points(samples, self._histograms.columns(), self.exemplars)


class _HistogramCollector:
    def __init__(self) -> None:
        self._series, self._schema, self._is_float = array("i"), array("i"), array("b")
        self._time, self._start = array("q"), array("q")
        self._count, self._total = array("d"), array("d")
        self._zero_threshold, self._zero_count = array("d"), array("d")
        self._negative, self._positive = _SideCollector(), _SideCollector()
        self._custom, self._bounds = array("q", [0]), array("d")

    def add(self, h: Any, start_ms: int, number: int) -> None:
        floats = h.WhichOneof("count") == "count_float"
        self._series.append(number)
        self._schema.append(h.schema)
        self._is_float.append(floats)
        self._time.append(h.timestamp)
        self._start.append(getattr(h, "start_timestamp", 0) or start_ms)
        self._count.append(h.count_float if floats else float(h.count_int))
        self._total.append(h.sum)
        self._zero_threshold.append(h.zero_threshold)
        self._zero_count.append(h.zero_count_float if floats else float(h.zero_count_int))
        self._negative.add(h.negative_spans, h.negative_counts if floats else h.negative_deltas, floats)
        self._positive.add(h.positive_spans, h.positive_counts if floats else h.positive_deltas, floats)
        self._bounds.extend(h.custom_values)
        self._custom.append(len(self._bounds))

    def columns(self) -> Histograms:
        columns = Columns(
            np.frombuffer(self._schema, np.int32),
            np.frombuffer(self._is_float, np.bool_),
            np.frombuffer(self._count, np.float64),
            np.frombuffer(self._total, np.float64),
            np.frombuffer(self._zero_threshold, np.float64),
            np.frombuffer(self._zero_count, np.float64),
            self._negative.side(),
            self._positive.side(),
            np.frombuffer(self._custom, np.int64),
            np.frombuffer(self._bounds, np.float64),
        )
        series = np.frombuffer(self._series, np.int32)
        return Histograms(
            series, np.frombuffer(self._time, np.int64), np.frombuffer(self._start, np.int64), columns
        )


class _SideCollector:
    def __init__(self) -> None:
        self._span, self._value = array("q", [0]), array("q", [0])
        self._offset, self._length = array("q"), array("q")
        self._bits = bytearray()

    def add(self, spans: Any, values: Any, floats: bool) -> None:
        for span in spans:
            self._offset.append(span.offset)
            self._length.append(span.length)
        self._span.append(len(self._offset))
        self._bits += array("d" if floats else "q", values).tobytes()
        self._value.append(len(self._bits) // 8)

    def side(self) -> Side:
        bits = np.frombuffer(self._bits, np.uint64)
        i64 = [np.frombuffer(a, np.int64) for a in (self._span, self._offset, self._length, self._value)]
        return Side(i64[0], i64[1], i64[2], i64[3], bits)
