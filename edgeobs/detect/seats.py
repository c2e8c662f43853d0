"""All that is remembered of one node, and room for what its ticks say."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeobs.detect import algebra, ticks
from edgeobs.detect.algebra import Shorts, Singles
from edgeobs.detect.ticks import (
    BASE,
    DUE,
    EXCESS,
    FIRST_NS,
    HERE,
    KEPT,
    LEFT,
    MARK,
    MEAN,
    OPEN_NS,
    PEAK,
    SEATS,
    SERIES,
    SIZE,
    THRESHOLD,
    TURN,
    TURNS,
    WAITING,
)  # fmt: skip
from edgeobs.signals import Floats, Int32s, Int64s

COMMON = 1.2
"""A node's mean surprise that asks for no explanation."""
TAIL, BEYOND = 0.9, 0.085
"""Where the tail of a node's surprise begins, and its mean logarithm beyond, while nothing is known of it."""
_ROOM = 8  # seats of a node that is new
_APART = 37  # turns from one node to the next


def turn(number: int) -> int:
    """`ticks.TURN` of a node, by its number."""
    return number * _APART % TURNS


class Node(NamedTuple):
    """All that is remembered of one node; c seats, 3c features.

    There is room for two inverses: of ``i = clock[INVERTED]``, i % 2 holds, and the other one waits.
    """

    reals: Floats  # c × ticks.REALS
    stamps: Int64s  # c × ticks.STAMPS
    clock: Int64s
    own: Floats
    triangle: Singles  # 3c·(3c + 1)/2: covariance of the features
    inverses: Shorts  # 2 × 3c × c: column j is what the features weigh in the residual of seat j
    scales: Singles  # 2 × c: units of those columns
    center: Singles  # 3c: of the features

    @staticmethod
    def empty(seats: int, number: int = 0) -> "Node":
        """A node that has never spoken, with room for so many series; its number tells when its turn is."""
        wide = 3 * seats
        node = Node(
            np.zeros((seats, ticks.REALS)), np.zeros((seats, ticks.STAMPS), np.int64),
            np.zeros(ticks.CLOCK, np.int64), np.zeros(ticks.OWN),
            np.zeros(wide * (wide + 1) // 2, np.float32), np.zeros((2, wide, seats), np.int16),
            np.zeros((2, seats), np.float32), np.zeros(wide, np.float32),
        )  # fmt: skip
        node.stamps[:, SERIES] = -1
        node.clock[WAITING], node.clock[TURN] = -1, turn(number)
        node.own[BASE], node.own[THRESHOLD], node.own[EXCESS], node.own[PEAK] = COMMON, TAIL, BEYOND, -1.0
        return node

    def grown(self, seats: int) -> "Node":
        """The same with more room."""
        more = Node.empty(seats)
        have, wide = len(self.reals), len(self.center)
        more.reals[:have], more.stamps[:have] = self.reals, self.stamps
        more.clock[:], more.own[:] = self.clock, self.own
        rows, columns = algebra.places(3 * seats)
        more.triangle[(rows < wide) & (columns < wide)] = self.triangle
        more.inverses[:, :wide, :have], more.scales[:, :have] = self.inverses, self.scales
        more.center[:wide] = self.center
        return more

    def free(self, count: int) -> tuple["Node", NDArray[np.intp]]:
        """It, with more room where it needs that, and so many free seats of it; fewer when it is full."""
        node, have = self, len(self.reals)
        missing = count - int((self.stamps[:, SERIES] < 0).sum())
        seats = max(have, _ROOM)
        while seats < min(have + missing, SEATS):
            seats = min(2 * seats, SEATS)
        if missing > 0 and seats > have:
            node = self.grown(seats)
        return node, np.flatnonzero(node.stamps[:, SERIES] < 0)[:count]

    def seat(self, seats: NDArray[np.intp], series: Int32s, first: Floats, first_ns: Int64s) -> None:
        """Give seats to series that have had one value so far."""
        self.reals[seats, MEAN], self.reals[seats, SIZE] = first, np.abs(first)
        self.stamps[seats, SERIES], self.stamps[seats, FIRST_NS] = series, first_ns

    def clear(self, seat: int) -> None:
        """Free a seat: nobody knows it any more."""
        if self.stamps[seat, MARK] & DUE:
            self.clock[WAITING] -= 1
        mine = slice(3 * seat, 3 * seat + 3)
        self.reals[seat], self.stamps[seat] = 0.0, 0
        self.stamps[seat, SERIES] = -1
        rows, columns = algebra.places(len(self.center))
        self.triangle[(rows // 3 == seat) | (columns // 3 == seat)] = 0.0
        self.inverses[:, mine], self.inverses[:, :, seat] = 0, 0
        self.center[mine] = 0.0
        self.clock[LEFT] = 0
        if self.clock[OPEN_NS] > 0 and not (self.stamps[:, MARK] & (HERE | KEPT)).any():
            self.stamps[:, MARK], self.clock[OPEN_NS] = 0, 0  # nothing is left of the tick


class Found(NamedTuple):
    """Room for what m ticks say in k rows; filled from the front. Few arrays: each costs time at a call."""

    when: Int64s  # m × (time_ns, rows)
    score: Floats  # m × (score, raw)
    row: Floats  # k × (series, share, expected, spread)

    @staticmethod
    def room(ticks: int, rows: int) -> "Found":
        """For so many."""
        return Found(np.zeros((ticks, 2), np.int64), np.zeros((ticks, 2)), np.zeros((rows, 4)))


class Scratch(NamedTuple):
    """What is used within a tick alone."""

    u: Singles  # features beside their mean
    solved: Singles  # by seat: what the inverse makes of them
    known: Floats  # seats × (mean, spread, surprise of the change)
    square: Singles  # 3·seats × 3·seats: an inverse in the making

    @staticmethod
    def room() -> "Scratch":
        """For any node."""
        u, solved = np.zeros((2, 3 * SEATS), np.float32)
        return Scratch(u, solved, np.zeros((SEATS, 3)), np.zeros((3 * SEATS, 3 * SEATS), np.float32))
