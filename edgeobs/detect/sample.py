"""One sample of one series: scored by what was known, then learned. One text for scalars and for columns.

``r`` holds a series' numbers by the names below: float64[fields] in the compiled kernel,
float64[fields, n] in NumPy, where ``r[N]`` is a column. It is changed in place.
"""

import numpy as np

from edgeobs.detect import law
from edgeobs.detect.law import X, pick

# One series' numbers, in the order of `step`; all begin at 0 but those of `FRESH`.
FIELDS = (
    "n",  # samples learned, since the beginning or since it was learned anew
    "short_mean",
    "short_sd",
    "long_mean",
    "long_sd",
    "whole",
    "whole_sd",
    "size",  # mean |value|
    "resolution",  # smallest change ever seen; 0: it never changed
    "last",  # value
    "smooth",  # of the joined decades
    "short_threshold",
    "short_excess",
    "long_threshold",
    "long_excess",
    "season_threshold",
    "season_excess",
    "shape_threshold",
    "shape_excess",
    "joined_threshold",
    "joined_excess",
    "novelty",  # mean squared distance to the nearest known shape
    "again",  # probability that a value that repeats goes on repeating
    "interval",  # seconds between samples
    "since",  # seconds for which the present run of abnormal samples has lasted
    "season_sd",
    "season_n",
    # Small whole numbers, kept in a byte each.
    "short_hot",  # extreme samples in a row, by tail
    "long_hot",
    "season_hot",
    "shape_hot",
    "joined_hot",
    "same",  # repeats in a row
    "trials",  # repeats that could have gone on
    "run",  # abnormal samples in a row
)
(
    N, SHORT_MEAN, SHORT_SD, LONG_MEAN, LONG_SD, WHOLE, WHOLE_SD, SIZE, RESOLUTION, LAST, SMOOTHED,
    SHORT_T, SHORT_E, LONG_T, LONG_E, SEASON_T, SEASON_E, SHAPE_T, SHAPE_E, JOINED_T, JOINED_E, NOVELTY,
    AGAIN, INTERVAL, SINCE, SEASON_SD, SEASON_N, SHORT_HOT, LONG_HOT, SEASON_HOT, SHAPE_HOT, JOINED_HOT,
    SAME, TRIALS, RUN,
) = range(len(FIELDS))  # fmt: skip
WHOLE_NUMBERS = SHORT_HOT
"""From here on a field is a small whole number."""
FRESH = {
    **dict.fromkeys((SHORT_T, LONG_T, SEASON_T, SHAPE_T), law.VIEW_THRESHOLD),
    **dict.fromkeys((SHORT_E, LONG_E, SEASON_E, SHAPE_E), law.VIEW_EXCESS),
    JOINED_T: law.JOINED_THRESHOLD,
    JOINED_E: law.JOINED_EXCESS,
    AGAIN: 0.3,
}
LEVEL, DRIFT, HOUR, SHAPE, FLAT = 1.0, 2.0, 3.0, 4.0, 5.0
"""Views by number, as `signals.VIEWS` names them."""
ABNORMAL = 3.0
"""Decades from which a sample counts as abnormal."""
RELEARN_RUN, RELEARN_S = 240.0, 300.0
"""Abnormal samples in a row, and seconds of them, after which it is learned anew: what lasts is normal."""
BROKEN = 8.0
"""Intervals between two samples from which what came before is no longer one run with what comes."""
_BYTE = 255.0
_MOST_SAMPLES = 1e6


def broken(r: X, gap: X) -> X:
    """Whether this sample comes so long after the last that runs and shapes begin again."""
    return (r[N] > 1.0) & (gap > BROKEN * r[INTERVAL])


