"""Orders within groups: medians of many at once, and which sample is later than all before it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeobs.detect.contract import State
from edgeobs.detect.peer_groups import PeerGroups
from edgeobs.signals import Floats, Int32s, Int64s

Columns = dict[str, NDArray[Any]]


def medians(row: Int64s, value: Floats, rows: int) -> Floats:
    """Of half-precision values by row, 0 where a row has none.

    Row and value make one whole number, so that one sort of integers does for all rows.
    """
    bits = np.clip(value, -6e4, 6e4).astype(np.float16).view(np.uint16).astype(np.uint32)
    ordered = np.where(bits >> 15, 0xFFFF - bits, bits | 0x8000)
    keys = (row.astype(np.uint64) << np.uint64(16)) | ordered.astype(np.uint64)
    keys.sort()
    half = (keys & np.uint64(0xFFFF)).astype(np.uint16)
    back = np.where(half >> 15, half & 0x7FFF, ~half).astype(np.uint16).view(np.float16)
    return _middle(back.astype(np.float64), np.bincount(row, minlength=rows))


def exact_medians(row: Int64s, value: Floats, rows: int) -> Floats:
    """As `medians`, of the values as they are."""
    return _middle(value[np.lexsort((value, row))], np.bincount(row, minlength=rows))


def _middle(ordered: Floats, count: Int64s) -> Floats:
    if not len(ordered):
        return np.zeros(len(count))
    first = np.cumsum(count) - count
    last = len(ordered) - 1
    low = ordered[np.minimum(first + np.maximum(count - 1, 0) // 2, last)]
    high = ordered[np.minimum(first + count // 2, last)]
    return np.where(count > 0, low + (high - low) / 2, 0.0)


def records(
    time_ns: Int64s, first: Int64s, at_ns: Int64s, phase_ns: Int64s, every_ns: int
) -> tuple[Int64s, Int64s]:
    """For samples in order of group: the group's latest time up to each, and the place of the next record.

    A record is the first of a stretch of ``every_ns``, shifted by a phase, that is later than all of its
    group before it, ``at_ns`` (the latest in earlier calls) included. The places have one more element, so
    that the place after the last sample may be asked for. ``first`` are the places where a group begins.
    """
    n = len(time_ns)
    starts = np.zeros(n, np.bool_)
    starts[first] = True
    latest = time_ns
    if bool(((time_ns[1:] < time_ns[:-1]) & ~starts[1:]).any()):
        times, rank = np.unique(
            time_ns, return_inverse=True
        )  # by rank, with the group before it in one number
        group = (np.cumsum(starts) - 1) * len(times)
        latest = times[np.maximum.accumulate(group + rank) - group]
    latest = np.maximum(latest, at_ns)
    previous = np.where(starts, at_ns, np.append(0, latest[:-1]))
    new = (latest + phase_ns) // every_ns > (previous + phase_ns) // every_ns
    place = np.where(new, np.arange(n), n)
    return latest, np.append(np.minimum.accumulate(place[::-1])[::-1], n)


def load(
    series: dict[str, NDArray[Any]],
    group: dict[str, NDArray[Any]],
    groups: PeerGroups,
    state: State,
    schema: int,
) -> None:
    """Fill empty columns from a `state`; ValueError with the reason when it does not fit."""
    found = state.get("schema")
    if found is None or found.dtype.kind not in "iu" or found.tolist() != [schema]:
        raise ValueError(f"peers: expected schema {schema}, found {found}")
    given = state.get("group")
    if given is None or given.dtype != np.int32 or given.ndim != 1:
        raise ValueError("peers: group: expected one column of whole numbers")
    of: Int32s = given.astype(np.int32)
    if len(of) != len(groups.table.identities):
        raise ValueError(f"peers: group: {len(of)} rows for {len(groups.table.identities)} series")
    members = np.flatnonzero(of >= 0)
    numbers = int(of.max(initial=-1)) + 1
    if int(of.min(initial=-1)) < -1 or (groups.table.owner[members] < 0).any():
        raise ValueError("peers: group: names series that are not in the table")
    for prefix, columns in (("series", series), ("group", group)):
        for name, like in columns.items():
            part = state.get(f"{prefix}.{name}")
            if part is None or part.dtype != like.dtype or part.ndim != 1:
                raise ValueError(f"peers: {prefix}.{name}: expected one column of {like.dtype}")
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                raise ValueError(f"peers: {prefix}.{name}: not finite")
            if len(part) < (numbers if prefix == "group" else len(members) and members[-1] + 1):
                raise ValueError(f"peers: {prefix}.{name}: {len(part)} rows are too few")
            columns[name] = part.copy()
    groups.load(of)
