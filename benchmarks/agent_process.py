"""A process of its own that does what an agent on a node does, and says what it costs, as JSON.

``python -m benchmarks.agent_process SECONDS``. Nothing is imported that the pipeline of a configuration does
not need, and nothing drawn from NumPy's random numbers, which are some MiB themselves.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from edgeobs.compose import build
from edgeobs.config import Config, load
from edgeobs.detect import season
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.memory import DAYS, UNIT, USUAL
from edgeobs.pipeline import Pipeline
from edgeobs.signals import SECOND, Floats, Identity, Kind, Points, Resource, Source

SERIES, EACH = 10_000, 10
WARM_S = 60
START_S = 1_700_006_280  # two minutes before an hour of the day ends: all series learn it at once
PROFILE = Path(__file__).parent.parent / "deploy" / "agent.yaml"
HEAVY = ("river", "numba", "polars", "scipy", "pandas", "fastapi", "httpx", "opentelemetry", "rich")


def run(seconds: int) -> dict[str, object]:
    """One step a simulated second with a sample of every series, half of them counters, as fast as they go.

    The second minute begins with four days' knowledge of the time of day, since who has that has more to do.
    Time is that of the whole process, what makes the columns included.
    """
    config = load(PROFILE)
    pipeline = _pipeline(config)
    ids = np.arange(SERIES, dtype=np.int32)
    noise, total, longest = _noise(), np.zeros(SERIES), 0.0
    began = time.process_time()
    for second in range(-WARM_S, seconds):
        if second == 0:
            _grow_old(pipeline)
            began, longest = time.process_time(), 0.0
        before = time.process_time()
        at = 37 * second % SERIES
        total += noise[at : at + SERIES]
        value = total.copy()
        value[1::2] = noise[at + 1 : at + SERIES : 2]
        now = (START_S + second) * SECOND
        pipeline.step(Points(ids, np.full(SERIES, now), np.zeros(SERIES, np.int64), value), now)
        longest = max(longest, time.process_time() - before)
    return {
        "core_percent": 100.0 * (time.process_time() - began) / seconds,
        "longest_ms": 1e3 * longest,
        "rss_mib": memory_mib("smaps_rollup", "Rss:"),
        "peak_mib": memory_mib("status", "VmHWM:"),
        "modules": len(sys.modules),
        "heavy": sorted(set(HEAVY) & sys.modules.keys()),
        "scored": pipeline.scored,
    }


def memory_mib(file: str, line: str) -> float:
    """A figure of this process as the kernel has it, MiB."""
    text = Path(f"/proc/self/{file}").read_text(encoding="ascii")
    return int(text.split(line)[1].split()[0]) / 1024


def _pipeline(config: Config) -> Pipeline:
    pipeline = build(config).pipeline
    source = Source((("host.name", "edge-1"),), Resource("site", "zone-a", "edge-1"))
    for number in range(SERIES):
        kind = Kind.GAUGE if number % 2 else Kind.COUNTER
        identity = Identity(source, f"metric_{number // EACH}", (("item", str(number % EACH)),), kind)
        pipeline.table.intern(identity, 0, (START_S - WARM_S) * SECOND)
    return pipeline


def _grow_old(pipeline: Pipeline) -> None:
    """Let every series know the time of day: always the same."""
    bank = pipeline.detection.detectors["series"]
    assert isinstance(bank, SeriesBank)
    bank.memory.hours[:SERIES] = 0
    bank.memory.day[:SERIES, USUAL] = 50.0
    bank.memory.days[:SERIES, [DAYS, UNIT]] = 4, season.ZERO_POWER + 3  # of a first spread of 5


def _noise() -> Floats:
    """Near enough to Gaussian, 50 ± 5: sums of four numbers of a congruential generator, twice over."""
    found = np.zeros(4 * SERIES)
    state = 1
    for at in range(len(found)):
        state = (1_664_525 * state + 1_013_904_223) % 2**32
        found[at] = state / 2**32 - 0.5
    return np.tile(50.0 + 5.0 * np.sqrt(3.0) * found.reshape(4, -1).sum(axis=0), 2)


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]))))
