"""All detectors as one stage: samples in, scores of series and of nodes out."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.changes import Changes
from edgeobs.detect.contract import Detector, State
from edgeobs.detect.feedback import Feedback
from edgeobs.detect.node import NodeBank, NodeScores
from edgeobs.detect.parts import Parts
from edgeobs.detect.peers import Peers
from edgeobs.detect.roles import Roles
from edgeobs.detect.shifts import Shifts
from edgeobs.detect.whole import joint, looked_at
from edgeobs.series import SeriesTable
from edgeobs.signals import (
    Batch,
    Counts,
    Floats,
    Int32s,
    Joint,
    Resource,
    Scores,
)

_NOBODY = np.zeros(0, np.int32)
_DETECTORS = "detect."  # in front of the names of detectors in a snapshot
_T = TypeVar("_T")


class Detection:
    """Every detector of series scores every sample, the highest counts; nodes are scored as a whole.

    A part that raises is left out of that step, counted and marked (`failing`): it may not stop the others.
    Parts are the detectors by name, and ``node``, ``changes``, ``shifts``, ``peers.prior``,
    ``roles`` and ``feedback``.

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
    roles
        What series are to people; None: all are alike.
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
        roles: Roles | None = None,
    ) -> None:
        self.table, self.counts, self.parts = table, counts, Parts(counts)
        self._now_ns = 0
        self.detectors = dict(detectors)
        self.nodes, self.changes, self.feedback, self.shifts = nodes, changes, feedback, shifts
        self.roles = roles

    def score_learn(self, batch: Batch, now_ns: int) -> Scores | None:
        """Score and learn; None when no detector could. What says that it changed is learned anew first."""
        self._now_ns = now_ns
        self._relearn(batch)
        self._ask("peers.prior", partial(self._adopt, batch), None)
        best: Scores | None = None
        for name, detector in self.detectors.items():
            best = self._ask(name, partial(_with, best, detector, batch), best)
        if best is not None and self.roles is not None:
            moved = partial(self.roles.apply, batch.series, best.score)
            best = replace(best, score=self._ask("roles", moved, best.score))
        if best is None or not len(self.feedback):
            return best
        apply = partial(self.feedback.apply, batch.series, best.score, now_ns)
        return replace(best, score=self._ask("feedback", apply, best.score))

    def failing(self, now_ns: int) -> dict[str, str]:
        """The parts that failed within the last minute, and why."""
        return self.parts.failing(now_ns)

    def census(self) -> dict[str, dict[str, int]]:
        """By detector that has models of its own: how many there are, by state."""
        return {name: each.census() for name, each in self.detectors.items() if isinstance(each, _Peopled)}

    def joint(self, batch: Batch, scores: Scores) -> NodeScores | None:
        """Score the ticks of nodes that close with these samples; what is late belongs to none.

        Of series that speak more often than every `LOOK_S` seconds, a sample in so many is looked at.
        """
        if self.nodes is None:
            return None
        rows = np.flatnonzero(~batch.late & looked_at(batch.time_ns, scores.interval_s))
        if not len(rows):
            return None
        look = partial(self.nodes.score_learn, batch.series[rows], batch.time_ns[rows], batch.value[rows])
        return self._ask("node", look, None)

    def told(self, found: NodeScores, rows: Int32s, batch: Batch, scores: Scores) -> list[Joint]:
        """Some ticks, for people: with the series that have most to do with each.

        How often a node speaks is told by the samples of the batch that closed its tick.
        """
        tell = partial(joint, self.table, found, batch, scores)
        told = [self._ask("node", partial(tell, row), None) for row in rows.tolist()]
        return [each for each in told if each is not None]

    def announce(self, place: Resource, now_ns: int) -> None:
        """Something was done at a place by ourselves: what it is like from now on is its new normal."""
        self._now_ns = now_ns
        self._anew(self._ask("changes", lambda: self.changes.announce(place, now_ns).ids, _NOBODY))

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        for name, part in self._learners().items():
            self._ask(name.removeprefix(_DETECTORS), partial(part.forget, ids), None)
        self._ask("feedback", partial(self.feedback.forget, ids), None)
        if self.roles is not None:
            self._ask("roles", partial(self.roles.forget, ids), None)

    def state(self) -> dict[str, State]:
        """What was learned, by stage; copies. What operators said is not in it: it is heard again."""
        found = {
            name: self._ask(name.removeprefix(_DETECTORS), part.state, None)
            for name, part in self._learners().items()
        }
        return {name: state for name, state in found.items() if state is not None}

    def restore(self, states: Mapping[str, State]) -> None:
        """Take up a `state`; what is not in it starts with nothing learned. ValueError with the reason."""
        for name, part in self._learners().items():
            if name in states:
                part.restore(states[name])

    def _learners(self) -> dict[str, "_Learner"]:
        """What has a state, by its name in a snapshot."""
        found: dict[str, _Learner] = {f"{_DETECTORS}{name}": each for name, each in self.detectors.items()}
        if self.nodes is not None:
            found[f"{_DETECTORS}node"] = self.nodes
        if self.shifts is not None:
            found["shifts"] = self.shifts
        return found | {"changes": self.changes}

    def _ask(self, part: str, what: Callable[[], _T], otherwise: _T) -> _T:
        return self.parts.ask(part, self._now_ns, what, otherwise)

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

    def _relearn(self, batch: Batch) -> None:
        now_ns = self._now_ns
        if len(batch.series):
            observe = partial(self.changes.observe, batch.series, batch.value, now_ns)
            self._anew(self._ask("changes", lambda: observe().ids, _NOBODY))
        if len(batch.restarted):
            restarted = partial(self.changes.restarted, batch.restarted, now_ns)
            self._anew(self._ask("changes", lambda: restarted().ids, _NOBODY))
        if self.shifts is not None:
            moved = self._ask("shifts", partial(self.shifts.observe, batch.series, batch.value), _NOBODY)
            self._anew(self._ask("changes", lambda: self.changes.shifted(moved, now_ns).ids, _NOBODY))

    def _anew(self, ids: Int32s) -> None:
        if not len(ids):
            return
        self.counts["edgeobs_series_relearned_total",] += len(ids)
        for name, detector in self.detectors.items():
            if isinstance(detector, SeriesBank):
                self._ask(name, partial(detector.relearn, ids), None)
        if self.nodes is not None:
            nodes = np.unique(self.table.node[ids])
            self._ask("node", partial(self.nodes.relearn, nodes[nodes >= 0]), None)


@runtime_checkable
class _Peopled(Protocol):
    def census(self) -> dict[str, int]: ...


class _Learner(Protocol):
    def forget(self, ids: Int32s) -> None: ...
    def state(self) -> State: ...
    def restore(self, state: State) -> None: ...


def _with(best: Scores | None, detector: Detector, batch: Batch) -> Scores:
    """The higher of what was found so far and what a detector finds. ValueError when it finds too little."""
    scores = detector.score_learn(batch.series, batch.time_ns, batch.value)
    if len(scores.score) != len(batch.series):
        raise ValueError(f"{len(scores.score)} scores of {len(batch.series)} samples")
    return scores if best is None else higher(best, scores)


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
