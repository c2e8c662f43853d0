"""What ours must beat: floors that anybody can have, scored in the same run on the same samples.

A floor is a function of the [n, D] finite values of one entity (D = 1 for a series) and a seed, and gives n
scores, each from the samples before it alone. Floors of one series score every metric; their maximum counts.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.accuracy.data import Node, Series
from edgeobs import jit
from edgeobs.signals import Floats, Int64s

Floor = Callable[[Floats, int], Floats]
EVERY = 400
WARMUP = 30  # samples before a running z says anything
FAR = 30.0  # standard deviations; beyond, their logarithm: a spike must not blind the smoothing for hours
TREES, HEIGHT, WINDOW = 25, 8, 250
GRACE = 100  # samples before River's GaussianScorer says anything
RANK, BLOCK = 10, 20
YOUNG = 60  # samples before the components are taken for known
_RELATIVE = 1e-3  # least standard deviation, relative to the value's usual size
_NODES = 2 ** (HEIGHT + 1) - 1


def at_random(values: Floats, seed: int) -> Floats:
    """Uniform noise."""
    noise: Floats = np.random.default_rng(seed).random(len(values))
    return noise


def every_400(values: Floats, _: int) -> Floats:
    """An alarm every 400 samples, whatever they are."""
    score = np.zeros(len(values))
    score[EVERY - 1 :: EVERY] = 1.0
    return score


def running_z(values: Floats, _: int) -> Floats:
    """Standard deviations from the mean of all that came before."""
    score = np.empty(values.shape)
    _deviations(values, np.inf, score)
    return highest(score)


def ew_z(values: Floats, _: int, memory: float) -> Floats:
    """The same of an exponentially weighted past."""
    score = np.empty(values.shape)
    _deviations(values, memory, score)
    return highest(score)


def low_rank(values: Floats, _: int) -> Floats:
    """Square of what the past's ten principal components, renewed every 20 samples, leave of the metrics."""
    n, d = values.shape
    score, rank = np.zeros(n), min(RANK, d - 1)
    x = values - values[0]
    total: Floats = np.zeros(d)
    square: Floats = np.zeros((d, d))
    for start in range(0, n, BLOCK):
        block = x[start : start + BLOCK]
        if start >= YOUNG:
            mean = np.divide(total, start)
            covariance = np.divide(square, start) - np.outer(mean, mean)
            least = (_RELATIVE * (mean + values[0])) ** 2 + 1e-12
            deviation = np.sqrt(np.maximum(covariance.diagonal(), 0) + least)
            axes = np.linalg.eigh(covariance / np.outer(deviation, deviation)).eigenvectors[:, d - rank :]
            away = np.clip((block - mean) / deviation, -10, 10)
            score[start : start + BLOCK] = np.square(away - (away @ axes) @ axes.T).sum(axis=1)
        total += block.sum(axis=0)
        square += block.T @ block
    return score


def half_space_trees(values: Floats, seed: int) -> Floats:
    """River's HalfSpaceTrees, 25 of height 8, on values scaled to [0, 1] by their own past.

    River grows the trees; walking them is compiled, and a test holds the scores equal to River's.
    """
    lowest = np.minimum.accumulate(values)
    span = np.maximum.accumulate(values) - lowest
    scaled = np.where(span > 0, (values - lowest) / np.where(span > 0, span, 1.0), 0.0)
    feature, threshold = grown_trees(values.shape[1], seed)
    score = np.empty(len(values))
    mass = np.zeros((2, TREES, _NODES))
    _walk(scaled, feature, threshold, mass[0], mass[1], score)
    return score


def gaussian_scorer(values: Floats, _: int) -> Floats:
    """River's GaussianScorer by default settings: 2·|Φ(z) − ½| of all that came before, 0 for 100 samples."""
    score = np.empty(values.shape)
    _gaussian(values, score)
    return highest(score)


def absolute_deviation(values: Floats, _: int) -> Floats:
    """River's StandardAbsoluteDeviation by default settings: |x − mean| over the deviation of all before."""
    score = np.empty(values.shape)
    _absolute(values, score)
    return highest(score)


def highest(score: Floats) -> Floats:
    """Of n samples of D metrics, the strangest metric."""
    most: Floats = score.max(axis=1)
    return most


FLOORS: dict[str, Floor] = {
    "random": at_random,
    "every 400": every_400,
    "running z": running_z,
    "EW z 100": lambda values, seed: ew_z(values, seed, 100.0),
    "EW z 500": lambda values, seed: ew_z(values, seed, 500.0),
    "low rank": low_rank,
    "HST 25×8": half_space_trees,
    "Gaussian": gaussian_scorer,
    "SAD": absolute_deviation,
}
JOINT = {"low rank"}  # of several metrics at once: says nothing of a series

