"""The last samples of every series, as they were scored: what a raw window around an anomaly is cut from."""

from collections import deque
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeobs.signals import Batch, Floats, Int32s, Int64s

_LOOK_BACK = 3  # batches, for one of the same series
_HEAD_BYTES = 400  # of a batch, besides its columns


class Samples(NamedTuple):
    """n samples, per series in order of arrival."""

    series: Int32s
    time_ns: Int64s
    value: Floats


class _Kept(NamedTuple):
    series: Int32s
    time_ns: Int64s | int  # one for all where they are the same
    value: NDArray[np.float32]


class Recent:
    """Batches, newest last, within a number of bytes.

    Most batches have the series and the time of the one before in common: they cost 4 bytes a sample, others
    16. Values are rounded to float32, as plots are.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes, self.bytes = limit_bytes, 0
        self._kept: deque[_Kept] = deque()

    def append(self, batch: Batch) -> None:
        """Remember a batch; forget the oldest."""
        if not len(batch.series):
            return
        time: Int64s | int = batch.time_ns
        first = int(batch.time_ns[0])
        if (batch.time_ns == first).all():
            time = first
        series = self._shared(batch.series)
        with np.errstate(over="ignore"):  # beyond float32: infinite
            kept = _Kept(series, time, batch.value.astype(np.float32))
        self.bytes += self._size(kept, shared=series is not batch.series)
        self._kept.append(kept)
        while self.bytes > self.limit_bytes and self._kept:
            self._forget()

    def take(self, ids: Int32s, after_ns: Int64s) -> Samples:
        """What is still known of some series, of each later than its own time; ``ids`` ascending."""
        parts = []
        for kept in self._kept:
            place = np.searchsorted(ids, kept.series)
            place[place == len(ids)] = 0
            row = np.flatnonzero(ids[place] == kept.series) if len(ids) else np.zeros(0, np.intp)
            time = np.full(len(row), kept.time_ns) if isinstance(kept.time_ns, int) else kept.time_ns[row]
            new = time > after_ns[place[row]] if len(row) else np.zeros(0, np.bool_)
            parts.append((kept.series[row][new], time[new], kept.value[row][new].astype(np.float64)))
        if not parts:
            return Samples(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0))
        series, times, values = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Samples(series, times, values)

    def _shared(self, series: Int32s) -> Int32s:
        """The same series as a batch or two before, where they are the same: logs and spans come between."""
        for kept in islice(reversed(self._kept), _LOOK_BACK):
            if np.array_equal(kept.series, series):
                return kept.series
        return series

    def _forget(self) -> None:
        gone = self._kept.popleft()
        # Who shares them is at most so far behind as was looked back: the next of these holds them now.
        held = any(kept.series is gone.series for kept in islice(self._kept, _LOOK_BACK))
        self.bytes -= self._size(gone, shared=held)

    @staticmethod
    def _size(kept: _Kept, *, shared: bool) -> int:
        time = 0 if isinstance(kept.time_ns, int) else kept.time_ns.nbytes
        return _HEAD_BYTES + kept.value.nbytes + time + (0 if shared else kept.series.nbytes)
