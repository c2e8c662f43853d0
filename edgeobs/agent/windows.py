"""Which series are told raw, and for which time: those that are evidence of an incident, around its onset."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edgeobs.agent.recent import Recent, Samples
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Evidence, Identity, Incident, Int32s

_MOST = 256  # series followed at once


@dataclass(slots=True)
class _Followed:
    identity: Identity  # an id may be another's by now
    told_ns: int  # samples up to here were told, or are none of ours
    until_ns: int


class Windows:
    """Follows what incidents name; bounded.

    Parameters
    ----------
    before_s, after_s
        How long before and after its onset a window reaches, seconds.

    """

    def __init__(self, table: SeriesTable, before_s: float, after_s: float) -> None:
        self.table = table
        self._before_ns, self._after_ns = int(before_s * SECOND), int(after_s * SECOND)
        self._followed: dict[int, _Followed] = {}

    def __len__(self) -> int:
        return len(self._followed)

    def news(self, incidents: Iterable[Incident]) -> int:
        """Follow the series that incidents name; how many there was no room for."""
        left_out = 0
        for incident in incidents:
            for evidence in incident.evidence:
                if incident.state != "resolved" and evidence.source == "series":
                    left_out += self._follow(incident, evidence)
        return left_out

    def due(self, recent: Recent, now_ns: int) -> Samples:
        """What is to be told now: each sample once. Windows that have ended are let go."""
        if not self._followed:
            return Samples(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0))
        live = {n: f for n, f in self._followed.items() if self.table.identities[n] == f.identity}
        ids: Int32s = np.array(sorted(live), np.int32)
        after = np.array([live[n].told_ns for n in ids.tolist()], np.int64)
        until = np.array([live[n].until_ns for n in ids.tolist()], np.int64)
        found = recent.take(ids, after)
        inside = found.time_ns <= until[np.searchsorted(ids, found.series)]
        found = Samples(found.series[inside], found.time_ns[inside], found.value[inside])
        for number, time_ns in zip(found.series.tolist(), found.time_ns.tolist(), strict=True):
            live[number].told_ns = max(live[number].told_ns, time_ns)
        self._followed = {n: f for n, f in live.items() if f.until_ns >= now_ns}
        return found

    def _follow(self, incident: Incident, evidence: Evidence) -> int:
        number = self._find(incident, evidence)
        if number is None or number in self._followed:
            return 0
        if len(self._followed) >= _MOST:
            return 1
        identity = self.table[number]
        begins, ends = evidence.onset_ns - self._before_ns, evidence.onset_ns + self._after_ns
        self._followed[number] = _Followed(identity, begins - 1, ends)
        return 0

    def _find(self, incident: Incident, evidence: Evidence) -> int | None:
        """The series that evidence speaks of, by what it is called."""
        place = incident.place.place()
        for number, identity in enumerate(self.table.identities):
            if (
                identity is not None
                and identity.name == evidence.name
                and identity.labels == evidence.labels
                and identity.source.resource.place() == place
            ):
                return number
        return None