BLIND = {"random", "every 400"}  # see no values: smoothing them means nothing
PLAIN = "plain"
SMOOTHINGS: dict[str, tuple[tuple[float, float], ...]] = {
    PLAIN: ((1.0, 1.0),),
    "+.3": ((1.0, 1.0), (1.0, 0.3)),
    ".3 .05": ((1.0, 0.3), (1.0, 0.05)),
    ".3 .05 .02": ((1.0, 0.3), (1.0, 0.05), (1.0, 0.02)),
}
"""Sums of (weight, rate) of exponentially weighted means; every floor is shown by the best of them."""


def smoothed(score: Floats, parts: Sequence[tuple[float, float]]) -> Floats:
    """A weighted sum of a score's exponentially weighted means; rate 1 is the score itself."""
    found = np.zeros(len(score))
    for weight, rate in parts:
        one = np.empty(len(score))
        _smooth(np.asarray(score, np.float64), rate, one)
        found += weight * one
    return found


def scores(floor: Floor, entities: Sequence[Series | Node]) -> list[Floats]:
    """A floor's score of every entity; samples that are missing score 0 and teach nothing."""
    found = []
    for seed, entity in enumerate(entities):
        values = entity.values if isinstance(entity, Node) else entity.value[:, None]
        there = np.isfinite(values).all(axis=1)
        score = np.zeros(len(values))
        score[there] = floor(np.ascontiguousarray(values[there]), seed)
        found.append(score)
    return found


def grown_trees(features: int, seed: int) -> tuple[Int64s, Floats]:
    """River's own trees as (feature, threshold) [trees, nodes], the children of i being 2i+1 and 2i+2."""
    from river.anomaly import HalfSpaceTrees  # noqa: PLC0415 (a second, and only where this floor is asked for)

    model = HalfSpaceTrees(n_trees=TREES, height=HEIGHT, window_size=WINDOW, seed=seed)
    model.learn_one(dict.fromkeys(range(features), 0.5))
    feature, threshold = np.zeros((TREES, _NODES), np.int64), np.zeros((TREES, _NODES))
    for tree, root in enumerate(model.trees):
        level = [root]
        for at in range(_NODES // 2):
            node = level[at]
            feature[tree, at], threshold[tree, at] = node.feature, node.threshold
            level += node.children
    return feature, threshold


@jit.compiled
def _deviations(values: Floats, memory: float, score: Floats) -> None:
    for d in range(values.shape[1]):
        mean, variance, size = 0.0, 0.0, 0.0
        for i in range(values.shape[0]):
            x = values[i, d]
            away = x - mean
            floor = _RELATIVE * size
            spread = math.sqrt(variance + floor * floor + 1e-18)
            z = abs(away) / spread if i >= WARMUP else 0.0
            score[i, d] = z if z < FAR else FAR * (1.0 + math.log(z / FAR))
            step = max(1.0 / memory, 1.0 / (i + 1))
            mean += step * away
            variance = (1.0 - step) * (variance + step * away * away)
            size += step * (abs(x) - size)


@jit.compiled
def _smooth(score: Floats, rate: float, found: Floats) -> None:
    level = 0.0
    for i in range(len(score)):
        level += rate * (score[i] - level)
        found[i] = level


@jit.compiled
def _gaussian(values: Floats, score: Floats) -> None:
    for d in range(values.shape[1]):
        mean, square = 0.0, 0.0
        for i in range(values.shape[0]):
            x = values[i, d]
            if i < GRACE:
                score[i, d] = 0.0
            elif square > 0:
                score[i, d] = abs(math.erf((x - mean) / math.sqrt(2.0 * square / (i - 1))))
            else:
                score[i, d] = 1.0  # as River: without a spread the cumulative probability is 0
            away = x - mean
            mean += away / (i + 1)
            square += away * (x - mean)


@jit.compiled
def _absolute(values: Floats, score: Floats) -> None:
    for d in range(values.shape[1]):
        mean, square = 0.0, 0.0
        for i in range(values.shape[0]):
            away = values[i, d] - mean
            spread = math.sqrt(square / (i - 1)) if i > 1 else 0.0
            score[i, d] = abs(away) / (spread + 1e-10)
            mean += away / (i + 1)
            square += away * (values[i, d] - mean)


@jit.compiled
def _walk(
    x: Floats, feature: Int64s, threshold: Floats, reference: Floats, latest: Floats, score: Floats
) -> None:
    trees, inner = feature.shape[0], feature.shape[1] // 2
    highest = trees * WINDOW * (2.0 ** (HEIGHT + 1) - 1)
    for i in range(x.shape[0]):
        total = 0.0
        for tree in range(trees):
            at, worth, counting = 0, 1.0, True
            while True:
                mass = reference[tree, at]
                if counting:
                    total += mass * worth
                    counting = mass >= 0.1 * WINDOW
                latest[tree, at] += 1
                if at >= inner:
                    break
                at = 2 * at + (1 if x[i, feature[tree, at]] < threshold[tree, at] else 2)
                worth *= 2
        score[i] = 1 - total / highest if i >= WINDOW else 0.0
        if (i + 1) % WINDOW == 0:
            for tree in range(trees):
                for node in range(feature.shape[1]):
                    reference[tree, node], latest[tree, node] = latest[tree, node], 0.0
