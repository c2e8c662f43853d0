"""All detectors as one stage: samples in, scores of series and of nodes out."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.changes import Changes
from edgeobs.detect.contract import Detector, State
from edgeobs.detect.feedback import Feedback
from edgeobs.detect.node import NodeBank, NodeScores
from edgeobs.detect.peers import Peers
from edgeobs.detect.shifts import Shifts
from edgeobs.series import SeriesTable
from edgeobs.signals import (
    SECOND,
    Batch,
    Bools,
    Counts,
    Floats,
    Int32s,
    Int64s,
    Joint,
    Resource,
    Scores,
)

ERRORS = "edgeobs_detector_errors_total"
LOOK_S = 5.0
"""Seconds between two looks at a node as a whole, at the least: it costs as much as all of its series."""
_PARTS = 5  # series named in what a node is as a whole
_TEXT = 120  # characters of a series' name


class Detection:
    """Every detector of series scores every sample, the highest counts; nodes are scored as a whole.

    A detector that raises is left out of that step and counted: it may not stop the others.

    Parameters
    ----------
    table
        Who the series are.
    detectors
        By name; of series.
    nodes
        Of nodes; None: none.
    changes
        Which series are to be learned anew.
    feedback
        What operators said of scores.
    shifts
        Which levels moved unannounced; None: nobody asks.
    counts
        Where failures are counted.

    """

    def __init__(
        self,
        table: SeriesTable,
        detectors: Mapping[str, Detector],
        nodes: NodeBank | None,
        changes: Changes,
        feedback: Feedback,
        counts: Counts,
        shifts: Shifts | None = None,
    ) -> None:
        self.table, self.counts = table, counts
        self.detectors = dict(detectors)
        self.nodes, self.changes, self.feedback, self.shifts = nodes, changes, feedback, shifts

    def score_learn(self, batch: Batch, now_ns: int) -> Scores | None:
        """Score and learn; None when no detector could. What says that it changed is learned anew first."""
        self._relearn(batch, now_ns)
        self._adopt(batch)
        best: Scores | None = None
        for name, detector in self.detectors.items():
            try:
                scores = detector.score_learn(batch.series, batch.time_ns, batch.value)
            except Exception:  # noqa: BLE001  a detector is a plug-in: its failure may not stop the others
                self.counts[ERRORS, name] += 1
                continue
            best = scores if best is None else higher(best, scores)
        if best is None or not len(self.feedback):
            return best
        return replace(best, score=self.feedback.apply(batch.series, best.score, now_ns))

    def joint(self, batch: Batch, scores: Scores) -> NodeScores | None:
        """Score the ticks of nodes that close with these samples; what is late belongs to none.

        Of series that speak more often than every `LOOK_S` seconds, a sample in so many is looked at.
        """
        if self.nodes is None:
            return None
        rows = np.flatnonzero(~batch.late & _looked_at(batch.time_ns, scores.interval_s))
        if not len(rows):
            return None
        try:
            return self.nodes.score_learn(batch.series[rows], batch.time_ns[rows], batch.value[rows])
        except Exception:  # noqa: BLE001  as above
            self.counts[ERRORS, "node"] += 1
            return None

    def told(self, found: NodeScores, rows: Int32s, batch: Batch, scores: Scores) -> list[Joint]:
        """Some ticks, for people: with the series that have most to do with each.

        How often a node speaks is told by the samples of the batch that closed its tick.
        """
        return [
            self._tell(found, row, self._usual_s(int(found.node[row]), batch, scores))
            for row in rows.tolist()
        ]

    def announce(self, place: Resource, now_ns: int) -> None:
        """Something was done at a place by ourselves: what it is like from now on is its new normal."""
        self._anew(self.changes.announce(place, now_ns).ids)

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        for detector in self.detectors.values():
            detector.forget(ids)
        if self.nodes is not None:
            self.nodes.forget(ids)
        if self.shifts is not None:
            self.shifts.forget(ids)
        self.changes.forget(ids)
        self.feedback.forget(ids)

    def state(self) -> dict[str, State]:
        """What was learned, by stage; copies. What operators said is not in it: it is heard again."""
        states = {f"detect.{name}": detector.state() for name, detector in self.detectors.items()}
        if self.nodes is not None:
            states["detect.node"] = self.nodes.state()
        if self.shifts is not None:
            states["shifts"] = self.shifts.state()
        return states | {"changes": self.changes.state()}

    def restore(self, states: Mapping[str, State]) -> None:
        """Take up a `state`; what is not in it starts with nothing learned. ValueError with the reason."""
        for name, detector in self.detectors.items():
            if f"detect.{name}" in states:
                detector.restore(states[f"detect.{name}"])
        if self.nodes is not None and "detect.node" in states:
            self.nodes.restore(states["detect.node"])
        if self.shifts is not None and "shifts" in states:
            self.shifts.restore(states["shifts"])
        if "changes" in states:
            self.changes.restore(states["changes"])

    def _adopt(self, batch: Batch) -> None:
        """Series that nobody has seen begin with what their peers know."""
        bank, peers = self.detectors.get("series"), self.detectors.get("peers")
        if not (isinstance(bank, SeriesBank) and isinstance(peers, Peers)):
            return
        new = np.flatnonzero(bank.unseen(batch.series))
        if len(new):
            ids, first = np.unique(batch.series[new], return_index=True)
            prior = peers.prior(ids)
            bank.adopt(ids, prior.mean, np.hypot(prior.sd, prior.between), batch.time_ns[new[first]])

    def _relearn(self, batch: Batch, now_ns: int) -> None:
        if len(batch.series):
            self._anew(self.changes.observe(batch.series, batch.value, now_ns).ids)
        if self.shifts is not None:
            moved = self.shifts.observe(batch.series, batch.value)
            self._anew(self.changes.shifted(moved, now_ns).ids)

    def _anew(self, ids: Int32s) -> None:
        if not len(ids):
            return
        self.counts["edgeobs_series_relearned_total",] += len(ids)
        for detector in self.detectors.values():
            if isinstance(detector, SeriesBank):
                detector.relearn(ids)
        if self.nodes is not None:
            nodes = np.unique(self.table.node[ids])
            self.nodes.relearn(nodes[nodes >= 0])

    def _usual_s(self, node: int, batch: Batch, scores: Scores) -> float:
        if not len(scores.interval_s):
            return LOOK_S
        mine = scores.interval_s[self.table.node[batch.series] == node]
        return max(LOOK_S, float(np.median(mine))) if len(mine) else LOOK_S

    def _tell(self, found: NodeScores, row: int, usual_s: float) -> Joint:
        mine = slice(int(found.first[row]), int(found.first[row + 1]))
        share, series = found.share[mine], found.series[mine]
        strongest = np.argsort(-share, kind="stable")[:_PARTS]
        total = float(np.maximum(share, 0.0).sum()) or 1.0
        parts = tuple(
            (self.table[int(series[at])].text()[:_TEXT], float(share[at]) / total)
            for at in strongest.tolist()
        )
        place = self.table.nodes[int(found.node[row])].resource.place()
        at_ns, score, raw = int(found.time_ns[row]), float(found.score[row]), float(found.raw[row])
        return Joint(place, at_ns, score, raw, usual_s, parts)


def _looked_at(time_ns: Int64s, interval_s: Floats) -> Bools:
    """One sample of each series in every `LOOK_S` seconds of its own time, whatever the batches."""
    if not len(interval_s):
        return np.ones(len(time_ns), np.bool_)
    since = time_ns % int(LOOK_S * SECOND)
    return (since < interval_s * SECOND) | (interval_s >= LOOK_S)


def higher(one: Scores, other: Scores) -> Scores:
    """Sample by sample, whichever is more surprised."""
    which = other.score > one.score

    def column(a: Floats, b: Floats) -> Floats:
        return np.where(which, b, a)

    def longer(a: Floats, b: Floats) -> Floats:
        return a if len(a) else b

    none = np.zeros(len(which), np.int8)
    return Scores(
        column(one.score, other.score),
        column(one.expected, other.expected),
        column(one.spread, other.spread),
        np.where(which, other.view if len(other.view) else none, one.view if len(one.view) else none),
        longer(one.interval_s, other.interval_s),
    )
