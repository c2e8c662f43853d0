"""Exponentially weighted mean and variance of every series, and how far a sample is from them."""

from math import isinf
from typing import NamedTuple

import numpy as np

from edgeobs.columns import grown, rounds
from edgeobs.detect import tails
from edgeobs.detect.contract import State
from edgeobs.detect.settings import Settings
from edgeobs.signals import Bools, Floats, Int32s, Int64s, Scores

# One row a series, so that a series in random order costs two cache lines. All begin at 0.
FIELDS = (
    "n",  # samples learned, since the beginning or the last time it was learned anew
    "mean",
    "variance",  # recent, both; exponentially weighted
    "long_mean",
    "long_variance",  # since the beginning
    "size",  # mean |value|
    "step",  # smallest change ever seen; 0: it never changed
    "last",  # value
    "threshold",  # of the learned tail, above its prior
    "excess",  # of the learned tail, above its prior
    "since",  # seconds: when the present run of abnormal samples began
    "run",  # abnormal samples in a row
)
N, MEAN, VARIANCE, LONG_MEAN, LONG_VARIANCE, SIZE, STEP, LAST, THRESHOLD, OVER, SINCE, RUN = range(
    len(FIELDS)
)
_SCHEMA = 1
_LARGEST = 1e100  # values are cut to ±this: their squares, and sums of them, are finite
_LEAST = 1e-150  # a spread is at least this
_FARTHEST = 1e6  # standard deviations
_UNSURE, _WIDE = 10, 20.0  # the first samples are cut at more standard deviations: the first of them are few
# Times the clip, for what is learned since the beginning: once the memory is full it is to know of bursts,
# which are at most so many samples long.
_CLIP, _LONG_CLIP, _BURST = 2.0, 10.0, 5
_MOST_SAMPLES = 1e6  # the beginning is never longer ago than so many samples


class _Seen(NamedTuple):
    """A sample beside what was known before it."""

    away: Floats
    spread: Floats
    far: Floats  # |away| in standard deviations, stretched
    score: Floats


