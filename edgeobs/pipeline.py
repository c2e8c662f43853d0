"""The synchronous core: step(points, now) → outputs. It knows no clock and does no I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeobs.detect import Detection
from edgeobs.detect.absence import Heartbeats
from edgeobs.features import Features
from edgeobs.incidents import Incidents
from edgeobs.incidents.promise import LEAST, opening
from edgeobs.remediate import (
    ClusterView,
    FleetView,
    MemoryCluster,
    Operation,
    Remediation,
    Switches,
    fleet_view,
)
from edgeobs.series import SeriesTable, TableState
from edgeobs.signals import (
    SECOND,
    Absence,
    Batch,
    Counts,
    Decision,
    ExternalAlert,
    Floats,
    Heartbeat,
    Incident,
    Int32s,
    Joint,
    LogBatch,
    Points,
    Scores,
    Sign,
    SpanBatch,
)
from edgeobs.streams import Streams, both, both_scores
from edgeobs.suspects import suspects
from edgeobs.traces import Hint

Arrays = dict[str, NDArray[Any]]

_T = TypeVar("_T")
_HEARTBEATS = "heartbeats"  # as a part that may fail
_FADE = 0.8  # of a node's score on the page, at every look
MOVES_WORK = frozenset({"reschedule", "drain", "release", "failover", "playbook"})
_TOLD = 1000  # incidents remembered beside which a new one is looked at
_SUSPECTED = 2  # incidents whose causes are looked for at one look; further ones wait for the next
_SELDOM = 1.0  # log₁₀ of the seconds between samples of logs and spans
EXPIRY_NS = 30 * SECOND
"""Time between two looks for series that went idle."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What one step brought about, in order."""

    scored: int = 0
    incidents: tuple[Incident, ...] = ()
    decisions: tuple[Decision, ...] = ()


