"""The buckets of cumulative histograms as they last were, by series, bounded."""

import numpy as np

from edgeobs.columns import grown
from edgeobs.features.quantiles import carried
from edgeobs.signals import Bools, Floats, Int32s, Int64s


class _Pool:
    """Histograms of one width: a row each."""

    def __init__(self, width: int) -> None:
        self.edge, self.weight = np.zeros((0, width)), np.zeros((0, width))
        self.free: list[int] = []
        self.used = 0

    def take(self, rows: int) -> Int64s:
        again = [self.free.pop() for _ in range(min(rows, len(self.free)))]
        fresh = range(self.used, self.used + rows - len(again))
        self.used = fresh.stop
        self.edge, self.weight = grown(self.edge, self.used, 0.0), grown(self.weight, self.used, 0.0)
        return np.array([*again, *fresh], np.int64)


class Buckets:
    """Bounds and counts of each histogram; ``limit`` is how many buckets may be held in all."""

    def __init__(self, limit: int) -> None:
        self.limit, self.cells = limit, 0
        self._pools: dict[int, _Pool] = {}
        self._width, self._row = np.zeros(0, np.int32), np.zeros(0, np.int32)  # by series; width 0: none

    def reserve(self, capacity: int) -> None:
        """Room for ids below ``capacity``."""
        self._width, self._row = grown(self._width, capacity, 0), grown(self._row, capacity, 0)

    def increase(self, series: Int32s, edge: Floats, weight: Floats, anew: Bools) -> tuple[Floats, Bools]:
        """What each of m × b buckets gained since the last point, and whether that is known.

        ``anew`` rows count from 0. A layout that cannot be carried over starts again: its row is unknown.
        The rows given replace what was remembered; beyond the limit nothing is, and the row is unknown.
        """
        width = edge.shape[1]
        pool = self._pools.setdefault(width, _Pool(width))
        known, before = anew.copy(), np.zeros_like(weight)
        alike = np.flatnonzero(~anew & (self._width[series] == width))
        rows = self._row[series[alike]]
        same = (pool.edge[rows] == edge[alike]).all(axis=1)
        before[alike[same]], known[alike[same]] = pool.weight[rows[same]], True
        for i in np.flatnonzero(~known & (self._width[series] > 0)).tolist():
            row = self._carry(int(series[i]), edge[i])
            if row is not None:
                before[i], known[i] = row, True
        gain = weight - before
        fell = (gain < 0).any(axis=1)
        gain[fell] = weight[fell]  # a bucket can only fall when all began again
        return gain, known & self._keep(pool, series, edge, weight)

    def drop(self, ids: Int32s) -> None:
        """Forget series; those not held are ignored."""
        for number in ids[ids < len(self._width)].tolist():
            width = int(self._width[number])
            if width:
                self._pools[width].free.append(int(self._row[number]))
                self._width[number] = 0
                self.cells -= width

    def ragged(self) -> tuple[Int32s, Int64s, Floats, Floats]:
        """All of it as (series, first, edge, weight), like `signals.Distributions`."""
        ids = np.flatnonzero(self._width).astype(np.int32)
        parts = [(self._pools[int(w)], int(r)) for w, r in zip(self._width[ids], self._row[ids], strict=True)]
        first = np.concatenate([[0], np.cumsum(self._width[ids], dtype=np.int64)])
        edge = np.concatenate([np.zeros(0), *(pool.edge[row] for pool, row in parts)])
        return ids, first, edge, np.concatenate([np.zeros(0), *(pool.weight[row] for pool, row in parts)])

    def load(self, ids: Int32s, first: Int64s, edge: Floats, weight: Floats) -> None:
        """Take up what `ragged` gave."""
        for i, number in enumerate(ids.tolist()):
            part = slice(int(first[i]), int(first[i + 1]))
            one = np.array([number], np.int32)
            self.increase(one, edge[None, part], weight[None, part], np.ones(1, np.bool_))

    def _carry(self, number: int, to: Floats) -> Floats | None:
        pool, row = self._pools[int(self._width[number])], self._row[number]
        return carried(pool.edge[row], pool.weight[row], to)

    def _keep(self, pool: _Pool, series: Int32s, edge: Floats, weight: Floats) -> Bools:
        width = edge.shape[1]
        kept = np.ones(len(series), np.bool_)
        new = np.flatnonzero(self._width[series] != width)
        if len(new):
            self.drop(series[new])
            room = max((self.limit - self.cells) // width, 0)
            kept[new[room:]] = False
            new = new[:room]
            self._row[series[new]] = pool.take(len(new))
            self._width[series[new]] = width
            self.cells += width * len(new)
        rows = self._row[series[kept]]
        pool.edge[rows], pool.weight[rows] = edge[kept], weight[kept]
        return kept
