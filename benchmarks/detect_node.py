"""Ticks of whole nodes scored and learned, beside what River and NumPy have for a node's metrics jointly.

Times are of this thread on a core (`time.thread_time`): what else runs on the machine does not count.
"""

import time
from collections.abc import Callable

import numpy as np

from benchmarks.measure import Measure
from edgeobs.detect.node import NodeBank
from edgeobs.signals import SECOND, Floats, Int32s

METRICS = 32
START = 1_700_000_000 * SECOND
INTERVAL = 10 * SECOND


def node_updates(quick: bool) -> Measure:
    """Ticks of 32 metrics a second and core: a thousand nodes speak in turn, so that no state stays cached.

    Beside it, in the same run, what a River user has for this (a standardised HalfSpaceTrees of default
    settings), and a covariance with its inverse every hundred ticks in NumPy.
    """
    nodes, rounds = (200, 40) if quick else (1000, 100)
    rate = nodes / float(np.mean(_steps(nodes, rounds)))
    river, numpy = _rate(_river(), 300), _rate(_numpy(), 500)
    reference = f"River HalfSpaceTrees {river:,.0f}/s; NumPy covariance and inverse {numpy:,.0f}/s"
    return Measure("node_updates", rate, "ticks of 32 metrics/s", reference, rate / river)


def node_bytes(_quick: bool) -> Measure:
    """State of a node, a series."""
    bank, series = _bank(8)
    _feed(bank, series, 4)
    held = sum(array.nbytes for array in bank.state().values())
    return Measure("node_bytes_per_series", held / len(series), "B", f"{METRICS} series a node")


def node_stall(quick: bool) -> Measure:
    """The longest of many steps in which every node's tick closes, beside the median: nothing piles up."""
    took = _steps(200, 200 if quick else 1000)
    return Measure(
        "node_step_max_ms", 1000 * float(took.max()), "ms", f"median {1000 * float(np.median(took)):.3g} ms",
        float(took.max() / np.median(took)),
    )  # fmt: skip


def run(quick: bool) -> list[Measure]:
    """All of them."""
    return [node_updates(quick), node_bytes(quick), node_stall(quick)]


def _bank(nodes: int) -> tuple[NodeBank, Int32s]:
    node_of = np.repeat(np.arange(nodes, dtype=np.int32), METRICS)
    return NodeBank(lambda: node_of), np.arange(nodes * METRICS, dtype=np.int32)


def _feed(bank: NodeBank, series: Int32s, rounds: int, first: int = 0) -> Floats:
    """Seconds of each round."""
    values, took = _values(len(series)), np.zeros(rounds)
    for step in range(rounds):
        stamps = np.full(len(series), START + (first + step) * INTERVAL)
        began = time.thread_time()
        bank.score_learn(series, stamps, values[step % len(values)])
        took[step] = time.thread_time() - began
    return took


def _steps(nodes: int, rounds: int) -> Floats:
    """After every node has an inverse, and another is in the making."""
    bank, series = _bank(nodes)
    grown = 3 * METRICS + 40
    _feed(bank, series, grown)
    return _feed(bank, series, rounds, grown)


def _values(series: int) -> Floats:
    random = np.random.default_rng(0)
    causes = random.standard_normal((16, series // METRICS, 4)) @ random.standard_normal((4, METRICS))
    return np.asarray(causes + 0.5 * random.standard_normal(causes.shape), np.float64).reshape(16, -1)


def _rate(update: Callable[[Floats], None], ticks: int) -> float:
    values = _values(METRICS)
    began = time.thread_time()
    for step in range(ticks):
        update(values[step % len(values)])
    return ticks / (time.thread_time() - began)


def _river() -> Callable[[Floats], None]:
    from river import anomaly, compose, preprocessing  # noqa: PLC0415 - a second and 118 MB

    model = compose.Pipeline(preprocessing.StandardScaler(), anomaly.HalfSpaceTrees(seed=1))

    def update(values: Floats) -> None:
        tick = {f"m{i}": value for i, value in enumerate(values.tolist())}
        model.score_one(tick)
        model.learn_one(tick)

    return update


def _numpy() -> Callable[[Floats], None]:
    mean, covariance, seen = np.zeros(METRICS), np.eye(METRICS), 0
    inverse: Floats = np.eye(METRICS)

    def update(values: Floats) -> None:
        nonlocal inverse, seen
        away = values - mean
        float(away @ inverse @ away)
        mean[:] += 0.01 * away
        covariance[:] = 0.99 * covariance + 0.01 * np.outer(away, away)
        seen += 1
        if seen % 100 == 0:
            inverse = np.asarray(np.linalg.inv(covariance + 0.1 * np.eye(METRICS)), np.float64)

    return update
