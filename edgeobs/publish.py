"""What the page and /metrics show, made by the engine's thread, read by the event loop."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeobs import __version__
from edgeobs.hearing import without_metrics
from edgeobs.keep import Keeper
from edgeobs.pipeline import Pipeline
from edgeobs.signals import SECOND, Counts, Heartbeat, Incident, Resource
from edgeobs.telemetry import Histogram, exposition
from edgeobs.web import Call, Hint, Node, Operation, Published, Said, Status, Zone, node_state, zone_state

if TYPE_CHECKING:
    from edgeobs.engine import Engine

_SHOWN = 200  # resolved incidents and decisions on the page
_CALLS = 300  # of the service graph, the most surprising first
_GRAPH_NS = 2 * SECOND
_RATE_NS = 3 * SECOND


class Board:
    """Holds the newest `Published` (a `web.Reader`). A whole new value replaces the old one.

    Parameters
    ----------
    pipeline, keeper, engine
        Where everything is read from, on the engine's thread.
    counts
        Of every part; summed for /metrics.
    decoder, dry_run, paused, receivers
        What the status bar says besides.
    clock
        Unix nanoseconds.

    """

    def __init__(
        self,
        pipeline: Pipeline,
        keeper: Keeper,
        counts: Sequence[Counts],
        *,
        decoder: str,
        dry_run: bool,
        paused: bool,
        open_score: float,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._pipeline, self._keeper, self._counts, self._clock = pipeline, keeper, counts, clock
        self._decoder, self._dry_run, self._paused, self._open_score = decoder, dry_run, paused, open_score
        self.receivers: tuple[tuple[str, str], ...] = ()
        self.words: Callable[[], tuple[Said, ...]] = tuple  # what people said of incidents
        self.notices: Callable[[], tuple[str, ...]] = tuple  # what else an operator should know
        self.engine: Engine | None = None
        self._started_ns = clock()
        self._calls: tuple[Call, ...] = ()
        self._hints: tuple[Hint, ...] = ()
        self._drawn_ns = 0  # when they were looked at last
        self._rate = (self._started_ns, 0, nan)  # since, scored then, samples a second before
        self._now = self._make(0, self._started_ns, ())

    def publish(self) -> None:
        """Make and show a new value; on the engine's thread."""
        now = self._clock()
        self._now = self._make(self._now.version + 1, now, self._zones(now))

    def published(self) -> Published:
        """The newest value."""
        return self._now

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """The exposition and its content type."""
        total: Counts = Counts()
        for counts in self._counts:
            total.update(dict(counts))
        histograms: dict[tuple[str, ...], Histogram] = {}
        if self.engine is not None:
            histograms[("edgeobs_step_duration_seconds",)] = self.engine.duration.copy()
        return exposition(total, self._gauges(), histograms, accept)

    def ready(self) -> tuple[bool, dict[str, str]]:
        """Whether senders would be served. A failing store does not stop detection: it is said, no more."""
        engine = self.engine
        alive = engine is not None and engine.alive
        checks = {
            "engine": "ok" if alive else "the engine's thread does not run",
            "restored": "ok" if engine is not None and engine.open else "what was learned is being restored",
        }
        ready = all(text == "ok" for text in checks.values())
        return ready, checks | {"store": self._keeper.problem or "ok"}

    def _make(self, version: int, now: int, zones: tuple[Zone, ...]) -> Published:
        incidents = [*self._pipeline.incidents.recent()[-_SHOWN:], *self._pipeline.incidents.active()]
        incidents.sort(key=lambda each: each.opened_ns, reverse=True)
        decisions = tuple(reversed(list(self._keeper.decisions)[-_SHOWN:]))
        return Published(
            version, now, zones, tuple(incidents), decisions, self._status(now), self._operations(),
            self.words(), self._called(now), self._hints,
        )  # fmt: skip

    def _called(self, now: int) -> tuple[Call, ...]:
        """The service graph, and hints with it; looked at every few seconds: intervals are longer."""
        if not 0 <= now - self._drawn_ns < _GRAPH_NS:
            self._drawn_ns = now
            self._calls = tuple(calls(self._pipeline.services(now)["edges"][:_CALLS]))
            self._hints = tuple(Hint(*each) for each in self._pipeline.hints(now))
        return self._calls

    def _operations(self) -> tuple[Operation, ...]:
        known = list(self._pipeline.remediation.operations.values())
        newest = sorted(known, key=lambda each: each.begun_ns, reverse=True)[:_SHOWN]
        return tuple(
            Operation(
                each.id, each.action.verb, each.action.target, each.state, each.reason, each.action.incident,
                each.begun_ns, each.updated_ns, each.deadline_ns, each.undoes, each.memo.get("helped"),
                each.standing,
            )
            for each in newest
        )  # fmt: skip

    def _zones(self, now: int) -> tuple[Zone, ...]:
        table, beats, streams = (
            self._pipeline.table,
            self._pipeline.beats,
            self._pipeline.streams.hearing.streams,
        )
        used = len(table.identities)
        numbers = np.bincount(table.node[:used][table.node[:used] >= 0], minlength=len(table.nodes))
        open_here = _by_place(self._pipeline.incidents.active())
        zones: dict[tuple[str, str], list[Node]] = defaultdict(list)
        for beat in beats:
            place, number = beat.place, table.by_place.get(beat.place)
            if number is not None:
                sends = ("metrics", *sorted(streams.get(place, ())))
                node = self._node(beat, number, int(numbers[number]), open_here.get(place, ()), sends)
                zones[place.cluster, place.zone].append(node)
        for beat in without_metrics(beats, streams, now):
            place, number = beat.place, table.by_place.get(beat.place)
            series = 0 if number is None else int(numbers[number])
            node = self._node(beat, number, series, open_here.get(place, ()), tuple(sorted(streams[place])))
            zones[place.cluster, place.zone].append(node)
        return tuple(
            Zone(zone, cluster, zone_state(nodes), tuple(sorted(nodes, key=lambda n: n.place.node)))
            for (cluster, zone), nodes in sorted(zones.items())
        )

    def _node(
        self, beat: Heartbeat, number: int | None, series: int, ids: tuple[str, ...], sends: tuple[str, ...]
    ) -> Node:
        """``number``: in the table; None: it has no series yet."""
        pipeline, simulated, score = self._pipeline, False, nan
        if number is not None:
            simulated = ("edgeobs.simulated", "true") in pipeline.table.nodes[number].attributes
            score = nan if beat.state == "young" else pipeline.score_of(number)
        state = node_state(beat.state, bool(ids))
        return Node(beat.place, state, beat.state, score, simulated, series, beat.heard_ns, ids, sends)

    def _status(self, now: int) -> Status:
        pipeline, keeper, engine = self._pipeline, self._keeper, self.engine
        since, scored, rate = self._rate
        if now - since >= _RATE_NS:
            rate = (pipeline.scored - scored) / ((now - since) / SECOND)
            self._rate = (now, pipeline.scored, rate)
        notices = [keeper.problem and f"incidents and decisions cannot be kept: {keeper.problem}"]
        notices += [keeper.snapshot_problem, *self.notices()]
        failing = pipeline.detection.failing(now)
        notices += [f"detection goes on without {part}: {reason}" for part, reason in failing.items()]
        young = sum(beat.state == "young" for beat in pipeline.beats)
        return Status(
            version=__version__,
            uptime_s=(now - self._started_ns) / SECOND,
            series=len(pipeline.table),
            series_limit=pipeline.table.limit,
            samples_scored=pipeline.scored,
            samples_per_s=rate,
            lag_s=engine.lag_s if engine else nan,
            queue_bytes=engine.waiting_bytes if engine else 0,
            queue_limit_bytes=engine.queue_bytes if engine else 0,
            store_healthy=keeper.healthy,
            decoder=self._decoder,
            warm=f"{young} of {len(pipeline.beats)} nodes are new: learning what is normal" if young else "",
            paused=pipeline.switches().paused or ("paused in the configuration" if self._paused else ""),
            approve=pipeline.remediation.settings.approve,
            dry_run=self._dry_run,
            open_score=self._open_score,
            notices=tuple(notice for notice in notices if notice),
            receivers=self.receivers,
        )

    def _gauges(self) -> dict[tuple[str, ...], float]:
        now, status = self._now, self._now.status
        gauges: dict[tuple[str, ...], float] = {
            ("edgeobs_build_info", __version__, self._decoder): 1,
            ("edgeobs_series",): status.series,
            ("edgeobs_series_limit",): status.series_limit,
            ("edgeobs_queue_bytes",): status.queue_bytes,
            ("edgeobs_queue_limit_bytes",): status.queue_limit_bytes,
            ("edgeobs_pipeline_lag_seconds",): 0.0 if status.lag_s != status.lag_s else status.lag_s,
            ("edgeobs_store_healthy",): float(status.store_healthy),
            ("edgeobs_snapshot_timestamp_seconds",): self._keeper.snapshot_ns / SECOND,
        }
        gauges |= {("edgeobs_incidents", scope): 0 for scope in ("node", "zone", "cluster")}
        for name, census in self._pipeline.detection.census().items():
            gauges |= {("edgeobs_models", name, state): number for state, number in census.items()}
        gauges |= {("edgeobs_nodes", state): 0 for state in ("young", "alive", "late", "silent", "retired")}
        for incident in now.incidents:
            gauges["edgeobs_incidents", incident.scope] += incident.state != "resolved"
        for zone in now.fleet:
            for node in zone.nodes:
                gauges["edgeobs_nodes", node.heart] += 1
        return gauges


def calls(edges: Iterable[Mapping[str, Any]]) -> Iterator[Call]:
    """Edges of `traces.graph` as the page shows them."""
    for each in edges:
        p50_s, p99_s = (nan if each[name] is None else each[name] for name in ("p50_s", "p99_s"))
        yield Call(
            each["caller"], each["callee"], each["rate"], each["error_ratio"], p50_s, p99_s, each["score"],
            each["anomalous"], tuple(each["traces"]),
        )  # fmt: skip


def _by_place(incidents: Sequence[Incident]) -> dict[Resource, tuple[str, ...]]:
    found: dict[Resource, tuple[str, ...]] = {}
    for incident in incidents:
        found[incident.place] = (*found.get(incident.place, ()), incident.id)
    return found
