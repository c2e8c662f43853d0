"""Silence of what usually comes back: of a template on its workload, of a workload as a whole.

A gap is the ticks that pass until something is heard again, counted only while it could have been heard. If
the gaps of something are exchangeable, the next is longer than all of the n before with probability at most
1 / (n + 1): so much is promised of a gap in the tick in which it becomes the longest, whatever the rhythm
is. What is heard in every tick has gaps of 0, and is silent from the first tick without it.
"""

from typing import NamedTuple

import numpy as np

from edgeobs.columns import grown
from edgeobs.signals import Bools, Int32s, Int64s


class Silent(NamedTuple):
    """What is silent for longer than ever."""

    number: Int64s
    gap: Int64s  # ticks so far
    longest: Int64s  # before
    returns: Int64s  # n


class Gaps:
    """Columns by number: ``last`` (tick in which it was heard, 0: never), ``longest`` gap, ``returns``."""

    def __init__(self) -> None:
        self.last = np.zeros(0, np.int64)
        self.longest = np.zeros(0, np.int32)
        self.returns = np.zeros(0, np.int32)

    def reserve(self, rows: int) -> None:
        """Room for numbers below this."""
        self.last = grown(self.last, rows, 0)
        self.longest = grown(self.longest, rows, 0)
        self.returns = grown(self.returns, rows, 0)

    def tick(self, numbers: Int64s, heard: Bools, clock: Int64s, least: int) -> Silent:
        """End a tick for these numbers, each with its own ``clock`` (ticks so far, this one among them).

        Those that came back at least ``least`` times and are silent for longer than ever are told.
        """
        came, at = numbers[heard], clock[heard]
        again = self.last[came] > 0
        gap = at - self.last[came] - 1
        self.longest[came] = np.where(again, np.maximum(self.longest[came], gap), 0)
        self.returns[came] += again
        self.last[came] = at
        out, now = numbers[~heard], clock[~heard]
        gap = now - self.last[out]
        told = (self.last[out] > 0) & (gap > self.longest[out]) & (self.returns[out] >= least)
        found = out[told]
        return Silent(
            found, gap[told], self.longest[found].astype(np.int64), self.returns[found].astype(np.int64)
        )

    def watched(self, numbers: Int64s, least: int) -> Int32s:
        """Of these, the ones whose silence would be told."""
        return numbers[self.returns[numbers] >= least].astype(np.int32)

    def forget(self, numbers: list[int]) -> None:
        """Numbers that will be given again."""
        self.last[numbers] = 0
        self.longest[numbers] = 0
        self.returns[numbers] = 0
