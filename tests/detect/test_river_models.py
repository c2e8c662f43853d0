"""River's models behind our contract: guarded against what is known to go wrong, tick by tick, relearning."""

import math
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.detect.models import ModelSettings
from edgeobs.signals import SECOND, Counts, Floats, Identity, Kind, Points, Resource, Source

pytest.importorskip("river", reason="needs River: pip install 'edgeobs[river]'")

from river import anomaly, base

from edgeobs.detect.river import ModelDetector, problem
from edgeobs.detect.river.ranges import FARTHEST, WARM, Range, Unit
from edgeobs.detect.river.tail import Tail

START = 1_700_000_000 * SECOND
DISTANCE = ModelSettings(model="anomaly.StandardAbsoluteDeviation")
Sample = tuple[int, int, float]  # series, seconds, value


class Table(dict[int, Identity]):
    """Stands for a series table: series ``10 n + k`` is metric k of node n."""

    def __missing__(self, number: int) -> Identity:
        node, metric = divmod(number, 10)
        resource = Resource(node=f"edge-{node}", namespace="shop", workload=f"cart-{node % 2}")
        return Identity(Source((), resource), f"metric_{metric}", (), Kind.GAUGE)


def feed(detector: ModelDetector, samples: Sequence[Sample]) -> Floats:
    series, at, value = zip(*samples, strict=True) if samples else ((), (), ())
    time = START + np.array(at, np.int64) * SECOND
    return detector.score_learn(np.array(series, np.int32), time, np.array(value, np.float64)).score


def one(detector: ModelDetector, values: Sequence[float], first: int = 0) -> Floats:
    """A series, a sample a second."""
    return feed(detector, [(0, first + i, float(value)) for i, value in enumerate(values)])


def noise(n: int, seed: int = 0, level: float = 100.0, spread: float = 5.0) -> list[float]:
    return [float(level + spread * z) for z in np.random.default_rng(seed).standard_normal(n)]


def ticks(n: int, series: Sequence[int], seed: int = 0) -> list[Sample]:
    """Samples of series that go up and down together."""
    rng = np.random.default_rng(seed)
    return [
        (s, at, 50 + common + 0.1 * rng.standard_normal())
        for at, common in enumerate(10 * rng.standard_normal(n))
        for s in series
    ]


class Fragile(base.AnomalyDetector):  # type: ignore[misc]
    """Raises on one value, says nonsense on another."""

    def learn_one(self, x: dict[str, float]) -> None:
        if any(value == FARTHEST for value in x.values()):
            raise RuntimeError("too far for me")

    def score_one(self, x: dict[str, float]) -> float:
        return math.nan if any(value == -FARTHEST for value in x.values()) else 0.0


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> ModelSettings:
    monkeypatch.setattr(anomaly, "Fragile", Fragile, raising=False)
    monkeypatch.setattr(anomaly, "__all__", [*anomaly.__all__, "Fragile"])
    return ModelSettings(model="anomaly.Fragile", pause_s=60.0)


