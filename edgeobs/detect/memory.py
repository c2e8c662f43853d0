"""What a bank remembers of every series: 256 bytes a series, 187 of them without the season."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeobs.columns import room
from edgeobs.detect.contract import State
from edgeobs.detect.sample import FIELDS, FRESH, WHOLE_NUMBERS, N
from edgeobs.signals import Int32s

SHAPES, LAGS = 12, 4
"""Shapes known per series, and what describes one: three steps and the value before them."""
USES = SHAPES * LAGS
"""Where the counts of uses begin in a row of ``shapes``; the last three values follow."""
PAST = USES + SHAPES
UNKNOWN = -128
"""A past value, or a difference of a day of rest, that is not there."""
BUCKETS, RESTS = 24, 6
UNSEEN = -32768
"""A bucket of the day that was never seen."""
NO_BUCKET = 255
BUCKET, DAYS, UNIT, REST_WON, WORK_WON = range(5)
USUAL, SUM = range(2)
SCHEMA = 3

_REALS = len(FIELDS[:WHOLE_NUMBERS])
_BYTES = len(FIELDS) - WHOLE_NUMBERS


ROW = np.dtype(
    {
        "names": ["at_ns", "reals", "day", "hours", "count", "bytes", "days", "rest", "shapes"],
        "formats": [
            np.int64,  # time of the last sample
            (np.float32, _REALS),  # `FIELDS` before `WHOLE_NUMBERS`
            (np.float32, 2),  # USUAL, and the running mean SUM of the bucket of now
            (np.int16, BUCKETS),  # means by time of day, in units from USUAL
            np.int16,  # samples in the bucket of now
            (np.uint8, _BYTES),  # the other `FIELDS`
            # BUCKET of now (24 more on a day of rest; NO_BUCKET: none yet), DAYS completed, UNIT (a power of
            # two, `season.UNITS`; 0: none yet), hours by which days of rest, and others, are confirmed
            (np.uint8, 5),
            (np.int8, RESTS),  # how far a day of rest is from the others, in `season.STEP`s
            (np.int8, PAST + LAGS - 1),  # shapes, their uses, the last values; in fifteenths of a spread
        ],
        "offsets": [0, 8, 116, 124, 172, 174, 182, 187, 193],
        "itemsize": 256,
    }
)
"""One series: four cache lines, whatever the order of samples."""


def _at(part: str) -> int:
    """Where a part begins in a row that is seen as items of the part's type."""
    fields = dict(ROW.fields or {})
    kind, offset = fields[part][:2]
    return int(offset) // int(kind.base.itemsize)


TIME_AT, REALS_AT, DAY_AT, HOURS_AT = _at("at_ns"), _at("reals"), _at("day"), _at("hours")
BYTES_AT, DAYS_AT, SHAPES_AT = _at("bytes"), _at("days"), _at("shapes")
COUNT_AT, REST_AT = _at("count"), _at("rest")


class Memory:
    """Rows by series id, and each of their parts as an array of its own (a view)."""

    __slots__ = ("at_ns", "bytes", "count", "day", "days", "hours", "reals", "rest", "rows", "shapes")

    def __init__(self, rows: NDArray[Any]) -> None:
        self.rows = rows
        self.at_ns: NDArray[np.int64] = rows["at_ns"]
        self.reals: NDArray[np.float32] = rows["reals"]
        self.day: NDArray[np.float32] = rows["day"]
        self.hours: NDArray[np.int16] = rows["hours"]
        self.count: NDArray[np.int16] = rows["count"]
        self.bytes: NDArray[np.uint8] = rows["bytes"]
        self.days: NDArray[np.uint8] = rows["days"]
        self.rest: NDArray[np.int8] = rows["rest"]
        self.shapes: NDArray[np.int8] = rows["shapes"]

    def __len__(self) -> int:
        return len(self.rows)

    def seen_as(self, kind: type[np.generic]) -> NDArray[Any]:
        """The rows as items of one type: what compiled code reads and writes in place."""
        return self.rows.view(kind).reshape(len(self), ROW.itemsize // np.dtype(kind).itemsize)


def empty() -> Memory:
    """Of no series."""
    return Memory(np.zeros(0, ROW))


def grow(memory: Memory, rows: int) -> Memory:
    """The same with room for at least ``rows`` series; new ones know nothing."""
    have = len(memory)
    if rows <= have:
        return memory
    more = Memory(np.zeros(room(have, rows), ROW))
    more.rows[:have] = memory.rows
    wipe(more, np.arange(have, len(more), dtype=np.int32))
    return more


def wipe(memory: Memory, ids: Int32s) -> None:
    """These series know nothing any more."""
    memory.rows[ids] = np.zeros((), ROW)
    for field, value in FRESH.items():
        memory.reals[ids, field] = value
    memory.shapes[ids, PAST:] = UNKNOWN
    wipe_season(memory, ids)


def wipe_season(memory: Memory, ids: Any) -> None:
    """These series have no season any more."""
    memory.hours[ids], memory.rest[ids] = UNSEEN, UNKNOWN
    memory.day[ids] = memory.count[ids] = memory.days[ids] = 0
    memory.days[ids, BUCKET] = NO_BUCKET


def state(memory: Memory) -> State:
    """A copy, without the rows at the end that know nothing."""
    used = int(np.flatnonzero(memory.reals[:, N]).max(initial=-1)) + 1
    parts: State = {name: memory.rows[name][:used].copy() for name in ROW.names or ()}
    return parts | {"schema": np.array([SCHEMA])}


def restored(state: State) -> Memory:
    """What a `state` remembers; ValueError with the reason when it does not fit."""
    schema = state.get("schema")
    if schema is None or schema.tolist() != [SCHEMA]:
        raise ValueError(f"series: expected schema {SCHEMA}, found {schema}")
    at_ns = state.get("at_ns", np.zeros(0))
    rows = np.zeros(len(at_ns) if at_ns.ndim == 1 else 0, ROW)
    for name in ROW.names or ():
        part, wanted = state.get(name, np.zeros(())), rows[name]
        if part.dtype != wanted.dtype or part.shape != wanted.shape:
            raise ValueError(
                f"series: {name}: expected {wanted.dtype} {wanted.shape}, found {part.dtype} {part.shape}"
            )
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            raise ValueError(f"series: {name}: not finite")
        rows[name] = part
    _sound(rows)
    return Memory(rows)


def _sound(rows: NDArray[Any]) -> None:
    """What no run of samples could have left behind would index out of a row, or divide by zero."""
    days, uses = rows["days"], rows["shapes"][:, USES:PAST]
    if ((days[:, BUCKET] >= 2 * BUCKETS) & (days[:, BUCKET] != NO_BUCKET)).any():
        raise ValueError("series: days: a bucket of no day")
    if (rows["at_ns"] < 0).any():
        raise ValueError("series: at_ns: before any clock")
    if (uses < 0).any() or (rows["reals"][:, [N, *FRESH]] < 0).any():
        raise ValueError("series: shapes, reals: a count or scale below zero")
