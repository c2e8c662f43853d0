"""Templates never seen before on a workload, and how surprising each is.

What is compared is ticks (intervals in which the workload spoke), not lines: lines come in bursts, and a
burst of what is new is one event. Let a template be *alone* in a tick if no other tick of the workload has
it. If ticks are exchangeable, the newest of T + 1 ticks is no likelier than any other to hold a template
that is alone in it, so

    P(something new in a tick, and at most U of the T ticks before hold one alone) ≤ (U + 1) / (T + 1)

whatever the templates and their frequencies are: (U + 1) / (T + 1) is a conformal p-value (V. Vovk, A.
Gammerman, G. Shafer: "Algorithmic Learning in a Random World", 2005), and U / T is the Good-Turing estimate
of the chance of something new (I. J. Good, Biometrika 1953) with ticks in the place of draws. Templates of
errors and of all else are two such questions, so that chatter that is ever new does not hide an error that
is.
"""

from typing import NamedTuple

import numpy as np

from edgeobs.columns import grown
from edgeobs.logs.book import SEVERE
from edgeobs.signals import Int8s, Int32s, Int64s

_LONG = 2  # ticks; more are not told apart


class New(NamedTuple):
    """A template heard for the first time, and how probable anything so new was."""

    number: int
    p: float


class Novelty:
    """In how many ticks each template was heard, and in which first.

    Columns by template: ``ticks`` (0, 1, or 2 for more), ``first`` (number of the tick among those in which
    the workload spoke), ``severe``. ``gone`` by workload, plain and severe: templates alone in their tick
    that were forgotten since; each counts as a tick of its own, which errs on the side of silence.
    """

    def __init__(self) -> None:
        self.ticks = np.zeros(0, np.int8)
        self.first = np.zeros(0, np.int64)
        self.severe = np.zeros(0, np.bool_)
        self.gone = np.zeros((0, 2), np.int64)

    def reserve(self, templates: int, workloads: int) -> None:
        """Room for numbers below these."""
        self.ticks = grown(self.ticks, templates, 0)
        self.first = grown(self.first, templates, 0)
        self.severe = grown(self.severe, templates, 0)
        self.gone = grown(self.gone, workloads, 0)

    def tick(self, heard: Int64s, owner: Int32s, severity: Int8s, spoken: Int64s) -> list[New]:
        """End a tick in which these templates (each once) were heard.

        ``owner`` and ``severity`` are columns by template; ``spoken`` by workload: ticks in which it spoke,
        this one among them.
        """
        new = heard[self.ticks[heard] == 0]
        self.ticks[heard] = np.minimum(self.ticks[heard] + 1, _LONG)
        self.first[new] = spoken[owner[new]]
        self.severe[new] = severity[new] >= SEVERE
        found: list[New] = []
        for whose in np.unique(owner[new]).tolist():
            theirs = new[owner[new] == whose]
            for severe in (False, True):
                of_kind = theirs[self.severe[theirs] == severe]
                if len(of_kind):
                    p = self._p(whose, severe, owner, int(spoken[whose]))
                    found += [New(number, p) for number in of_kind.tolist()]
        return found

    def known(self, numbers: Int64s) -> None:
        """Templates that were learned from late lines: never new again."""
        self.ticks[numbers] = _LONG

    def forget(self, numbers: list[int], owner: Int32s) -> None:
        """Templates whose numbers will be given again."""
        alone = np.array(numbers, np.int64)
        alone = alone[self.ticks[alone] == 1]
        np.add.at(self.gone, (owner[alone], self.severe[alone].astype(np.int64)), 1)
        self.ticks[numbers] = 0

    def left(self, workload: int) -> None:
        """A workload whose number will be given again."""
        self.gone[workload] = 0

    def _p(self, workload: int, severe: bool, owner: Int32s, spoken: int) -> float:
        theirs = np.flatnonzero(owner == workload)
        alone = theirs[(self.ticks[theirs] == 1) & (self.severe[theirs] == severe)]
        before = np.unique(self.first[alone[self.first[alone] < spoken]])
        return float(min(spoken, len(before) + int(self.gone[workload, int(severe)]) + 1) / spoken)