def test_who_configures_no_model_does_not_pay_for_river() -> None:
    text = (
        "import sys, edgeobs.detect, edgeobs.config, edgeobs.app\n"
        "edgeobs.app.build(edgeobs.config.parse('web: {port: 0}'))\n"
        "print('river' in sys.modules, 'edgeobs.detect.river' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    "model",
    [
        {"model": "anomaly.GaussianScorer"},
        {"model": "anomaly.HalfSpaceTrees"},
        {"model": "anomaly.LODA", "parameters": {"n_random_cuts": 5}},
        {"model": "anomaly.OneClassSVM", "parameters": {"optimizer": {"model": "optim.Adam"}}},
        {
            "model": "anomaly.LocalOutlierFactor",
            "parameters": {"engine": {"model": "neighbors.LazySearch", "parameters": {"window_size": 40}}},
        },
        {"model": "anomaly.PredictiveAnomalyDetection"},
        {
            "model": "anomaly.PredictiveAnomalyDetection",
            "parameters": {
                "predictive_model": {"model": "time_series.HoltWinters", "parameters": {"alpha": 0.3}},
                "warmup_period": 20,
            },
        },
        {
            "model": "anomaly.QuantileFilter",
            "parameters": {
                "q": 0.95,
                "anomaly_detector": {"model": ["preprocessing.StandardScaler", "anomaly.HalfSpaceTrees"]},
            },
        },
        {
            "model": "anomaly.StandardAbsoluteDeviation",
            "parameters": {"sub_stat": {"model": "stats.Quantile"}},
        },
        {"model": ["preprocessing.MinMaxScaler", "anomaly.HalfSpaceTrees"]},
        {"model": ["preprocessing.StandardScaler", "feature_extraction.RBFSampler", "anomaly.OneClassSVM"]},
        {"model": "river.drift.ADWIN", "parameters": {"delta": 0.01}},
        {"model": "drift.KSWIN"},
        {"model": "drift.PageHinkley"},
        {"model": "drift.binary.DDM"},
        {"model": "drift.binary.HDDMW"},
    ],
    ids=lambda model: str(model["model"]),
)
@pytest.mark.parametrize("per", ["series", "node"])
def test_every_kind_of_model_runs_alike_each_time(model: dict[str, Any], per: Any) -> None:
    configured = ModelSettings(**model, per=per)
    assert problem(configured) is None
    hard = [math.nan, 1e308, -1e308, math.inf, 5e-324, 0.0, 0.0, 1e9, *noise(60, 1), *[7.0] * 30, 9.0]
    samples = [(s, at, value) for at, value in enumerate(noise(300) + hard) for s in (0, 1)]
    detectors = ModelDetector(configured, Table()), ModelDetector(configured, Table())
    found, again = (feed(detector, samples) for detector in detectors)
    np.testing.assert_array_equal(found, again)
    assert np.isfinite(found).all()
    assert not detectors[0].failing()
    assert not detectors[0].counts


def test_trees_see_values_of_any_size_in_the_unit_interval() -> None:
    trees = ModelSettings(model="anomaly.HalfSpaceTrees", parameters={"window_size": 100})
    for level, spread in ((1e9, 1e3), (0.0, 1e-9), (-5.0, 1.0)):
        detector = ModelDetector(trees)
        calm = one(detector, noise(600, level=level, spread=spread))
        (fault,) = one(detector, [level + 30 * spread], 600)
        assert fault > 1.4
        assert (calm[300:] < fault).mean() > 0.97


def test_a_unit_never_leaves_the_interval() -> None:
    unit = Unit()
    for value in [*noise(50), 1e308, -1e308, math.inf, math.nan, 1e9]:
        scaled = unit.transform_one({"a": value, "new": value})
        assert all(0.0 <= found <= 1.0 for found in scaled.values())
        unit.learn_one({"a": value})


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=150))
def test_a_range_is_finite_and_bounded(values: list[float]) -> None:
    known = Range()
    for value in values:
        scaled = known.scaled(value)
        assert scaled is None or abs(scaled) <= FARTHEST
        known.learn(value)
        assert math.isfinite(known.mean)
        assert 0 < known.spread() < math.inf


def test_a_range_forgives_one_outlier_and_follows_what_lasts() -> None:
    known = Range()
    for value in noise(200):
        known.learn(value)
    before = known.spread()
    known.learn(1e12)
    assert known.spread() < 1.1 * before
    for value in [1e12] * 150:
        known.learn(value)
    assert abs(known.scaled(1e12) or 0.0) < 1


def test_a_constant_neither_explodes_nor_blinds() -> None:
    detector = ModelDetector(DISTANCE)
    assert not one(detector, [7.0] * 100).any()
    (jump,) = one(detector, [8.0], 100)
    assert 2 < jump <= 2 * math.log10(101)
    # It learns that this moves.
    moving = one(detector, [7.0 + (i % 2) for i in range(300)], 101)
    assert moving[-50:].max() < 2


