"""What an operator says by command reaches the core that runs, and the one that starts after it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from edgeobs.cli import app
from edgeobs.signals import Batch, Identity, Int32s, Int64s, Kind, Points, Resource, Scores, Source

WAIT_S = 20.0
DISK = Identity(
    Source((), Resource("", "attic", "n1")), "latency_seconds", (("disk", "sda"),), Kind.GAUGE
)  # fmt: skip


class Surprised:
    """A detector to which every sample is a surprise of 8 decades."""

    def score_learn(self, series: Int32s, _time_ns: Int64s, value: Any) -> Scores:
        n = len(series)
        return Scores(np.full(n, 8.0), value, np.ones(n))

    def forget(self, ids: Int32s) -> None:
        """Has nothing to forget."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Has nothing to restore."""


class Heard:
    """A running core that hears one disk."""

    def __init__(self, start: Any, delivery: Any) -> None:
        self.delivery, self.scores = delivery, list[float]()
        self.engine = start(self.decode)
        self.until(lambda: self.engine.open)
        self.engine.pipeline.detection.detectors = {"surprised": Surprised()}
        self.engine.pipeline.observer = self.observe

    def decode(self, _delivery: Any, now_ns: int) -> Points:
        number = self.engine.pipeline.table.intern(DISK, 0, now_ns)
        assert number is not None
        return Points(np.array([number], np.int32), np.array([now_ns]), np.zeros(1, np.int64), np.ones(1))

    def observe(self, _batch: Batch, scores: Scores) -> None:
        self.scores += scores.score.tolist()

    def score(self) -> float:
        """Of a sample that is sent now."""

        async def send() -> None:
            async with asyncio.timeout(WAIT_S):
                await self.engine.submit(self.delivery())

        asyncio.run(send())
        return self.scores[-1]

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_word_is_taken_up_by_the_core_that_runs_and_by_the_next(
    start: Any, delivery: Any, tmp_path: Path
) -> None:
    def say(node: str, verdict: str) -> str:
        command = ["feedback", node, DISK.text(), verdict, "--data-dir", str(tmp_path / "data")]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        return done.stdout

    core = Heard(start, delivery)
    assert core.score() == 8
    assert "0.80" in say("n1", "fine")
    core.until(lambda: core.score() < 8)
    assert core.score() == pytest.approx(6.4, rel=1e-4)
    assert "1.25" in say("elsewhere/*", "real")
    assert "1.25" in say("attic/*", "real")
    core.until(lambda: len(core.engine.pipeline.detection.feedback) == 3)
    assert core.score() == pytest.approx(8, rel=1e-4)
    say("attic/n1", "fine")
    core.until(lambda: core.score() < 7)
    assert core.engine.stop(WAIT_S)
    again = Heard(start, delivery)
    assert again.score() == pytest.approx(6.4, rel=1e-4)
    assert "feedback" not in again.engine.pipeline.state()
    (tmp_path / "data" / "feedback.jsonl").unlink()
    again.until(lambda: again.score() == 8)
