"""The mathematics of one sample of one series: pure, and the same for scalars and for columns.

NumPy calls these functions with columns (one element a series), the compiled kernel with scalars, so there is
one text of the mathematics whichever runs. That is why they choose with `pick`, and branch on nothing but
`some`. All numbers are float64; n counts the samples learned before this one.

Sources: Welford (1962) and Finch (2009) for the recursions; Huber (1964) for what a far sample may teach;
Davison & Smith (1990) for exceedances over a threshold; Robbins & Monro (1951) for the running quantile.
"""

from typing import Any

import numpy as np

X = Any  # a float, or float64[n]; bool likewise. What is given decides what comes back.

WARM = 30.0
"""Samples before the first score."""
SURE = 10.0
"""Samples from which a far one is cut: before, the spread is not known well enough to call anything far."""
SHORT, LONG, ALL = 200.0, 5000.0, 50_000.0
"""Samples that the short level, the long level and the whole past remember."""
SHORT_SHARE, LONG_SHARE = 0.03, 0.1
"""Part of the whole past's variance that is added to each level's, so that calm does not make it blind."""
CLIP, SEASON_CLIP, WHOLE_CLIP = 2.0, 3.0, 20.0
"""Spreads beyond which a sample teaches no more than one there would."""
SIZE_FLOOR, STEP_FLOOR = 1e-3, 2.0
"""Least spread: of the mean |value|, and in steps of the smallest change ever seen (the resolution)."""

DECADE = float(np.log(10.0))
TAIL_SHARE = 0.01  # of samples that lie beyond a tail's threshold
VIEW_THRESHOLD, VIEW_EXCESS = 2.6**0.5, 0.155  # of √|z|: prior; heavier than a Gaussian's, as telemetry is
TRUST = 100.0  # exceedances' worth of trust in the prior excess
VIEW_CUT = 3.0  # decades
JOINED_THRESHOLD, JOINED_EXCESS = 5.8, 0.9
JOINED_CUT, JOINED_WIDER = 2.5, 1.3
SPEED = 3000.0  # samples' worth of trust in the prior threshold
FARTHEST = 1e6
"""Spreads; nothing is farther away."""
LEAST_WEIGHT = 0.1  # of an exceedance beyond the cut, however long it has lasted
SMOOTH = 0.25
FLAT_WEIGHT, FLAT_MOST = 0.3, 8.0
NARROWEST = 1e-30
"""A spread that is shown is at least this."""
MOST = 20.0
"""Decades; no score is higher."""


def pick(condition: X, yes: X, no: X) -> X:
    """``yes`` where the condition holds, else ``no``."""
    return np.where(condition, yes, no)


def at_most(x: X, limit: X) -> X:
    """The lesser; of numbers, never NaN."""
    return np.minimum(x, limit)


def at_least(x: X, limit: X) -> X:
    """The greater; of numbers, never NaN."""
    return np.maximum(x, limit)


def some(condition: X) -> bool:
    """Whether something that only matters where the condition holds is worth computing."""
    return bool(np.count_nonzero(condition))


def floor(size: X, step: X) -> X:
    """The least spread that a series of this mean |value| and smallest change may have."""
    return at_least(SIZE_FLOOR * size, STEP_FLOOR * step)


def spread(deviation: X, share: float, whole: X, least: X) -> X:
    """One standard deviation: recent, with a share of the whole past's, never below the floor."""
    return np.sqrt(deviation * deviation + share * whole * whole + least * least)


def ratio(away: X, width: X) -> X:
    """Signed distance in spreads, within ±`FARTHEST`; where there is none, anything but 0 is that far."""
    none = width <= 0.0
    if some(none):
        nothing = pick(away > 0.0, FARTHEST, pick(away < 0.0, -FARTHEST, 0.0))
        away, width = pick(none, nothing, away), pick(none, 1.0, width)
    return at_most(at_least(away / width, -FARTHEST), FARTHEST)


def doubt(n: X, every: X) -> X:
    """What a distance in spreads is worth after n samples: nothing while too young, then 1 − 4/(n + 1)."""
    return pick(n >= WARM, 1.0 - 4.0 * every, 0.0)


