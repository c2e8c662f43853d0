"""Weeks of real telemetry that experts found nothing wrong in: are alarms as many as a threshold promises?

Counted as the accuracy benchmark counts them, one alarm held for half a day: within a factor of two and
chance.
"""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.accuracy import ours, promise
from benchmarks.accuracy.data import DAY, Series, load_kpi, load_mscloud

FACTOR = 2.0
LEAST_DAYS = 300  # at .1 a day thirty alarms are promised, and half of them are ± 8: two standard errors


def unmarked(data: Path) -> list[Series]:
    """KPIs of web services and metrics of a cloud, three weeks and more each, without a label."""
    return [each for each in load_kpi(data) + load_mscloud(data) if not each.label.any()]


@pytest.mark.parametrize("of", [unmarked, load_kpi])
def test_normal_weeks_raise_as_many_alarms_as_promised(
    public: Path, of: Callable[[Path], list[Series]]
) -> None:
    series = of(public)
    days = sum(float(each.time_ns[-1] - each.time_ns[0]) / DAY for each in series)
    assert days > LEAST_DAYS
    found = promise.found(series, ours.score_series(series), promise.thresholds(series))
    chance = 2.0 * math.sqrt(found / days)
    assert promise.RATE / FACTOR - chance <= found <= promise.RATE * FACTOR + chance
