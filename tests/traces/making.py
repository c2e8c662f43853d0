"""Spans for tests, in a few words, and a stage with a table of its own."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edgeobs.ingest.intern import Interner
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Counts, Points, Principal, Resource, Source, SpanBatch
from edgeobs.traces import Settings, Traces

T0 = 1_700_000_000 * SECOND
MS = SECOND // 1000
ANYONE = Principal(0, "anyone", None, 100_000)
INTERNAL, SERVER, CLIENT = 1, 2, 3


class Span(NamedTuple):
    """One; times in nanoseconds after `T0`."""

    service: str
    name: str
    span: int
    parent: int = 0
    kind: int = SERVER
    start: int = 0
    end: int = MS
    failed: bool = False
    node: str = "n1"
    trace: int = 1
    peer: str = ""


def source(service: str, node: str = "n1") -> Source:
    """A pod of a service on a node."""
    pod = f"{service}-{node}"
    attributes = (("k8s.node.name", node), ("k8s.pod.name", pod), ("service.name", service))
    return Source(attributes, Resource("", "z", node, "", service, pod))


def batch(spans: Sequence[Span], principal: Principal = ANYONE) -> SpanBatch:
    """Of one request."""
    sources = list(dict.fromkeys(source(s.service, s.node) for s in spans))
    names = list(dict.fromkeys(text for s in spans for text in (s.name, s.peer) if text))
    return SpanBatch(
        principal,
        tuple(sources),
        tuple(names),
        np.array([sources.index(source(s.service, s.node)) for s in spans], np.int32),
        np.array([names.index(s.name) for s in spans], np.int32),
        np.array([names.index(s.peer) if s.peer else -1 for s in spans], np.int32),
        np.array([s.kind for s in spans], np.int8),
        np.array([s.failed for s in spans], np.bool_),
        np.array([T0 + s.start for s in spans], np.int64),
        np.array([T0 + s.end for s in spans], np.int64),
        np.array([(7, s.trace) for s in spans], np.uint64).reshape(-1, 2),
        np.array([s.span for s in spans], np.uint64),
        np.array([s.parent for s in spans], np.uint64),
    )


class Bench:
    """A stage, and what it gave, by readable names."""

    def __init__(self, settings: Settings | None = None, table: SeriesTable | None = None) -> None:
        self.table = table or SeriesTable(100_000)
        self.counts: Counts = Counter()
        self.heard = {"n1", "n2"}  # nodes that say anything at all
        self.stage = Traces(
            self.table, settings or Settings(), self.counts, Interner(self.table).admit, self._is_heard
        )
        self.given: dict[tuple[str, int], float] = {}  # series, end in seconds after T0
        self.now = 0.0  # seconds after T0

    def take(self, *spans: Span, at: float = 0.0, principal: Principal = ANYONE) -> None:
        """A request, so many seconds after T0."""
        self.now = at
        self.stage.take(batch(spans, principal), T0 + int(at * SECOND))

    def close(self, at: float) -> Points:
        """Let time pass until then."""
        self.now = at
        points = self.stage.close(T0 + int(at * SECOND)).points
        for number, end_ns, value in zip(
            points.series.tolist(), points.time_ns.tolist(), points.value.tolist(), strict=True
        ):
            key = self.text(number), (end_ns - T0) // SECOND
            assert key not in self.given, f"told twice: {key}"
            self.given[key] = value
        return points

    def until(self, at: float) -> None:
        """Close every five seconds from the last time that is known on."""
        while self.now + 5 < at:
            self.close(self.now + 5)
        self.close(at)

    def text(self, series: int) -> str:
        """``calls orders@n1 GET`` and the like."""
        identity = self.table[series]
        labels = dict(identity.labels)
        what = identity.name.removeprefix("span_")
        where = f"{labels.get('service', '')}@{identity.source.resource.node}"
        told = [labels[k] for k in ("operation", "caller", "callee", "caller_node") if k in labels]
        return " ".join([what, where, *told])

    def value(self, text: str, end: int = 10) -> float | None:
        """What a series was told for the interval that ended then."""
        return self.given.get((text, end))

    def dropped(self, reason: str) -> int:
        """Spans left out for a reason."""
        return self.counts["edgeobs_spans_dropped_total", reason]

    def _is_heard(self, place: Resource) -> bool:
        return place.node in self.heard