def test_a_model_that_raises_is_alone_with_it(fragile: ModelSettings) -> None:
    counts = Counts()
    detector = ModelDetector(fragile, counts=counts, name="river.fragile")
    calm = [(s, at, value) for at, value in enumerate(noise(30)) for s in (0, 1)]
    feed(detector, calm)
    feed(detector, [(0, 30, 1e9), (1, 30, 100.0)])
    assert counts == {("edgeobs_detector_errors_total", "river.fragile"): 1}
    assert detector.failing() == {0: "RuntimeError: too far for me"}
    feed(detector, [(0, 31, -1e9)])  # it pauses: nothing fails
    assert len(detector.failing()) == 1
    feed(detector, [(0, 91 + at, value) for at, value in enumerate(noise(30))])
    assert detector.failing() == {}
    feed(detector, [(0, 130, -1e9)])
    assert detector.failing() == {0: "ValueError: its score is nan"}
    assert counts["edgeobs_detector_errors_total", "river.fragile"] == 2


def test_a_filter_that_protects_its_detector_does_not_stay_blind() -> None:
    """River's own filter never learns again once everything is beyond its threshold."""
    filtered = ModelSettings(
        model="anomaly.ThresholdFilter",
        parameters={"anomaly_detector": {"model": "anomaly.LODA"}, "threshold": 1.0},
    )
    detector = ModelDetector(filtered)
    one(detector, noise(200))
    after = one(detector, noise(600, seed=1, level=1e6), 200)
    assert after[-100:].max() < 4


def test_a_score_of_a_model_keeps_its_promise() -> None:
    """Of normal samples one in 10^s scores s or more, give or take; young ones included."""
    parts = {"window_size": 50}
    for model, parameters in (
        ("anomaly.StandardAbsoluteDeviation", {}),
        ("anomaly.GaussianScorer", {"grace_period": 20}),
        ("anomaly.LocalOutlierFactor", {"engine": {"model": "neighbors.LazySearch", "parameters": parts}}),
    ):
        detector = ModelDetector(ModelSettings(model=model, parameters=parameters))
        rng = np.random.default_rng(3)
        samples = [(s, at, float(rng.standard_normal())) for at in range(1500) for s in range(6)]
        found = feed(detector, samples)
        assert 0.3 < (found >= 2).mean() * 100 < 3
        assert (found >= 3).mean() * 1000 < 6
        assert (found < 6).all()


@settings(deadline=None)
@given(st.lists(st.floats(-1e30, 1e30), max_size=200))
def test_a_tail_is_monotonic_finite_and_survives_a_snapshot(raws: list[float]) -> None:
    tail = Tail()
    for raw in [*np.random.default_rng(0).random(40).tolist(), *raws]:
        assert 0.0 <= tail.step(raw) <= 20.0
    assert Tail.of(tail.row()).row() == tail.row()
    found = [tail.decades(raw) for raw in (-1e30, -1.0, 0.0, 0.5, 1.0, 2.0, 1e3, 1e30)]
    assert all(a <= b for a, b in pairwise(found))


def learned_tail(raws: Sequence[float]) -> Tail:
    tail = Tail()
    for raw in raws:
        tail.step(raw)
    return tail


def test_a_heavier_tail_makes_the_same_excess_less_surprising() -> None:
    rng = np.random.default_rng(0)
    light, heavy = rng.exponential(size=5000), rng.pareto(3.0, size=5000)
    of_light, of_heavy = learned_tail(light.tolist()), learned_tail(heavy.tolist())
    for decades in (3, 4, 5):
        # Where the true probability is 10^-decades.
        assert of_light.decades(decades * math.log(10)) == pytest.approx(decades, abs=1)
        assert of_heavy.decades(10 ** (decades / 3) - 1) == pytest.approx(decades, abs=1.5)
    assert of_heavy.decades(20.0) < of_light.decades(20.0) - 2


def test_a_run_of_abnormal_scores_teaches_once_until_it_lasts() -> None:
    raws = np.random.default_rng(0).exponential(size=500).tolist()
    tail = learned_tail([*raws, 60.0])
    before = tail.decades(60.0)
    for _ in range(90):
        assert tail.step(60.0) == before
    for _ in range(60):
        tail.step(60.0)
    assert tail.decades(60.0) < 1


