"""What every registered detector must do, River's models behind the same contract, and the docs' example."""

import copy
import importlib.util
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.detect import DETECTORS, Detector, Settings
from edgeobs.detect.models import ModelSettings
from edgeobs.signals import SECOND, Floats, Identity, Int32s, Kind, Resource, Scores, Source

START = 1_700_000_000 * SECOND
Make = Callable[[Settings], Detector]
Sample = tuple[int, float]


class EveryNodeHasOne:
    """Stands for a series table in which each series is the only one of its node."""

    def __getitem__(self, number: int) -> Identity:
        return Identity(Source((), Resource(node=f"edge-{number}")), "load", (), Kind.GAUGE)


def river(settings: ModelSettings) -> Make:
    def make(_: Settings) -> Detector:
        from edgeobs.detect.river import ModelDetector

        return ModelDetector(settings, EveryNodeHasOne())

    return make


TREES = {"n_trees": 3, "height": 4, "window_size": 20}
DISTANCE = ModelSettings(model="anomaly.StandardAbsoluteDeviation", max_models=1000)
NODE = ModelSettings(model="anomaly.LODA", parameters={"n_random_cuts": 4}, per="node")
STEPS = ["preprocessing.StandardScaler", {"model": "anomaly.HalfSpaceTrees", "parameters": TREES}]
RIVER = {
    "river distance": river(DISTANCE),
    "river trees": river(ModelSettings(model=STEPS)),
    "river node": river(NODE),
    "river drift": river(ModelSettings(model="drift.ADWIN", max_models=1000)),
}
if importlib.util.find_spec("river") is None:  # needs River: pip install 'edgeobs[river]'
    RIVER = {}
PAGE = Path(__file__).parents[2] / "docs/development.md"


def documented() -> Make:
    """The detector that the page on development shows."""
    example = PAGE.read_text().split("## A detector")[1].split("```python\n")[1].split("\n```")[0]
    names: dict[str, Any] = {}
    exec(compile(example, str(PAGE), "exec"), names)  # noqa: S102  it is ours
    made: Make = names["Far"]
    return made


OWN = {**DETECTORS, "documented": documented()}
ALL = {**OWN, **RIVER}
# Trees, histograms and drift detectors do not know how far is far; the distance does.
FAR = {name: make for name, make in ALL.items() if name in {*OWN, "river distance"}}
every_detector = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())
every_metric = pytest.mark.parametrize("make", FAR.values(), ids=FAR.keys())
# What is inside of River's models is not saved: test_river_models.py says what is.
every_own = pytest.mark.parametrize("make", OWN.values(), ids=OWN.keys())

anything = st.one_of(
    st.floats(),
    st.sampled_from([1e308, -1e308, 1.7e308, 5e-324, -5e-324, 1e-200, 0.0, np.nan, np.inf]),
    st.floats(-10, 10),
)
streams = st.lists(st.tuples(st.integers(0, 3), anything), min_size=1, max_size=60)


def feed(detector: Detector, samples: Sequence[Sample], first: int = 0) -> Scores:
    """One call; a sample a second."""
    time = START + (first + np.arange(len(samples), dtype=np.int64)) * SECOND
    series = np.array([s for s, _ in samples], np.int32)
    return detector.score_learn(series, time, np.array([v for _, v in samples], np.float64))


def columns(scores: Scores) -> Floats:
    return np.array([scores.score, scores.expected, scores.spread])


def noise(n: int, series: int = 1, seed: int = 0) -> list[Sample]:
    rng = np.random.default_rng(seed)
    return [(s, float(100 + 5 * rng.standard_normal())) for _ in range(n) for s in range(series)]


def copy_of(make: Make, detector: Detector) -> Detector:
    other = make(Settings())
    other.restore(detector.state())
    return other


@every_detector
@settings(max_examples=60, deadline=None)
@given(stream=streams)
def test_nothing_that_is_not_finite_goes_in_or_out(make: Make, stream: list[Sample]) -> None:
    detector = make(Settings())
    warm = noise(30, 2)
    feed(detector, warm)
    scores = feed(detector, stream * 2, len(warm))
    assert np.isfinite(scores.score).all()
    assert ((scores.score >= 0) & (scores.score <= 20)).all()
    assert not np.isinf(scores.expected).any()
    assert (np.isnan(scores.spread) | ((scores.spread > 0) & np.isfinite(scores.spread))).all()
    assert (np.isnan(scores.expected) == np.isnan(scores.spread)).all()
    for name, array in detector.state().items():
        assert np.isfinite(array.astype(np.float64)).all(), name


@every_detector
@settings(max_examples=60, deadline=None)
@given(stream=streams, cuts=st.sets(st.integers(1, 119), max_size=6))
def test_any_batching_gives_the_same(make: Make, stream: list[Sample], cuts: set[int]) -> None:
    stream = noise(15, 4) + stream
    whole, parts = make(Settings()), make(Settings())
    edges = [0, *sorted(c for c in cuts if c < len(stream)), len(stream)]
    together = columns(feed(whole, stream))
    apart = np.concatenate([columns(feed(parts, stream[a:b], a)) for a, b in pairwise(edges)], axis=1)
    np.testing.assert_array_equal(together, apart)
    for name, array in whole.state().items():
        np.testing.assert_array_equal(array, parts.state()[name])


