"""The default detector of single series: level, drift, time of day, shape, flatline."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeobs import ahead
from edgeobs.columns import rounds
from edgeobs.detect import bank_columns, law, memory
from edgeobs.detect.contract import State
from edgeobs.detect.explain import Explanation, explain
from edgeobs.detect.forecast import Forecast, forecast
from edgeobs.detect.sample import (
    FIELDS,
    INTERVAL,
    LAST,
    LONG_MEAN,
    LONG_SD,
    RESOLUTION,
    RUN,
    SEASON_N,
    SHORT_MEAN,
    SHORT_SD,
    SINCE,
    SIZE,
    SMOOTHED,
    WHOLE,
    WHOLE_NUMBERS,
    WHOLE_SD,
    N,
)
from edgeobs.detect.settings import Settings
from edgeobs.detect.sites import Home, Sites
from edgeobs.signals import Bools, Floats, Int32s, Int64s, Scores

ADOPTED = 4
"""Samples until the first score of a series that began with what others know."""
LARGEST = 1e37
"""Values are cut to ±this: single precision holds them, and differences of them."""
_AT_ONCE = 2500
"""Samples taken through columns at once: all that is computed of them stays in a cache of 2 MiB."""
KERNELS = ("bank_kernel", "law", "sample", "season", "shapes", "memory")


class SeriesBank:
    """Prequential scores of every series by five views, 256 bytes a series; see docs/detection.md.

    Parameters
    ----------
    settings
        Of the package.
    fast
        The compiled loop (True), columns in NumPy (False), or whichever there is (None). Both do the same, to
        the rounding of single precision.
    home
        Where series are, for settings that ask (``sites``); None: all are where no site is named.

    """

    def __init__(self, settings: Settings, fast: bool | None = None, home: Home | None = None) -> None:
        self.settings = settings
        self.memory = memory.empty()
        self.sites = Sites(settings, home)
        self._kernel = ahead.best(
            __package__, Path(__file__).parent, KERNELS, fast, compiled=settings.compiled
        )

    def score_learn(self, series: Int32s, time_ns: Int64s, value: Floats) -> Scores:
        """Score each sample by what was known before it, then learn it."""
        return self._run(series, time_ns, value, learn=True)

    def score(self, series: Int32s, time_ns: Int64s, value: Floats) -> Scores:
        """Score samples, each as if it were the next of its series, and learn nothing."""
        return self._run(series, time_ns, value, learn=False)

    def forecast(self, ids: Int32s, time_ns: Int64s) -> Forecast:
        """What is expected of series ``ids[i]`` at ``time_ns[i]``; nothing is learned. See `forecast`."""
        return forecast(self.memory, ids, time_ns, self.sites.phase)

    def explain(self, number: int, time_ns: int, value: float) -> Explanation:
        """Why a value would score what `score` says, view by view. KeyError, ValueError: see `explain`."""
        value = min(max(value, -LARGEST), LARGEST)
        return explain(self.memory, number, time_ns, value, self.sites.phase)

    def unseen(self, series: Int32s) -> Bools:
        """Which of these have shown nothing yet."""
        known = series < len(self.memory)
        found = np.ones(len(series), np.bool_)
        found[known] = self.memory.reals[series[known], N] == 0
        return found

    def adopt(self, ids: Int32s, mean: Floats, spread: Floats, at_ns: Int64s) -> None:
        """Series that have shown nothing begin where others of their kind are; NaN: there are none.

        Their first score comes with their fifth sample.
        """
        self.memory = memory.grow(self.memory, int(ids.max(initial=-1)) + 1)
        spread = np.minimum(np.maximum(spread, law.SIZE_FLOOR * np.abs(mean)), LARGEST)
        fit = np.isfinite(mean) & (spread > 0) & (self.memory.reals[ids, N] == 0)
        ids, mean, spread = ids[fit], np.clip(mean[fit], -LARGEST, LARGEST), spread[fit]
        reals = self.memory.reals
        reals[ids[:, None], [SHORT_MEAN, LONG_MEAN, WHOLE, LAST]] = mean[:, None]
        reals[ids[:, None], [SHORT_SD, LONG_SD, WHOLE_SD]] = spread[:, None]
        reals[ids, SIZE] = np.abs(mean)
        reals[ids, RESOLUTION] = law.SIZE_FLOOR * spread
        reals[ids, N] = law.WARM - ADOPTED
        self.memory.at_ns[ids] = at_ns[fit]

    def relearn(self, ids: Int32s) -> None:
        """What these series do from now on is their new normal; how wild they are is remembered."""
        known = ids[ids < len(self.memory)]
        self.memory.reals[known[:, None], [N, SMOOTHED, SINCE, SEASON_N]] = 0.0
        self.memory.bytes[known, RUN - WHOLE_NUMBERS] = 0
        memory.wipe_season(self.memory, known)

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        memory.wipe(self.memory, ids[ids < len(self.memory)])
        self.sites.forget(ids)

    def state(self) -> State:
        """A copy of all that was learned."""
        return memory.state(self.memory)

    def restore(self, state: State) -> None:
        """Take up a `state`; ValueError with the reason, and nothing changed, when it does not fit."""
        self.memory = memory.restored(state)

    def _run(self, series: Int32s, time_ns: Int64s, value: Floats, *, learn: bool) -> Scores:
        finite = np.isfinite(value)
        if not finite.all():
            return self._some(series, time_ns, value, finite, learn=learn)
        self.memory = memory.grow(self.memory, int(series.max(initial=-1)) + 1)
        value = np.clip(value, -LARGEST, LARGEST).astype(np.float32).astype(np.float64)
        phase = self.sites.phase(series, time_ns)
        n = len(series)
        score, expected, spread, interval = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
        view = np.empty(n, np.int8)
        if self._kernel is not None:
            m = self.memory
            series = np.ascontiguousarray(series, np.int32)
            time_ns, phase = np.ascontiguousarray(time_ns, np.int64), np.ascontiguousarray(phase, np.float64)
            self._kernel(
                m.seen_as(np.int64), m.seen_as(np.float32), m.seen_as(np.int16), m.seen_as(np.uint8),
                m.seen_as(np.int8), series, time_ns, phase, value, learn,
                np.empty(len(FIELDS)), np.empty(memory.LAGS), score, expected, spread, view, interval,
            )  # fmt: skip
            return Scores(score, expected, spread, view, interval)
        for index in _pieces(rounds(series), n):
            found = bank_columns.run(
                self.memory, series[index], time_ns[index], phase[index], value[index], learn=learn
            )
            score[index], expected[index], spread[index], view[index] = found
            interval[index] = self.memory.reals[series[index], INTERVAL]
        return Scores(score, expected, spread, view, interval)

    def _some(self, series: Int32s, time_ns: Int64s, value: Floats, which: Bools, *, learn: bool) -> Scores:
        """Only the finite ones; the others score 0 and expect nothing."""
        inner = self._run(series[which], time_ns[which], value[which], learn=learn)
        n = len(series)
        none = np.full(n, np.nan)
        found = Scores(np.zeros(n), none, none.copy(), np.zeros(n, np.int8), np.ones(n))
        found.score[which], found.view[which] = inner.score, inner.view
        found.interval_s[which] = inner.interval_s
        found.expected[which], found.spread[which] = inner.expected, inner.spread
        return found


def _pieces(indexes: Iterable[slice | NDArray[np.intp]], n: int) -> Iterator[slice | NDArray[np.intp]]:
    """The same samples, at most `_AT_ONCE` an index."""
    for index in indexes:
        for at in range(0, n if isinstance(index, slice) else len(index), _AT_ONCE):
            piece = slice(at, at + _AT_ONCE)
            yield piece if isinstance(index, slice) else index[piece]
