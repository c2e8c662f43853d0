"""The last minutes of every series, for the part of a plot before its evidence was known."""

import numpy as np

from edgeobs.incidents.points import band
from edgeobs.signals import SECOND, Batch, Floats, Int32s, Int64s, Point, Scores

_ROW_BYTES = 4 + 8 + 4 * 4


class History:
    """A ring of samples in order of arrival: the newest overwrite the oldest, nothing is allocated later.

    Memory is touched only as it fills. An id that was given to another series shows that one's samples too
    until the age limit has passed; series expire later than that.

    Parameters
    ----------
    limit_bytes
        Size of the ring; 28 bytes a sample.
    age_s
        Samples older than this are not shown, seconds.

    """

    def __init__(self, limit_bytes: int, age_s: float) -> None:
        self.rows = max(1, limit_bytes // _ROW_BYTES)
        self._age_ns = int(age_s * SECOND)
        self._series: Int32s = np.empty(self.rows, np.int32)
        self._time: Int64s = np.empty(self.rows, np.int64)
        self._value = np.empty((4, self.rows), np.float32)
        self._next = 0
        self._full = False

    def append(self, batch: Batch, scores: Scores) -> None:
        """Remember a batch; of one larger than the ring, its end."""
        n = min(len(batch.series), self.rows)
        if not n:
            return
        columns = (batch.value, scores.expected, scores.spread, scores.score)
        head = min(n, self.rows - self._next)
        self._write(self._next, len(batch.series) - n, head, batch, columns)
        if n > head:
            self._write(0, len(batch.series) - n + head, n - head, batch, columns)
        self._full = self._full or self._next + n >= self.rows
        self._next = (self._next + n) % self.rows

    def take(self, series: int, now_ns: int, limit: int) -> list[Point]:
        """The newest ``limit`` samples of a series, ascending in time, none twice."""
        end = self.rows if self._full else self._next
        rows = np.flatnonzero(self._series[:end] == series)
        rows = rows[self._time[rows] >= now_ns - self._age_ns]
        times, first = np.unique(self._time[rows], return_index=True)
        rows = rows[first][-limit:]
        columns = self._value[:, rows].astype(np.float64).tolist()
        return [
            Point(time_ns, value, *band(expected, spread), score)
            for time_ns, value, expected, spread, score in zip(times[-limit:].tolist(), *columns, strict=True)
        ]

    def _write(self, at: int, start: int, n: int, batch: Batch, columns: tuple[Floats, ...]) -> None:
        self._series[at : at + n] = batch.series[start : start + n]
        self._time[at : at + n] = batch.time_ns[start : start + n]
        with np.errstate(over="ignore"):  # beyond float32: shown as infinite
            for row, column in zip(self._value, columns, strict=True):
                row[at : at + n] = column[start : start + n]
