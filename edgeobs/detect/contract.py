"""What a detector is."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeobs.signals import Floats, Int32s, Int64s, Scores

State = dict[str, NDArray[np.generic]]


class Detector(Protocol):
    """One object for all series, columnar; tests/detect/test_conformance.py holds all of them to this.

    State is bounded by the largest id seen. Nothing random, no clock: the same samples give the same scores
    however they are split into calls.
    """

    def score_learn(self, series: Int32s, time_ns: Int64s, value: Floats) -> Scores:
        """Score each of n samples by what was known before it, then learn it.

        A series may occur several times, in ascending time. A value that is not finite scores 0 and teaches
        nothing.
        """
        ...

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        ...

    def state(self) -> State:
        """A copy of all that was learned."""
        ...

    def restore(self, state: State) -> None:
        """Take up a `state`; ValueError with the reason, and nothing changed, when it does not fit."""
        ...
