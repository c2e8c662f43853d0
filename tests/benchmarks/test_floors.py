"""Floors: those of River are River's, and none looks ahead."""

import numpy as np
import pytest

from benchmarks.accuracy import floors
from benchmarks.accuracy.data import Node, Series

VALUES = np.random.default_rng(2).normal(size=(1100, 4)).cumsum(axis=0)


def test_compiled_trees_score_as_river() -> None:
    anomaly = pytest.importorskip("river.anomaly")
    model = anomaly.HalfSpaceTrees(
        n_trees=floors.TREES, height=floors.HEIGHT, window_size=floors.WINDOW, seed=7
    )
    lowest = np.minimum.accumulate(VALUES)
    span = np.maximum.accumulate(VALUES) - lowest
    scaled = np.divide(VALUES - lowest, span, out=np.zeros_like(VALUES), where=span > 0)
    river = []
    for row in scaled.tolist():
        x = dict(enumerate(row))
        river.append(model.score_one(x))
        model.learn_one(x)
    np.testing.assert_allclose(floors.half_space_trees(VALUES, 7), river, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "floor"),
    [("GaussianScorer", floors.gaussian_scorer), ("StandardAbsoluteDeviation", floors.absolute_deviation)],
)
def test_compiled_scorers_score_as_river(name: str, floor: floors.Floor) -> None:
    anomaly = pytest.importorskip("river.anomaly")
    for column in (VALUES[:, 0], np.full(150, 3.0)):  # the second never varies
        model, river = getattr(anomaly, name)(), []
        for y in column.tolist():
            river.append(model.score_one(None, y))
            model.learn_one(None, y)
        np.testing.assert_allclose(floor(np.ascontiguousarray(column[:, None]), 0), river, atol=1e-9)


@pytest.mark.parametrize("name", floors.FLOORS)
def test_no_floor_looks_ahead(name: str) -> None:
    pytest.importorskip("river")
    floor = floors.FLOORS[name]
    # A block of the low-rank floor is scored by what came before it, and random numbers come in order.
    other = VALUES.copy()
    other[703:] += 50.0
    np.testing.assert_array_equal(floor(VALUES, 1)[:703], floor(other, 1)[:703])
    assert np.isfinite(floor(other, 1)).all()


@pytest.mark.parametrize("smoothing", floors.SMOOTHINGS)
def test_no_smoothing_looks_ahead(smoothing: str) -> None:
    score = np.abs(VALUES[:, 0])
    other = np.append(score[:500], np.zeros(600))
    parts = floors.SMOOTHINGS[smoothing]
    np.testing.assert_array_equal(floors.smoothed(score, parts)[:500], floors.smoothed(other, parts)[:500])


def test_missing_samples_score_nothing_and_teach_nothing() -> None:
    value = VALUES[:, 0].copy()
    time_ns = np.arange(len(value), dtype=np.int64)
    label = np.zeros(len(value), np.bool_)
    whole = Series("a", time_ns, np.delete(value, [200, 201]), label[2:])
    value[200:202] = np.nan
    (gaps,) = floors.scores(floors.running_z, [Series("a", time_ns, value, label)])
    (without,) = floors.scores(floors.running_z, [whole])
    assert gaps[200:202].tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(np.delete(gaps, [200, 201]), without)


def test_a_constant_node_is_scored() -> None:
    node = Node("n", np.arange(300, dtype=np.int64), np.full((300, 5), 2.0), np.zeros(300, np.bool_))
    for name, floor in floors.FLOORS.items():
        if name != "HST 25×8":
            assert np.isfinite(floors.scores(floor, [node])[0]).all()
