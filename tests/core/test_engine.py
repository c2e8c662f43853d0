"""The engine's thread: its bounded queue, what goes wrong with one request, clocks, and its end."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from edgeobs.engine import Engine
from edgeobs.ingest.delivery import Delivery, Overloaded, Receipt, Unavailable
from edgeobs.ingest.errors import Malformed
from edgeobs.publish import Board
from edgeobs.signals import SECOND, Batch, Floats, Int32s, Int64s, Points, Scores

WAIT_S = 20.0


class Gate:
    """Decodes to nothing; while it is closed, whoever decodes waits."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.done: list[int] = []

    def __call__(self, delivery: Delivery, _now_ns: int) -> Points:
        self.entered.release()
        assert self.open.wait(WAIT_S)
        self.done.append(len(delivery.body))
        return Points.none()


def nothing(_delivery: Delivery, _now_ns: int) -> Points:
    return Points.none()


def failing(error: Exception) -> Callable[[Delivery, int], Points]:
    """Raises once, then decodes to nothing."""
    errors = iter([error])

    def decode(_delivery: Delivery, _now_ns: int) -> Points:
        for each in errors:
            raise each
        return Points.none()

    return decode


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(WAIT_S):
            await story()

    asyncio.run(limited())


def test_past_its_bound_the_queue_refuses_and_loses_nothing(start: Any, delivery: Any) -> None:
    gate = Gate()
    engine = start(gate, queue_bytes=1000)

    async def story() -> None:
        first = asyncio.create_task(engine.submit(delivery(600)))
        await asyncio.to_thread(gate.entered.acquire)
        second = asyncio.create_task(engine.submit(delivery(300)))
        await asyncio.sleep(0)
        assert engine.waiting_bytes == 900
        for _ in range(3):
            with pytest.raises(Overloaded) as caught:
                await engine.submit(delivery(101))
            assert caught.value.retry_after_s >= 1
        third = asyncio.create_task(engine.submit(delivery(100)))
        await asyncio.sleep(0)
        gate.open.set()
        assert [await each for each in (first, second, third)] == [Receipt(0)] * 3
        assert await engine.submit(delivery(101)) == Receipt(0)

    run(story)
    assert gate.done == [600, 300, 100, 101]
    until(lambda: engine.waiting_bytes == 0, "what is done waits no more")


def test_a_lone_request_may_be_larger_than_the_queue(start: Any, delivery: Any) -> None:
    engine = start(nothing, queue_bytes=10)
    run(lambda: engine.submit(delivery(5000)))


@pytest.mark.parametrize(
    ("error", "logged"),
    [(Malformed("byte 3: no field"), []), (ZeroDivisionError("surprise"), ["request_failed"])],
)
def test_a_request_that_fails_tells_its_sender_alone(
    start: Any, delivery: Any, error: Exception, logged: list[str]
) -> None:
    engine = start(failing(error))

    async def story() -> None:
        with pytest.raises(type(error), match=str(error)):
            await engine.submit(delivery())
        assert await engine.submit(delivery()) == Receipt(0)

    with capture_logs() as logs:
        run(story)
    assert [line["event"] for line in logs if line["event"] == "request_failed"] == logged
    until(lambda: engine.waiting_bytes == 0, "a failed request waits no more")


def test_alerts_that_are_malformed_are_told_too(start: Any, delivery: Any) -> None:
    def parse(_: Delivery) -> Any:
        raise Malformed("webhook: version: found 3")

    engine = start(nothing, parse_alerts=parse)

    async def story() -> None:
        with pytest.raises(Malformed, match="version"):
            await engine.submit(delivery(form="alertmanager"))
        assert await engine.submit(delivery()) == Receipt(0)

    run(story)


def test_a_sender_that_went_away_stops_nothing(start: Any, delivery: Any) -> None:
    gate = Gate()
    engine = start(gate)

    async def story() -> None:
        gone = asyncio.create_task(engine.submit(delivery(11)))
        await asyncio.to_thread(gate.entered.acquire)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        gate.open.set()
        assert await engine.submit(delivery(12)) == Receipt(0)

    run(story)
    assert gate.done == [11, 12], "what arrived whole is processed"


def test_an_event_loop_that_ended_stops_nothing(start: Any, delivery: Any) -> None:
    gate = Gate()
    engine = start(gate)

    async def leave() -> None:
        task = asyncio.create_task(engine.submit(delivery(11)))
        await asyncio.to_thread(gate.entered.acquire)
        task.cancel()

    asyncio.run(leave())
    gate.open.set()
    run(lambda: engine.submit(delivery(12)))
    assert gate.done == [11, 12]


def test_stop_works_off_what_waits(start: Any, delivery: Any) -> None:
    gate = Gate()
    engine = start(gate, queue_bytes=10**6)

    async def story() -> None:
        waiting = [asyncio.create_task(engine.submit(delivery(n))) for n in range(1, 20)]
        await asyncio.to_thread(gate.entered.acquire)
        stopping = asyncio.create_task(asyncio.to_thread(engine.stop, WAIT_S))
        gate.open.set()
        assert await asyncio.gather(*waiting) == [Receipt(0)] * 19
        assert await stopping
        with pytest.raises(Unavailable, match="stopping"):
            await engine.submit(delivery())

    run(story)
    assert gate.done == list(range(1, 20))
    assert not engine.alive


