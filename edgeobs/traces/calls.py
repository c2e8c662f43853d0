"""Of spans, the calls that they are: of operations, into services, along edges."""

from collections.abc import Iterator

import numpy as np

from edgeobs.signals import SECOND, Bools, Counts, Int8s, Int32s, Int64s, SpanBatch
from edgeobs.traces.clocks import Clocks
from edgeobs.traces.join import Joined, Spans
from edgeobs.traces.settings import Settings
from edgeobs.traces.tally import Calls
from edgeobs.traces.units import Family, Resolved, Units
from edgeobs.traces.window import identities

_SERVER, _CLIENT, _CONSUMER = 2, 3, 5
_DROPPED = "edgeobs_spans_dropped_total"


def settled(batch: SpanBatch, found: Resolved, settings: Settings, now_ns: int, counts: Counts) -> Spans:
    """The spans that can be counted.

    What ends before it starts, or has no start or no end, has no duration. What has no time is of now. What
    is from the future or too old, and what there is no room for, is left out and counted.
    """
    start, end = batch.start_ns, batch.end_ns
    both = (start > 0) & (end > 0)
    duration = np.where(both & (end >= start), end - start, -1)
    when = np.where(end > 0, end, np.where(start > 0, start, now_ns))
    future = when > now_ns + int(settings.future_s * SECOND)
    old = when < now_ns - int(settings.too_old_s * SECOND)
    room = found.source >= 0
    _count(counts, "negative", both & (end < start))
    _count(counts, "future", future & room)
    _count(counts, "too_old", old & room)
    _count(counts, "limit", ~room)
    spans = Spans(
        identities(batch.trace, batch.span),
        identities(batch.trace, batch.parent),
        batch.parent != 0,
        found.source,
        found.operation,
        found.told,
        batch.kind,
        batch.failed,
        start,
        when,
        duration,
        batch.trace,
        np.full(len(when), now_ns),
    )
    good = room & ~future & ~old
    return spans if good.all() else spans.of(good)


class Calling:
    """What the join of a step found, as calls."""

    def __init__(self, units: Units, clocks: Clocks, wait_ns: int, counts: Counts) -> None:
        self.units, self.clocks, self.wait_ns, self.counts = units, clocks, wait_ns, counts

    def calls(self, found: Joined, now_ns: int) -> Calls:
        """All of them; a span is a call of its operation, and mostly of something else too."""
        return Calls.joined([*self._of_spans(found.fresh, now_ns), *self._of_pairs(found, now_ns)])

    def _of_spans(self, spans: Spans, now_ns: int) -> Iterator[Calls]:
        """What a span tells without its parent."""
        operation = spans.operation.astype(np.int64)
        yield _calls(spans, operation, Family.OPERATION).of(operation >= 0)
        enters = _enters(spans.kind) | ~spans.child
        yield _calls(spans, spans.source.astype(np.int64), Family.SERVICE).of(enters)
        first = spans.of(~spans.child & (_enters(spans.kind) | (spans.kind == 0)))
        edge = self.units.edges_of(np.full(len(first.key), -1, np.int32), first.source, now_ns)
        yield self._along(first, edge)
        told = spans.of(spans.told >= 0)
        yield _calls(told, told.told.astype(np.int64), Family.EDGE).of(self._unanswered(told.told, now_ns))

    def _unanswered(self, told: Int32s, now_ns: int) -> Bools:
        """Whether whom an attribute names sends no spans: known once some time has passed without any."""
        first, answered = self.units.edges.first_ns[told], self.units.answered_ns[told]
        silent: Bools = (answered == 0) & (now_ns - first > 2 * self.wait_ns)
        return silent

    def _of_pairs(self, found: Joined, now_ns: int) -> Iterator[Calls]:
        """What a span and its parent tell, where the parent is of another source."""
        child, parent = found.children, found.parents
        if len(child.key):
            self.counts["edgeobs_spans_joined_total",] += len(child.key)
        crossing = np.flatnonzero(child.source != parent.source)
        child, parent = child.of(crossing), parent.of(crossing)
        yield _calls(child, child.source.astype(np.int64), Family.SERVICE).of(~_enters(child.kind))
        self.units.answered(parent.told[parent.told >= 0], now_ns)
        edge = self.units.edges_of(parent.source, child.source, now_ns)
        asked = parent.kind == _CLIENT  # whose span lasts from the question to the answer
        seen = child._replace(
            duration_ns=np.where(asked & (parent.duration_ns >= 0), parent.duration_ns, child.duration_ns),
            failed=child.failed | (asked & parent.failed),
        )
        yield self._along(seen, edge)
        both = asked & (child.kind == _SERVER) & (parent.duration_ns >= 0) & (child.duration_ns >= 0)
        between = parent.duration_ns - child.duration_ns
        link = child._replace(duration_ns=between)
        yield _calls(link, edge.astype(np.int64), Family.LINK).of(both & (between >= 0) & (edge >= 0))
        self._compare(found, crossing, both, now_ns)

    def _along(self, spans: Spans, edge: Int32s) -> Calls:
        without = int(np.count_nonzero(edge < 0))
        if without:
            self.counts[_DROPPED, "limit"] += without
        return _calls(spans, edge.astype(np.int64), Family.EDGE).of(edge >= 0)

    def _compare(self, found: Joined, crossing: Int64s, both: Bools, now_ns: int) -> None:
        """Learn how far apart the clocks of callers' and callees' nodes are."""
        child, parent = found.children.of(crossing), found.parents.of(crossing)
        caller, callee = self.units.node[parent.source], self.units.node[child.source]
        apart = (caller >= 0) & (callee >= 0) & (caller != callee)
        timed = apart & (parent.start_ns > 0) & (child.start_ns > 0)
        early = int(np.count_nonzero(timed & (child.start_ns < parent.start_ns)))
        if early:
            self.counts["edgeobs_spans_skewed_total",] += early
        use = np.flatnonzero(timed & both)
        asked, did = parent.of(use), child.of(use)
        stamps = np.stack(
            [
                asked.start_ns,
                asked.start_ns + asked.duration_ns,
                did.start_ns,
                did.start_ns + did.duration_ns,
            ],
            axis=1,
        )
        self.clocks.learn(caller[use], callee[use], stamps, now_ns)


def _enters(kind: Int8s) -> Bools:
    entered: Bools = (kind == _SERVER) | (kind == _CONSUMER)
    return entered


def _calls(spans: Spans, number: Int64s, family: Family) -> Calls:
    return Calls(
        4 * number + family, spans.source, spans.when_ns, spans.duration_ns, spans.failed, spans.trace
    )


def _count(counts: Counts, reason: str, which: Bools) -> None:
    number = int(np.count_nonzero(which))
    if number:
        counts[_DROPPED, reason] += number
