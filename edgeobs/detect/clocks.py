"""How often things usually speak, and for how long they have not: columns by a dense id."""

import numpy as np

from edgeobs.columns import grown
from edgeobs.signals import SECOND, Int64s

_SAME_BEAT = 0.25  # of the usual interval: what comes so soon after belongs to the same beat
_SHORTEST_NS = 0.2 * SECOND
_RATE = 0.2
_MOST = 3.0  # usual intervals that one gap may teach: an outage is not a new habit
_FORGET = 0.98  # per beat, of the longest gap

_BREAK_NS = 2 * SECOND

HEARD, BEAT, INTERVAL, LONGEST, BEATS, STREAK = range(6)


class Clocks:
    """Per id: when last heard (wall clock and running time), usual and longest interval, beats
    learned, and since when (running time) it has spoken without a break.

    Running time is our own clock without the time in which we stood still.
    """

    def __init__(self) -> None:
        self.rows = np.zeros((0, 6))  # nanoseconds; float64 holds a wall clock to a quarter of a microsecond

    def hear(self, ids: Int64s, now_ns: int, running_ns: int) -> None:
        """Ids (each once) spoke."""
        if not len(ids):
            return
        self.rows = grown(self.rows, int(ids.max()) + 1, 0.0)
        rows = self.rows[ids]
        gap, interval, beats = running_ns - rows[:, BEAT], rows[:, INTERVAL], rows[:, BEATS]
        beat = (gap >= np.maximum(_SAME_BEAT * interval, _SHORTEST_NS)) | (beats == 0)
        usual = np.minimum(gap, np.where(beats >= 3, _MOST * interval, np.inf))
        learned = np.where(
            beats <= 1, gap, interval + np.maximum(_RATE, 1 / (beats + 1)) * (usual - interval)
        )
        teaches = beat & (beats > 0)
        rows[:, INTERVAL] = np.where(teaches, learned, interval)
        longest = np.maximum(usual, _FORGET * rows[:, LONGEST])
        rows[:, LONGEST] = np.where(teaches, longest, rows[:, LONGEST])
        broke = (gap > np.maximum(_MOST * interval, _BREAK_NS)) | (beats == 0)
        rows[:, STREAK] = np.where(broke, running_ns, rows[:, STREAK])
        rows[:, BEAT] = np.where(beat, running_ns, rows[:, BEAT])
        rows[:, BEATS] = np.minimum(beats + beat, 1e6)
        rows[:, HEARD] = now_ns
        self.rows[ids] = rows
