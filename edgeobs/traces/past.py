"""Requests of late, the calls that they made and how long they took, for whoever asks what changed.

A request is a span that enters its source: one without a parent, or whose parent is of another source. All
are counted when they come, and those that turn out to be inside a request are taken off again when their
parent has come. How long a span took without its children is known once nothing more of it will come.
"""

from collections.abc import Collection
from enum import IntEnum

import numpy as np

from edgeobs.past import INTERVAL_NS, NOTHING, Counted, Past, Tallies, bins, summed, tallies
from edgeobs.signals import SECOND, Int32s, Int64s, Resource
from edgeobs.traces.join import Ended, Joined, ended
from edgeobs.traces.units import Units

_OLDEST_NS = (
    3600 * SECOND
)  # from the beginning of a span to its end, beyond which the beginning is not believed
_TEXT = 80  # characters of an operation
_BIN_BITS = 7
_NUMBER_BITS = 20  # of a source or an operation


class _Thing(IntEnum):
    REQUESTS = 0
    FAILED = 1
    SPANS = 2
    CALLS = 3
    WAYS = 4


class SpansPast:
    """The ring. Keys: thing, number of the operation or the caller's source, of the callee's source, bin."""

    def __init__(self, units: Units) -> None:
        self.units, self._past = units, Past()

    def add(self, found: Joined) -> None:
        """What a step of the join brought about."""
        fresh, child, parent = found.fresh, found.children, found.parents
        came = _began(fresh.start_ns, fresh.when_ns)
        self._count(_Thing.FAILED, came[fresh.failed], fresh.operation[fresh.failed])
        began = _began(child.start_ns, child.when_ns)
        across = child.source != parent.source
        callers, callees = parent.source[across].astype(np.int64), child.source[across].astype(np.int64)
        self._count(_Thing.CALLS, began[across], callers, callees)
        inside = ~across
        number = np.concatenate([fresh.operation, child.operation[inside]])
        weight = np.repeat((1, -1), (len(came), len(number) - len(came)))
        self._count(_Thing.REQUESTS, np.concatenate([came, began[inside]]), number, weight=weight)
        for each in found.ended:
            self._took(ended(each))

    def forget(self, units: Collection[int], sources: Collection[int]) -> None:
        """Operations and sources whose numbers will be given again."""
        thing, number, other = _parts(self._past.keys())
        of_sources, gone = thing >= _Thing.CALLS, np.array(list(sources), np.int64)
        operations = ~of_sources & np.isin(number, np.array(list(units), np.int64))
        self._past.forget(operations | (of_sources & (np.isin(number, gone) | np.isin(other, gone))))

    def tallies(self, places: Collection[Resource]) -> Tallies:
        """Of these places."""
        keys, sources, operations = self._past.keys(), self.units.sources.keys, self.units.operations.keys
        wanted_places = set(places)
        of = [each is not None and each.resource in wanted_places for each in sources]
        operation_of = [each is not None and of[each.source] for each in operations]
        # one table for both: whose number is an operation's, and whose is a source's, and nobody at its end
        wanted = np.array([*operation_of, *of, False], np.bool_)
        number = keys >> _NUMBER_BITS + _BIN_BITS & ((1 << _NUMBER_BITS) - 1)
        number[keys >= _FIRST_OF_SOURCES] += len(operations)
        number[keys < 0] = -1
        which = wanted[number]
        things: Int64s = np.unique(keys[which] >> _BIN_BITS)
        series = [self._counted(each) for each in things.tolist()]
        return tallies(self._past, which, _BIN_BITS, series, things) if len(things) else NOTHING

    def _took(self, spans: Ended) -> None:
        """Spans by what they took without their children: those that wait for others apart."""
        known = (spans.own_ns >= 0) & (spans.start_ns > 0) & (spans.operation >= 0)
        began, waits = spans.start_ns // INTERVAL_NS, spans.asked >= 0
        alone, asking = np.flatnonzero(known & ~waits), np.flatnonzero(known & waits)
        took = bins(spans.own_ns[alone])
        self._count(_Thing.SPANS, began[alone], spans.operation[alone], took=took)
        took = bins(spans.own_ns[asking])
        self._count(_Thing.WAYS, began[asking], spans.source[asking], spans.asked[asking], took)

    def _count(
        self,
        thing: _Thing,
        began: Int64s,
        number: Int32s | Int64s,
        other: Int64s | None = None,
        took: Int64s | None = None,
        weight: Int64s | None = None,
    ) -> None:
        """Count things by interval: codes are packed, so that they are counted without being sorted."""
        known = number >= 0
        if not known.all():
            began, number = began[known], number[known]
            other, took, weight = (None if each is None else each[known] for each in (other, took, weight))
        if not len(began):
            return
        wide = 1 if other is None else int(other.max()) + 1
        code = number.astype(np.int64)
        code = code if other is None else code * wide + other
        code = code if took is None else code << _BIN_BITS | took
        first, size = int(began.min()), int(code.max()) + 1
        found, many = summed((began - first) * size + code, weight)
        after, code = np.divmod(found, size)
        bin_ = 0 if took is None else code & ((1 << _BIN_BITS) - 1)
        caller, callee = np.divmod(code if took is None else code >> _BIN_BITS, wide)
        key = ((int(thing) << _NUMBER_BITS | caller) << _NUMBER_BITS | callee) << _BIN_BITS | bin_
        self._past.add(first + after, key, many)

    def _counted(self, key: int) -> Counted | None:
        thing = _Thing(key >> 2 * _NUMBER_BITS)
        number, other = key >> _NUMBER_BITS & ((1 << _NUMBER_BITS) - 1), key & ((1 << _NUMBER_BITS) - 1)
        sources = self.units.sources
        if thing < _Thing.CALLS:
            source, name, _ = self.units.operations[number]
            place, name = sources[source].resource, name if len(name) <= _TEXT else f"{name[: _TEXT - 1]}…"
            match thing:
                case _Thing.REQUESTS:
                    return Counted(place, "requests", name, worse=False)
                case _Thing.FAILED:
                    return Counted(place, "failed", f"failed spans {name}", worse=True)
            return Counted(place, "spans", f"slow spans {name}", worse=True)
        place, callee = sources[number].resource, self.units.name(other)
        if thing == _Thing.CALLS:
            return Counted(place, "calls", f"calls of {callee}", worse=False, callee=callee)
        return Counted(place, "ways", f"slow ways to {callee}", worse=True, callee=callee)


_FIRST_OF_SOURCES = int(_Thing.CALLS) << 2 * _NUMBER_BITS + _BIN_BITS


def _parts(key: Int64s) -> tuple[Int64s, Int64s, Int64s]:
    """The thing, its number, and the other's number, of keys that may be forgotten (−1)."""
    mask = (1 << _NUMBER_BITS) - 1
    thing = key >> 2 * _NUMBER_BITS + _BIN_BITS
    return thing, key >> _NUMBER_BITS + _BIN_BITS & mask, key >> _BIN_BITS & mask


def _began(start_ns: Int64s, when_ns: Int64s) -> Int64s:
    """The number of the interval in which a span began; in which it ended, where that is not known."""
    known = (start_ns > 0) & (start_ns <= when_ns) & (when_ns - start_ns < _OLDEST_NS)
    return np.where(known, start_ns, when_ns) // INTERVAL_NS
