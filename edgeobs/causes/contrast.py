"""What changed when something began: how often things happen, beside how often they were due.

Everything that a request leaves behind is counted beside the requests: lines of a template, calls of another
service, requests slower than they used to be. A load that doubles doubles both and changes nothing, and a
workload that is called less because its caller fails goes on as before for each request. So what changes here
is of the workload itself, and that tells causes from victims.

The measure is Chernoff's bound on a binomial tail: of all k = k₀ + k₁ times that a thing happened, before and
during, the share q = n₁/(n₀ + n₁) was due during, and P(k₁ or further) ≤ exp(−k · KL(k₁/k ‖ q)). It is
divided by how much more than chance the counts of former blocks varied (quasi-likelihood; Wedderburn,
Biometrika 1974).
"""

from typing import NamedTuple

import numpy as np

from edgeobs.signals import Bools, Floats, Int64s

MOST = 20.0
"""Decades; a score is never higher."""
_PRIOR_BLOCKS = 4.0  # blocks that varied as chance has it, counted before any was seen
_LEAST_SPREAD = 0.25  # what happens exactly once a request varies less than chance; believed down to here
_ROUNDS, _PRIOR = 100, 0.5  # of learning rates, and requests' worth of belief that all operations are alike
_ENOUGH = 1e-4  # of a rate, that a round changes no more
_TINY = 1e-9  # a rate of what never happened


class Contrast(NamedTuple):
    """Of S series."""

    fewer: Floats  # [S] decades of becoming fewer; 0 where it did not
    more: Floats  # [S] decades of becoming more
    seen: Floats  # [S] times during
    due: Floats  # [S] times that were due during, by what was before
    first: Int64s  # [S] the first interval during in which the change shows; −1: in none


def contrast(count: Floats, exposure: Floats, before: Bools, during: Bools) -> Contrast:
    """How surprising each series is during something, given what it was before.

    Parameters
    ----------
    count, exposure
        [S, B], ≥ 0: how often in each of B intervals of equal length, and out of how many times, where only
        proportions count.
    before, during
        [B]: the intervals that are compared. What is neither (nothing was recorded, something else was wrong)
        is left out.

    """
    columns = np.flatnonzero(during)
    k0, n0 = count[:, before].sum(axis=1), exposure[:, before].sum(axis=1)
    k1, n1 = count[:, columns].sum(axis=1), exposure[:, columns].sum(axis=1)
    usual = _over(k0, n0)
    decades = _decades(k0, n0, k1, n1) / _spread(count[:, before], exposure[:, before], len(columns))
    decades = np.where((n0 > 0) & (n1 > 0), np.minimum(decades, MOST), 0.0)
    rises = k1 > usual * n1
    expected = usual[:, None] * exposure[:, columns]
    shows = np.where(rises[:, None], count[:, columns] > expected, count[:, columns] < expected)
    first = np.full(len(count), -1, np.int64)
    if len(columns):
        first = np.where(shows.any(axis=1), columns[np.argmax(shows, axis=1)], -1)
    return Contrast(np.where(rises, 0.0, decades), np.where(rises, decades, 0.0), k1, usual * n1, first)


def due(count: Floats, parts: Floats, before: Bools) -> Floats:
    """How often each thing was due in each interval, by what was asked for: [S, B].

    A workload's operations leave different things behind, and their mix is the callers' choice. Which leaves
    what behind is learned from before: counts are taken as Poisson with mean Σ rate × part, and the rates are
    found by expectation and maximisation, each under a Gamma prior around the rate of all together.

    Parameters
    ----------
    count
        [S, B], ≥ 0
    parts
        [P, B], ≥ 0: requests of the same workload, by operation; of its log lines also its calls, by callee.
    before
        [B]: the intervals to learn from.

    """
    k, n = count[:, before], parts[:, before]
    served = n.sum(axis=1)
    overall = np.maximum(k.sum(axis=1) / max(float(served.sum()), 1.0), _TINY)[:, None]
    rate = np.repeat(overall, len(parts), axis=1)
    for _ in range(_ROUNDS if len(parts) > 1 else 1):  # with one there is nothing to tell apart
        responsible = rate * (_over(k, rate @ n) @ n.T)
        rate, before_it = (responsible + _PRIOR) / (served + _PRIOR / overall), rate
        if np.all(np.abs(rate - before_it) <= _ENOUGH * rate):
            break
    found: Floats = rate @ parts
    return found


def slow(usual: Floats, share: float, margin: int) -> Int64s:
    """The first bin of durations that is slow, of each series: [S]; of one without a past none, so D or more.

    Parameters
    ----------
    usual
        [S, D], ≥ 0: requests by duration when nothing was wrong, in D bins that ascend.
    share, margin
        The highest bins that together held at most this share are unusual; slow is what lies so many bins
        above the lowest of these, so that a table that grows is no incident.

    """
    above = np.cumsum(usual[:, ::-1], axis=1)[:, ::-1]
    rare = above <= share * above[:, :1]
    first: Int64s = np.where(rare.any(axis=1) & (above[:, 0] > 0), np.argmax(rare, axis=1), usual.shape[1])
    return first + margin


def _decades(k0: Floats, n0: Floats, k1: Floats, n1: Floats) -> Floats:
    """k · KL(k₁/k ‖ n₁/n) in decades, less what looking at both sides costs."""
    k, n = k0 + k1, n0 + n1
    nats = _part(k1, k * _over(n1, n)) + _part(k0, k * _over(n0, n))
    decades: Floats = np.maximum((nats - np.log(2.0)) / np.log(10.0), 0.0)
    return decades


def _part(seen: Floats, expected: Floats) -> Floats:
    part: Floats = seen * np.log(np.where(seen > 0, _over(seen, expected, 1.0), 1.0))
    return part


def _spread(count: Floats, exposure: Floats, width: int) -> Floats:
    """Pearson's variance of blocks as long as what is judged, over that of chance."""
    blocks = count.shape[1] // width if width else 0
    if not blocks:
        return np.ones(len(count))
    k, n = (x[:, -blocks * width :].reshape(len(x), blocks, width).sum(axis=2) for x in (count, exposure))
    expected = _over(k.sum(axis=1), n.sum(axis=1))[:, None] * n
    tells = expected >= 1.0  # where hardly any are due, their number says nothing about how it varies
    square = np.where(tells, _over((k - expected) ** 2, expected), 0.0).sum(axis=1)
    freedom = np.maximum(tells.sum(axis=1) - 1, 0)
    spread: Floats = np.maximum((_PRIOR_BLOCKS + square) / (_PRIOR_BLOCKS + freedom), _LEAST_SPREAD)
    return spread


def _over(a: Floats, b: Floats, otherwise: float = 0.0) -> Floats:
    return np.where(b > 0, a / np.where(b > 0, b, 1.0), otherwise)
