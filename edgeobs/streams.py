"""Logs and spans in the pipeline: parts that may fail without stopping the others, and each other."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeobs.detect.parts import Parts
from edgeobs.hearing import LATE_NS, Hearing
from edgeobs.logs import Template
from edgeobs.logs.logql import logql
from edgeobs.signals import (
    SECOND,
    Batch,
    Closed,
    Edge,
    Floats,
    Int8s,
    Int32s,
    Int64s,
    Labels,
    LogBatch,
    Points,
    Scores,
    Source,
    SpanBatch,
    Told,
)
from edgeobs.traces import Hint, graph

Arrays = dict[str, NDArray[Any]]

RECENT_NS = 60 * SECOND
"""How long an edge of the service graph stays marked after it was surprising."""
_NONE = Closed(Points.none())
_T = TypeVar("_T")


class Logs(Protocol):
    """What the pipeline asks of a stage of logs (`edgeobs.logs.Logs`)."""

    def take(self, batch: LogBatch, now_ns: int) -> None: ...
    def close(self, now_ns: int) -> Closed: ...
    def forget(self, ids: Int32s) -> None: ...
    def state(self) -> Arrays: ...
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None: ...
    def template(self, ident: str) -> Template | None: ...


class Traces(Protocol):
    """What the pipeline asks of a stage of spans (`edgeobs.traces.Traces`)."""

    def take(self, batch: SpanBatch, now_ns: int) -> None: ...
    def close(self, now_ns: int) -> Closed: ...
    def forget(self, ids: Int32s) -> None: ...
    def state(self) -> Arrays: ...
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None: ...
    def edges(self, now_ns: int) -> Sequence[Edge]: ...
    def surprising(self, series: Int32s, time_ns: Int64s, score: Floats) -> None: ...
    def exemplars(self, series: int) -> tuple[str, ...]: ...
    def hints(self, least: float, now_ns: int) -> tuple[Hint, ...]: ...


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
        self.hearing = Hearing()
        self._recent: dict[int, tuple[float, int]] = {}  # series → decades of a moment ago, and when
        self._now_ns = 0

    def take(self, batch: LogBatch | SpanBatch, now_ns: int) -> None:
        """What one request brought."""
        self._now_ns = now_ns
        self.hearing.hear(batch, now_ns)
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

    def surprising(self, series: Int32s, time_ns: Int64s, score: Floats, now_ns: int) -> None:
        """Of these samples what brought them about is worth keeping, and worth a mark."""
        self._recent = {n: each for n, each in self._recent.items() if now_ns - each[1] < RECENT_NS}
        self._recent |= {n: (s, now_ns) for n, s in zip(series.tolist(), score.tolist(), strict=True)}
        if self.traces is not None and len(series):
            self._ask("traces", partial(self.traces.surprising, series, time_ns, score), None)

    def services(self, least: float, now_ns: int) -> dict[str, Any]:
        """Who calls whom, of late (`traces.graph`); marked is what reached so many decades a moment ago."""
        scores = {n: score for n, (score, at) in self._recent.items() if now_ns - at < RECENT_NS}
        return graph(self.edges(now_ns), scores, least)

    def lore(self, source: Source, labels: Labels, series: int) -> Told:
        """What there is to tell of evidence: the template and how to find its lines, or traces."""
        ident = dict(labels).get("template", "")
        if ident and self.logs is not None:
            template = self._ask("logs", partial(self.logs.template, ident), None)
            return Told(template.text, logql(template, source)) if template else Told()
        if self.traces is None or series < 0:
            return Told()
        return Told(traces=self._ask("traces", partial(self.traces.exemplars, series), ()))

    def edges(self, now_ns: int) -> Sequence[Edge]:
        """Who calls whom, of late."""
        self._now_ns = now_ns
        if self.traces is None:
            return ()
        return self._ask("traces", partial(self.traces.edges, now_ns), ())

    def hints(self, least: float, now_ns: int) -> tuple[Hint, ...]:
        """Traces of late that are worth keeping, the newest first; ``least`` as of `services`."""
        self._now_ns = now_ns
        if self.traces is None:
            return ()
        return self._ask("traces", partial(self.traces.hints, least, now_ns), ())

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        for name, stage in self._stages().items():
            self._ask(name, partial(stage.forget, ids), None)
        for number in ids.tolist():
            self._recent.pop(number, None)

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
