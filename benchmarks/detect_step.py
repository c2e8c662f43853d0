"""One step of the core's detectors over 10,000 series, again and again: does any of them take long?"""

import time

import numpy as np

from benchmarks.measure import Measure
from edgeobs.compose import build
from edgeobs.config import Config
from edgeobs.pipeline import Pipeline
from edgeobs.signals import SECOND, Batch, Floats, Identity, Kind, Resource, Source

SERIES, EACH = 10_000, 32
START = 1_700_000_000 * SECOND
INTERVAL = 10 * SECOND
_WARM, _REPEATS = 140, 3  # steps until nodes have an inverse; the same run as many times


def steps(quick: bool, river_us: float) -> list[Measure]:
    """p99 and maximum of a step, all detectors of the shipped configuration in it.

    Runs are alike to the bit, so of every step the fastest of three counts: what is slow in all of them is
    the step's own doing. ``river_us`` is what one update of River's takes.
    """
    count = 200 if quick else 600
    runs = [_run(count) for _ in range(_REPEATS)]
    took = 1e3 * np.minimum.reduce(runs)
    median, p99, most = (float(np.quantile(took, q)) for q in (0.5, 0.99, 1.0))
    worst = 1e3 * float(np.max(runs))
    river = SERIES * river_us / 1e3
    return [
        Measure(
            "step_p99_ms", p99, "ms",
            f"River GaussianScorer {river:,.0f} ms; {count} steps of {SERIES:,} series, fastest of {_REPEATS}"
            f" runs each",
            p99 / river,
        ),
        Measure(
            "step_max_ms", most, "ms", f"median {median:.3g} ms; slowest in any run {worst:.3g} ms",
            most / median,
        ),
    ]  # fmt: skip


def _run(count: int) -> Floats:
    """Seconds of this thread that each step takes once all is warm."""
    detection = fleet().detection
    series = np.arange(SERIES, dtype=np.int32)
    rng = np.random.default_rng(0)
    values, late = rng.normal(50.0, 5.0, (16, SERIES)), np.zeros(SERIES, np.bool_)
    took = np.zeros(_WARM + count)
    for step in range(_WARM + count):
        now = START + step * INTERVAL
        batch = Batch(series, np.full(SERIES, now), values[step % len(values)], late)
        began = time.thread_time()
        scores = detection.score_learn(batch, now)
        assert scores is not None
        detection.joint(batch, scores)
        took[step] = time.thread_time() - began
    return took[_WARM:]


def fleet() -> Pipeline:
    """A core's, with nodes of 32 gauges each."""
    pipeline = build(Config()).pipeline
    for number in range(SERIES):
        node = f"edge-{number // EACH}"
        source = Source((("host.name", node),), Resource("site", f"zone-{number // 1600}", node))
        identity = Identity(source, f"metric_{number % EACH}", (), Kind.GAUGE)
        assert pipeline.table.intern(identity, 0, START) == number
    return pipeline
