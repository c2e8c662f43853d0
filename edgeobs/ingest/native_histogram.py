"""Prometheus native histograms → `Distributions`: spans and deltas become ascending edges and counts.

Source: the native histogram specification (sections *Schema*, *Buckets*, *Zero bucket*, *Custom values*).
Every step works on all histograms of a request at once; both remote write decoders end here, so that they
cannot differ.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeobs.ingest.buckets import MAX_BUCKETS
from edgeobs.signals import STALE_NAN, Bools, Floats, Int32s, Int64s

CUSTOM = -53  # schema of explicit bounds
_SLACK = 1 + 1e-9  # buckets may exceed the count by rounding alone
_LARGEST = np.finfo(np.float64).max
_TINY = np.nextafter(0.0, 1.0)
_STALE_BITS = STALE_NAN.view(np.uint64)
# Mantissas of schema 8; coarser schemas take every 2nd, 4th, … so that equal bounds are equal bits.
_MANTISSA = np.array([2.0 ** (k / 256) for k in range(256)])


@dataclass(frozen=True, slots=True)
class Side:
    """The negative or the positive buckets of m histograms, as sent.

    Row i owns ``offset`` and ``length`` of its spans at ``span[i]:span[i+1]`` and ``bits`` at
    ``value[i]:value[i+1]``: 64 bits each, int64 deltas or, in a float histogram, float64 counts.
    """

    span: Int64s
    offset: Int64s
    length: Int64s
    value: Int64s
    bits: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Columns:
    """m histograms as sent. ``custom[i]:custom[i+1]`` are row i's bounds in ``bounds``."""

    schema: Int32s
    is_float: Bools
    count: Floats
    total: Floats
    zero_threshold: Floats
    zero_count: Floats
    negative: Side
    positive: Side
    custom: Int64s
    bounds: Floats


@dataclass(frozen=True, slots=True)
class _Buckets:
    """Populated buckets (k): the row each belongs to, and ``lower < x ≤ upper``."""

    row: Int64s
    lower: Floats
    upper: Floats
    weight: Floats


def expand(columns: Columns) -> tuple[Int64s, Floats, Floats, Floats, Bools]:
    """``first[m+1]``, ``edge``, ``weight``, ``count[m]``, and which rows are valid.

    Rows that break the specification own no edges. A stale marker (its sum is the marker) is valid and owns
    none either; its count is the marker too.
    """
    stale = columns.total.view(np.uint64) == _STALE_BITS
    with np.errstate(all="ignore"):  # hostile numbers overflow; what they become is checked below
        ok = ~stale & _sane(columns) & _spans_fit(columns.negative) & _spans_fit(columns.positive)
        negative, below_ok = _populated(columns, columns.negative, ok, -1.0)
        positive, above_ok = _populated(columns, columns.positive, ok, 1.0)
        ok &= below_ok & above_ok
        inside = np.bincount(negative.row, negative.weight, len(ok)) + columns.zero_count
        inside = inside + np.bincount(positive.row, positive.weight, len(ok))
        ok &= inside <= columns.count * _SLACK
    first, edge, weight = _edges(columns, negative, positive, ok)
    return first, edge, weight, np.where(stale, STALE_NAN, columns.count), ok | stale


def _sane(c: Columns) -> Bools:
    """Whether schema, count, zero bucket and custom bounds are what the specification allows."""
    custom = c.schema == CUSTOM
    zero = np.isfinite(c.zero_threshold) & (c.zero_threshold >= 0)
    zero &= np.isfinite(c.zero_count) & (c.zero_count >= 0)
    plain = (c.schema >= -4) & (c.schema <= 8) & zero
    none_below = (np.diff(c.negative.span) == 0) & (np.diff(c.negative.value) == 0) & (c.zero_count == 0)
    row = _rows(c.custom)
    rising = np.ones(len(c.bounds), np.bool_)
    rising[1:] = (c.bounds[1:] > c.bounds[:-1]) | (row[1:] != row[:-1])
    bounds = _none_of(~(rising & np.isfinite(c.bounds)), row, len(custom))
    sizes = np.diff(c.negative.value) + np.diff(c.positive.value)
    few = (sizes <= MAX_BUCKETS) & (np.diff(c.custom) <= MAX_BUCKETS)
    return few & np.where(custom, none_below & bounds, plain) & np.isfinite(c.count) & (c.count >= 0)


def _spans_fit(side: Side) -> Bools:
    """Whether spans are as long as there are values, and none but a row's first goes backwards."""
    m = len(side.span) - 1
    length = np.concatenate([[0], np.cumsum(side.length)])
    fits = np.diff(length[side.span]) == np.diff(side.value)
    later = np.ones(len(side.offset), np.bool_)
    later[side.span[:-1][side.span[:-1] < len(later)]] = False
    ok: Bools = fits & _none_of(later & (side.offset < 0), _rows(side.span), m)
    return ok


