"""Exponentially weighted mean and variance of every series, and a Gaussian tail: nothing else."""

from pathlib import Path
from typing import Any

import numpy as np

from edgeobs import jit
from edgeobs.columns import grown, rounds
from edgeobs.detect import tails
from edgeobs.detect.contract import State
from edgeobs.detect.settings import Settings
from edgeobs.detect.tails import X
from edgeobs.signals import Floats, Int32s, Int64s, Scores

N, MEAN, VARIANCE = range(3)
"""A row: samples learned, and what they were like. All begin at 0."""
WARM = 20.0
"""Samples of a series before its first score."""
LARGEST = 1e100
"""Values are cut to ±this: their squares, and sums of them, are finite."""
LEAST = 1e-150
"""A spread is at least this."""
MOST_SAMPLES = 1e6
"""The memory is never longer."""
_SCHEMA = 2
_KERNELS = ("ew_kernel", "ew", "tails")


def step(n: X, mean: X, variance: X, value: X, slowest: float, every: float) -> tuple[X, X, X, X, X]:
    """Score a sample by what was known, then learn it; one text for scalars and for columns.

    ``slowest`` is the least weight of a sample, 1/memory; ``every`` is 1 where the first of them are averaged
    plainly, else 0. Returns score, spread, and the row after it.
    """
    away = value - mean
    spread = np.maximum(np.sqrt(variance * (n / np.maximum(n - 1.0, 1.0))), LEAST)
    score = tails.gaussian(np.abs(away) / spread) * (n >= WARM)
    a = np.maximum(np.maximum(every / (n + 1.0), slowest), 1.0 * (n == 0.0))
    learned = (1.0 - a) * (variance + a * away * away)
    return score, spread, np.minimum(n + 1.0, MOST_SAMPLES), mean + a * away, learned


class EwBank:
    """Prequential z-scores on an exponentially weighted mean and variance, 24 bytes a series.

    mean += a·d and variance = (1−a)(variance + a·d²), d the distance from the mean, a = max(1/memory, 1/n);
    score = −log₁₀ P(|Z| ≥ |d|/spread), spread² = variance·n/(n−1). Held equal to River's statistics and its
    GaussianScorer, it is what others are compared with: it knows no floor, no outlier and no heavy tail.

    Sources: Welford 1962 and Finch 2009 for the recursion.

    Parameters
    ----------
    settings
        Of the package: ``memory`` and ``ramp`` are this bank's.
    fast
        The compiled loop (True), columns in NumPy (False), or whichever there is (None). Both do the same.

    """

    def __init__(self, settings: Settings, fast: bool | None = None) -> None:
        self.rows = np.zeros((0, 3))
        self._slowest, self._every = 1.0 / settings.memory, float(settings.ramp)
        self._run: Any = (
            jit.loop(__package__, Path(__file__).parent, _KERNELS)
            if (settings.compiled and jit.available() if fast is None else fast)
            else _columns
        )

    def score_learn(self, series: Int32s, time_ns: Int64s, value: Floats) -> Scores:  # noqa: ARG002
        """Score each sample by what was known before it, then learn it; what is not finite scores 0."""
        self.rows = grown(self.rows, int(series.max(initial=-1)) + 1, 0.0)
        n = len(series)
        score, expected, spread = np.empty(n), np.empty(n), np.empty(n)
        self._run(self.rows, series, value, self._slowest, self._every, score, expected, spread)
        return Scores(score, expected, spread)

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        self.rows[ids[ids < len(self.rows)]] = 0.0

    def state(self) -> State:
        """A copy of all that was learned."""
        used = int(np.flatnonzero(self.rows[:, N]).max(initial=-1)) + 1
        return {"schema": np.array([_SCHEMA]), "rows": self.rows[:used].copy()}

    def restore(self, state: State) -> None:
        """Take up a `state`; ValueError with the reason, and nothing changed, when it does not fit."""
        if "schema" not in state or state["schema"].tolist() != [_SCHEMA]:
            raise ValueError(f"ew: expected schema {_SCHEMA}, found {state.get('schema')}")
        rows = np.array(state.get("rows", ()), np.float64)
        if rows.ndim != 2 or rows.shape[1] != 3 or not np.isfinite(rows).all():
            raise ValueError(f"ew: expected finite rows of 3, found {rows.shape}")
        if (rows[:, [N, VARIANCE]] < 0).any():
            raise ValueError("ew: a count or variance below zero")
        self.rows = rows


def _columns(
    rows: Floats, series: Int32s, value: Floats, slowest: float, every: float,
    score: Floats, expected: Floats, spread: Floats,
) -> None:  # fmt: skip
    """As `ew_kernel.run`."""
    score[:], expected[:], spread[:] = 0.0, np.nan, np.nan
    fine = np.flatnonzero(np.isfinite(value))
    for part in rounds(series[fine]):
        index = fine[part]
        of = series[index]
        n, mean, variance = rows[of].T
        x = np.minimum(np.maximum(value[index], -LARGEST), LARGEST)
        found, width, *learned = step(n, mean, variance, x, slowest, every)
        rows[of] = np.stack(learned, axis=1)
        score[index] = found
        expected[index], spread[index] = np.where(n >= WARM, (mean, width), np.nan)
