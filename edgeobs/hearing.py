"""Who is alive though its metrics are missing: logs and spans as signs of life."""

from collections.abc import Mapping, Sequence

import numpy as np

from edgeobs.signals import SECOND, Absence, Heartbeat, LogBatch, Resource, SpanBatch

LATE_NS = 120 * SECOND
"""Age from which a record tells of the past alone: it was held back in a queue."""
_ALIVE_NS = 10 * SECOND
_LATELY_NS = 30 * SECOND
_RUNS_NS = 600 * SECOND
_KNOWN_NS = 24 * 3600 * SECOND
_NO_METRICS = "the node's metrics are missing; its logs or spans go on"
_MOST_PLACES = 10_000


class Hearing:
    """When logs or spans last came from each node, who is heard at all, and what runs. Bounded."""

    def __init__(self) -> None:
        self.spoke: dict[Resource, int] = {}  # node → when logs or spans of now came from it, our clock
        self.running: dict[Resource, str] = {}  # what runs, down to the pod → its service
        self.streams: dict[Resource, dict[str, int]] = {}  # node → "logs", "spans" → when of now, our clock
        self._ran: dict[Resource, int] = {}
        self._alive: set[Resource] = set()

    def hear(self, batch: LogBatch | SpanBatch, now_ns: int) -> None:
        """Whoever says something of now is alive."""
        for each in batch.sources:
            place = each.resource
            if (place.pod or place.workload) and (place in self._ran or len(self._ran) < _MOST_PLACES):
                name = each.service() or self.running.get(place, "")
                self.running[place], self._ran[place] = name, now_ns
        kind, times = ("logs", batch.time_ns) if isinstance(batch, LogBatch) else ("spans", batch.end_ns)
        fresh = (times == 0) | (times > now_ns - LATE_NS)
        for number in np.unique(batch.source[fresh]).tolist():
            place = batch.sources[number].resource.place()
            if place.node and (place in self.spoke or len(self.spoke) < _MOST_PLACES):
                self.spoke[place] = now_ns
            if place.node and (place in self.streams or len(self.streams) < _MOST_PLACES):
                self.streams.setdefault(place, {})[kind] = now_ns

    def look(
        self, beats: Sequence[Heartbeat], absences: Sequence[Absence], now_ns: int
    ) -> tuple[list[Heartbeat], list[Absence]]:
        """Beats and absences, in which whoever sends logs or spans is alive (`still_heard`)."""
        self.spoke = {place: at for place, at in self.spoke.items() if 0 <= now_ns - at < LATE_NS}
        for place in [place for place, at in self._ran.items() if now_ns - at > _RUNS_NS]:
            del self.running[place], self._ran[place]
        gone = [p for p, of in self.streams.items() if now_ns - max(of.values()) > _KNOWN_NS]
        for place in gone:
            del self.streams[place]
        self._alive = {beat.place for beat in beats if beat.state in ("young", "alive")}
        self._alive |= {place for place, at in self.spoke.items() if now_ns - at < _LATELY_NS}
        return still_heard(beats, absences, self.spoke, now_ns)

    def alive(self, place: Resource) -> bool:
        """Whether anything came from a node within the last seconds, as of the last look."""
        return place in self._alive


def still_heard(
    beats: Sequence[Heartbeat], absences: Sequence[Absence], spoke: Mapping[Resource, int], now_ns: int
) -> tuple[list[Heartbeat], list[Absence]]:
    """Beats and absences, with logs and spans as signs of life: who still sends them is not silent.

    Its metrics are missing, and that is said. What was on its way when a node fell silent is no sign of life:
    only what came a second after its last metric, or later, and of late.
    """

    def alive(beat: Heartbeat) -> bool:
        at = spoke.get(beat.place, 0)
        return at - beat.heard_ns > SECOND and now_ns - at < max(_ALIVE_NS, 5 * beat.interval_ns)

    quiet = {beat.place: beat for beat in beats if beat.state in ("late", "silent")}
    living = {place for place, beat in quiet.items() if alive(beat)}
    if not living:
        return list(beats), list(absences)
    dead = [place for place in quiet if place not in living]
    kept: list[Absence] = []
    for each in absences:
        if each.scope == "node" and each.place in living:
            kept.append(Absence("exporter", each.place, each.since_ns, _NO_METRICS))
        elif each.scope in ("node", "exporter") or any(_within(place, each.place) for place in dead):
            kept.append(each)
    return [beat._replace(state="late") if beat.place in living else beat for beat in beats], kept


def without_metrics(
    beats: Sequence[Heartbeat], streams: Mapping[Resource, Mapping[str, int]], now_ns: int
) -> list[Heartbeat]:
    """Nodes that send logs or spans alone, as beats: for people, since nobody waits for these.

    ``streams`` is node → what it sends → when last. One heard in ten minutes is alive, after that it is
    retired, and never late or silent. A node whose logs say less of where it is than its metrics is one node.
    """
    known: dict[str, list[Resource]] = {}
    for beat in beats:
        known.setdefault(beat.place.node, []).append(beat.place)
    found = []
    for place, of in streams.items():
        if any(_same(place, other) for other in known.get(place.node, ())):
            continue
        at = max(of.values())
        found.append(Heartbeat(place, "alive" if now_ns - at <= _RUNS_NS else "retired", at, 0))
    return found


def _same(vague: Resource, node: Resource) -> bool:
    return vague.cluster in ("", node.cluster) and vague.zone in ("", node.zone)


def _within(node: Resource, wide: Resource) -> bool:
    return node.cluster == wide.cluster and wide.zone in ("", node.zone)