def test_stop_keeps_to_its_time(start: Any, delivery: Any) -> None:
    gate = Gate()
    engine = start(gate)

    async def story() -> None:
        stuck = asyncio.create_task(engine.submit(delivery()))
        await asyncio.to_thread(gate.entered.acquire)
        assert not await asyncio.to_thread(engine.stop, 0.05)
        gate.open.set()
        assert await stuck == Receipt(0)
        assert await asyncio.to_thread(engine.stop, WAIT_S)

    run(story)


def test_a_thread_that_does_not_run_takes_nothing(site: Any, delivery: Any) -> None:
    made = site()
    engine = Engine(
        made.pipeline,
        made.keeper,
        nothing,
        lambda _: ([], 0),
        queue_bytes=10,
        tick_ns=1,
        counts=made.core.counts,
    )

    async def story() -> None:
        with pytest.raises(Unavailable, match="does not run"):
            await engine.submit(delivery())

    run(story)


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_ns = 1_700_000_000 * SECOND

    def __call__(self) -> int:
        return self.now_ns


def test_a_clock_set_back_stops_no_tick(start: Any, delivery: Any) -> None:
    clock, seen = Clock(), list[int]()
    engine = start(nothing, clock=clock, publish=lambda: seen.append(clock.now_ns))
    until(lambda: engine.open, "it did not start")
    clock.now_ns -= 3600 * SECOND
    until(lambda: seen[-1] == clock.now_ns, "no tick at the earlier time")
    assert engine.alive
    clock.now_ns += SECOND
    until(lambda: seen[-1] == clock.now_ns, "no tick later on")
    run(lambda: engine.submit(delivery(received_ns=clock.now_ns + 60 * SECOND)))
    until(lambda: sum(engine.duration.counts) == 1, "it was not observed")
    assert engine.lag_s == 0, "a request from later than now has not waited"


def test_a_tick_that_fails_is_logged_and_followed_by_others(start: Any) -> None:
    seen: list[int] = []

    def publish() -> None:
        seen.append(1)
        if len(seen) == 3:
            raise ZeroDivisionError

    with capture_logs() as logs:
        engine = start(nothing, publish=publish)
        until(lambda: len(seen) > 5, "no tick after the one that failed")
    assert engine.alive
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["tick_failed"]


def board(engine: Engine, made: Any) -> Board:
    it = Board(made.pipeline, made.keeper, [], decoder="upb", dry_run=True, paused=False, open_score=6.0)
    it.engine = engine
    return it


def test_ready_is_said_of_a_thread_that_runs_and_has_restored(
    site: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    made, restored = site(), threading.Event()
    reading = made.keeper.open

    def slow_open(*arguments: Any) -> None:
        assert restored.wait(WAIT_S)
        reading(*arguments)

    monkeypatch.setattr(made.keeper, "open", slow_open)
    engine = Engine(
        made.pipeline, made.keeper, nothing, lambda _: ([], 0), queue_bytes=10, tick_ns=SECOND // 50,
        counts=made.core.counts,
    )  # fmt: skip
    it = board(engine, made)
    ready, checks = it.ready()
    assert (ready, checks["engine"]) == (False, "the engine's thread does not run")
    engine.start()
    ready, checks = it.ready()
    assert (ready, checks["engine"], checks["restored"]) == (
        False,
        "ok",
        "what was learned is being restored",
    )
    restored.set()
    until(lambda: it.ready()[0], "it was never ready")
    assert "folder" in it.ready()[1]["store"] or "File exists" in it.ready()[1]["store"], "said, and served"
    assert engine.stop(WAIT_S)
    assert it.ready()[1]["engine"] == "the engine's thread does not run"


class Broken:
    """A detector that raises whenever it is asked."""

    def score_learn(self, _series: Int32s, _time_ns: Int64s, _value: Floats) -> Scores:
        raise FloatingPointError

    def forget(self, ids: Int32s) -> None:
        """Has nothing to forget."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Has nothing to restore."""


class Surprised(Broken):
    """A detector that finds everything as surprising as told."""

    def __init__(self, score: float) -> None:
        self.score = score

    def score_learn(self, series: Int32s, _time_ns: Int64s, _value: Floats) -> Scores:
        n = len(series)
        return Scores(np.full(n, self.score), np.full(n, self.score), np.ones(n))


def scored(made: Any) -> tuple[Batch, Scores]:
    """What incidents are told of one step."""
    told: list[tuple[Batch, Scores]] = []
    step = made.pipeline.incidents.step

    def listen(batch: Batch, scores: Scores, *rest: Any) -> Any:
        told.append((batch, scores))
        return step(batch, scores, *rest)

    made.pipeline.incidents.step = listen
    made.open()
    made.second()
    return told[-1]


def test_a_detector_that_raises_is_left_out_and_counted(site: Any) -> None:
    made = site(nodes=2)
    made.pipeline.detection.detectors = {"one": Surprised(1.5), "broken": Broken(), "other": Surprised(2.5)}
    batch, scores = scored(made)
    assert len(batch.series) == len(scores.score) > 0
    assert set(scores.score) == set(scores.expected) == {2.5}
    counts = made.core.counts
    assert counts["edgeobs_detector_errors_total", "broken"] == 1
    assert counts["edgeobs_samples_scored_total",] == len(batch.series)


def test_when_every_detector_raises_nothing_counts_as_scored(site: Any) -> None:
    made = site(nodes=2)
    made.pipeline.detection.detectors = {"broken": Broken(), "too": Broken()}
    batch, scores = scored(made)
    assert len(batch.series) == len(scores.score) > 0
    assert not scores.score.any()
    assert made.core.counts["edgeobs_detector_errors_total", "too"] == 1
    assert made.core.counts["edgeobs_samples_scored_total",] == made.pipeline.scored == 0
