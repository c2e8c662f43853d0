"""`ew` compiled: one loop over the samples. Needs Numba."""

from typing import Any

import numpy as np

from edgeobs import jit
from edgeobs.detect import ew, tails
from edgeobs.detect.ew import LARGEST, MEAN, VARIANCE, WARM, N

jit.callable_when_compiled(tails.gaussian)
jit.callable_when_compiled(ew.step)


@jit.compiled
def run(
    rows: Any, series: Any, value: Any, slowest: float, every: float, score: Any, expected: Any, spread: Any
) -> None:
    """Score samples in order and learn them; what is not finite scores 0 and teaches nothing."""
    for i in range(len(series)):
        s = series[i]
        score[i], expected[i], spread[i] = 0.0, np.nan, np.nan
        if not np.isfinite(value[i]):
            continue
        n, mean = rows[s, N], rows[s, MEAN]
        x = min(max(value[i], -LARGEST), LARGEST)
        found, width, more, level, learned = ew.step(n, mean, rows[s, VARIANCE], x, slowest, every)
        rows[s, N], rows[s, MEAN], rows[s, VARIANCE] = more, level, learned
        if n >= WARM:
            score[i], expected[i], spread[i] = found, mean, width
