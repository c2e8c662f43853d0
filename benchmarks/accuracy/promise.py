"""Does a threshold keep what it promises: false alarms a series and day, as promised and as found."""

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.accuracy.alarms import at_threshold
from benchmarks.accuracy.data import DAY, Node, Series
from edgeobs.signals import Floats

RATE = 0.1


def thresholds(series: Sequence[Series | Node], rate: float = RATE) -> list[float]:
    """The score that promises ``rate`` false alarms a day, by how often each series is sampled.

    A score is −log₁₀ of the probability of a sample at least as surprising.
    """
    interval = [float(np.median(np.diff(s.time_ns))) for s in series]
    return [-math.log10(min(1.0, rate * each / DAY)) for each in interval]


def found(series: Sequence[Series | Node], scores: Sequence[Floats], limits: Sequence[float]) -> float:
    """False alarms a series and day outside labelled events, at a threshold for each series.

    Less than half an alarm cannot be found: with none it is taken for half of one.
    """
    watched = sum(float(s.time_ns[-1] - s.time_ns[0]) / DAY * float(1 - s.label.mean()) for s in series)
    operating = at_threshold(series, scores, limits)
    total = sum(float(s.time_ns[-1] - s.time_ns[0]) / DAY for s in series)
    return max(operating.false_alarms * total, 0.5) / watched


def ratio(promised: float, seen: float) -> float:
    """How far off, either way; 1 is as promised."""
    return max(promised / seen, seen / promised)
