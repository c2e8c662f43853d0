"""Changes that nobody announced: a level that has moved and stays, found from means of blocks of samples."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le

from edgeobs.columns import grown, rounds
from edgeobs.detect.contract import State
from edgeobs.signals import Floats, Int32s

SCHEMA = 1
LARGEST = 1e37
_TENTHS = 10.0  # steps in which the sums are kept
_UNSURE = 2.0  # blocks' worth of doubt while young
_CLIP = 2.0  # spreads beyond which a block teaches no more than one there would
_OF_SIZE = 1e-4  # least spread, relative to the level
_MOST = 255
_COLUMNS: dict[str, Any] = {
    "total": np.float32,  # mean of the block so far
    "mean": np.float32,  # of blocks
    "sd": np.float32,
    "count": np.uint8,  # samples in the block so far
    "n": np.uint8,  # blocks since the beginning, or since the level moved
    "up": np.uint8,  # the sums, in tenths
    "down": np.uint8,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftSettings:
    """How soon a level has moved for good."""

    block: Annotated[int, Ge(2), Le(255)] = 16
    """Samples whose mean is looked at: noise that hangs together for a few is nearly white in it."""

    memory: Annotated[float, Ge(8), Le(255)] = 64.0
    """Blocks that the mean and spread of blocks remember."""

    warm: Annotated[int, Ge(4), Le(200)] = 16
    """Blocks before anything counts as a shift."""

    drift: Annotated[float, Gt(0), Le(5)] = 0.75
    """Spreads of a block that are taken off each: what is less than that away sums up to nothing."""

    limit: Annotated[float, Gt(0), Le(20)] = 6.0
    """Sum, in spreads of a block, from which the level has moved."""

    cut: Annotated[float, Gt(1), Le(10)] = 3.5
    """Spreads that one block counts at the most: a level has moved in three blocks at the earliest, and one
    burst is no shift."""


class Shifts:
    """Two-sided cumulative sums on means of blocks; 16 bytes a series, and most samples cost one addition.

    z = (block − mean)/sd of blocks, cut to ±``cut``; up ← max(0, up + z − drift), down likewise; the level
    has moved when either exceeds ``limit``, and everything begins anew. ADWIN (Bifet & Gavaldà 2007) asks for
    independent samples, and finds a change every few hundred in noise that hangs together; blocks do not.

    Sources: Page (1954) for the sums; Law & Kelton (2000, batch means) for why blocks.
    """

    def __init__(self, settings: ShiftSettings) -> None:
        self.settings = settings
        self.columns = {name: np.zeros(0, dtype) for name, dtype in _COLUMNS.items()}

    def observe(self, series: Int32s, value: Floats) -> Int32s:
        """Learn samples; the series whose level has just moved, in no order."""
        fine = np.isfinite(value)
        if not fine.all():
            series, value = series[fine], value[fine]
        rows = int(series.max(initial=-1)) + 1
        self.columns = {name: grown(column, rows, 0) for name, column in self.columns.items()}
        found = [
            self._round(series[index], np.clip(value[index], -LARGEST, LARGEST)) for index in rounds(series)
        ]
        return np.concatenate(found) if found else np.zeros(0, np.int32)

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        for column in self.columns.values():
            column[ids[ids < len(column)]] = 0

    def state(self) -> State:
        """A copy of all that was learned."""
        used = int(np.flatnonzero(self.columns["n"] | self.columns["count"]).max(initial=-1)) + 1
        copies: State = {name: column[:used].copy() for name, column in self.columns.items()}
        return copies | {"schema": np.array([SCHEMA])}

    def restore(self, state: State) -> None:
        """Take up a `state`; ValueError with the reason, and nothing changed, when it does not fit."""
        schema = state.get("schema")
        if schema is None or schema.dtype.kind not in "iu" or schema.tolist() != [SCHEMA]:
            raise ValueError(f"shifts: expected schema {SCHEMA}, found {schema}")
        for name, dtype in _COLUMNS.items():
            part = state.get(name)
            if part is None or part.dtype != dtype or part.ndim != 1 or len(part) != len(state["n"]):
                raise ValueError(
                    f"shifts: {name}: expected one column of {np.dtype(dtype)}, as long as the others"
                )
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                raise ValueError(f"shifts: {name}: not finite")
        self.columns = {name: state[name].copy() for name in _COLUMNS}

    def _round(self, series: Int32s, value: Floats) -> Int32s:
        """Samples of series that differ."""
        c = self.columns
        count = c["count"][series] + 1.0
        total = c["total"][series].astype(np.float64)
        total += (value - total) / count
        full = count >= self.settings.block
        c["count"][series] = np.where(full, 0, count)
        c["total"][series] = np.where(full, 0.0, total)
        return self._blocks(series[full], total[full]) if full.any() else np.zeros(0, np.int32)

    def _blocks(self, series: Int32s, block: Floats) -> Int32s:
        c, s = self.columns, self.settings
        n, mean = c["n"][series].astype(np.float64), c["mean"][series].astype(np.float64)
        old = c["sd"][series].astype(np.float64)
        least = np.maximum(_OF_SIZE * np.abs(mean), 1e-30)
        width = np.maximum(old * np.sqrt(n / np.maximum(n - 1.0, 1.0)), least) * (
            1 + _UNSURE / np.maximum(n, 1.0)
        )
        warm = n >= s.warm
        z = np.where(warm, np.clip((block - mean) / width, -s.cut, s.cut), 0.0)
        up = np.maximum(c["up"][series] / _TENTHS + z - s.drift, 0.0)
        down = np.maximum(c["down"][series] / _TENTHS - z - s.drift, 0.0)
        moved = np.maximum(up, down) > s.limit
        limit = np.where(warm, _CLIP * width, np.inf)
        d = np.clip(block - mean, -limit, limit)
        a = np.maximum(1.0 / s.memory, 1.0 / (n + 1.0))
        c["mean"][series] = np.where(moved, 0.0, mean + a * d)
        c["sd"][series] = np.where(
            moved, 0.0, np.minimum(np.sqrt((1 - a) * (old * old + a * d * d)), LARGEST)
        )
        c["n"][series] = np.where(moved, 0, np.minimum(n + 1, _MOST))
        c["up"][series] = np.where(moved, 0, np.minimum(np.rint(up * _TENTHS), _MOST))
        c["down"][series] = np.where(moved, 0, np.minimum(np.rint(down * _TENTHS), _MOST))
        return series[moved]