def step(
    r: X, value: X, gap: X, least: X, wide: X, apart: X, hour: X, bucket: X, seasonal: X, shape: X
) -> tuple[X, X, X, X]:
    """Score and learn one sample.

    Parameters
    ----------
    r
        The series' numbers; changed in place.
    value
        The sample, within ±1e37.
    gap
        Seconds since the series' last sample, ≥ 0.
    least, wide, apart
        The least spread, that of the long level, and how many of that the sample is from it.
    hour, bucket
        What is usual at this time of day, interpolated and not: the nearer of the two counts.
    seasonal
        Whether that is known.
    shape
        Distance to the nearest known shape, relative to what is usual, ≥ 0; negative: not known.

    Returns
    -------
    score
        Decades, in [0, 20].
    expected, spread
        What was expected, and one standard deviation; of no meaning while n < `law.WARM`.
    view
        Which view was the most surprised: `LEVEL` … `FLAT`; 0 none.

    """
    n, whole_sd = r[N] * 1.0, r[WHOLE_SD] * 1.0
    every = 1.0 / (n + 1.0)
    narrow = law.spread(r[SHORT_SD], law.SHORT_SHARE, whole_sd, least)
    off, away = value - hour, value - bucket
    off = pick(np.abs(away) < np.abs(off), away, off)
    hours = pick(seasonal, r[SEASON_N], 0.0)
    daily, x_season, by_season = narrow, 0.0 * n, 0.0 * n
    if law.some(seasonal):
        daily = law.spread(r[SEASON_SD], 0.0, whole_sd, least)
        x_season = np.sqrt(np.abs(law.ratio(off, daily)) * law.doubt(hours, 1.0 / (hours + 1.0)))
        by_season = law.decades(x_season, r[SEASON_T], r[SEASON_E])
    after_gap = broken(r, gap)
    smooth = pick(after_gap, 0.0, r[SMOOTHED])
    same = pick((value == r[LAST]) & (n > 0.0), pick(after_gap, 0.0, r[SAME]) + 1.0, 0.0)

    # A series that never moved has no scale: that it moves, and how far, was each never seen in n samples.
    unmoved = r[RESOLUTION] <= 0.0
    most = 1e3 + 0.0 * n
    if law.some(unmoved):
        most = pick(unmoved, 2.0 * np.log10(n + 1.0), most)
    worth = law.doubt(n, every)
    x_short = np.sqrt(np.abs(law.ratio(value - r[SHORT_MEAN], narrow)) * worth)
    x_long = np.sqrt(np.abs(apart) * worth)
    x_shape = np.sqrt(law.at_least(shape, 0.0))
    by_short = law.at_most(law.decades(x_short, r[SHORT_T], r[SHORT_E]), most)
    by_long = law.at_most(law.decades(x_long, r[LONG_T], r[LONG_E]), most)
    by_shape = law.decades(x_shape, r[SHAPE_T], r[SHAPE_E])
    by_flat = law.flat(pick(unmoved, 0.0, same), r[AGAIN], n)
    joined = law.join(by_short, by_long, by_season, by_shape, by_flat)
    smooth = smooth + law.SMOOTH * (joined - smooth)
    both = joined + smooth
    found = law.decades(both, r[JOINED_T], r[JOINED_E] * law.JOINED_WIDER)
    found = pick(found < 2.0, 0.25 * found * found * found, found)  # joined, the usual is not near nothing
    score = pick(n >= law.WARM, law.at_most(found, law.MOST), 0.0)

    better = seasonal & (hours >= law.WARM) & (daily < narrow)
    expected = pick(better, value - off, r[SHORT_MEAN] * 1.0)
    spread = pick(better, daily, narrow)
    view = pick(score > 0.0, strongest(by_short, by_long, by_season, by_shape, by_flat), 0.0)

    warm, has_shape = n >= law.WARM, shape >= 0.0
    learn_view(r, SHORT_T, SHORT_E, SHORT_HOT, x_short, by_short, n, warm)
    learn_view(r, LONG_T, LONG_E, LONG_HOT, x_long, by_long, n, warm)
    learn_view(r, SHAPE_T, SHAPE_E, SHAPE_HOT, x_shape, by_shape, n, has_shape)
    slow, quick = 1.0 / (law.TAIL_SHARE * n + law.TRUST), 1.0 / (n + law.SPEED)
    learn_tail(r, JOINED_T, JOINED_E, JOINED_HOT, both, found, law.JOINED_CUT, 0.0, slow, quick, warm)
    learn_values(r, value, narrow, wide, n, every, score < ABNORMAL)
    if law.some(seasonal):
        learn_hours(r, off, daily, hours, seasonal, x_season, by_season)
    r[SMOOTHED] = smooth
    learn_runs(r, same, gap, n, score >= ABNORMAL)
    return score, expected, spread, view


def strongest(short: X, long: X, season: X, shape: X, still: X) -> X:
    """Which view is the most surprised."""
    best = law.at_least(law.at_least(short, long), law.at_least(law.at_least(season, shape), still))
    view = pick(short >= best, LEVEL, pick(long >= best, DRIFT, pick(season >= best, HOUR, SHAPE)))
    return pick((still >= best) & (short < best), FLAT, view)


