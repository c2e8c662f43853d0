"""Logs and spans in the pipeline: parts that may fail without stopping the others, and each other."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeobs.detect.parts import Parts
from edgeobs.signals import (
    SECOND,
    Absence,
    Batch,
    Closed,
    Edge,
    Floats,
    Heartbeat,
    Identity,
    Int8s,
    Int32s,
    Int64s,
    LogBatch,
    Points,
    Resource,
    Scores,
    SpanBatch,
)

Arrays = dict[str, NDArray[Any]]

LATE_NS = 120 * SECOND
"""Of a sign: what was found in lines that are older was found too late to act upon."""
_ALIVE_NS = 10 * SECOND
_NO_METRICS = "the node's metrics are missing; its logs or spans go on"
_MOST_PLACES = 10_000
_NONE = Closed(Points.none())
_T = TypeVar("_T")


class Logs(Protocol):
    """What the pipeline asks of a stage of logs (`edgeobs.logs.Logs`)."""

    def take(self, batch: LogBatch, now_ns: int) -> None: ...
    def close(self, now_ns: int) -> Closed: ...
    def forget(self, ids: Int32s) -> None: ...
    def state(self) -> Arrays: ...
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None: ...
    def text(self, template: str) -> str: ...


class Traces(Protocol):
    """What the pipeline asks of a stage of spans (`edgeobs.traces.Traces`)."""

    def take(self, batch: SpanBatch, now_ns: int) -> None: ...
    def close(self, now_ns: int) -> Closed: ...
    def forget(self, ids: Int32s) -> None: ...
    def state(self) -> Arrays: ...
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None: ...
    def edges(self, now_ns: int) -> Sequence[Edge]: ...
    def surprising(self, series: Int32s, time_ns: Int64s) -> None: ...
    def exemplars(self, series: int) -> tuple[str, ...]: ...


class Streams:
    """Both stages as one: what is sent goes in, samples of their series and signs come out.

    Parameters
    ----------
    logs, traces
        None: records or spans are let go.
    parts
        Where a stage that raises is counted and marked, under ``logs`` and ``traces``.

    """

    def __init__(self, logs: Logs | None, traces: Traces | None, parts: Parts) -> None:
        self.logs, self.traces, self.parts = logs, traces, parts
        self.spoke: dict[Resource, int] = {}  # node → when logs or spans of now came from it, our clock
        self._now_ns = 0

    def take(self, batch: LogBatch | SpanBatch, now_ns: int) -> None:
        """What one request brought."""
        self._now_ns = now_ns
        self._hear(batch, now_ns)
        if isinstance(batch, LogBatch):
            if self.logs is not None:
                self._ask("logs", partial(self.logs.take, batch, now_ns), None)
        elif self.traces is not None:
            self._ask("traces", partial(self.traces.take, batch, now_ns), None)

    def close(self, now_ns: int) -> Closed:
        """The intervals that are over; without those signs that came too late."""
        self._now_ns = now_ns
        logs = _NONE if self.logs is None else self._ask("logs", partial(self.logs.close, now_ns), _NONE)
        spans = (
            _NONE if self.traces is None else self._ask("traces", partial(self.traces.close, now_ns), _NONE)
        )
        signs = (*logs.signs, *spans.signs)
        if not signs and not len(logs.points.series):
            return spans
        fresh = tuple(sign for sign in signs if now_ns - sign.time_ns <= LATE_NS)
        return Closed(joined(logs.points, spans.points), fresh)

    def heard(
        self, beats: Sequence[Heartbeat], absences: Sequence[Absence], now_ns: int
    ) -> tuple[list[Heartbeat], list[Absence]]:
        """Beats and absences, in which whoever sends logs or spans is alive (`still_heard`)."""
        self.spoke = {place: at for place, at in self.spoke.items() if 0 <= now_ns - at < LATE_NS}
        return still_heard(beats, absences, self.spoke, now_ns)

    def surprising(self, series: Int32s, time_ns: Int64s) -> None:
        """Of these samples what brought them about is worth keeping."""
        if self.traces is not None and len(series):
            self._ask("traces", partial(self.traces.surprising, series, time_ns), None)

    def lore(self, series: int, identity: Identity) -> tuple[str, tuple[str, ...]]:
        """For people, of a series: the template it counts, and ids of traces that it was surprised by."""
        template = dict(identity.labels).get("template", "")
        if template and self.logs is not None:
            return self._ask("logs", partial(self.logs.text, template), ""), ()
        if self.traces is None:
            return "", ()
        return "", self._ask("traces", partial(self.traces.exemplars, series), ())

    def edges(self, now_ns: int) -> Sequence[Edge]:
        """Who calls whom, of late."""
        self._now_ns = now_ns
        if self.traces is None:
            return ()
        return self._ask("traces", partial(self.traces.edges, now_ns), ())

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        for name, stage in self._stages().items():
            self._ask(name, partial(stage.forget, ids), None)

    def state(self) -> dict[str, Arrays]:
        """What was learned, by stage; copies."""
        nothing: Arrays = {}
        found = {name: self._ask(name, stage.state, nothing) for name, stage in self._stages().items()}
        return {name: state for name, state in found.items() if state}

    def restore(self, stages: Mapping[str, Arrays]) -> None:
        """Take up a `state`; what is not in it starts with nothing learned. ValueError with the reason."""
        for name, stage in self._stages().items():
            if name in stages:
                stage.restore(stages[name])

    def _stages(self) -> dict[str, Logs | Traces]:
        both: dict[str, Logs | Traces | None] = {"logs": self.logs, "traces": self.traces}
        return {name: stage for name, stage in both.items() if stage is not None}

    def _hear(self, batch: LogBatch | SpanBatch, now_ns: int) -> None:
        """Whoever says something of now is alive; what a queue held back tells of the past alone."""
        times = batch.time_ns if isinstance(batch, LogBatch) else batch.end_ns
        fresh = (times == 0) | (times > now_ns - LATE_NS)
        for number in np.unique(batch.source[fresh]).tolist():
            place = batch.sources[number].resource.place()
            if place.node and (place in self.spoke or len(self.spoke) < _MOST_PLACES):
                self.spoke[place] = now_ns

    def _ask(self, part: str, what: Callable[[], _T], otherwise: _T) -> _T:
        return self.parts.ask(part, self._now_ns, what, otherwise)


def joined(one: Points, other: Points) -> Points:
    """The scalar points of both, one after the other."""
    if not len(one.series):
        return other
    if not len(other.series):
        return one
    return Points(
        np.concatenate([one.series, other.series]),
        np.concatenate([one.time_ns, other.time_ns]),
        np.concatenate([one.start_ns, other.start_ns]),
        np.concatenate([one.value, other.value]),
    )


def still_heard(
    beats: Sequence[Heartbeat], absences: Sequence[Absence], spoke: Mapping[Resource, int], now_ns: int
) -> tuple[list[Heartbeat], list[Absence]]:
    """Beats and absences, with logs and spans as signs of life: who still sends them is not silent.

    Its metrics are missing, and that is said. What was on its way when a node fell silent is no sign of life:
    only what came a second after its last metric, or later, and of late.
    """

    def alive(beat: Heartbeat) -> bool:
        at = spoke.get(beat.place, 0)
        return at - beat.heard_ns > SECOND and now_ns - at < max(_ALIVE_NS, 5 * beat.interval_ns)

    quiet = {beat.place: beat for beat in beats if beat.state in ("late", "silent")}
    living = {place for place, beat in quiet.items() if alive(beat)}
    if not living:
        return list(beats), list(absences)
    dead = [place for place in quiet if place not in living]
    kept: list[Absence] = []
    for each in absences:
        if each.scope == "node" and each.place in living:
            kept.append(Absence("exporter", each.place, each.since_ns, _NO_METRICS))
        elif each.scope in ("node", "exporter") or any(_within(place, each.place) for place in dead):
            kept.append(each)
    return [beat._replace(state="late") if beat.place in living else beat for beat in beats], kept


def _within(node: Resource, wide: Resource) -> bool:
    return node.cluster == wide.cluster and wide.zone in ("", node.zone)


def both(one: Batch, other: Batch) -> Batch:
    """The samples of both, one after the other."""
    return Batch(
        np.concatenate([one.series, other.series]),
        np.concatenate([one.time_ns, other.time_ns]),
        np.concatenate([one.value, other.value]),
        np.concatenate([one.late, other.late]),
        np.concatenate([one.restarted, other.restarted]),
    )


def both_scores(one: Scores, other: Scores) -> Scores:
    """The scores of `both`; what either leaves out is as where it is left out everywhere."""

    def view(scores: Scores) -> Int8s:
        return scores.view if len(scores.view) else np.zeros(len(scores.score), np.int8)

    def interval_s(scores: Scores) -> Floats:
        return scores.interval_s if len(scores.interval_s) else np.ones(len(scores.score))

    return Scores(
        np.concatenate([one.score, other.score]),
        np.concatenate([one.expected, other.expected]),
        np.concatenate([one.spread, other.spread]),
        np.concatenate([view(one), view(other)]),
        np.concatenate([interval_s(one), interval_s(other)]),
    )
