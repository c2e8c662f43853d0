"""The plain bank is River's running and exponentially weighted statistics, and its Gaussian scorer."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs import jit
from edgeobs.detect import Settings
from edgeobs.detect.ew import MEAN, VARIANCE, WARM, EwBank
from edgeobs.signals import SECOND

river_anomaly = pytest.importorskip("river.anomaly", reason="needs River: pip install 'edgeobs[river]'")
river_stats = pytest.importorskip("river.stats", reason="needs River: pip install 'edgeobs[river]'")

Make = Callable[[Settings], EwBank]
FORMS: dict[str, Make] = {"columns": lambda told: EwBank(told, fast=False)}
if jit.available():
    FORMS["compiled"] = lambda told: EwBank(told, fast=True)
every_form = pytest.mark.parametrize("make", FORMS.values(), ids=FORMS.keys())
values = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=60)


def one(bank: EwBank, i: int, value: float) -> float:
    scores = bank.score_learn(np.zeros(1, np.int32), np.array([(i + 1) * SECOND]), np.array([value]))
    return float(scores.score[0])


@every_form
@settings(deadline=None)
@given(values=values, memory=st.floats(2, 500))
def test_exponentially_weighted(make: Make, values: list[float], memory: float) -> None:
    bank = make(Settings(memory=memory, ramp=False))
    mean, variance = river_stats.EWMean(1 / memory), river_stats.EWVar(1 / memory)
    size = max(abs(v) for v in values)
    for i, value in enumerate(values):
        one(bank, i, value)
        mean.update(value)
        variance.update(value)
        assert bank.rows[0, MEAN] == pytest.approx(mean.get(), rel=1e-9, abs=1e-9 * size)
        # River subtracts two means of squares: it is exact to the size of the squares only.
        assert bank.rows[0, VARIANCE] == pytest.approx(variance.get(), rel=1e-9, abs=1e-9 * size**2)


@every_form
@settings(deadline=None)
@given(values=values)
def test_running(make: Make, values: list[float]) -> None:
    bank = make(Settings(memory=math.inf))
    mean, variance = river_stats.Mean(), river_stats.Var(ddof=0)
    size = max(abs(v) for v in values)
    for i, value in enumerate(values):
        one(bank, i, value)
        mean.update(value)
        variance.update(value)
        assert bank.rows[0, MEAN] == pytest.approx(mean.get(), rel=1e-9, abs=1e-9 * size)
        assert bank.rows[0, VARIANCE] == pytest.approx(variance.get(), rel=1e-9, abs=1e-12 * size**2)


@every_form
@settings(deadline=None)
@given(values=st.lists(st.integers(-1000, 1000).map(lambda i: i / 8), min_size=22, max_size=80))
def test_gaussian_scorer(make: Make, values: list[float]) -> None:
    bank, scorer = make(Settings(memory=math.inf)), river_anomaly.GaussianScorer(grace_period=int(WARM))
    for i, value in enumerate(values):
        expected = scorer.score_one(None, value)
        found = one(bank, i, value)
        if i >= WARM and scorer.gaussian.sigma > 1e-9:
            assert 1 - 10**-found == pytest.approx(expected, abs=1e-7)
        scorer.learn_one(None, value)
