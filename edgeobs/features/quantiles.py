"""Quantiles of bucket counts, and bucket counts carried over to other bounds."""

import numpy as np

from edgeobs.signals import Floats

_SAME = 1e-9  # relative: two bounds that differ by less are one (exponential bounds are computed, not sent)


def quantile(q: float, edge: Floats, weight: Floats) -> Floats:
    """The q-quantile of each row of m × b buckets, interpolated as PromQL's histogram_quantile does.

    ``edge`` are ascending upper bounds, the last +Inf, ``weight`` the count in each bucket alone. The lowest
    bucket begins at 0 when its bound is above 0; what falls into the last is put at the bound before it. NaN
    for rows without counts or with a single bucket. Source: Prometheus documentation, histogram_quantile().
    """
    m, b = edge.shape
    if b < 2:
        return np.full(m, np.nan)
    below = np.cumsum(weight, axis=1)
    every = below[:, -1]
    rank = q * every
    at = np.minimum((below < rank[:, None]).sum(axis=1), b - 1)
    row = np.arange(m)
    # The last bucket, and an only-negative first one, have no width: their nearest finite bound stands.
    top = edge[row, np.minimum(at, b - 2)]
    low = np.where(at > 0, edge[row, np.maximum(at - 1, 0)], np.minimum(top, 0.0))
    inside, count = rank - (below[row, at] - weight[row, at]), weight[row, at]
    share = np.clip(inside / np.where(count > 0, count, 1.0), 0.0, 1.0)
    flat = (at == b - 1) | ~np.isfinite(low)
    with np.errstate(over="ignore", invalid="ignore"):
        value = np.where(flat, top, low + (top - low) * share)
    return np.where(every > 0, value, np.nan)


def carried(edge: Floats, weight: Floats, to: Floats) -> Floats | None:
    """Counts of one histogram as they would be in buckets bounded by ``to``; None where that is unknown.

    Known when each of the new bounds is an old one or cuts no bucket that holds anything: an exponential
    histogram that has grown, or has merged its buckets to a coarser scale.
    """
    below = np.concatenate([[0.0], np.cumsum(weight)])
    near = np.minimum(np.searchsorted(edge, to * (1 - np.sign(to) * _SAME)), len(edge) - 1)
    with np.errstate(invalid="ignore"):
        same = (edge[near] == to) | (np.abs(edge[near] - to) <= _SAME * np.abs(to))
    if not (same | (weight[near] == 0)).all():
        return None
    gone: Floats = np.diff(below[near + same], prepend=0.0)
    return gone
