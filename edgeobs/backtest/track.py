"""What the pipeline said of every sample, kept column by column, and taken apart by series at the end."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeobs.series import SeriesTable
from edgeobs.signals import Batch, Floats, Identity, Int32s, Int64s, Scores

Float32s = NDArray[np.float32]
_UNKNOWN = -1

_Columns = tuple[Int32s, Int64s, Floats, Float32s, Floats, Float32s, Float32s]
_JOIN = 4096  # steps


class Track(NamedTuple):
    """One series' timely samples in the order they were scored, and what was said of each."""

    identity: Identity
    time_ns: Int64s
    value: Floats
    score: Float32s  # decades
    expected: Floats
    spread: Float32s
    interval_s: Float32s  # between samples, as the detector knew it then


class Observer:
    """Called by a pipeline with every batch and its scores.

    What is late is left out, as it is never acted upon. 44 bytes a sample, and as much again in `tracks`.
    """

    def __init__(self, table: SeriesTable) -> None:
        self.late = 0
        self._table, self._epoch = table, table.epoch
        self._numbers: dict[Identity, int] = {}
        self._of_id = np.full(table.capacity, _UNKNOWN, np.int32)
        self._kept: list[_Columns] = []
        self._fresh: list[_Columns] = []  # of single steps

    def __call__(self, batch: Batch, scores: Scores) -> None:
        """Keep a step's samples."""
        if not len(batch.series):
            return
        rows = np.flatnonzero(~batch.late)
        self.late += len(batch.series) - len(rows)
        interval = scores.interval_s if len(scores.interval_s) else np.ones(len(scores.score))
        self._fresh.append(
            (
                self._named(batch.series[rows]),
                batch.time_ns[rows],
                batch.value[rows],
                scores.score[rows].astype(np.float32),
                scores.expected[rows],
                np.minimum(scores.spread[rows], np.finfo(np.float32).max).astype(np.float32),
                interval[rows].astype(np.float32),
            )
        )
        if len(self._fresh) >= _JOIN:  # an array of one sample is ten times its weight
            self._kept.append(_joined(self._fresh))
            self._fresh = []

    def tracks(self) -> list[Track]:
        """Every series', in the order in which they were first seen; lets go of what was kept."""
        if not self._kept and not self._fresh:
            return []
        joined: Any = _joined([*self._kept, *self._fresh])
        numbers, *columns = joined
        self._kept, self._fresh = [], []
        order = np.argsort(numbers, kind="stable")
        sorted_columns: list[Any] = [column[order] for column in columns]
        ends = np.searchsorted(numbers[order], np.arange(len(self._numbers) + 1))
        return [
            Track(identity, *(column[ends[n] : ends[n + 1]] for column in sorted_columns))
            for identity, n in self._numbers.items()
        ]

    def _named(self, ids: Int32s) -> Int32s:
        """Numbers that stay a series' own when its id is given to another."""
        table = self._table
        if table.epoch != self._epoch:
            self._epoch = table.epoch
            self._of_id[:] = _UNKNOWN
        if len(self._of_id) < table.capacity:
            more = np.full(table.capacity - len(self._of_id), _UNKNOWN, np.int32)
            self._of_id = np.concatenate([self._of_id, more])
        for number in np.unique(ids[self._of_id[ids] == _UNKNOWN]).tolist():
            self._of_id[number] = self._numbers.setdefault(table[number], len(self._numbers))
        return self._of_id[ids]


def _joined(parts: list[_Columns]) -> _Columns:
    whole: Any = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    made: _Columns = whole  # column by column the types are as they were
    return made
