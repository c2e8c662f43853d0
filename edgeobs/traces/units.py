"""What calls are counted of: services, operations and edges, and the series that each becomes.

A unit is the number of one of them in its register, times four, plus its `Family`.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from edgeobs.columns import grown
from edgeobs.signals import Counts, Int32s, Int64s, Labels, Principal, Resource, Source, SpanBatch
from edgeobs.traces.register import FULL, Register
from edgeobs.traces.settings import Settings

OTHER = "other"
_MANY = 256  # rows
_LONGEST = 256  # characters of an operation or peer
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_OTHER_SPANS = "edgeobs_spans_other_total"


class Family(IntEnum):
    """What a unit is."""

    SERVICE = 0  # calls that enter a source
    OPERATION = 1
    EDGE = 2  # calls as their caller sees them
    LINK = 3  # what an edge's calls spend between caller and callee


class Operation(NamedTuple):
    """One name of spans of a source."""

    source: int
    name: str
    kind: int  # as OTLP


class Link(NamedTuple):
    """Who calls whom; ``source`` is the callee's, or the caller's where attributes alone tell of it."""

    source: int
    caller: str  # empty: from outside
    callee: str
    caller_node: str  # empty: the callee's node, or not known
    told: bool = False  # by an attribute alone: the callee sends no spans


class Resolved(NamedTuple):
    """Numbers of what the spans of a batch are of, −1 where there is no room; −1 too for ``told`` of none."""

    source: Int32s
    operation: Int32s
    told: Int32s  # the edge to whom an attribute names


def name_of(source: Source) -> str:
    """A source's service, or what else is known of it."""
    return source.service() or source.resource.workload or source.resource.pod or "unknown"


def _grouped(code: Int64s) -> tuple[list[int], Int64s, list[int]]:
    """Each code once, which of them each was, and how often; NumPy's way pays for many."""
    if len(code) > _MANY:
        unique, inverse, count = np.unique(code, return_inverse=True, return_counts=True)
        return unique.tolist(), inverse, count.tolist()
    place: dict[int, int] = {}
    which = np.array([place.setdefault(c, len(place)) for c in code.tolist()], np.int64)
    return list(place), which, np.bincount(which, minlength=len(place)).tolist()