def test_a_node_is_scored_by_the_sample_that_completes_its_tick() -> None:
    node = ModelSettings(
        model="anomaly.LocalOutlierFactor",
        parameters={"engine": {"model": "neighbors.LazySearch", "parameters": {"window_size": 100}}},
        per="node",
    )
    detector = ModelDetector(node, Table())
    feed(detector, ticks(300, (0, 1, 2)))
    # Each within its own range; never seen together.
    found = feed(detector, [(0, 300, 62.0), (1, 300, 38.0), (2, 300, 62.0)])
    assert found[:2].tolist() == [0.0, 0.0]
    assert found[2] > 2
    # One is missing: the tick is scored when the next begins, with the missing one as it last was.
    late = feed(detector, [(0, 301, 62.0), (1, 301, 38.0), (0, 302, 50.0), (1, 302, 50.0)])
    assert late[:2].tolist() == [0.0, 0.0]
    assert late[2] > 2
    # From then on the other two are complete without it.
    assert feed(detector, [(0, 303, 62.0), (1, 303, 38.0)])[1] > 1


def test_a_tick_ends_where_a_later_time_begins() -> None:
    node = ModelSettings(model="anomaly.StandardAbsoluteDeviation", per="node")
    detector = ModelDetector(node, Table())
    feed(detector, ticks(100, (0, 1, 2)))
    (entity,) = detector._entities.values()
    assert entity.model is not None
    learned = entity.model.learned
    feed(detector, [(0, 100, 50.0)])
    assert entity.model.learned == learned
    # Another series comes first, later: the tick before has been waited for in vain.
    assert feed(detector, [(1, 101, 1e4), (2, 101, 50.0), (0, 101, 50.0)])[2] > 6
    assert entity.model.learned == learned + 2


def test_what_is_not_finite_is_as_if_it_had_not_been() -> None:
    for per, series in (("series", (0, 1)), ("node", (0, 1, 2))):
        configured = ModelSettings(model="anomaly.StandardAbsoluteDeviation", per=per)  # type: ignore[arg-type]
        clean, odd = ModelDetector(configured, Table()), ModelDetector(configured, Table())
        samples = ticks(60, series)
        extra = [(s, at, value) for s, at, _ in samples[::7] for value in (math.nan, math.inf, -math.inf)]
        mixed = sorted([*samples, *extra], key=lambda sample: sample[1])
        found = feed(odd, mixed)
        fine = np.array([math.isfinite(value) for _, _, value in mixed])
        assert not found[~fine].any()
        left = [sample for sample, ok in zip(mixed, fine, strict=True) if ok]
        np.testing.assert_array_equal(found[fine], feed(clean, left))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.floats(-100, 100)), max_size=80),
    st.sets(st.integers(1, 200), max_size=8),
)
def test_a_tick_is_the_same_however_it_is_cut(moves: list[tuple[int, int, float]], cuts: set[int]) -> None:
    samples = ticks(30, (0, 1, 2, 10))
    at = 30
    for which, step, value in moves:
        at += step
        samples.append(((0, 1, 2, 10, 11, 20)[which], at, value))
    node = ModelSettings(model="anomaly.LODA", parameters={"n_random_cuts": 3}, per="node", warmup=3)
    whole, parts = ModelDetector(node, Table()), ModelDetector(node, Table())
    edges = [0, *sorted(c for c in cuts if c < len(samples)), len(samples)]
    apart = np.concatenate([feed(parts, samples[a:b]) for a, b in pairwise(edges)])
    np.testing.assert_array_equal(feed(whole, samples), apart)
    for name, array in whole.state().items():
        np.testing.assert_array_equal(array, parts.state()[name])


def test_series_come_and_go_and_the_model_with_them() -> None:
    node = ModelSettings(model="anomaly.HalfSpaceTrees", parameters={"window_size": 20}, per="node")
    detector = ModelDetector(node, Table())
    feed(detector, ticks(50, (0, 1)))
    (entity,) = detector._entities.values()
    assert entity.features == {"metric_0", "metric_1"}
    feed(detector, [(s, 50 + at, v) for s, at, v in ticks(WARM + 2, (0, 1, 2))])
    assert entity.features == {"metric_0", "metric_1"}  # a new series is not worth a new model at once
    feed(detector, [(s, 70 + at, v) for s, at, v in ticks(60, (0, 1, 2))])
    assert entity.features == {"metric_0", "metric_1", "metric_2"}
    detector.forget(np.array([1], np.int32))
    feed(detector, [(s, 140 + at, v) for s, at, v in ticks(2, (0, 2))])
    assert entity.features == {"metric_0", "metric_2"}
    detector.forget(np.array([0, 2], np.int32))
    assert not detector._entities
    assert not detector._tails


