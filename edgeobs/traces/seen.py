"""What people get to see of traces: who calls whom, traces of what was surprising, and which to keep."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from edgeobs.signals import SECOND, Edge, Floats, Int32s, Int64s
from edgeobs.traces import sketch
from edgeobs.traces.exemplars import Exemplars
from edgeobs.traces.given import Given
from edgeobs.traces.hints import Candidate, Hint, worth
from edgeobs.traces.sketch import Sketch, Summary
from edgeobs.traces.tally import Shown
from edgeobs.traces.units import Family, Units

_GRAPH_NS = 60 * SECOND  # what the graph shows
_INTERVALS = 64
_HINTS = 1000
_HINTED_NS = 600 * SECOND  # how long a hint stands
_HINTED = 4.0  # decades that make one: of many series something of less is surprising at every look
_NEW_NS = 600 * SECOND  # after a start, until an edge that was not seen before is news


class Seen:
    """Of the intervals that closed of late; bounded."""

    def __init__(self, units: Units, given: Given, kept: Exemplars, interval_ns: int) -> None:
        self.units, self.given, self.kept, self.interval_ns = units, given, kept, interval_ns
        self._edges: deque[tuple[int, Sketch]] = deque(maxlen=_INTERVALS)  # by end
        self._hints: deque[Hint] = deque(maxlen=_HINTS)
        self._graph: tuple[Edge, ...] | None = None  # as last asked for; None: something changed

    def closed(self, counted: Sketch, found: Summary, shown: Shown, end_ns: int, for_ns: int) -> None:
        """An interval closed; ``for_ns`` is how long spans have been coming."""
        of_edges = sketch.units(counted) % 4 == Family.EDGE
        self._edges.append((end_ns, Sketch(counted.key[of_edges], counted.calls[of_edges])))
        self.kept.remember(end_ns, shown)
        self.renew()
        new = found.unit[(found.unit % 4 == Family.EDGE) & ~self.given.was_told(found.unit)]
        if for_ns >= _NEW_NS:
            self._hint([(unit, 0.0) for unit in new.tolist()], end_ns)

    def surprising(self, series: Int32s, time_ns: Int64s, score: Floats) -> None:
        """Keep the traces of these samples' intervals; ids that are not of a unit mean nothing."""
        samples = zip(series.tolist(), time_ns.tolist(), score.tolist(), strict=True)
        for number, end_ns, decades in samples:
            unit = self.given.unit_of(number)
            if unit is not None:
                self.kept.keep(unit, reversed(self.kept.shown(unit, end_ns)))
                self.renew()
                if decades >= _HINTED:
                    self._hint([(unit, decades)], end_ns)

    def hints(self, least: float, now_ns: int) -> tuple[Hint, ...]:
        """Those of the last ten minutes, each trace once, the newest first; at most 1,000."""
        found: dict[str, Hint] = {}
        for hint in reversed(self._hints):
            if now_ns - hint.time_ns <= _HINTED_NS and not 0 < hint.score < least:
                found.setdefault(hint.trace, hint)
        return tuple(found.values())

    def edges(self, now_ns: int, quiet_ns: int) -> Sequence[Edge]:
        """The last minute that is known; nothing once that was ``quiet_ns`` ago."""
        newest = max((end for end, _ in self._edges), default=0)
        if now_ns - newest > quiet_ns:
            return ()
        if self._graph is None:
            self._graph = self._drawn([(end, each) for end, each in self._edges if end > newest - _GRAPH_NS])
        return self._graph

    def renew(self) -> None:
        """Something that the graph shows has changed."""
        self._graph = None

    def forget(self, gone: set[int]) -> None:
        """Units that may become others."""
        self.kept.forget(gone)
        self.renew()
        numbers = np.array(sorted(gone), np.int64)
        self._edges = deque(((end, _without(each, numbers)) for end, each in self._edges), _INTERVALS)

    def _drawn(self, late: Sequence[tuple[int, Sketch]]) -> tuple[Edge, ...]:
        seconds = len({end for end, _ in late}) * self.interval_ns / SECOND
        return self._joined(sketch.merged([each for _, each in late]), seconds)

    def _joined(self, found: Sketch, seconds: float) -> tuple[Edge, ...]:
        """By caller and callee, whatever their pods and nodes."""
        unit = sketch.units(found)
        alike: dict[tuple[str, str], list[int]] = {}
        for one in np.unique(unit).tolist():
            link = self.units.edges[one // 4]
            alike.setdefault((link.caller, link.callee), []).append(one)
        group = np.zeros(int(unit.max(initial=-1)) + 1, np.int64)
        for number, units in enumerate(alike.values()):
            group[units] = number
        total = sketch.summary(sketch.moved(found, group[unit]))
        p50, _, p99 = total.seconds
        return tuple(
            Edge(
                caller,
                callee,
                float(total.calls[k] / seconds),
                float(total.failed[k] / total.calls[k]),
                float(p50[k]),
                float(p99[k]),
                tuple(n for u in units for n in (*self.given.of(u), *self.given.of(u + 1))),
                tuple(dict.fromkeys(trace for u in units for trace in self.kept.of(u)))[:3],
            )
            for k, ((caller, callee), units) in enumerate(alike.items())
        )

    def _hint(self, units: Sequence[tuple[int, float]], end_ns: int) -> None:
        """Of units and how surprising each is; 0: edges that are new."""
        candidates = [
            Candidate(*self._text(unit), *self.kept.shown(unit, end_ns), score=score, new=not score)
            for unit, score in units
        ]
        self._hints.extend(worth(candidates, end_ns))

    def _text(self, unit: int) -> tuple[str, str, str]:
        """What it is for people, its service, and its operation."""
        labels = dict(self.units.labels_of(unit))
        if unit % 4 >= Family.EDGE:
            callee = labels.get("callee", "unknown")
            return f"{labels.get('caller', 'outside')} → {callee}", callee, ""
        name, operation = self.units.name(self.units.source_of(unit)), labels.get("operation", "")
        return (f"{name} {operation}" if unit % 4 == Family.OPERATION else name), name, operation


def _without(found: Sketch, gone: Int64s) -> Sketch:
    left = ~np.isin(sketch.units(found), gone)
    return Sketch(found.key[left], found.calls[left])