class Pipeline:
    """The stages, joined.

    Parameters
    ----------
    table, features, detection, heartbeats, incidents, remediation, cluster
        The stages.
    look_ns
        Time between two looks at who is silent.
    idle_ns
        Time without a sample after which a series is forgotten.
    opted_in
        Whether nodes that are heard opt in by that, where there is no cluster to ask.
    switches
        What people and the election say now.
    streams
        The stages of logs and spans; None: there are none.

    """

    def __init__(
        self,
        *,
        table: SeriesTable,
        features: Features,
        detection: Detection,
        heartbeats: Heartbeats,
        incidents: Incidents,
        remediation: Remediation,
        cluster: ClusterView,
        counts: Counts,
        look_ns: int,
        idle_ns: int,
        opted_in: bool = False,
        switches: Callable[[], Switches] = Switches,
        streams: Streams | None = None,
    ) -> None:
        self.table, self.features, self.detection = table, features, detection
        self.heartbeats, self.incidents, self.remediation = heartbeats, incidents, remediation
        self.cluster, self.counts, self.switches = cluster, counts, switches
        self.streams = streams or Streams(None, None, detection.parts)
        self.observer: Callable[[Batch, Scores], None] | None = None  # told of every sample's score
        self.journal = ""  # why decisions cannot be put on record; empty while they can
        self.beats: list[Heartbeat] = []
        self.absences: list[Absence] = []
        self.node_score = np.zeros(0)  # by node id: the strongest recent score, decades
        self.scored = 0
        self._look_ns, self._idle_ns, self._opted_in = look_ns, idle_ns, opted_in
        self._again: list[ExternalAlert] = []
        self._looked_ns = 0
        self._expired_ns = 0
        self._told: dict[str, Incident] = {}  # by id, as they last changed
        self._unasked: dict[str, None] = {}  # ids of those whose causes were not looked for since

    def step(
        self,
        points: Points,
        now_ns: int,
        evidence_ns: int = 0,
        alerts: Sequence[ExternalAlert] = (),
        stream: LogBatch | SpanBatch | None = None,
    ) -> Outputs:
        """Take points, foreign alerts, logs or spans in, let time pass, decide.

        Parameters
        ----------
        points
            Of one request; `Points.none()` only lets time pass.
        now_ns
            Our clock.
        evidence_ns
            When the last byte of the request had arrived; 0: now.
        alerts
            Foreign alerts not seen before.
        stream
            Logs or spans of one request.

        """
        if stream is not None:
            self.streams.take(stream, now_ns)
        batch = self.features.apply(points, now_ns)
        for ids in (points.series, points.distributions.series):
            self._beating(now_ns, partial(self.heartbeats.heard, ids, now_ns), None)
        scores = self._score(batch, now_ns)
        if self.observer is not None:
            self.observer(batch, scores)
        joint = self._joint(batch, scores)
        closed = self.streams.close(now_ns)
        if len(closed.points.series):
            batch, scores = self._with(batch, scores, closed.points, now_ns)
        looks = now_ns - self._looked_ns >= self._look_ns or now_ns < self._looked_ns
        if looks:
            self._look(now_ns)
        alerts = [*self._again, *alerts]
        self._again = []
        changed = self.incidents.step(
            batch, scores, self.absences, alerts, now_ns, joint, self._counted(closed.signs)
        )
        fleet = partial(self.fleet, now_ns)
        decisions = self.remediation.step(self.incidents.active, changed, fleet, now_ns)
        stamped = tuple(replace(d, evidence_ns=evidence_ns or now_ns) for d in decisions)
        self._suspect(changed, looks, now_ns)
        return Outputs(len(batch.series), tuple(changed), stamped)

    def services(self, now_ns: int) -> dict[str, Any]:
        """Who calls whom, of late, with the edges marked that are surprising (`traces.graph`)."""
        return self.streams.services(opening(_SELDOM, self.incidents.settings), now_ns)

    def hints(self, now_ns: int) -> tuple[Hint, ...]:
        """Traces worth keeping now: of what is as surprising as a marked edge."""
        return self.streams.hints(opening(_SELDOM, self.incidents.settings), now_ns)

    def score_of(self, node: int) -> float:
        """The strongest recent score of a node's series, decades; fades within seconds."""
        return float(self.node_score[node]) if node < len(self.node_score) else 0.0

    def state(self) -> dict[str, Arrays]:
        """What was learned, by stage; copies."""
        own = {"features": self.features.state(), "heartbeats": self.heartbeats.state()}
        return self.detection.state() | self.streams.state() | own

    def restore_state(self, table: TableState, owners: Sequence[int], stages: Mapping[str, Arrays]) -> None:
        """Take up a `state` in a pipeline that has seen nothing; ValueError with the reason.

        A stage that is not in it (a detector new in the configuration) starts with nothing learned. After
        an error nothing is restored: half of what was learned is worse than none.
        """
        missing = sorted({"features", "heartbeats"} - stages.keys())
        if missing:
            raise ValueError(f"the snapshot has no {' and no '.join(missing)}")
        nothing = self.state()
        self.table.restore(table, owners)
        try:
            self._restore(stages)
        except ValueError:
            self.table.drop(range(len(self.table.identities)))
            self.table.drop_nodes([*self.table.by_place.values()])
            self._restore(nothing)
            raise

    def _restore(self, stages: Mapping[str, Arrays]) -> None:
        self.detection.restore(stages)
        self.streams.restore(stages)
        self.features.restore(stages["features"])
        self.heartbeats.restore(stages["heartbeats"])

    def restore_history(
        self,
        incidents: Sequence[Incident],
        decisions: Sequence[Decision],
        alerts: Sequence[ExternalAlert],
        now_ns: int,
    ) -> None:
        """Take up what the store kept, after `restore_state`; all oldest first."""
        self.incidents.restore_incidents(incidents, now_ns)
        beats = self.heartbeats
        self.remediation.restore(decisions, self.incidents.active(), now_ns, beats.last_ns, beats.running_ns)
        self._again = list(alerts)

    def fleet(self, now_ns: int) -> FleetView:
        """What telemetry and the cluster together say."""
        switches, cluster = self.switches(), self.cluster
        return fleet_view(
            self.beats, cluster.inventory(now_ns).nodes.values(), self.remediation.settings, self.journal,
            age_ns=cluster.age_ns(), stale_ns=cluster.stale_ns, leader=switches.leader,
            paused=switches.paused, vetoed=switches.vetoed, approved=switches.approved,
        )  # fmt: skip

    def told(self, operation: Operation, now_ns: int) -> None:
        """What has become of an operation.

        What moved work makes its node another: that is learned anew once the operation is over, not before,
        so that whether it helped is seen against what was normal before it.
        """
        self.remediation.told(operation)
        if operation.over and operation.action.verb in MOVES_WORK and operation.memo.get("marked"):
            self.detection.announce(operation.action.target, now_ns)

    def _look(self, now_ns: int) -> None:
        """Who is silent, and which series are forgotten."""
        self._looked_ns = now_ns
        beats = self._beating(now_ns, partial(self.heartbeats.beats, now_ns), self.beats)
        absences = self._beating(now_ns, partial(self.heartbeats.absences, now_ns), self.absences)
        if _HEARTBEATS in self.detection.failing(now_ns):
            # Who speaks is not known: nobody counts as heard, and no absence comes or goes for it.
            beats, absences = [], self.absences
        else:
            beats, absences = self.streams.hearing.look(beats, absences, now_ns)
        self.beats, self.absences = beats, absences
        if isinstance(self.cluster, MemoryCluster):
            self.cluster.learn(self.beats, opted_in=self._opted_in)
        self.node_score *= _FADE
        if now_ns - self._expired_ns >= EXPIRY_NS:
            self._expired_ns = now_ns
            self._expire(now_ns)

    def _expire(self, now_ns: int) -> None:
        gone = self.table.expire(now_ns - self._idle_ns)
        if gone.size:
            self.counts["edgeobs_series_expired_total",] += int(gone.size)
            self.features.forget(gone)
            self._beating(now_ns, partial(self.heartbeats.forget, gone), None)
            self.detection.forget(gone)
            self.streams.forget(gone)
        self._forget_nodes(now_ns)

    def _beating(self, now_ns: int, what: Callable[[], _T], otherwise: _T) -> _T:
        """What the heartbeats answer; ``otherwise`` when they raise: that stops nobody else."""
        return self.detection.parts.ask(_HEARTBEATS, now_ns, what, otherwise)

    def _forget_nodes(self, now_ns: int) -> None:
        """Nodes silent for so long that they are retired, once no series of theirs lives."""
        named = np.unique(self.table.node[: len(self.table.identities)])
        retired = [beat.place for beat in self.beats if beat.state == "retired"]
        gone = {self.table.by_place[place]: place for place in retired if place in self.table.by_place}
        numbers = [number for number in gone if number not in named]
        if not numbers:
            return
        self.table.drop_nodes(numbers)
        self._beating(now_ns, partial(self.heartbeats.forget_nodes, numbers), None)
        if isinstance(self.cluster, MemoryCluster):
            self.cluster.forget(gone[number] for number in numbers)
        self.node_score[[number for number in numbers if number < len(self.node_score)]] = 0.0
        self.beats = [beat for beat in self.beats if beat.place in self.table.by_place]

    def _with(self, batch: Batch, scores: Scores, points: Points, now_ns: int) -> tuple[Batch, Scores]:
        """Samples and scores, and those of logs and spans. These say of no node that it is alive, since they
        are ours, and have no part in a node as a whole: there is one of each template and operation.
        """
        more = self.features.apply(points, now_ns)
        found = self._score(more, now_ns)
        if self.observer is not None:
            self.observer(more, found)
        high = np.flatnonzero(found.score >= LEAST)
        self.streams.surprising(more.series[high], more.time_ns[high], found.score[high], now_ns)
        return both(batch, more), both_scores(scores, found)

    def _suspect(self, changed: Sequence[Incident], looks: bool, now_ns: int) -> None:
        """Look for what is likely to have caused incidents that changed; from then on they tell of it.

        A few at each look, so that no decision waits for it. A part that may fail alone.
        """
        for each in changed:
            self._told.pop(each.id, None)
            if each.state != "resolved":
                self._told[each.id] = each
                self._unasked[each.id] = None
        while len(self._told) > _TOLD:
            del self._told[next(iter(self._told))]
        if not (looks and self._unasked):
            return
        others, edges = list(self._told.values()), self.streams.edges(now_ns)
        for name in list(self._unasked)[:_SUSPECTED]:
            del self._unasked[name]
            if (one := self._told.get(name)) is not None:
                find = partial(suspects, one, others, self.streams.hearing.running, edges)
                found = self.detection.parts.ask("causes", now_ns, find, one.suspects)
                self.incidents.suspect(one.place, found)

    def _counted(self, signs: Sequence[Sign]) -> Sequence[Sign]:
        for sign in signs:
            self.counts["edgeobs_signs_total", sign.kind] += 1
        return signs

    def _score(self, batch: Batch, now_ns: int) -> Scores:
        """The highest of all detectors' scores; none where nobody could say."""
        n = len(batch.series)
        scores = self.detection.score_learn(batch, now_ns) if n or len(batch.restarted) else None
        if scores is None:
            return Scores(np.zeros(n), np.full(n, np.nan), np.full(n, np.nan))
        self.scored += n
        self.counts["edgeobs_samples_scored_total",] += n
        self._node_scores(self.table.node[batch.series], scores.score)
        return scores

    def _joint(self, batch: Batch, scores: Scores) -> list[Joint]:
        """Nodes that are surprising as a whole, or were a moment ago."""
        found = self.detection.joint(batch, scores)
        if found is None or not len(found.node):
            return []
        self._node_scores(found.node, found.score)
        wanted = found.score >= LEAST
        if self.incidents.wholes:
            followed = [self.table.by_place.get(place, -1) for place in self.incidents.wholes]
            wanted |= np.isin(found.node, followed)
        return self.detection.told(found, np.flatnonzero(wanted).astype(np.int32), batch, scores)

    def _node_scores(self, nodes: Int32s, score: Floats) -> None:
        """Remember the strongest score of each node; `_look` lets it fade."""
        high = np.flatnonzero(score >= 1.0)
        missing = len(self.table.nodes) - len(self.node_score)
        if missing > 0:
            self.node_score = np.append(self.node_score, np.zeros(2 * missing))
        named = high[nodes[high] >= 0]
        np.maximum.at(self.node_score, nodes[named], score[named])