def test_models_are_per_workload_and_of_the_series_that_are_named() -> None:
    workload = ModelSettings(
        model="anomaly.LODA", per="workload", series=("metric_[01]", "metric_7"), max_models=1
    )
    detector = ModelDetector(workload, Table())
    feed(detector, [(s, at, 1.0) for at in range(5) for s in (0, 1, 2, 10, 20, 21)])
    (entity,) = detector._entities.values()
    # Nodes 0 and 2 run one workload, with metrics of the same name; node 1 another: no room.
    assert sorted(entity.names) == [0, 1, 20, 21]
    assert set(entity.names.values()) == {"metric_0", "metric_1", "metric_0#2", "metric_1#2"}
    assert detector.counts["edgeobs_models_left_out_total", "river"] == 1
    detector.forget(np.array([0, 1, 20, 21], np.int32))
    feed(detector, [(10, 6, 1.0)])
    assert [sorted(e.names) for e in detector._entities.values()] == [[10]]


def test_a_drift_is_evidence_for_a_while_and_the_model_begins_anew() -> None:
    detector = ModelDetector(ModelSettings(model="drift.ADWIN"))
    assert not one(detector, noise(400)).any()
    shifted = one(detector, noise(400, seed=1, level=120.0), 400)
    hits = np.flatnonzero(shifted)
    assert hits[0] < 64
    assert shifted[hits].tolist() == [8.0] * 5
    assert hits.tolist() == list(range(hits[0], hits[0] + 5))
    (drift,) = detector.drifted
    assert drift == (0, START + (400 + int(hits[0])) * SECOND)
    assert one(detector, noise(400, seed=2, level=100.0), 800).any()


def test_after_a_restart_models_relearn_and_their_scale_is_kept() -> None:
    node = ModelSettings(model="anomaly.LODA", parameters={"n_random_cuts": 5}, per="node")
    detector = ModelDetector(node, Table())
    feed(detector, ticks(300, (0, 1, 10)))
    detector.forget(np.array([10], np.int32))
    other = ModelDetector(node, Table())
    other.restore(detector.state())
    for name, array in detector.state().items():
        np.testing.assert_array_equal(array[:2], other.state()[name][:2])
    assert other._tails[0].row() == detector._tails[0].row()
    again = feed(other, [(s, 300 + at, v) for s, at, v in ticks(40, (0, 1), seed=1)])
    assert not again[: 2 * (WARM + 10)].any()
    assert again[2 * (WARM + 10) :].any()  # the tail is not young: no second wait
    changed = ModelDetector(ModelSettings(model="anomaly.LODA", per="node"), Table())
    changed.restore(detector.state())
    assert not changed._tails


def test_a_core_runs_what_its_config_names() -> None:
    from edgeobs.compose import build
    from edgeobs.config import parse

    text = "detectors: {trees: {model: anomaly.HalfSpaceTrees, per: node, series: ['load*']}}"
    core = build(parse(text))
    table = core.pipeline.table
    source = Source((), Resource(zone="a", node="edge-1"))
    names = ("load1", "load5", "other")
    ids = [table.intern(Identity(source, name, (), Kind.GAUGE), 0, START) for name in names]
    for at, level in enumerate(noise(40)):
        now = START + at * SECOND
        time = np.full(3, now)
        points = Points(np.array(ids, np.int32), time, np.zeros(3, np.int64), np.array([level, level, 1.0]))
        core.pipeline.step(points, now)
    detector = core.pipeline.detection.detectors["river.trees"]
    assert isinstance(detector, ModelDetector)
    (entity,) = detector._entities.values()
    assert entity.features == {"load1", "load5"}
    assert entity.model is not None
    assert entity.model.learned == 40 - WARM
    assert "detect.river.trees" in core.pipeline.state()


def blocks(language: str) -> list[str]:
    page = (Path(__file__).parents[2] / "docs" / "river.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_page_run() -> None:
    from edgeobs.config import parse

    (text,) = blocks("yaml")
    assert len(parse(text).detectors) == 4
    (example,) = blocks("python")
    exec(compile(example, "river.md", "exec"), {})  # noqa: S102  it is ours
