"""Which samples are late: old by our clock, beyond what their node's clock is always behind."""

import numpy as np

from edgeobs.columns import grown
from edgeobs.features.settings import Settings
from edgeobs.signals import SECOND, Bools, Int32s, Int64s

_CREEP = 10  # a node's usual lag falls at once and rises by 1 s in so many seconds


class Lateness:
    """The lag each node's samples always have, in [0, skew_s].

    A clock that is behind lags from the first sample to the last; a queue that is emptied after a cut lags
    much and then less. So the usual lag follows the least seen, and rises slowly.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.usual = np.zeros(0, np.int64)  # by node id + 1, nanoseconds
        self.asked = np.zeros(0, np.int64)

    def late(self, nodes: Int32s, time: Int64s, now_ns: int) -> Bools:
        """Per sample; ``nodes`` are ids, −1 unknown."""
        lag, limit = now_ns - time, int(self.settings.late_s * SECOND)
        late = lag > limit
        if not len(late) or not (late.any() or self.usual.any()):
            return late
        self._follow(nodes + 1, lag, now_ns)
        return lag > limit + self.usual[nodes + 1]

    def _follow(self, nodes: Int32s, lag: Int64s, now_ns: int) -> None:
        size = int(nodes.max()) + 1
        self.usual, self.asked = grown(self.usual, size, 0), grown(self.asked, size, 0)
        most = int(self.settings.skew_s * SECOND)
        least = np.full(size, most, np.int64)
        np.minimum.at(least, nodes, np.maximum(lag, 0))
        heard = np.flatnonzero(np.bincount(nodes, minlength=size))
        # The first time asked, nothing is known of how long it has been so.
        gap = np.where(self.asked[heard] > 0, now_ns - self.asked[heard], 0)
        rise = self.usual[heard] + np.clip(gap, 0, 60 * SECOND) // _CREEP
        self.usual[heard] = np.minimum(least[heard], rise)
        self.asked[heard] = now_ns