class EwBank:
    """Prequential z-scores on an exponentially weighted mean and variance, 96 bytes a series.

    - step a = max(1/memory, 1/n); mean += a·d, variance = (1−a)(variance + a·d²) with d cut at ±clip spreads:
      while something is abnormal the baseline learns slowly, and what lasts longer than ``relearn_s`` is
      learned anew;
    - spread² = variance·n/(n−1) + share·(variance since the beginning) + max(floor·mean|x|, steps·δ)², δ the
      smallest change ever seen: constants neither explode nor go blind. A series that never changed scores at
      most 2·log₁₀(n+1): that it moves, and to where, was each never seen in n samples;
    - score = −log₁₀ P(|Z| ≥ |d|/spread), of a Gaussian or of a tail learned from exceedances (peaks over
      threshold with a prior; runs count once).

    Sources: Welford 1962 and Finch 2009 for the recursion; Davison & Smith 1990 for exceedances.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.rows = np.zeros((0, len(FIELDS)))

    def score_learn(self, series: Int32s, time_ns: Int64s, value: Floats) -> Scores:
        """Score each sample by what was known before it, then learn it."""
        finite = np.isfinite(value)
        if not finite.all():
            return self._some(series, time_ns, value, finite)
        value = np.clip(value, -_LARGEST, _LARGEST)
        self.rows = grown(self.rows, int(series.max(initial=-1)) + 1, 0.0)
        time = np.asarray(time_ns * 1e-9, np.float64)
        score, expected, spread = np.empty((3, len(series)))
        for index in rounds(series):
            score[index], expected[index], spread[index] = self._round(
                series[index], time[index], value[index]
            )
        return Scores(score, expected, spread)

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        self.rows[ids[ids < len(self.rows)]] = 0.0

    def state(self) -> State:
        """A copy of all that was learned."""
        used = int(np.flatnonzero(self.rows.any(axis=1)).max(initial=-1)) + 1
        return {"schema": np.array([_SCHEMA]), "rows": self.rows[:used].copy()}

    def restore(self, state: State) -> None:
        """Take up a `state`; ValueError with the reason, and nothing changed, when it does not fit."""
        if "schema" not in state or state["schema"].tolist() != [_SCHEMA]:
            raise ValueError(f"ew: expected schema {_SCHEMA}, found {state.get('schema')}")
        rows = np.array(state.get("rows", ()), np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(FIELDS) or not np.isfinite(rows).all():
            raise ValueError(f"ew: expected finite rows of {len(FIELDS)}, found {rows.shape}")
        self.rows = rows

    def _some(self, series: Int32s, time_ns: Int64s, value: Floats, which: Bools) -> Scores:
        """Only the finite ones; the others score 0 and expect nothing."""
        inner = self.score_learn(series[which], time_ns[which], value[which])
        score, expected, spread = (
            np.zeros(len(series)),
            np.full(len(series), np.nan),
            np.full(len(series), np.nan),
        )
        score[which], expected[which], spread[which] = inner.score, inner.expected, inner.spread
        return Scores(score, expected, spread)

    def _round(self, series: Int32s, time: Floats, value: Floats) -> tuple[Floats, Floats, Floats]:
        """Samples of series that differ."""
        known = np.ascontiguousarray(self.rows.take(series, axis=0).T)
        seen = self._score(known, value)
        self.rows[series] = self._learn(known, time, value, seen).T
        young = known[N] < self.settings.warmup
        if not young.any():
            return seen.score, known[MEAN], seen.spread
        return seen.score, np.where(young, np.nan, known[MEAN]), np.where(young, np.nan, seen.spread)

    def _spread(self, known: Floats) -> Floats:
        s, n = self.settings, known[N]
        floor = np.maximum(s.floor * known[SIZE], s.steps * known[STEP])
        variance = known[VARIANCE] * (n / np.maximum(n - 1.0, 1.0))
        spread: Floats = np.maximum(
            np.sqrt(variance + s.share * known[LONG_VARIANCE] + floor * floor), _LEAST
        )
        return spread

    def _score(self, known: Floats, value: Floats) -> _Seen:
        s, n = self.settings, known[N]
        away, spread = value - known[MEAN], self._spread(known)
        z = np.minimum(np.abs(away) / spread * (n / (n + s.discount + (n == 0))), _FARTHEST)
        far = tails.stretch(z)
        if s.tail == "gaussian":
            score = tails.gaussian(z)
        else:
            score = tails.learned(far, tails.THRESHOLD + known[THRESHOLD], tails.EXCESS + known[OVER])
        if s.steps > 0:
            still = known[STEP] == 0
            if still.any():
                score = np.where(still, np.minimum(score, 2 * np.log10(n + 1)), score)
        return _Seen(away, spread, far, np.where(n >= s.warmup, score, 0.0))

    def _learn(self, known: Floats, time: Floats, value: Floats, seen: _Seen) -> Floats:
        s, n = self.settings, known[N]
        abnormal = seen.score >= s.abnormal
        limit = self._limit(known, seen.spread)
        d = np.maximum(np.minimum(seen.away, limit), -limit)
        every = 1.0 / (n + 1.0)
        a = np.maximum(every, 1.0 / s.memory) if s.ramp else np.full(len(n), 1.0 / s.memory)
        new = np.empty_like(known)
        new[N] = np.minimum(n + 1.0, _MOST_SAMPLES)
        new[MEAN] = known[MEAN] + a * d
        new[VARIANCE] = (1.0 - a) * (known[VARIANCE] + a * d * d)
        limit *= np.where((known[RUN] < _BURST) & (n >= s.memory), _LONG_CLIP, _CLIP)
        e = np.maximum(np.minimum(value - known[LONG_MEAN], limit), -limit)
        new[LONG_MEAN] = known[LONG_MEAN] + every * e
        new[LONG_VARIANCE] = (1.0 - every) * (known[LONG_VARIANCE] + every * e * e)
        new[SIZE] = known[SIZE] + every * (np.abs(known[MEAN] + d) - known[SIZE])
        new[LAST] = value
        step = np.abs(value - known[LAST])
        finer = ((step < known[STEP]) | (known[STEP] == 0)) & (step > 0) & ~abnormal
        new[STEP] = np.where(finer, step, known[STEP])
        self._learn_tail(known, seen, new)
        self._learn_run(known, time, abnormal, new)
        first = np.flatnonzero(n == 0)
        if len(first):
            new[MEAN, first] = new[LONG_MEAN, first] = value[first]
            new[SIZE, first] = np.abs(value[first])
            new[VARIANCE, first] = new[LONG_VARIANCE, first] = 0.0
            new[STEP, first] = known[STEP, first]
        return new

    def _limit(self, known: Floats, spread: Floats) -> Floats:
        """Farthest from its mean that a sample is taken to be."""
        s = self.settings
        if isinf(s.clip):
            return np.full(len(spread), np.inf)
        limit = s.clip * spread
        young = np.flatnonzero(known[N] < _UNSURE)
        if len(young):
            limit[young] = np.where(known[STEP, young] > 0, max(_WIDE, s.clip) * spread[young], np.inf)
        return limit

    def _learn_run(self, known: Floats, time: Floats, abnormal: Bools, new: Floats) -> None:
        """Runs of abnormal samples; what lasts is the new normal, and begins again."""
        new[RUN] = new[SINCE] = 0.0
        at = np.flatnonzero(abnormal)
        if not len(at):
            return
        run, since = known[RUN, at], np.where(known[RUN, at] > 0, known[SINCE, at], time[at])
        new[RUN, at], new[SINCE, at] = run + 1.0, since
        lasting = at[(run + 1 >= self.settings.warmup) & (time[at] - since >= self.settings.relearn_s)]
        new[N, lasting] = new[RUN, lasting] = new[SINCE, lasting] = 0.0

    def _learn_tail(self, known: Floats, seen: _Seen, new: Floats) -> None:
        """Threshold and mean excess by stochastic approximation; a run of abnormal samples teaches once."""
        n = known[N]
        learns = (n >= self.settings.warmup) & (known[RUN] == 0)
        excess = tails.EXCESS + known[OVER]
        over = seen.far - (tails.THRESHOLD + known[THRESHOLD])
        toward = excess / (n + tails.PRIOR / tails.SHARE)
        new[THRESHOLD] = np.maximum(known[THRESHOLD] - np.where(learns, toward, 0.0), 0.0)
        new[OVER] = known[OVER]
        at = np.flatnonzero(learns & (over > 0))
        if not len(at):
            return
        up = known[THRESHOLD, at] + toward[at] * (1.0 / tails.SHARE - 1.0)
        new[THRESHOLD, at] = np.minimum(up, tails.MOST_THRESHOLD)
        gain = np.minimum(over[at], 10.0 * excess[at]) - excess[at]
        learned = known[OVER, at] + gain / (tails.PRIOR + tails.SHARE * n[at])
        new[OVER, at] = np.clip(learned, tails.LEAST_EXCESS - tails.EXCESS, tails.MOST_EXCESS)
