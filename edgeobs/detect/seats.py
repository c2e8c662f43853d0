"""All that is remembered of one node, and room for what its ticks say."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeobs.detect import ticks
from edgeobs.detect.ticks import (
    BASE,
    DUE,
    EXCESS,
    FIRST_NS,
    HERE,
    KEPT,
    MARK,
    MEAN,
    OPEN_NS,
    PEAK,
    PIVOT,
    SEATS,
    SERIES,
    SIZE,
    THRESHOLD,
    WAITING,
)  # fmt: skip
from edgeobs.signals import Floats, Int64s

Singles = NDArray[np.float32]

COMMON = 1.2
"""A node's mean surprise that asks for no explanation."""
BEYOND = 0.2
"""Mean excess of a node's surprise over its threshold, before anything is known of it."""


class Node(NamedTuple):
    """All that is remembered of one node; c seats, 3c features.

    The covariance (upper triangle with the diagonal) shares its square with the inverse in the making (lower;
    its diagonal is ``pivots``), of which one pivot is swept each tick: no tick costs more than another.
    """

    reals: Floats  # c × ticks.REALS
    stamps: Int64s  # c × ticks.STAMPS
    clock: Int64s
    own: Floats
    square: Singles  # 3c × 3c
    inverse: Singles  # 3c × c: column j is what the features weigh in the residual of seat j
    center: Singles  # 3c: of the features
    pivots: Singles  # 3c

    @staticmethod
    def empty(seats: int) -> "Node":
        """A node that has never spoken, with room for so many series."""
        wide = 3 * seats
        node = Node(
            np.zeros((seats, ticks.REALS)), np.zeros((seats, ticks.STAMPS), np.int64),
            np.zeros(ticks.CLOCK, np.int64), np.zeros(ticks.OWN), np.zeros((wide, wide), np.float32),
            np.zeros((wide, seats), np.float32), np.zeros(wide, np.float32), np.zeros(wide, np.float32),
        )  # fmt: skip
        node.stamps[:, SERIES] = -1
        node.clock[PIVOT] = node.clock[WAITING] = -1
        node.own[BASE], node.own[THRESHOLD], node.own[EXCESS], node.own[PEAK] = COMMON, 1.0, BEYOND, -1.0
        return node

    def grown(self, seats: int) -> "Node":
        """The same with more room."""
        more = Node.empty(seats)
        have, wide = len(self.reals), len(self.square)
        more.reals[:have], more.stamps[:have] = self.reals, self.stamps
        more.clock[:], more.own[:] = self.clock, self.own
        more.square[:wide, :wide], more.inverse[:wide, :have] = self.square, self.inverse
        more.center[:wide], more.pivots[:wide] = self.center, self.pivots
        return more

    def seat(self, seat: int, series: int, first: float, first_ns: int) -> None:
        """Give a seat to a series that has had one value so far."""
        self.reals[seat, MEAN], self.reals[seat, SIZE] = first, abs(first)
        self.stamps[seat, SERIES], self.stamps[seat, FIRST_NS] = series, first_ns

    def clear(self, seat: int) -> None:
        """Free a seat: nobody knows it any more."""
        if self.stamps[seat, MARK] & DUE:
            self.clock[WAITING] -= 1
        mine = slice(3 * seat, 3 * seat + 3)
        self.reals[seat], self.stamps[seat] = 0.0, 0
        self.stamps[seat, SERIES] = -1
        self.square[mine], self.square[:, mine] = 0.0, 0.0
        self.inverse[mine], self.inverse[:, seat] = 0.0, 0.0
        self.center[mine] = 0.0
        self.clock[PIVOT] = -1
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

    @staticmethod
    def room() -> "Scratch":
        """For any node."""
        u, solved = np.zeros((2, 3 * SEATS), np.float32)
        return Scratch(u, solved, np.zeros((SEATS, 3)))
