"""`Traces`: spans in, series of services, operations and edges out, and what people want to see of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeobs.series import SeriesTable
from edgeobs.signals import (
    SECOND,
    Admit,
    Closed,
    Counts,
    Edge,
    Floats,
    Int32s,
    Int64s,
    Points,
    Resource,
    SpanBatch,
)
from edgeobs.traces import sketch
from edgeobs.traces.calls import Calling, settled
from edgeobs.traces.clocks import Clocks, Offset
from edgeobs.traces.exemplars import Exemplars
from edgeobs.traces.given import Given, Samples
from edgeobs.traces.hints import Hint
from edgeobs.traces.join import Join, Spans
from edgeobs.traces.offsets import Offsets
from edgeobs.traces.seen import Seen
from edgeobs.traces.settings import Settings
from edgeobs.traces.sketch import Summary
from edgeobs.traces.state import dumped, loaded
from edgeobs.traces.tally import Interval, Tally
from edgeobs.traces.units import Family, Resolved, Units

_TOGETHER = 8192  # spans that are worth a step of the join at once
_LOOK_NS = SECOND  # and how long fewer wait for that
_FORGET_NS = 60 * SECOND

State = dict[str, NDArray[Any]]


class Traces:
    """The stage; pure and bounded.

    Parameters
    ----------
    table
        Series; they are admitted with the principal that brought the spans.
    settings, counts
        As everywhere.
    admit
        Gives the id of a series.
    heard
        Whether a node has been heard of late, by anything; without it a node is heard if it sent any span.

    """

    def __init__(
        self,
        table: SeriesTable,
        settings: Settings,
        counts: Counts,
        admit: Admit,
        heard: Callable[[Resource], bool] | None = None,
    ) -> None:
        self.table, self.settings, self.counts, self.admit = table, settings, counts, admit
        self._heard = heard or (lambda _: False)
        self.quiet_ns = int(settings.quiet_s * SECOND)
        self.interval_ns, self.wait_ns = int(settings.interval_s * SECOND), int(settings.wait_s * SECOND)
        self.units = Units(settings, counts)
        self.join = Join(settings.spans, self.wait_ns)
        self.clocks = Clocks(int(settings.skew_s * SECOND))
        self.tally = Tally(self.interval_ns, self.wait_ns)
        self.given = Given(self.units, admit, counts)
        self.offset = Offsets(self.units, self.clocks, admit)
        self.kept = Exemplars(settings.exemplars)
        self.seen = Seen(self.units, self.given, self.kept, self.interval_ns)
        self._calling = Calling(self.units, self.clocks, self.wait_ns, counts)
        self._pending: list[Spans] = []
        self._pending_spans = 0
        self._stepped_ns = self._closed_ns = self._forgot_ns = self._began_ns = self._whole_ns = 0

    def take(self, batch: SpanBatch, now_ns: int) -> None:
        """The spans of one request."""
        if not len(batch.span):
            return
        self._began_ns = self._began_ns or now_ns
        spans = settled(batch, self.units.resolve(batch, now_ns), self.settings, now_ns, self.counts)
        self._pending.append(spans)
        self._pending_spans += len(spans.key)
        if self._pending_spans >= _TOGETHER:
            self._step(now_ns)

    def close(self, now_ns: int) -> Closed:
        """Samples of the intervals that are over; cheap when none is."""
        if not 0 <= now_ns - self._closed_ns <= self.interval_ns:
            self._whole_ns = now_ns  # we stood still: who was silent meanwhile is not known
        self._closed_ns = now_ns
        if (self._pending or self.join.waiting()) and not 0 <= now_ns - self._stepped_ns < _LOOK_NS:
            self._step(now_ns)
        if not self.tally.is_due(now_ns):
            return Closed(Points.none())
        self._step(now_ns)  # before anything is closed: what is pending may belong to it
        due = self.tally.due(now_ns)
        points = _joined([*(self._interval(each, now_ns) for each in due), self._offsets_of(due, now_ns)])
        self._forget(now_ns)
        return Closed(points)

    def surprising(self, series: Int32s, time_ns: Int64s, score: Floats) -> None:
        """Samples that detectors found surprising: their traces are kept. Foreign ids mean nothing."""
        self.seen.surprising(series, time_ns, score)

    def exemplars(self, series: int) -> tuple[str, ...]:
        """Trace ids kept for what a series is of, hex, the newest first."""
        unit = self.given.unit_of(series)
        return () if unit is None else self.kept.of(unit)

    def hints(self, least: float, now_ns: int) -> tuple[Hint, ...]:
        """Traces of the last ten minutes that are worth keeping, the newest first; at most 1,000.

        ``least``: decades of an interval from which it counts as surprising.
        """
        return self.seen.hints(least, now_ns)

    def edges(self, now_ns: int) -> Sequence[Edge]:
        """The service graph of the last minute that is known, pods and nodes of a service joined."""
        return self.seen.edges(now_ns, self.quiet_ns)

    def offsets(self, now_ns: int) -> tuple[tuple[str, str, Offset], ...]:
        """How far nodes' clocks are apart: names of caller's and callee's node, and what is known."""
        names = [place.node if place else "" for place in self.units.nodes.keys]
        return tuple((names[each.caller], names[each.callee], each) for each in self.clocks.all(now_ns))

    def forget(self, ids: Int32s) -> None:
        """Series ids that may be given to others from now on."""
        self.given.forget(ids)
        self.seen.renew()
        self.offset.forget(set(ids.tolist()))

    def state(self) -> State:
        """Registers, open intervals, clocks and kept traces; not the spans that wait."""
        return dumped(self)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up a `state`; ValueError with the reason, and nothing changed, when it does not fit."""
        fresh = Traces(self.table, self.settings, self.counts, self.admit, self._heard)
        loaded(fresh, state)
        self.__dict__.update(fresh.__dict__)

    def _step(self, now_ns: int) -> None:
        """Count what is pending, and join what can be joined."""
        self._stepped_ns = now_ns
        pending, self._pending, self._pending_spans = self._pending or [Spans.none()], [], 0
        spans = Spans.joined(pending)
        came_ns = int(spans.came_ns.min(initial=now_ns))
        self.units.heard(Resolved(spans.source, spans.operation, spans.told), now_ns)
        found = self.join.step(spans, now_ns)
        for reason, number in (("duplicate", found.duplicates), ("orphan", found.orphans)):
            if number:
                self.counts["edgeobs_spans_dropped_total", reason] += number
        calls = self._calling.calls(found, now_ns)
        if len(calls.unit):
            timely = self.tally.add(calls, came_ns)
            late = int(np.count_nonzero(~timely & (calls.unit % 4 == Family.OPERATION)))
            if late:
                self.counts["edgeobs_spans_dropped_total", "late"] += late

    def _interval(self, interval: Interval, now_ns: int) -> Points:
        """Close one."""
        counted, begin_ns = interval.counted(), interval.begin_ns
        end_ns = begin_ns + self.interval_ns
        found = sketch.summary(counted)
        sources = np.array([self.units.source_of(u) for u in found.unit.tolist()], np.int32)
        shown = interval.shown(found.unit)
        self.seen.closed(counted, found, shown, end_ns, now_ns - self._began_ns)
        samples = [self.given.samples(self._with_series(found), now_ns)]
        if begin_ns >= self._whole_ns:
            heard = self._that_speak(sources)
            samples.append(self.given.silent(found.unit, heard, end_ns, self.quiet_ns, now_ns))
        self.given.told(found.unit, end_ns)
        self.tally.close(sources, end_ns)
        return _points(samples, begin_ns, end_ns)

    def _with_series(self, found: Summary) -> Summary:
        """Without the edges from outside, whose calls are their service's."""
        unit, has_calls = found.unit, self.units.has_calls
        which = np.array([u % 4 == Family.LINK or has_calls(u) for u in unit.tolist()], np.bool_)
        seconds = tuple(column[which] for column in found.seconds)
        return Summary(unit[which], found.calls[which], found.failed[which], found.timed[which], seconds)

    def _offsets_of(self, due: Sequence[Interval], now_ns: int) -> Points:
        begin_ns = due[-1].begin_ns
        since_ns = now_ns - 2 * self.interval_ns - self.wait_ns
        found = self.offset.samples(since_ns, begin_ns + self.interval_ns, now_ns)
        series, value = np.array([s for s, _ in found], np.int32), np.array([v for _, v in found], np.float64)
        return _points([Samples(series, value)], begin_ns, begin_ns + self.interval_ns)

    def _that_speak(self, sources: Int32s) -> Int32s:
        """Every source whose sender and node are heard, given those that sent spans of an interval.

        A node is heard when it sent any span, or anything else; what names none is of its sender alone.
        """
        owner, node = (
            np.array(self.units.sources.owner, np.int64),
            self.units.node[: len(self.units.sources.keys)],
        )
        spoke, places = set(node[sources].tolist()), self.units.nodes
        alive = [n < 0 or n in spoke or self._heard(places[n]) for n in node.tolist()]
        return np.flatnonzero(np.isin(owner, owner[sources]) & np.array(alive, np.bool_)).astype(np.int32)

    def _forget(self, now_ns: int) -> None:
        """Let go of what was silent for long; nothing that waits or is open can be of it."""
        if 0 <= now_ns - self._forgot_ns < _FORGET_NS:
            return
        self._forgot_ns = now_ns
        least = 4 * (self.interval_ns + self.wait_ns)
        gone, nodes = self.units.forget(now_ns - max(int(self.settings.forget_s * SECOND), least))
        if gone:
            self.given.drop(gone)
            self.seen.forget(gone)
            self.tally.forget({u // 4 for u in gone if u % 4 == Family.SERVICE})
        if nodes:
            self.clocks.forget(nodes)
            self.offset.drop(nodes)


def _points(samples: Sequence[Samples], begin_ns: int, end_ns: int) -> Points:
    series = np.concatenate([each.series for each in samples])
    n = len(series)
    value = np.concatenate([each.value for each in samples])
    return Points(series, np.full(n, end_ns), np.full(n, begin_ns), value)


def _joined(parts: Sequence[Points]) -> Points:
    return Points(
        np.concatenate([p.series for p in parts]),
        np.concatenate([p.time_ns for p in parts]),
        np.concatenate([p.start_ns for p in parts]),
        np.concatenate([p.value for p in parts]),
    )
