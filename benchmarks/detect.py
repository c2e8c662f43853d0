"""What scoring costs: updates of banks, bytes of state, steps without stalls, growth; beside River and NumPy.

Times are of this thread on a core (`time.thread_time`), and of equal repetitions the fastest counts: what
else runs on the machine does not.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks import detect_agent, detect_node, detect_snapshot, detect_step
from benchmarks.measure import Measure
from edgeobs import jit
from edgeobs.detect import DETECTORS, Detector, Settings
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.memory import ROW
from edgeobs.signals import SECOND, Floats

FEW, SERIES, MANY = 1_000, 100_000, 1_000_000
AGENT = 10_000
CALL = 10_000  # samples, as a request brings
WARM = 40  # samples of each series before anything is measured
START = 1_700_000_000 * SECOND
_DAILY = ("hours", "day", "count", "days", "rest")  # parts of a row that are the time of day


class Feed:
    """Calls of so many samples to a bank: its series in order, again and again, a sample a second."""

    def __init__(self, bank: Detector, series: int, call: int = CALL) -> None:
        rng = np.random.default_rng(0)
        self.bank, self.call, self.at, self.round = bank, min(call, series), 0, 0
        self.ids = np.arange(series, dtype=np.int32)
        self.values = rng.normal(50.0, 5.0, (8, self.call))

    def __call__(self) -> None:
        """One call."""
        ids = self.ids[self.at : self.at + self.call]
        now = np.full(len(ids), START + self.round * SECOND)
        self.bank.score_learn(ids, now, self.values[(self.at // self.call + self.round) % 8][: len(ids)])
        self.at += self.call
        if self.at >= len(self.ids):
            self.at, self.round = 0, self.round + 1

    def rounds(self, count: int) -> None:
        """So many samples of every series."""
        until = self.round + count
        while self.round < until:
            self()


def run(quick: bool) -> list[Measure]:
    """All of them."""
    river, river_bytes = _river(2_000 if quick else 10_000)
    return [
        *_rates(quick, river),
        detect_node.node_updates(quick),
        detect_node.node_bytes(quick),
        detect_node.node_stall(quick),
        *_bytes(river_bytes),
        *detect_step.steps(quick, 1e6 / river),
        _growth(quick),
        _first(),
        _agent(river),
        *detect_agent.agent(quick, 1e6 / river),
        *detect_snapshot.snapshots(quick),
    ]


def _rates(quick: bool, river: float) -> list[Measure]:
    """Samples a second of the plain bank and of the default one, with each of their references."""
    series = SERIES // 5 if quick else SERIES
    plain, full = _rate("ew", series), _rate("series", series)
    made = "compiled" if jit.available() else "NumPy: Numba is not installed"
    columns = CALL / _fastest(_numpy(CALL), 20)
    return [
        Measure(
            name, rate, "series-updates/s/core",
            f"River GaussianScorer {river:,.0f}/s; NumPy EW z-score alone {columns:,.0f}/s; {made}",
            rate / river,
        )
        for name, rate in (("bank_updates", plain), ("full_updates", full))
    ]  # fmt: skip


def _rate(name: str, series: int) -> float:
    """Of a detector as it is configured by default, once all of its series are warm."""
    feed = Feed(DETECTORS[name](Settings()), series)
    feed.rounds(WARM)
    return series / _fastest(partial(feed.rounds, 1), 40)  # a round takes milliseconds


def _bytes(river: int) -> list[Measure]:
    """State of a series of the default bank, with and without the time of day."""
    fields = dict(ROW.fields or {})
    whole = float(ROW.itemsize)
    less = float(sum(kind[0].itemsize for name, kind in fields.items() if name not in _DAILY))
    said = f"River GaussianScorer {river:,} B"
    return [
        Measure("bytes_per_series", less, "B", f"{said}; without the time of day", less / river),
        Measure("bytes_per_series_seasonal", whole, "B", f"{said}; 24 buckets", whole / river),
    ]


def _growth(quick: bool) -> Measure:
    """Time a sample with a million series over that with a thousand, in calls of a thousand."""
    few, many = FEW, MANY
    small = SeriesBank(Settings())
    Feed(small, few).rounds(WARM)
    large = SeriesBank(Settings())  # a thousand times the same series: as warm, without the wait
    known = {name: np.concatenate([part] * (many // few)) for name, part in small.state().items()}
    large.restore(known | {"schema": small.state()["schema"]})
    feeds = [Feed(small, few, FEW), Feed(large, many, FEW)]
    for feed in feeds:
        feed.round = WARM
    one = _fastest(partial(feeds[0].rounds, 1), 100) / few
    other = _fastest(partial(feeds[1].rounds, 1), 2 if quick else 5) / many
    said = f"{1e9 * one:.0f} ns a sample with {few:,} series, {1e9 * other:.0f} with {many:,}"
    return Measure("growth_1e6_over_1e3", other / one, "×", said)


def _first() -> Measure:
    """Samples until every one of a thousand new series has had a score above 0."""
    bank, values = SeriesBank(Settings()), np.random.default_rng(0).normal(50.0, 5.0, (100, FEW))
    ids, silent, samples = np.arange(FEW, dtype=np.int32), np.ones(FEW, np.bool_), 0
    while silent.any() and samples < len(values):
        now = np.full(FEW, START + samples * SECOND)
        silent &= bank.score_learn(ids, now, values[samples]).score <= 0
        samples += 1
    return Measure("samples_to_first_score", samples, "samples", f"the last of {FEW:,} series, no peers")


def _agent(river: float) -> Measure:
    """Microseconds a sample without Numba, as on a small node: 10,000 series in a call."""
    feed = Feed(SeriesBank(Settings(), fast=False), AGENT)
    feed.rounds(WARM)
    took = 1e6 * _fastest(partial(feed.rounds, 1), 10) / AGENT
    return Measure(
        "agent_us_per_sample", took, "µs", f"River GaussianScorer {1e6 / river:.3g} µs", took * river / 1e6
    )


def _river(samples: int) -> tuple[float, int]:
    """Updates a second of what River has for one series, scored and learned, and its bytes."""
    from river import anomaly  # noqa: PLC0415 - a second and 118 MB

    model, values = anomaly.GaussianScorer(), np.random.default_rng(0).normal(50.0, 5.0, samples).tolist()

    def update() -> None:
        for value in values:
            model.score_one(None, value)
            model.learn_one(None, value)

    return samples / _fastest(update, 3), int(model._raw_memory_usage)


def _numpy(series: int) -> Callable[[], None]:
    """A textbook's z-score on an exponentially weighted mean and variance, rows gathered by series id."""
    ids, value = np.arange(series), np.random.default_rng(0).normal(50.0, 5.0, series)
    means, variances = value.copy(), np.ones(series)

    def update() -> None:
        mean, variance = means[ids], variances[ids]
        away: Floats = value - mean
        np.abs(away / np.sqrt(variance))
        means[ids] = mean + 0.005 * away
        variances[ids] = 0.995 * (variance + 0.005 * away * away)

    return update


def _fastest(work: Callable[[], None], repeats: int) -> float:
    """Seconds of this thread, the least of so many repetitions."""
    least = np.inf
    for _ in range(repeats):
        began = time.thread_time()
        work()
        least = min(least, time.thread_time() - began)
    return float(least)
