"""The one thread that owns all state: takes requests from a bounded queue, steps, commits, answers."""

import asyncio
import gc
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple, TypeVar

import structlog
from opentelemetry.trace import NoOpTracer, Tracer

from edgeobs.actor import Actor
from edgeobs.catalogue import METRICS
from edgeobs.ingest.delivery import Delivery, Overloaded, Receipt, Unavailable
from edgeobs.keep import Keeper
from edgeobs.pipeline import Outputs, Pipeline
from edgeobs.remediate.reading import Seen
from edgeobs.signals import (
    SECOND,
    Counts,
    Decision,
    ExternalAlert,
    Incident,
    LogBatch,
    Points,
    SpanBatch,
)
from edgeobs.telemetry import Histogram

log = structlog.get_logger("edgeobs.engine")

Decode = Callable[[Delivery, int], Points | LogBatch | SpanBatch]
ParseAlerts = Callable[[Delivery], tuple[list[ExternalAlert], int]]

T = TypeVar("T")

_DURATION = "edgeobs_step_duration_seconds"
_STREAMED = {
    LogBatch: ("edgeobs_log_records_received_total", "edgeobs_log_records_rejected_total"),
    SpanBatch: ("edgeobs_spans_received_total", "edgeobs_spans_rejected_total"),
}
_GREW = 1.1  # the table grew by a tenth: its objects are here to stay, keep the collector off them


class Job(NamedTuple):
    """A delivery and who waits for it."""

    delivery: Delivery
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Receipt]"


Ask = Callable[[], None]