def learn_view(r: X, threshold: int, excess: int, hot: int, x: X, found: X, n: X, active: X) -> None:
    """A view's tail after n samples."""
    slow, quick = 1.0 / (law.TAIL_SHARE * n + law.TRUST), 1.0 / (n + law.SPEED)
    learn_tail(r, threshold, excess, hot, x, found, law.VIEW_CUT, 1.0, slow, quick, active)


def learn_tail(
    r: X, threshold: int, excess: int, hot: int, x: X, found: X, cut: float, beyond: float, slow: X, quick: X,
    active: X,
) -> None:  # fmt: skip
    """The tail that is kept in three fields of ``r``, where it is active."""
    t, e, h = law.learn_tail(x, r[threshold], r[excess], found, r[hot], cut, beyond, slow, quick)
    r[threshold] = pick(active, t, r[threshold])
    r[excess] = pick(active, e, r[excess])
    r[hot] = pick(active, law.at_most(h, _BYTE), r[hot])


def learn_hours(r: X, off: X, daily: X, hours: X, seasonal: X, x: X, found: X) -> None:
    """How far samples usually are from what their time of day says."""
    learn_view(r, SEASON_T, SEASON_E, SEASON_HOT, x, found, hours, hours >= law.WARM)
    learned = law.learn_season(off, r[SEASON_SD], daily, hours)
    r[SEASON_SD] = pick(seasonal, learned, r[SEASON_SD])
    r[SEASON_N] = pick(seasonal, law.at_most(hours + 1.0, _MOST_SAMPLES), r[SEASON_N])


def learn_values(r: X, value: X, narrow: X, wide: X, n: X, every: X, calm: X) -> None:
    mean, deviation = law.learn_level(
        value, r[SHORT_MEAN], r[SHORT_SD], narrow, n, law.at_least(1.0 / law.SHORT, every)
    )
    r[SHORT_MEAN], r[SHORT_SD] = mean, deviation
    mean, deviation = law.learn_level(
        value, r[LONG_MEAN], r[LONG_SD], wide, n, law.at_least(1.0 / law.LONG, every)
    )
    r[LONG_MEAN], r[LONG_SD] = mean, deviation
    a = law.at_least(1.0 / law.ALL, every)
    mean, deviation, size = law.learn_whole(value, r[WHOLE], r[WHOLE_SD], r[SIZE], wide, n, a)
    r[WHOLE], r[WHOLE_SD], r[SIZE] = mean, deviation, size
    change = np.abs(value - r[LAST])
    finer = (n > 0.0) & (change > 0.0) & ((change < r[RESOLUTION]) | (r[RESOLUTION] == 0.0))
    r[RESOLUTION] = pick(finer & calm, change, r[RESOLUTION])
    r[LAST] = value


def learn_runs(r: X, same: X, gap: X, n: X, abnormal: X) -> None:
    """Repeats, the interval, and runs of abnormal samples; what lasts begins again as normal."""
    # Only a run that is over teaches how runs go on: one that is stuck would teach that it is usual.
    over = (same == 0.0) & (r[SAME] >= 1.0)
    if law.some(over):
        length, trials = r[SAME], r[TRIALS] + 3.0
        again = (r[AGAIN] * trials + length - 1.0) / (trials + length)
        r[AGAIN] = pick(over, again, r[AGAIN])
        r[TRIALS] = pick(over, law.at_most(r[TRIALS] + length, _BYTE), r[TRIALS])
    r[SAME] = law.at_most(same, _BYTE)
    usual = r[INTERVAL] + 0.1 * (law.at_most(gap, 3.0 * r[INTERVAL]) - r[INTERVAL])
    r[INTERVAL] = pick(n <= 1.0, gap, usual)
    run = pick(abnormal, r[RUN] + 1.0, 0.0)
    since = pick(abnormal, r[SINCE] + gap, 0.0)
    lasting = (run >= RELEARN_RUN) & (since >= RELEARN_S)
    r[RUN] = pick(lasting, 0.0, law.at_most(run, _BYTE))
    r[SINCE] = pick(lasting, 0.0, since)
    r[SEASON_N] = pick(lasting, 0.0, r[SEASON_N])
    r[N] = pick(lasting, 0.0, law.at_most(n + 1.0, _MOST_SAMPLES))
