"""Whose causes are looked for, and when: bounded, so that no decision waits for it."""

from collections import deque
from collections.abc import Iterable

from edgeobs.signals import SECOND, Incident

MOST_TOLD = 1000
"""Incidents remembered beside which another is looked at."""
AT_ONCE = 1
"""Incidents whose causes are looked for at one look; further ones wait for the next. One takes up to a
quarter of a second, where hundreds of pods log and trace.
"""
AGAIN_NS, YOUNG_NS = 30 * SECOND, 300 * SECOND
"""How often causes are looked for again while an incident is young: they get clearer."""
MOST_FORMER, FORMER_NS = 200, 3600 * SECOND
"""Resolved incidents that are remembered, and for how long: what was then is not usual."""


class Inquiry:
    """Incidents as they last changed, and which of them are due."""

    def __init__(self) -> None:
        self._told: dict[str, Incident] = {}  # by id
        self._due: dict[str, None] = {}  # ids, first come first served
        self._asked_ns: dict[str, int] = {}  # by id, when its causes were last looked for
        self._former: deque[Incident] = deque(maxlen=MOST_FORMER)

    def note(self, changed: Iterable[Incident]) -> None:
        """These changed."""
        for each in changed:
            if each.state != "resolved":
                self._told.pop(each.id, None)
                self._told[each.id] = each
                self._due[each.id] = None
            elif each.id in self._told:
                self._drop(each.id)
                self._former.append(each)
        while len(self._told) > MOST_TOLD:
            self._drop(next(iter(self._told)))

    def due(self, now_ns: int) -> list[Incident]:
        """Whose causes to look for now; they count as looked for."""
        for name, asked_ns in self._asked_ns.items():
            young = now_ns - self._told[name].opened_ns < YOUNG_NS
            if young and now_ns - asked_ns >= AGAIN_NS:
                self._due.setdefault(name)
        found = list(self._due)[:AT_ONCE]
        for name in found:
            del self._due[name]
            self._asked_ns[name] = now_ns
        return [self._told[name] for name in found]

    def told(self) -> list[Incident]:
        """Those that are not resolved."""
        return list(self._told.values())

    def former(self, now_ns: int) -> list[Incident]:
        """Those resolved of late."""
        return [each for each in self._former if now_ns - each.resolved_ns < FORMER_NS]

    def _drop(self, name: str) -> None:
        del self._told[name]
        self._due.pop(name, None)
        self._asked_ns.pop(name, None)