class Units:
    """The three registers, and what their numbers mean to one another."""

    def __init__(self, settings: Settings, counts: Counts) -> None:
        self.counts = counts
        self.sources: Register[Source] = Register(settings.most, settings.services)
        self.operations: Register[Operation] = Register(settings.most, settings.operations)
        self.edges: Register[Link] = Register(settings.most, settings.edges)
        self.principals: dict[int, Principal] = {}  # by number of a source
        self.speaker: dict[int, Principal] = {}  # by number of a node: who last spoke for it
        self.node: Int32s = np.zeros(0, np.int32)  # by number of a source: of its node, −1 unknown
        self.answered_ns: Int64s = np.zeros(0, np.int64)  # by number of an edge: when its callee sent a span
        self.nodes: Register[Resource] = Register(settings.most, settings.most)
        self._pairs: dict[tuple[int, int], int] = {}  # caller's and callee's source → edge

    def resolve(self, batch: SpanBatch, now_ns: int) -> Resolved:
        """What every span is of."""
        number = np.array([self._source(s, batch.principal, now_ns) for s in batch.sources], np.int32)
        source = number[batch.source] if len(number) else batch.source
        self.sources.heard(number[number >= 0], now_ns)
        return Resolved(source, self._operations(batch, source, now_ns), self._told(batch, source, now_ns))

    def heard(self, spans: Resolved, now_ns: int) -> None:
        """These are remembered from now on, and what they are of must be as long as they are."""
        registers: tuple[Register[Any], ...] = self.sources, self.operations, self.edges
        for register, numbers in zip(registers, spans, strict=True):
            register.heard(numbers[numbers >= 0], now_ns)

    def edges_of(self, caller: Int32s, callee: Int32s, now_ns: int) -> Int32s:
        """The edge of each pair of sources (caller −1: from outside), −1 where there is no room."""
        pair = (caller.astype(np.int64) + 1) << 32 | callee
        unique, inverse, count = _grouped(pair)
        found = [
            self._edge((p >> 32) - 1, p & 0xFFFFFFFF, now_ns, n) for p, n in zip(unique, count, strict=True)
        ]
        number = np.array(found, np.int32)
        self.edges.heard(number[number >= 0], now_ns)
        self._reserve()
        return number[inverse]

    def answered(self, edges: Int32s, now_ns: int) -> None:
        """Whom these edges name by an attribute sends spans itself."""
        self.answered_ns[edges] = now_ns

    def name(self, source: int) -> str:
        """For people."""
        return name_of(self.sources[source])

    def source_of(self, unit: int) -> int:
        """The number of the source to which a unit's series belong."""
        number, family = divmod(unit, 4)
        if family == Family.SERVICE:
            return number
        return self.operations[number].source if family == Family.OPERATION else self.edges[number].source

    def has_calls(self, unit: int) -> bool:
        """Whether its calls are a series of their own; those from outside are their service's already."""
        number, family = divmod(unit, 4)
        return family < Family.EDGE or (family == Family.EDGE and bool(self.edges[number].caller))

    def labels_of(self, unit: int) -> Labels:
        """What a unit's series say beside whose they are."""
        number, family = divmod(unit, 4)
        if family == Family.SERVICE:
            return ()
        if family == Family.OPERATION:
            _, name, kind = self.operations[number]
            named = (("operation", name),) if name else ()
            return (*named, ("span_kind", _KINDS[kind]))
        edge = self.edges[number]
        told = "caller" if edge.told else ""
        said = (("callee", edge.callee), ("caller", edge.caller), ("caller_node", edge.caller_node))
        return tuple((key, value) for key, value in (*said, ("seen_from", told)) if value)

    def forget(self, since_ns: int) -> tuple[set[int], set[int]]:
        """Let go of what was not heard since then: units, and nodes, whose numbers may become others'."""
        sources = set(self.sources.silent(since_ns))
        gone = set()
        for register, family in ((self.operations, Family.OPERATION), (self.edges, Family.EDGE)):
            old = set(register.silent(since_ns)) | {
                n for n, key in enumerate(register.keys) if key is not None and key.source in sources
            }
            register.forget(old)
            gone |= {4 * n + family for n in old}
            if family == Family.EDGE:
                gone |= {4 * n + Family.LINK for n in old}
        self.sources.forget(sources)
        for number in sources:
            self.principals.pop(number, None)
            self.node[number] = -1
        if sources or gone:
            self._pairs.clear()
        nodes = {n for n, key in enumerate(self.nodes.keys) if key is not None} - set(self.node.tolist())
        self.nodes.forget(nodes)
        for number in nodes:
            self.speaker.pop(number, None)
        return gone | {4 * n + Family.SERVICE for n in sources}, nodes

    def place(self) -> None:
        """Number the nodes of the sources, after those were taken up."""
        self._reserve()
        for number, source in enumerate(self.sources.keys):
            self.node[number] = -1 if source is None else self._node(source, 0)

    def _source(self, source: Source, principal: Principal, now_ns: int) -> int:
        other = Source((("service.name", OTHER),), source.resource.place())
        number, is_other = self.sources.number(source, principal.id, now_ns, other)
        if is_other:
            self.counts[_OTHER_SPANS, "service"] += 1
        if number >= 0:
            self._reserve()
            self.principals[number] = principal
            self.sources.own(number, principal.id)
            if self.node[number] < 0:
                self.node[number] = self._node(source, now_ns)
            self.speaker[int(self.node[number])] = principal
        return number

    def _node(self, source: Source, now_ns: int) -> int:
        """The number of a source's node; −1 where it names none."""
        place = source.resource.place()
        return self.nodes.number(place, 0, now_ns, None)[0] if place.node else -1

    def _operations(self, batch: SpanBatch, source: Int32s, now_ns: int) -> Int32s:
        names, kinds = len(batch.names), len(_KINDS)
        code = (source.astype(np.int64) * names + batch.name) * kinds + batch.kind
        unique, inverse, count = _grouped(code)
        found = np.empty(len(unique), np.int32)
        for k, (what, spans) in enumerate(zip(unique, count, strict=True)):
            place, kind = divmod(what, kinds)
            number, name = divmod(place, names)
            found[k] = -1 if number < 0 else self._operation(number, batch.names[name], kind, now_ns, spans)
        self.operations.heard(found[found >= 0], now_ns)
        return found[inverse]

    def _operation(self, source: int, name: str, kind: int, now_ns: int, spans: int) -> int:
        key, other = Operation(source, name[:_LONGEST], kind), Operation(source, OTHER, 0)
        number, is_other = self.operations.number(key, source, now_ns, other)
        if is_other:
            self.counts[_OTHER_SPANS, "operation"] += spans
        return number

    def _told(self, batch: SpanBatch, source: Int32s, now_ns: int) -> Int32s:
        told = np.full(len(source), FULL, np.int32)
        which = np.flatnonzero((batch.peer >= 0) & (source >= 0))
        if not len(which):
            return told
        names = len(batch.names)
        code = source[which].astype(np.int64) * names + batch.peer[which]
        unique, inverse, count = _grouped(code)
        found = np.empty(len(unique), np.int32)
        for k, (what, calls) in enumerate(zip(unique, count, strict=True)):
            number, peer = divmod(what, names)
            caller, owner = name_of(self.sources[number]), self.sources.owner[number]
            key = Link(number, caller, batch.names[peer][:_LONGEST], "", told=True)
            other = Link(number, caller, OTHER, "", told=True)
            found[k], is_other = self.edges.number(key, owner, now_ns, other)
            if is_other:
                self.counts[_OTHER_SPANS, "edge"] += calls
        self.edges.heard(found[found >= 0], now_ns)
        self._reserve()
        told[which] = found[inverse]
        return told

    def _edge(self, caller: int, callee: int, now_ns: int, calls: int) -> int:
        known = self._pairs.get((caller, callee))
        if known is not None:
            return known
        to = self.sources[callee]
        by = self.sources[caller] if caller >= 0 else None
        node = by.resource.node if by is not None else ""
        key = Link(
            callee,
            name_of(by) if by is not None else "",
            name_of(to),
            node if node != to.resource.node else "",
        )
        owner = self.sources.owner[callee]
        number, is_other = self.edges.number(key, owner, now_ns, Link(callee, OTHER, name_of(to), ""))
        if is_other:
            self.counts[_OTHER_SPANS, "edge"] += calls
        elif number >= 0:
            self._pairs[caller, callee] = number
        return number

    def _reserve(self) -> None:
        self.node = grown(self.node, len(self.sources.keys), -1)
        self.answered_ns = grown(self.answered_ns, len(self.edges.keys), 0)
