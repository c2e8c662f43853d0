"""What is said of a series that nothing is wrong with: count, mean, maximum and score of an interval."""

from typing import NamedTuple

import numpy as np

from edgeobs.columns import grown, rounds
from edgeobs.series import SeriesTable
from edgeobs.signals import Batch, Floats, Int32s, Int64s, Scores

MATTERS = 3.0
"""A score from which a series is told of before others, decades: what keeps evidence alive."""


class Rows(NamedTuple):
    """Of n series: what their samples since ``since_ns`` were."""

    series: Int32s
    since_ns: Int64s  # when the first of them was
    until_ns: Int64s  # when the last was
    samples: Int64s
    mean: Floats
    top: Floats  # the largest
    score: Floats  # of the most surprising, decades


class Summaries:
    """Adds up every sample until it is told; 36 bytes a series.

    What is not told (`take`) goes on being added up: a series for which there was no room is told of later,
    by one summary of a longer time.
    """

    def __init__(self, table: SeriesTable) -> None:
        self.table = table
        self._born = np.zeros(0, np.int32)
        self._since, self._until = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._count = np.zeros(0, np.int32)
        self._total, self._top, self._score = np.zeros(0), np.zeros(0, np.float32), np.zeros(0, np.float32)

    def observe(self, batch: Batch, scores: Scores) -> None:
        """Add a batch (`Pipeline.observer`)."""
        ids = batch.series
        if not len(ids):
            return
        self._reserve()
        self._restart(ids)
        for index in rounds(ids):
            self._add(ids[index], batch.time_ns[index], batch.value[index], scores.score[index])

    def order(self) -> Int32s:
        """All that have something to tell: those with a score that matters first, then who waits longest."""
        self._reserve()
        used = len(self.table.identities)
        self._restart(np.arange(used, dtype=np.int32))
        ids = np.flatnonzero(self._count[:used])
        calm = self._score[ids] < MATTERS
        urgency = np.where(calm, 0.0, -self._score[ids])
        return ids[np.lexsort((ids, self._since[ids], urgency))].astype(np.int32)

    def peek(self, ids: Int32s) -> Rows:
        """What would be told of these now."""
        count = self._count[ids].astype(np.int64)
        return Rows(
            ids, self._since[ids], self._until[ids], count, self._total[ids] / np.maximum(count, 1),
            self._top[ids].astype(np.float64), self._score[ids].astype(np.float64),
        )  # fmt: skip

    def told(self, ids: Int32s) -> None:
        """They were told: begin anew."""
        self._since[ids] = self._until[ids] = self._count[ids] = 0
        self._total[ids] = self._score[ids] = 0.0
        self._top[ids] = -np.inf

    def _add(self, ids: Int32s, time_ns: Int64s, value: Floats, score: Floats) -> None:
        """One sample of each."""
        before = self._count[ids]
        if not before.all():
            fresh = before == 0
            self._since[ids[fresh]] = time_ns[fresh]
        self._count[ids] = before + 1
        self._total[ids] += value
        with np.errstate(over="ignore"):  # beyond float32: infinite
            self._top[ids] = np.maximum(self._top[ids], value.astype(np.float32))
        self._score[ids] = np.maximum(self._score[ids], score.astype(np.float32))
        self._until[ids] = np.maximum(self._until[ids], time_ns)

    def _restart(self, ids: Int32s) -> None:
        """An id that was given to another series since has nothing to tell of the one before."""
        born = self.table.born[ids]
        other = born != self._born[ids]
        if other.any():
            self.told(ids[other])
            self._born[ids] = born

    def _reserve(self) -> None:
        size = self.table.capacity
        self._born = grown(self._born, size, 0)
        self._since, self._until = grown(self._since, size, 0), grown(self._until, size, 0)
        self._count, self._total = grown(self._count, size, 0), grown(self._total, size, 0.0)
        self._top, self._score = grown(self._top, size, -np.inf), grown(self._score, size, 0.0)
