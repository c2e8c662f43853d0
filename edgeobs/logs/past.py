"""Lines of late, by pod, template and severity, for whoever asks what changed (`edgeobs.past`)."""

from collections.abc import Collection, Sequence

import numpy as np

from edgeobs.columns import grown
from edgeobs.logs.counting import Groups
from edgeobs.logs.workloads import Workloads
from edgeobs.past import INTERVAL_NS, Counted, Past, Tallies, tallies
from edgeobs.signals import SEVERITIES, Int64s, Resource, Source

_BITS = 24  # of the number of a template here; when they are used up, all is forgotten and begun anew
_SEVERITY_BITS = 3
_MOST_PLACES = 1 << 16  # remembered, of which no line may be left
_BELOW = _BITS + _SEVERITY_BITS
_TEXT = 80  # characters of a template
_WORSE = frozenset({"warn", "error", "fatal"})


class LinesPast:
    """The ring, and numbers by place and template. Keys: place, template, severity.

    The book gives a template's number again, so each has a number here that is its own for good: to forget a
    template costs no look at the ring.
    """

    def __init__(self) -> None:
        self._past = Past()
        self._places: dict[Resource, int] = {}
        self._own = np.zeros(0, np.int64)  # by template + 1; 0: none yet
        self._given = self._placed = 0

    def add(self, sources: Sequence[Source], groups: Groups, span_ns: int) -> None:
        """Count lines, whose intervals are ``span_ns`` long: longer than ours tell of their beginning."""
        self._make_room(len(sources), len(groups.many))
        speaking = np.unique(groups.source)
        place = np.zeros(len(sources), np.int64)
        place[speaking] = [self._place_of(sources[number].resource) for number in speaking.tolist()]
        key = place[groups.source] << _BELOW
        key |= self._own_of(groups.template) << _SEVERITY_BITS | groups.severity
        self._past.add(groups.interval * span_ns // INTERVAL_NS, key, groups.many)

    def forget(self, templates: Sequence[int]) -> None:
        """Templates whose numbers will be given again."""
        self._own = grown(self._own, max(templates, default=-1) + 2, 0)
        self._own[np.array(templates, np.int64) + 1] = 0

    def tallies(self, places: Collection[Resource], workloads: Workloads) -> Tallies:
        """Of these places."""
        numbers = {self._places[place]: place for place in places if place in self._places}
        template = {own: number - 1 for number, own in enumerate(self._own.tolist()) if own}
        key = self._past.keys()
        wanted = np.zeros(self._placed + 1, np.bool_)
        wanted[list(numbers)] = True
        which = wanted[key >> _BELOW]
        things: Int64s = np.unique(key[which])
        series = []
        for thing in things.tolist():
            own, severity = thing >> _SEVERITY_BITS & ((1 << _BITS) - 1), thing & ((1 << _SEVERITY_BITS) - 1)
            known = own in template
            series.append(
                _counted(numbers[thing >> _BELOW], template[own], severity, workloads) if known else None
            )
        return tallies(self._past, which, 0, series, things)

    def _make_room(self, places: int, templates: int) -> None:
        """Let go of places of which no line is left; of all, where numbers run out or too many are left."""
        if len(self._places) + places > _MOST_PLACES:
            left = set(np.unique(self._past.keys() >> _BELOW).tolist())
            self._places = {place: number for place, number in self._places.items() if number in left}
        many = len(self._places) + places > _MOST_PLACES
        if many or self._placed + places + self._given + templates >= 1 << _BITS:
            self._past, self._places, self._own = Past(), {}, np.zeros(0, np.int64)
            self._given = self._placed = 0

    def _place_of(self, place: Resource) -> int:
        number = self._places.setdefault(place, self._placed)
        self._placed += number == self._placed
        return number

    def _own_of(self, template: Int64s) -> Int64s:
        """Numbers here, given to those that have none; the first of all to lines without a template (−1)."""
        at = template + 1
        self._own = grown(self._own, int(at.max(initial=0)) + 1, 0)
        new = np.unique(at[self._own[at] == 0])
        self._own[new] = self._given + 1 + np.arange(len(new))
        self._given += len(new)
        return self._own[at]


def _counted(place: Resource, template: int, severity: int, workloads: Workloads) -> Counted:
    owner = int(workloads.book.owner[template]) if template >= 0 else -1
    text = " ".join(workloads.miners[owner].tree.words[template]) if owner >= 0 else "other"
    text = text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"
    level = SEVERITIES[severity]
    return Counted(place, "lines", f"{level or 'other'} lines “{text}”", level in _WORSE)
