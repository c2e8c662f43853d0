"""Histogram points → ascending upper edges and the weight of each bucket alone, +Inf last.

Exponential buckets become explicit ones: index i of scale s covers (2^(i·2^−s), 2^((i+1)·2^−s)], mirrored
below zero (OpenTelemetry metrics data model, "ExponentialHistogram"). Powers are products of repeated square
roots, so that every path to them, compiled or not, gives the same bits.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

MAX_BUCKETS = 1024
"""Of one point; more is invalid. SDKs send 160, Prometheus's native histograms a few hundred."""

MIN_SCALE, MAX_SCALE = -11, 20

Buckets = tuple[list[float], list[float]]


def _roots() -> tuple[float, ...]:
    roots = [2.0]
    for _ in range(MAX_SCALE):
        roots.append(math.sqrt(roots[-1]))
    return tuple(roots)


ROOTS = _roots()
"""``ROOTS[k]`` is 2^(2^−k)."""


def power(index: int, scale: int) -> float:
    """2^(index·2^−scale), to about 20 ulp; 0 and +Inf beyond the range of floats."""
    whole = index >> scale if scale >= 0 else index << -scale
    root = 1.0
    for k in range(1, scale + 1):
        if index >> (scale - k) & 1:
            root *= ROOTS[k]
    if whole > 1023:
        return math.inf
    return root * math.ldexp(1.0, whole) if whole >= -1074 else 0.0


def ascending(values: Sequence[float]) -> bool:
    """Strictly; false where a NaN is."""
    return all(a < b for a, b in pairwise(values))


def explicit(counts: Sequence[int], bounds: Sequence[float]) -> Buckets | None:
    """Edges and weights of an explicit histogram without buckets' counts folded; None when they do not fit.

    ``bounds`` must be finite and strictly ascending, with one count more than bounds, or both empty.
    """
    if len(counts) > MAX_BUCKETS or len(counts) != len(bounds) + bool(counts or bounds):
        return None
    if not all(math.isfinite(b) for b in bounds) or not ascending(bounds):
        return None
    return [*bounds, math.inf], [float(c) for c in counts] or [0.0]


def exponential(
    scale: int,
    zero_count: int,
    zero_threshold: float,
    positive: tuple[int, Sequence[int]],
    negative: tuple[int, Sequence[int]],
) -> Buckets | None:
    """The same of an exponential histogram; each side is (offset, counts). None when it makes no sense.

    Where the sender's zero bucket or the range of floats swallows an edge, its weight joins the edge before.
    """
    (above, ups), (below, downs) = positive, negative
    if not (MIN_SCALE <= scale <= MAX_SCALE and 0 <= zero_threshold < math.inf):
        return None
    if len(ups) + len(downs) > MAX_BUCKETS:
        return None
    edges: list[float] = []
    weights: list[float] = []

    def push(edge: float, weight: float) -> None:
        if edges and edge <= edges[-1]:
            weights[-1] += weight
        else:
            edges.append(edge)
            weights.append(weight)

    if downs:
        push(-power(below + len(downs), scale), 0.0)
        for i in range(len(downs) - 1, -1, -1):
            push(-power(below + i, scale), float(downs[i]))
        if zero_threshold > 0:
            push(-zero_threshold, 0.0)
    push(zero_threshold, float(zero_count))
    if ups:
        push(power(above, scale), 0.0)
        for i, count in enumerate(ups):
            push(power(above + i + 1, scale), float(count))
    push(math.inf, 0.0)
    return edges, weights
