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
        self._given = 0

    def add(self, sources: Sequence[Source], groups: Groups, span_ns: int) -> None:
        """Count lines, whose intervals are ``span_ns`` long: longer than ours tell of their beginning."""
        if len(self._places) + len(sources) + self._given + len(groups.many) >= 1 << _BITS:
            self._past, self._places, self._own, self._given = Past(), {}, np.zeros(0, np.int64), 0
        places = [self._places.setdefault(each.resource, len(self._places)) for each in sources]
        key = np.array(places, np.int64)[groups.source] << _BELOW
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
        wanted = np.zeros(len(self._places) + 1, np.bool_)
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
