"""Whose causes are looked for, and when: bounded, so that no decision waits for it."""

from collections import deque
from collections.abc import Iterable

from edgeobs.signals import SECOND, Incident

MOST_TOLD = 1000
"""Incidents remembered beside which another is looked at."""
AT_ONCE = 2
"""Incidents whose causes are looked for at one look; further ones wait for the next."""
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
            known = self._told.pop(each.id, None)
            if each.state != "resolved":
                self._told[each.id] = each
                self._due[each.id] = None
            elif known is not None:
                self._asked_ns.pop(each.id, None)
                self._former.append(each)
        while len(self._told) > MOST_TOLD:
            gone = next(iter(self._told))
            self._asked_ns.pop(gone, None)
            del self._told[gone]

    def due(self, now_ns: int) -> list[Incident]:
        """Whose causes to look for now; they count as looked for."""
        for name, asked_ns in self._asked_ns.items():
            young = now_ns - self._told[name].opened_ns < YOUNG_NS
            if young and now_ns - asked_ns >= AGAIN_NS:
                self._due.setdefault(name)
        found = []
        for name in list(self._due)[:AT_ONCE]:
            del self._due[name]
            if (one := self._told.get(name)) is not None:
                self._asked_ns[name] = now_ns
                found.append(one)
        return found

    def told(self) -> list[Incident]:
        """Those that are not resolved."""
        return list(self._told.values())

    def former(self, now_ns: int) -> list[Incident]:
        """Those resolved of late."""
        return [each for each in self._former if now_ns - each.resolved_ns < FORMER_NS]