@every_detector
@settings(max_examples=40, deadline=None)
@given(stream=streams, at=st.integers(0, 59), other=anything)
def test_no_score_knows_its_own_sample_or_a_later_one(
    make: Make, stream: list[Sample], at: int, other: float
) -> None:
    stream = noise(25, 4) + stream
    at = min(100 + at, len(stream) - 1)
    changed = [*stream[:at], (stream[at][0], other), *stream[at + 1 :]]
    one, two = feed(make(Settings()), stream), feed(make(Settings()), changed)
    np.testing.assert_array_equal(columns(one)[:, :at], columns(two)[:, :at])
    if np.isfinite([other, stream[at][1]]).all():
        np.testing.assert_array_equal(columns(one)[1:, at], columns(two)[1:, at])


@every_detector
def test_ids_and_their_order_are_names_only(make: Make) -> None:
    rng = np.random.default_rng(1)
    ids = rng.permutation(1000)[:40].astype(np.int32)
    plain, renamed = make(Settings()), make(Settings())
    for step in range(60):
        value = np.exp(rng.standard_normal(40)) * 10.0 ** np.arange(-20, 20)
        time = np.full(40, START + step * SECOND)
        one = columns(plain.score_learn(np.arange(40, dtype=np.int32), time, value))
        order = rng.permutation(40)
        two = columns(renamed.score_learn(ids[order], time, value[order]))
        np.testing.assert_array_equal(one[:, order], two)


@every_own
def test_a_snapshot_continues_identically(make: Make) -> None:
    detector = make(Settings())
    feed(detector, noise(50, 3))
    other = copy_of(make, detector)
    later = [*noise(40, 3, seed=2), (1, 1e6), (2, 0.0), *noise(5, 3, seed=3)]
    np.testing.assert_array_equal(columns(feed(detector, later, 150)), columns(feed(other, later, 150)))


@every_detector
def test_a_snapshot_is_a_copy(make: Make) -> None:
    detector = make(Settings())
    feed(detector, noise(50))
    state = detector.state()
    before = {name: array.copy() for name, array in state.items()}
    feed(detector, noise(50, seed=2), 50)
    for name, array in state.items():
        np.testing.assert_array_equal(array, before[name])


@every_detector
def test_a_bad_snapshot_is_refused_and_changes_nothing(make: Make) -> None:
    detector = make(Settings())
    feed(detector, noise(50))
    good = detector.state()
    for name, array in good.items():
        wrong = np.full(array.shape, -7 if array.dtype.kind in "iu" else np.nan)
        for bad in (wrong, array.reshape(-1)[: array.size // 2].reshape(-1, 1, 1)):
            with pytest.raises(ValueError, match=r".+"):
                detector.restore(good | {name: bad})
    with pytest.raises(ValueError, match=r".+"):
        detector.restore({})
    for name, array in detector.state().items():
        np.testing.assert_array_equal(array, good[name])


@every_detector
def test_memory_depends_on_series_and_not_on_samples(make: Make) -> None:
    detector = make(Settings())

    def held() -> int:
        return sum(array.nbytes for array in detector.state().values())

    ids: Int32s = np.arange(2000, dtype=np.int32)
    rng = np.random.default_rng(0)
    for step in range(40):
        if step == 1:
            first = held()
        detector.score_learn(ids, np.full(2000, START + step * SECOND), rng.standard_normal(2000))
    assert held() == first
    assert first <= 256 * 2000 + 8  # the number of the schema


@every_metric
def test_the_score_grows_with_the_deviation(make: Make) -> None:
    detector = make(Settings())
    feed(detector, noise(100))
    for sign in (1, -1):
        away = [0.1, 1, 3, 10, 20, 40, 80, 200, 1e4, 1e100, 1e308]
        found = [feed(copy.deepcopy(detector), [(0, 100 + sign * a)], 100).score[0] for a in away]
        assert all(a <= b for a, b in pairwise(found))
        assert found[1] < 1
        assert found[-1] > 6


@every_detector
def test_young_series_score_nothing_and_expect_nothing(make: Make) -> None:
    scores = feed(make(Settings()), [(0, v) for v in (1.0, 2.0, 1e9, 3.0)])
    assert scores.score.tolist() == [0.0] * 4
    assert np.isnan(scores.expected).all()
    assert np.isnan(scores.spread).all()


@every_metric
def test_after_a_minute_a_fault_is_seen_and_noise_is_not(make: Make) -> None:
    detector = make(Settings())
    calm = feed(detector, noise(60, 200)).score
    assert (calm >= 4).mean() < 1e-3
    fault = feed(detector, [(s, 200.0) for s in range(200)], 12_000).score
    assert (fault >= 5).all()
    assert (fault >= 6).mean() > 0.9


@every_detector
def test_a_forgotten_series_is_as_new(make: Make) -> None:
    detector, fresh = make(Settings()), make(Settings())
    feed(detector, noise(80, 2))
    feed(fresh, [(s, v) for s, v in noise(80, 2) if s == 1])
    detector.forget(np.array([0, 500], np.int32))
    again = [(0, v) for _, v in noise(60, seed=5)]
    np.testing.assert_array_equal(columns(feed(detector, again, 99)), columns(feed(fresh, again, 99)))


@every_detector
def test_nothing_sent_nothing_scored(make: Make) -> None:
    assert len(feed(make(Settings()), []).score) == 0
