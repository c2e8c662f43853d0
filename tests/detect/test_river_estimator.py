"""To a River user our detector is River's: checks, clones, pipelines, evaluation."""

import math
import pickle
import random
import sys
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgeobs.detect import DETECTORS, Settings
from edgeobs.signals import SECOND

pytest.importorskip("river", reason="needs River: pip install 'edgeobs[river]'")

from river import anomaly, checks, compose, evaluate, metrics, preprocessing

from edgeobs.detect.river import SeriesDetector

every_bank = pytest.mark.parametrize("bank", DETECTORS)
Row = tuple[dict[str, float], int]


def labelled(n: int, seed: int = 1) -> list[Row]:
    """Eight features; now and then three of them are far off."""
    rng = random.Random(seed)
    return [
        ({f"V{k}": rng.gauss(0, 1) + 8 * (i % 97 == 96 and k < 3) for k in range(8)}, int(i % 97 == 96))
        for i in range(n)
    ]


def area(labels: list[int], scores: list[float]) -> float:
    """Share of pairs that are in order, as scikit-learn's `roc_auc_score` has it."""
    pairs = [
        (good < bad) + 0.5 * (good == bad)
        for bad, yes in zip(scores, labels, strict=True)
        if yes
        for good, no in zip(scores, labels, strict=True)
        if not no
    ]
    return sum(pairs) / len(pairs)


@pytest.fixture
def river_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """River's checks on data of our own: theirs is fetched from the network, and one needs scikit-learn."""
    monkeypatch.setattr(checks, "_yield_datasets", lambda _, scale=1: iter([labelled(300 * scale)]))
    stand_in = ModuleType("sklearn")
    stand_in.metrics = ModuleType("sklearn.metrics")  # type: ignore[attr-defined]
    stand_in.metrics.roc_auc_score = area
    monkeypatch.setitem(sys.modules, "sklearn", stand_in)


@every_bank
@pytest.mark.usefixtures("river_checks")
def test_it_passes_every_check_of_rivers_for_anomaly_detectors(bank: str) -> None:
    model = SeriesDetector(bank)
    names = [check.__name__ for check in checks.yield_checks(model)]
    assert {"check_roc_auc", "check_bounded_memory_growth", "check_clone_is_independent"} <= set(names)
    assert len(names) >= 26
    checks.check_estimator(model)


@every_bank
def test_it_scores_as_the_bank_does_and_scoring_changes_nothing(bank: str) -> None:
    model, plain = SeriesDetector(bank, interval_s=60.0), DETECTORS[bank](Settings())
    rng = np.random.default_rng(0)
    at = 1_700_000_000 * SECOND
    for value in [*rng.standard_normal(80).tolist(), 40.0, *rng.standard_normal(10).tolist()]:
        at += 60 * SECOND
        before = pickle.dumps(model)
        score = model.score_one({"x": value})
        assert model.score_one({"x": value}) == score
        assert pickle.dumps(model) == before
        model.learn_one({"x": value})
        (found,) = plain.score_learn(np.zeros(1, np.int32), np.array([at]), np.array([value])).score.tolist()
        assert score == pytest.approx(found, abs=1e-12)


@every_bank
def test_it_can_be_pickled_and_goes_on(bank: str) -> None:
    model = SeriesDetector(bank)
    for x, _ in labelled(60):
        model.learn_one(x)
    other = pickle.loads(pickle.dumps(model))  # noqa: S301  ours
    for x, _ in labelled(60, seed=2):
        assert other.score_one(x) == model.score_one(x)
        model.learn_one(x)
        other.learn_one(x)


def test_it_is_evaluated_alone_and_in_pipelines() -> None:
    for model in (
        SeriesDetector(),
        compose.Pipeline(preprocessing.StandardScaler(), SeriesDetector()),
        compose.Select("V0", "V1") | SeriesDetector(),
    ):
        # ROCAUC would only see scores in [0, 1].
        found = evaluate.progressive_val_score(labelled(970), model, metrics.RollingROCAUC(window_size=970))
        assert found.get() > 0.9
        fresh = model.clone()
        assert fresh.score_one({"V0": 0.0, "V1": 0.0}) == 0.0


def test_rivers_filters_take_it() -> None:
    model = anomaly.QuantileFilter(SeriesDetector(), q=0.98)
    found = [(model.classify(model.score_one(x)), y, model.learn_one(x)) for x, y in labelled(970)][100:]
    assert sum(bool(said) for said, y, _ in found if not y) < 0.04 * len(found)
    assert all(said for said, y, _ in found[200:] if y)


def test_more_features_do_not_make_more_alarms() -> None:
    rng = random.Random(0)
    for k in (1, 30):
        model = SeriesDetector()
        scores = []
        for _ in range(700):
            x = {f"V{i}": rng.gauss(0, 1) for i in range(k)}
            scores.append(model.score_one(x))
            model.learn_one(x)
        assert sum(score >= 2 for score in scores) / len(scores) < 0.02


def test_what_is_no_number_is_left_alone() -> None:
    model = SeriesDetector(max_features=2)
    for i in range(50):
        model.learn_one({"a": i % 3, "text": "x", "b": math.nan, "none": None, "huge": 10**400})
    odd: dict[str, Any]
    for odd in ({}, {"b": 1.0}, {"a": math.inf}, {"text": 3.0}, {"a": "x"}):
        assert model.score_one(odd) == 0.0
    assert model.score_one({"a": 50, "b": math.nan}) > 3
    for name in "bcd":
        model.learn_one({name: 1.0})
    assert sorted(model._ids) == ["a", "b"]


def test_a_datetime_among_the_features_is_the_time() -> None:
    """What every noon has is no news at noon, and is at midnight."""
    rng, model = random.Random(0), SeriesDetector()
    start, every = datetime(2026, 1, 1), timedelta(minutes=10)  # noqa: DTZ001
    for i in range(8 * 144):
        wave = 50 - 50 * math.cos(2 * math.pi * i / 144)
        model.learn_one({"when": start + i * every, "v": wave + rng.gauss(0, 1)})
    assert model.score_one({"when": start + timedelta(days=8), "v": 100.0}) > 4
    assert model.score_one({"when": start + timedelta(days=8, hours=12), "v": 100.0}) < 2


def test_it_explains_itself_by_feature() -> None:
    model = SeriesDetector()
    for i in range(100):
        model.learn_one({"a": i % 5, "b": 10 + i % 3})
    found = model.explain_one({"a": 2, "b": 40})
    assert max(found, key=lambda name: found[name][0]) == "b"
    score, expected, spread = found["b"]
    assert score > 5
    assert expected == pytest.approx(11, abs=1)
    assert 0 < spread < 3


def test_wrong_arguments_say_what_is_expected() -> None:
    with pytest.raises(ValueError, match="bank: expected one of ew"):
        SeriesDetector("nope")
    with pytest.raises(ValueError, match="interval_s: expected > 0"):
        SeriesDetector(interval_s=0.0)