def _populated(c: Columns, side: Side, ok: Bools, sign: float) -> tuple[_Buckets, Bools]:
    """A side's buckets that hold anything, of the rows that are ``ok``, and which rows stay so."""
    m = len(ok)
    row = _rows(side.value)
    counts = np.where(c.is_float[row], side.bits.view(np.float64), _running(side, row).astype(np.float64))
    keep = ok[row]
    row, counts, index = row[keep], counts[keep], _indices(side, ok)
    size = np.diff(c.custom)
    top = np.where(c.schema == CUSTOM, size, _overflow(c.schema))[row]
    bad = ~(np.isfinite(counts) & (counts >= 0)) | (index > top) | ((c.schema[row] == CUSTOM) & (index < 0))
    some = (counts > 0) & ~bad
    row, counts, index = row[some], counts[some], index[some]
    inner, outer = _bound(c, row, index - 1), _bound(c, row, index)
    # The zero bucket may overlap the buckets next to it; what they count lies outside it.
    nearest = np.where(c.schema[row] == CUSTOM, -np.inf, c.zero_threshold[row])
    if sign < 0:
        nearest = np.maximum(nearest, _TINY)
    inner, outer = np.maximum(inner, nearest), np.maximum(outer, nearest)
    lower, upper = (inner, outer) if sign > 0 else (-outer, -inner)
    return _Buckets(row, lower, upper, counts), _none_of(bad, _rows(side.value)[keep], m)


def _running(side: Side, row: Int64s) -> Int64s:
    """Deltas summed within each row. Sums wrap, which cancels out but for a row that wraps by itself."""
    total = np.concatenate([[0], np.cumsum(side.bits.view(np.int64))])
    within: Int64s = total[1:] - total[side.value[:-1]][row]
    return within


def _indices(side: Side, ok: Bools) -> Int64s:
    """The bucket index of each value of the rows that are ``ok``."""
    row = _rows(side.span)
    length = np.where(ok[row], side.length, 0)
    before = np.concatenate([[0], np.cumsum(length)])
    moved = np.concatenate([[0], np.cumsum(side.offset)])
    start = moved[1:] - moved[side.span[:-1]][row] + before[:-1] - before[side.span[:-1]][row]
    return np.repeat(start - before[:-1], length) + np.arange(before[-1])


def _overflow(schema: Int32s) -> Int64s:
    """The index of the bucket up to +Inf; the one below it holds the largest finite number."""
    return np.ldexp(1024.0, np.clip(schema, -4, 8)).astype(np.int64) + 1


def _bound(c: Columns, row: Int64s, index: Int64s) -> Floats:
    """The bound at ``index``: (2^2^−schema)^index, or the custom bound; −Inf below the first of those."""
    schema = np.clip(c.schema[row], -4, 8).astype(np.int64)
    finite = np.clip(index, -(1 << 20), 1 << 20)
    up, down = np.maximum(schema, 0), np.maximum(-schema, 0)
    mantissa = _MANTISSA[(finite & ((1 << up) - 1)) << (8 - up)]
    exponent = np.clip((finite << down) >> up, -1100, 1100).astype(np.int32)
    top = _overflow(schema.astype(np.int32))
    plain = np.where(index >= top - 1, _LARGEST, np.ldexp(mantissa, exponent))
    plain = np.where(index >= top, np.inf, plain)
    size = np.diff(c.custom)[row]
    padded = np.append(c.bounds, np.inf)
    at = np.where((index >= 0) & (index < size), c.custom[:-1][row] + index, len(c.bounds))
    explicit = np.where(index < 0, -np.inf, padded[at])
    return np.where(c.schema[row] == CUSTOM, explicit, plain)


def _edges(c: Columns, below: _Buckets, above: _Buckets, ok: Bools) -> tuple[Int64s, Floats, Floats]:
    """Each bucket as its lower edge with nothing below it, and its upper; then +Inf. Equal edges are one."""
    m = len(ok)
    zero = np.flatnonzero(ok & (c.zero_count > 0))
    width = c.zero_threshold[zero]
    rows = np.concatenate([np.repeat(x, 2) for x in (below.row[::-1], zero, above.row)] + [np.arange(m)])
    edge = np.concatenate(
        [
            _pairs(below.lower[::-1], below.upper[::-1]),
            _pairs(np.minimum(-width, -_TINY), width),
            _pairs(above.lower, above.upper),
            np.full(m, np.inf),
        ]
    )
    filled = (below.weight[::-1], c.zero_count[zero], above.weight)
    weight = np.concatenate([_pairs(np.zeros(len(x)), x) for x in filled] + [np.zeros(m)])
    order = np.argsort(rows, kind="stable")
    order = order[ok[rows[order]]]
    rows, edge, weight = rows[order], edge[order], weight[order]
    known = edge > -np.inf
    rows, edge, weight = rows[known], edge[known], weight[known]
    new = np.ones(len(rows), np.bool_)
    new[1:] = (rows[1:] != rows[:-1]) | (edge[1:] != edge[:-1])
    starts = np.flatnonzero(new)
    first = np.concatenate([[0], np.cumsum(np.bincount(rows[starts], minlength=m))])
    return first, edge[starts], np.add.reduceat(weight, starts) if len(starts) else weight


def _pairs(a: Floats, b: Floats) -> Floats:
    return np.stack([a, b], axis=1).ravel()


def _rows(first: Int64s) -> Int64s:
    """For each element, the row that owns it."""
    return np.repeat(np.arange(len(first) - 1), np.diff(first))


def _none_of(bad: Bools, row: Int64s, m: int) -> Bools:
    none: Bools = np.bincount(row[bad], minlength=m) == 0
    return none
