"""Small helpers for state held in columns by series id."""

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeobs.signals import Int32s

_T = TypeVar("_T", bound=np.generic)
_Index = NDArray[np.intp]


def grown(array: NDArray[_T], rows: int, fill: float) -> NDArray[_T]:
    """The array with at least ``rows`` rows, `room` to spare where it has fewer; new ones hold ``fill``."""
    have = array.shape[0]
    if rows <= have:
        return array
    more = np.full((room(have, rows) - have, *array.shape[1:]), fill, array.dtype)
    return np.concatenate([array, more])


def room(have: int, rows: int) -> int:
    """Rows to make room for: an eighth more than there were, so that memory follows the number of series."""
    return max(rows, have + have // 8 + 64)


def rounds(series: Int32s, most: int | None = None) -> Iterator[slice | _Index]:
    """Indexes in which no series occurs twice, and which together are every sample in order per series.

    What is done round by round is what would be done sample by sample. Almost always there is one round, the
    whole, found in a few nanoseconds a sample. ``most`` bounds the rounds:
    what a series has beyond is left out.
    """
    n = len(series)
    if n < 2 or bool((series[1:] > series[:-1]).all()):
        yield slice(None)
        return
    seen = np.zeros(int(series.max()) + 1, np.bool_)
    seen[series] = True
    if np.count_nonzero(seen) == n:
        yield slice(None)
        return
    rank = occurrences(series)
    order = np.argsort(rank, kind="stable")
    sizes = np.bincount(rank)[:most]  # before they are split: a million rounds would be a million arrays
    yield from np.split(order[: sizes.sum()], np.cumsum(sizes)[:-1])


def occurrences(series: Int32s) -> _Index:
    """For each sample, how many of its series came before it."""
    order = np.argsort(series, kind="stable")
    ordered = series[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(series) else np.zeros(0, np.intp)
    run = np.repeat(starts, np.diff(np.r_[starts, len(series)]))
    rank = np.empty(len(series), np.intp)
    rank[order] = np.arange(len(series)) - run
    return rank