def learn_level(value: X, mean: X, deviation: X, width: X, n: X, a: X) -> tuple[X, X]:
    """Mean and standard deviation after a sample that weighs ``a``: 1/memory, or 1/(n + 1) while younger.

    A sample farther than `CLIP` spreads teaches as one there would (Huber's ψ), so that a fault moves the
    level slowly while it lasts.
    """
    limit = pick((n >= SURE) & (width > 0.0), CLIP * width, np.inf)
    d = at_most(at_least(value - mean, -limit), limit)
    return mean + a * d, np.sqrt((1.0 - a) * (deviation * deviation + a * d * d))


def learn_whole(value: X, mean: X, deviation: X, size: X, width: X, n: X, a: X) -> tuple[X, X, X]:
    """Mean, standard deviation and mean |value| of the whole past; one wild value is not all of it."""
    limit = pick((n >= SURE) & (width > 0.0), WHOLE_CLIP * width, np.inf)
    d = at_most(at_least(value - mean, -limit), limit)
    new_size = size + a * (np.abs(mean + d) - size)
    return mean + a * d, np.sqrt((1.0 - a) * (deviation * deviation + a * d * d)), new_size


def learn_season(away: X, deviation: X, width: X, n: X) -> X:
    """Standard deviation around the time of day after this sample; n counts those that had one."""
    limit = pick((n >= WARM) & (width > 0.0), SEASON_CLIP * width, np.inf)
    d = at_most(at_least(away, -limit), limit)
    a = at_least(1.0 / LONG, 1.0 / (n + 1.0))
    return np.sqrt(deviation * deviation + a * (d * d - deviation * deviation))


def decades(x: X, threshold: X, excess: X) -> X:
    """−log₁₀ of the tail probability: linear to the threshold (two decades), exponential in x beyond it."""
    over = x - threshold
    far = over > 0.0
    if not some(far):
        return 2.0 * x / threshold
    return pick(far, 2.0, 0.0) + pick(far, over, 2.0 * x) / pick(far, excess * DECADE, threshold)


def learn_tail(
    x: X, threshold: X, excess: X, found: X, hot: X, cut: float, beyond: float, slow: X, quick: X
) -> tuple[X, X, X]:
    """Threshold, mean excess and run length of a tail after a sample worth ``found`` decades.

    Only what lies below ``cut`` decades teaches in full. Beyond it, a run teaches once and then a tenth:
    faults are what the tail is to tell from the rest, and would hide themselves in it. What it teaches is
    that it lies at the cut (``beyond`` 0), or beyond it (1), as what is censored does: of an exponential tail
    the latter finds the true excess, the former too little. ``slow`` is the rate of the excess, ``quick``
    that of the threshold.
    """
    over = x > threshold
    if not some(over):
        return at_least(threshold - excess * quick, 1e-3), excess, 0.0 * hot
    extreme = found > cut
    weight = pick(extreme, at_least(LEAST_WEIGHT, 1.0 / (1.0 + hot)), 1.0)
    most = (cut - 2.0) * DECADE * excess
    lesson = pick(x - threshold > most, most - (1.0 - beyond) * excess, x - threshold - excess)
    new_excess = at_least(excess + pick(over, weight * slow * lesson, 0.0), 1e-3)
    moved = threshold + new_excess * quick * pick(over, weight * (1.0 / TAIL_SHARE - 1.0), -1.0)
    return at_least(moved, 1e-3), new_excess, pick(extreme, hot + 1.0, 0.0)


def flat(same: X, again: X, n: X) -> X:
    """Decades of a value that repeats: how improbable a run is of which ``again`` go on."""
    repeats = (same >= 2.0) & (n >= 2.0 * WARM)
    improbable = 0.0 * same
    if some(repeats):
        improbable = pick(repeats, -same * np.log10(at_most(at_least(again, 1e-6), 1.0)), 0.0)
    return at_most(improbable, FLAT_MOST)


def join(short: X, long: X, season: X, shape: X, still: X) -> X:
    """Views that agree are worth more than one, and less than their sum."""
    squares = short * short + long * long + season * season + shape * shape
    return np.sqrt(squares + FLAT_WEIGHT * still * still)