class Engine:
    """Runs a pipeline on a thread of its own.

    Parameters
    ----------
    pipeline, keeper
        What decides, and what makes it durable. Only the engine's thread touches them once it runs.
    decode, parse_alerts
        A delivery and the time → points, log records or spans; a delivery → alerts, and how many its sender
        may not speak of. They raise what `Submit` may raise.
    queue_bytes
        Bytes of requests that may wait; past that `submit` raises Overloaded.
    tick_ns
        Time between two steps when nothing arrives.
    publish
        Called on the engine's thread after every tick.
    on_news
        Called on the engine's thread with what was committed.
    actor
        Carries out what is allowed and not dry; None: nothing is.

    """

    def __init__(
        self,
        pipeline: Pipeline,
        keeper: Keeper,
        decode: Decode,
        parse_alerts: ParseAlerts,
        *,
        queue_bytes: int,
        tick_ns: int,
        counts: Counts,
        publish: Callable[[], None] = lambda: None,
        on_news: Callable[[Sequence[Incident], Sequence[Decision]], None] = lambda *_: None,
        tracer: Tracer | None = None,
        actor: Actor | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._tracer = tracer or NoOpTracer()
        self.pipeline, self.keeper, self.actor = pipeline, keeper, actor
        self.counts = counts
        self.queue_bytes = queue_bytes
        self.lag_s = 0.0
        self.duration = Histogram(METRICS[_DURATION].buckets)
        self.publish = publish
        self.on_news = on_news
        self._decode, self._parse_alerts, self._clock, self._tick_ns = decode, parse_alerts, clock, tick_ns
        self._jobs: queue.SimpleQueue[Job | Ask | None] = queue.SimpleQueue()
        self._bytes_in = 0  # written by the event loop alone
        self._bytes_done = 0  # written by the engine's thread alone
        self._ticked_ns = 0
        self._frozen_at = 0
        self._stopping = False
        self._taken_up = False
        self._saw_ns = 0  # when the actor was told last what telemetry says
        self.open = False  # what was kept is restored
        self._thread = threading.Thread(target=self._run, name="edgeobs-engine", daemon=True)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of requests that wait or are being worked on."""
        return self._bytes_in - self._bytes_done

    @property
    def alive(self) -> bool:
        """Whether the thread runs and has looked at the clock lately."""
        fresh = self._clock() - self._ticked_ns < 40 * self._tick_ns
        return self._thread.is_alive() and fresh

    async def submit(self, delivery: Delivery) -> Receipt:
        """Wait until a delivery is processed and what it caused is committed (`ingest.delivery.Submit`)."""
        if self._stopping:
            raise Unavailable("edgeobs is stopping")
        if not self._thread.is_alive():
            raise Unavailable("the engine's thread does not run")
        size = len(delivery.body)
        if self.waiting_bytes and self.waiting_bytes + size > self.queue_bytes:
            raise Overloaded(retry_after_s=max(1.0, self.lag_s))
        loop = asyncio.get_running_loop()
        job = Job(delivery, loop, loop.create_future())
        self._bytes_in += size
        self._jobs.put(job)
        return await job.answer

    def ask(self, question: Callable[[], T], timeout_s: float) -> T:
        """Let the engine's thread answer, and wait. Raises TimeoutError, and what the question raises."""
        answer: Future[T] = Future()

        def work() -> None:
            try:
                answer.set_result(question())
            except Exception as error:  # noqa: BLE001  whatever it is, it is the asker's
                answer.set_exception(error)

        self._jobs.put(work)
        return answer.result(timeout_s)

    def start(self) -> None:
        """Start the thread."""
        self._ticked_ns = self._clock()
        self._thread.start()

    def stop(self, timeout_s: float = 1.5) -> bool:
        """Finish what waits, save, end the thread; False when that took longer than ``timeout_s``."""
        self._stopping = True
        self._jobs.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self.keeper.open(self.pipeline, self._clock())
        # What is not over is told again: who is told may not have heard, and has nobody else to refresh it.
        self.on_news(self.pipeline.incidents.active(), list(self.keeper.decisions))
        self.publish()
        self.open = True
        while True:
            wait_ns = self._ticked_ns + self._tick_ns - self._clock()
            try:
                job = self._jobs.get(timeout=min(max(wait_ns, 0), self._tick_ns) / SECOND)
            except queue.Empty:
                job = None
            if isinstance(job, Job):
                self._work(job)
            elif job is not None:
                job()
            elif self._stopping:
                break
            if self._clock() - self._ticked_ns >= self._tick_ns or self._clock() < self._ticked_ns:
                self._tick()
        self.keeper.close(self.pipeline, self._clock())

    def _work(self, job: Job) -> None:
        delivery = job.delivery
        try:
            with self._tracer.start_as_current_span("request", attributes={"format": delivery.format}):
                receipt = self._process(delivery)
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "edgeobs":
                log.exception("request_failed", format=delivery.format, sender=delivery.principal.name)
            self._answer(job, error)
        else:
            self._answer(job, receipt)
        self._bytes_done += len(delivery.body)
        self.lag_s = max(self._clock() - delivery.received_ns, 0) / SECOND  # the clock may have been set back
        self.duration.observe(self.lag_s)

    def _process(self, delivery: Delivery) -> Receipt:
        now = self._clock()
        if delivery.format == "alertmanager":
            alerts, left_out = self._parse_alerts(delivery)
            new = self.keeper.take(alerts)
            for alert in new:
                self.counts["edgeobs_external_alerts_total", alert.status] += 1
            self._commit(self.pipeline.step(Points.none(), now, delivery.received_ns, new))
            return Receipt(len(alerts), {"forbidden": left_out} if left_out else {})
        with self._tracer.start_as_current_span("decode"):
            points = self._decode(delivery, now)
        if not isinstance(points, Points):
            return self._stream(points, now, delivery)
        accepted, histograms = len(points.series), len(points.distributions.series)
        self.counts["edgeobs_points_received_total", delivery.format] += accepted + histograms
        for reason, number in points.rejected.items():
            self.counts["edgeobs_points_rejected_total", reason] += number
        with self._tracer.start_as_current_span("step"):
            outputs = self.pipeline.step(points, now, delivery.received_ns)
        self._commit(outputs)
        return Receipt(accepted + histograms, points.rejected, accepted, histograms, points.exemplars)

    def _stream(self, batch: LogBatch | SpanBatch, now: int, delivery: Delivery) -> Receipt:
        """Take log records or spans in."""
        received, refused = _STREAMED[type(batch)]
        accepted = len(batch.source)
        self.counts[received, delivery.format] += accepted
        for reason, number in batch.rejected.items():
            self.counts[refused, reason] += number
        with self._tracer.start_as_current_span("step"):
            outputs = self.pipeline.step(Points.none(), now, delivery.received_ns, stream=batch)
        self._commit(outputs)
        return Receipt(accepted, batch.rejected)

    def _commit(self, outputs: Outputs) -> None:
        if outputs.incidents or outputs.decisions:
            with self._tracer.start_as_current_span("commit"):
                recorded = self.keeper.commit(self.pipeline, outputs, self._clock)
            self._act(recorded)
            self.on_news(outputs.incidents, recorded)

    def _act(self, recorded: Sequence[Decision]) -> None:
        """Hand over what is to be carried out; nothing here waits for it."""
        if self.actor is not None and any(not decision.dry_run for decision in recorded):
            self.actor.offer(recorded, self._seen())

    def _seen(self) -> Seen:
        now = self._clock()
        incidents = {incident.id: incident for incident in self.pipeline.incidents.active()}
        return Seen(now, self.pipeline.fleet(now), incidents)

    def _take_up(self) -> None:
        """An act that was on record when we were killed, and not begun yet, is not forgotten."""
        if self.actor is None:
            return
        self.pipeline.journal = self.pipeline.journal or self.actor.problem
        if self.keeper.opened and not self._taken_up:
            self._taken_up = True
            self._act(list(self.pipeline.remediation.guard.ledger.allowed.values()))

    def _hear(self, now: int) -> None:
        """What the actor has done, and what it must know."""
        if self.actor is None:
            return
        for operation in self.actor.news():
            self.pipeline.told(operation, now)
            self.keeper.told(operation)
        # While the store is not open what is wrong is not known, and an incident not known looks resolved.
        if self.keeper.opened and self.actor.busy and not 0 <= now - self._saw_ns < SECOND:
            self._saw_ns = now
            self.actor.see(self._seen())

    def _tick(self) -> None:
        now = self._ticked_ns = self._clock()
        try:
            self._hear(now)
            self._commit(self.pipeline.step(Points.none(), now, now))
            self.keeper.tick(self.pipeline, now)
            self._take_up()
            self.publish()
        except Exception:  # the thread must outlive whatever one moment brings
            log.exception("tick_failed")
        if len(self.pipeline.table) > _GREW * self._frozen_at + 1000:
            self._frozen_at = len(self.pipeline.table)
            gc.freeze()

    def _answer(self, job: Job, answer: Receipt | Exception) -> None:
        def deliver() -> None:
            if job.answer.done():  # the sender has gone
                return
            if isinstance(answer, Receipt):
                job.answer.set_result(answer)
            else:
                job.answer.set_exception(answer)

        try:
            job.loop.call_soon_threadsafe(deliver)
        except RuntimeError:
            log.debug("answer_undeliverable", reason="the event loop has ended")
