"""Is a node as a whole like its past? Every series of it given all the others; docs/detection.md."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeobs import ahead
from edgeobs.columns import grown
from edgeobs.detect import joint
from edgeobs.detect import ticks as t
from edgeobs.detect.contract import State
from edgeobs.detect.node_state import packed, unpacked
from edgeobs.detect.seats import Found, Node, Scratch
from edgeobs.signals import Bools, Floats, Int32s, Int64s

LARGEST, TINIEST = 1e100, 1e-150
"""Values are cut to ±the first, and below the second are 0: their squares are finite, and not 0."""
_NONE, _REFUSED = -1, -2  # not yet; its node is full, or it has none
KERNELS = ("joint_kernel", "joint", "algebra", "ticks", "seats")


@dataclass(frozen=True, slots=True)
class NodeScores:
    """m ticks of nodes; tick i owns rows ``first[i]:first[i+1]`` of the k series that spoke in it.

    ``score`` is calibrated as `Scores.score`: −log₁₀ of the tail probability of the node's own past surprise,
    in [0, 20]. ``raw`` is that surprise, to rank within a node; 1 is what is usual once in a hundred ticks.
    ``share`` is a series' part of the score: those of a tick sum to it, less what belongs to series that did
    not speak in it. ``expected`` is its value given all the others, with one standard deviation; NaN while
    unknown.
    """

    node: Int32s
    time_ns: Int64s
    score: Floats
    raw: Floats
    first: Int64s
    series: Int32s
    share: Floats
    expected: Floats
    spread: Floats


class NodeBank:
    """One object for all nodes: bounded by `ticks.SEATS` series a node; the series banks cover the others.

    A series takes a seat when its value has changed for the first time, first come, first served; `forget`
    frees it. The same samples give the same scores however they are split into calls.

    Parameters
    ----------
    node_of
        The node of every series id, −1 none: ``lambda: table.node``, which is another array when it grows.
    fast
        The compiled loop (True), NumPy (False), or whichever there is (None). Both do the same, to the
        rounding of single precision.
    compiled
        Whether Numba may be loaded for it.

    """

    def __init__(
        self, node_of: Callable[[], Int32s], fast: bool | None = None, *, compiled: bool = True
    ) -> None:
        self.node_of = node_of
        self.nodes: dict[int, Node] = {}
        self.seat = np.zeros(0, np.int16)  # by series
        self.home = np.zeros(0, np.int32)  # by series: the node it has its seat at, or found none at
        self.begun = np.zeros((0, 2))  # by series: its first value, and when in seconds; 0 never
        self._scratch = Scratch.room()
        self._run: Any = (
            ahead.best(__package__, Path(__file__).parent, KERNELS, fast, compiled=compiled, returns=2)
            or joint.run
        )

    def score_learn(self, series: Int32s, time_ns: Int64s, value: Floats) -> NodeScores:
        """Score each tick that closes by what was known before it, then learn it."""
        series, time_ns, value = self._seated(series, time_ns, value)
        node = self.home[series]
        order = _order(node, time_ns)
        if order is not None:
            series, time_ns, value, node = series[order], time_ns[order], value[order], node[order]
        return self._each(self.seat[series].astype(np.int64), time_ns, value, node)

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        known = ids[ids < len(self.seat)]
        seated = known[self.seat[known] >= 0]
        homes = np.unique(self.home[seated])
        for number in seated.tolist():
            self.nodes[int(self.home[number])].clear(int(self.seat[number]))
        for home in homes.tolist():
            if (self.nodes[home].stamps[:, t.SERIES] < 0).all():
                del self.nodes[home]
        self.seat[(self.seat == _REFUSED) & np.isin(self.home, homes)] = _NONE  # there is room again
        self.seat[known], self.home[known], self.begun[known] = _NONE, -1, 0.0

    def relearn(self, nodes: Int32s) -> None:
        """What these nodes do from now on is their new normal: a rollout, a reboot, an action of our own."""
        for number in nodes.tolist():
            node = self.nodes.get(number)
            if node is not None:
                node.reals[:, t.N] = np.minimum(node.reals[:, t.N], joint.GROWN)
                node.own[t.WEIGHT] = min(node.own[t.WEIGHT], float(joint.FIRST))

    def state(self) -> State:
        """A copy of all that was learned."""
        used = int(np.flatnonzero(self.begun[:, 1]).max(initial=-1)) + 1
        columns: State = {"seat": self.seat[:used], "home": self.home[:used], "begun": self.begun[:used]}
        return packed(self.nodes, columns)

    def restore(self, state: State) -> None:
        """Take up a `state`; ValueError with the reason, and nothing changed, when it does not fit."""
        nodes, columns = unpacked(state)
        self.nodes = nodes
        self.seat, self.home, self.begun = columns["seat"], columns["home"], columns["begun"]

    def _seated(self, series: Int32s, time_ns: Int64s, value: Floats) -> tuple[Int32s, Int64s, Floats]:
        """Samples that take part; series that have changed for the first time are given a seat."""
        size = int(series.max(initial=-1)) + 1
        self.seat, self.home = grown(self.seat, size, _NONE), grown(self.home, size, -1)
        self.begun = grown(self.begun, size, 0.0)
        seat = self.seat[series]
        fine = np.isfinite(value) & (time_ns > 0) & (seat > _REFUSED)
        value = np.clip(np.where(fine, value, 0.0), -LARGEST, LARGEST)
        value[np.abs(value) < TINIEST] = 0.0
        new = np.flatnonzero(fine & (seat == _NONE))
        if len(new):
            fine[new] = self._newcomers(series[new], time_ns[new], value[new])
        if fine.all():
            return series, time_ns, value
        return series[fine], time_ns[fine], value[fine]

    def _newcomers(self, series: Int32s, time_ns: Int64s, value: Floats) -> Bools:
        """Of samples without a seat, those from which on their series has one."""
        order = np.argsort(time_ns, kind="stable")
        unseen = order[self.begun[series[order], 1] == 0.0][::-1]  # the first of a series is written last
        self.begun[series[unseen]] = np.stack([value[unseen], time_ns[unseen] * 1e-9], axis=1)
        moved = order[value[order] != self.begun[series[order], 0]]
        if not len(moved):
            return np.zeros(len(series), np.bool_)
        ids, at = np.unique(series[moved], return_index=True)
        self._sit(ids[np.argsort(at)])
        since = time_ns[moved[at]]
        seated: Bools = self.seat[series] >= 0
        rows = np.flatnonzero(seated)
        seated[rows] = time_ns[rows] >= since[np.searchsorted(ids, series[rows])]
        return seated

    def _sit(self, ids: Int32s) -> None:
        """Give series, first come, first served, seats at their nodes; who finds none is refused."""
        homes = self.node_of()[ids]
        self.home[ids], self.seat[ids] = homes, _REFUSED
        order = np.argsort(homes, kind="stable")
        for mine in np.split(order, np.flatnonzero(np.diff(homes[order])) + 1):
            home = int(homes[mine[0]])
            if home < 0:
                continue
            node, seats = (self.nodes.get(home) or Node.empty(0, home)).free(len(mine))
            taken = ids[mine[: len(seats)]]
            first, first_s = self.begun[taken].T
            node.seat(seats, taken, first, (first_s * 1e9).astype(np.int64))
            self.nodes[home], self.seat[taken] = node, seats

    def _each(self, seat: Int64s, time_ns: Int64s, value: Floats, node: Int32s) -> NodeScores:
        """Node by node."""
        time_ns, value = np.ascontiguousarray(time_ns, np.int64), np.ascontiguousarray(value, np.float64)
        starts = np.flatnonzero(np.diff(node, prepend=-1))
        homes, ends = node[starts].tolist(), np.append(starts, len(node))[1:].tolist()
        rows = len(node) + sum(len(self.nodes[home].reals) for home in homes)
        found = Found.room(len(node) + len(homes), rows)
        upto, at, row = np.zeros(len(homes), np.int64), 0, 0
        for index, (home, start, end) in enumerate(zip(homes, starts.tolist(), ends, strict=True)):
            at, row = self._run(
                self.nodes[home], self._scratch, seat, time_ns, value, start, end, found, at, row
            )
            upto[index] = at
        series, share, expected, spread = (found.row[:row, i].copy() for i in range(4))
        time, told = found.when[:at, 0].copy(), found.when[:at, 1]
        score, raw = found.score[:at, 0].copy(), found.score[:at, 1].copy()
        first = np.append(0, np.cumsum(told))
        of = np.repeat(np.array(homes, np.int32), np.diff(upto, prepend=0))
        return NodeScores(of, time, score, raw, first, series.astype(np.int32), share, expected, spread)


def _order(node: Int32s, time_ns: Int64s) -> NDArray[np.intp] | None:
    """By node, then time; None when it is so already."""
    step = np.diff(node)
    if bool(((step > 0) | ((step == 0) & (np.diff(time_ns) >= 0))).all()):
        return None
    return np.lexsort((time_ns, node))
