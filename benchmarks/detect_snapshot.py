"""The snapshot of a core with 10,000 series: saved, and restored into a core that has seen nothing."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.detect_step import INTERVAL, SERIES, START, fleet
from benchmarks.measure import Measure
from edgeobs import snapshot
from edgeobs.compose import build
from edgeobs.config import Config
from edgeobs.pipeline import Pipeline
from edgeobs.signals import Points

_STEPS = 140  # nodes have an inverse by then


def snapshots(quick: bool) -> list[Measure]:
    """Seconds to restore into a new core, and to save with all that is done for it: copies, digest, `fsync`.

    Restoring is work of one thread, and its time on a core counts; saving waits for a disk, and the clock on
    the wall does. Beside each, as many bytes by `numpy.load` and `numpy.save`. The fastest of a few counts.
    """
    core, repeats = _fed(), 3 if quick else 7
    with tempfile.TemporaryDirectory(prefix="edgeobs-bench-") as folder:
        path, plain = Path(folder) / snapshot.NAME, Path(folder) / "plain.npy"

        def save() -> None:
            snapshot.write(path, core.table.state(), [""], core.state())

        def restore() -> None:
            table, _, stages = snapshot.read(path)
            fresh = build(Config()).pipeline
            fresh.restore_state(table, [0], stages)
            assert len(fresh.table) == SERIES

        held = _fastest(lambda: (core.table.state(), core.state()), repeats, time.thread_time)
        saved = _fastest(save, repeats, time.perf_counter)
        restored = _fastest(restore, repeats, time.thread_time)
        block = np.zeros(path.stat().st_size, np.uint8)
        kept = _fastest(lambda: np.save(plain, block), repeats, time.perf_counter)
        loaded = _fastest(lambda: np.load(plain), repeats, time.thread_time)
    return [
        Measure(
            "restore_s", restored, "s",
            f"NumPy {loaded:.2g} s for the same {len(block) / 2**20:.1f} MiB; {SERIES:,} series",
            restored / loaded,
        ),
        Measure(
            "save_s", saved, "s",
            f"NumPy {kept:.2g} s; the pipeline is held up for {1e3 * held:.2g} ms of it",
            saved / kept,
        ),
    ]  # fmt: skip


def _fed() -> Pipeline:
    core = fleet()
    ids, none = np.arange(SERIES, dtype=np.int32), np.zeros(SERIES, np.int64)
    values = np.random.default_rng(0).normal(50.0, 5.0, (16, SERIES))
    for step in range(_STEPS):
        now = START + step * INTERVAL
        core.step(Points(ids, np.full(SERIES, now), none, values[step % 16]), now)
    return core


def _fastest(work: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    least = np.inf
    for _ in range(repeats):
        began = clock()
        work()
        least = min(least, clock() - began)
    return float(least)
