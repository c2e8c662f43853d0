"""One step of the agent: everything that came within an interval, scored, kept, told, answered."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from edgeobs.agent.exposition import Walk
from edgeobs.agent.inlet import Inlet, Waiting
from edgeobs.agent.joining import joined
from edgeobs.agent.reading import Readings
from edgeobs.agent.repeated import Repeated
from edgeobs.agent.scraped import Scraped
from edgeobs.agent.scraper import Fetched, Scraper
from edgeobs.agent.telling import Telling
from edgeobs.compose import Core
from edgeobs.ingest import naming
from edgeobs.ingest.body import plain
from edgeobs.ingest.decoders import Decoders, exposition_walk
from edgeobs.ingest.delivery import Delivery, Format, LogFormat, Receipt, SpanFormat, Unavailable
from edgeobs.keep import Keeper
from edgeobs.node.readings import Reading
from edgeobs.pipeline import Outputs
from edgeobs.settings import Config
from edgeobs.signals import Counts, Points, Principal

Read = Callable[[], Sequence[Any]]
"""What of this machine is new: readings (`node.readings`)."""

_LOGS = ("edgeobs_log_records_received_total", "edgeobs_log_records_rejected_total")
_SPANS = ("edgeobs_spans_received_total", "edgeobs_spans_rejected_total")
STREAMS: dict[str, tuple[str, str]] = {
    "logs_proto": _LOGS,
    "logs_json": _LOGS,
    "spans_proto": _SPANS,
    "spans_json": _SPANS,
}
"""Formats of logs and spans → what counts those taken, and those refused."""

_SCRAPES = "edgeobs_agent_scrapes_total"


class Agent:
    """The pipeline of one node and what feeds it. One thread calls `step`; the others only hand over.

    Parameters
    ----------
    core, keeper
        What decides, and what makes it durable.
    readings, read
        This machine's series, and what reads it; None: it is not read.
    scrapers
        Each with who its series are.
    inlet
        Where deliveries wait.
    telling
        What the core is told.

    """

    def __init__(
        self,
        config: Config,
        core: Core,
        keeper: Keeper,
        principal: Principal,
        readings: Readings,
        read: Read | None,
        scrapers: Sequence[Scraper],
        inlet: Inlet,
        telling: Telling,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.core, self.keeper, self.telling, self.inlet = core, keeper, telling, inlet
        self.counts: Counts = core.counts
        self.problems: dict[str, str] = {}  # what cannot be read now, and why
        self.alone: Callable[[int], None] | None = None  # acts while we are cut off, where that is delegated
        self._config, self._readings, self._read, self._clock = config, readings, read, clock
        walk = exposition_walk(compiled=config.detect.compiled)
        self._scrapers = [(each, *_of(each, core, principal, readings, walk)) for each in scrapers]
        self._decoders = Decoders(core.interner, fast=None if config.detect.compiled else False)
        self._metrics = Repeated(partial(self._decoders.decode, "otlp_proto"), core.pipeline.table)
        core.pipeline.observer = telling.observe

    def open(self) -> None:
        """Restore what was learned and decided."""
        self.keeper.open(self.core.pipeline, self._clock())
        self.telling.news(self.core.pipeline.incidents.active(), self._clock())

    def step(self) -> None:
        """Take in what there is, let time pass; commit before anybody is answered."""
        now = self._clock()
        waiting = self.inlet.drain()
        parts = [*self._own(now), *self._scraped()]
        receipts = [self._decoded(each, now, parts) for each in waiting]
        try:
            self._commit(self.core.pipeline.step(joined(parts), now, now), now)
        except Exception as error:
            for each in waiting:
                each.answer(Unavailable(f"it could not be processed: {error!r:.200}"))
            raise
        for each, receipt in zip(waiting, receipts, strict=True):
            each.answer(receipt)
        self.keeper.tick(self.core.pipeline, now)
        self.telling.tick(now)
        if self.alone is not None:
            self.alone(now)

    def close(self) -> None:
        """Process what waits, save, let go."""
        self.alone = None
        self.step()
        self.inlet.close("the agent is stopping")
        now = self._clock()
        self.keeper.close(self.core.pipeline, now)
        self.telling.close(now)

    def _commit(self, outputs: Outputs, now_ns: int) -> None:
        if outputs.incidents or outputs.decisions:
            self.keeper.commit(self.core.pipeline, outputs, self._clock)
            self.telling.news(outputs.incidents, now_ns)

    def _own(self, now_ns: int) -> list[Points]:
        if self._read is None:
            return []
        try:
            points = self._readings.points(self._read(), now_ns)
        except Exception as error:  # noqa: BLE001  a kernel may answer anything; what else comes in goes on
            self._problem("node", f"it cannot be read: {error!r:.200}")
            return []
        self._problem("node", "")
        return [self._taken(points, "node")]

    def _scraped(self) -> list[Points]:
        found = []
        for scraper, scraped, about in self._scrapers:
            fetched = scraper.take()
            if fetched is not None:
                found += self._scrape(scraper, scraped, about, fetched)
        return found

    def _scrape(self, scraper: Scraper, scraped: Scraped, about: Readings, fetched: Fetched) -> list[Points]:
        """What a target said, and of it what Prometheus would say: up, how long, how much."""
        error, points = fetched.error, Points.none()
        if fetched.body is not None:
            try:
                points = scraped.points(fetched.body, fetched.at_ns)
            except Exception as wrong:  # noqa: BLE001  whatever it is, it is the target's
                error = (
                    str(wrong) if isinstance(wrong, ValueError) else f"it could not be read: {wrong!r:.200}"
                )
        self.counts[_SCRAPES, "failed" if error else "done"] += 1
        self._problem(scraper.target.url, error)
        number = len(points.series) + len(points.distributions.series)
        own = [
            Reading("up", "gauge", "", float(not error)),
            Reading("scrape_duration_seconds", "gauge", "", fetched.took_s),
            Reading("scrape_samples_scraped", "gauge", "", float(number)),
        ]
        parts = [about.points(own, fetched.at_ns)]
        return [*parts, self._taken(points, "scrape")] if not error else parts

    def _decoded(self, waiting: Waiting, now_ns: int, parts: list[Points]) -> Receipt | Exception:
        """The receipt a delivery will have once the step is committed; its points go to ``parts``."""
        delivery: Delivery = waiting.delivery
        try:
            body = cast("bytes", plain(delivery, self._config.server))
            if delivery.format in STREAMS:
                return self._streamed(delivery, body, now_ns)
            form = cast("Format", delivery.format)
            decode = self._metrics.decode if form == "otlp_proto" else partial(self._decoders.decode, form)
            points = self._taken(decode(body, delivery.principal, now_ns), form)
        except Exception as error:  # noqa: BLE001  whatever it is, it is the sender's
            known = type(error).__module__.partition(".")[0] == "edgeobs"
            return error if known else Unavailable(f"it could not be read: {error!r:.200}")
        parts.append(points)
        scalars, shapes = len(points.series), len(points.distributions.series)
        return Receipt(scalars + shapes, points.rejected, scalars, shapes, points.exemplars)

    def _streamed(self, delivery: Delivery, body: bytes, now_ns: int) -> Receipt:
        """Logs or spans: the pipeline's streams take them now, the step that comes makes series of them."""
        form = cast("LogFormat | SpanFormat", delivery.format)
        batch = self._decoders.stream(form, body, delivery.principal, now_ns)
        received, refused = STREAMS[form]
        accepted = len(batch.source)
        self.counts[received, form] += accepted
        for reason, number in batch.rejected.items():
            self.counts[refused, reason] += number
        self.core.pipeline.streams.take(batch, now_ns)
        return Receipt(accepted, batch.rejected)

    def _taken(self, points: Points, protocol: str) -> Points:
        number = len(points.series) + len(points.distributions.series)
        self.counts["edgeobs_points_received_total", protocol] += number
        for reason, left_out in points.rejected.items():
            self.counts["edgeobs_points_rejected_total", reason] += left_out
        return points

    def _problem(self, what: str, why: str) -> None:
        if why:
            self.problems[what] = why
        else:
            self.problems.pop(what, None)


def _of(
    scraper: Scraper, core: Core, principal: Principal, here: Readings, walk: Walk | None
) -> tuple[Scraped, Readings]:
    """Who a target's series are: a service of this node, as OpenTelemetry's Prometheus receiver has it."""
    target = scraper.target
    instance = target.url.split("://", 1)[-1].split("/", 1)[0]
    resource = {
        **{k: v for k, v in here.source.attributes if not k.startswith("service.")},
        "service.name": target.job or instance,
        "service.instance.id": instance,
    }
    source = naming.source_of(list(resource.items()))
    scraped = Scraped(source, core.interner, principal, target.max_samples, walk)
    return scraped, Readings(resource, "", 0, core.interner, principal)
