"""Series that count something around an incident → clues of those that changed."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from edgeobs.causes.contrast import Contrast, contrast
from edgeobs.causes.model import Clue, Signal
from edgeobs.causes.settings import Settings
from edgeobs.past import Counted
from edgeobs.signals import SECOND, Bools, Floats, Int64s


def usual(time_ns: Int64s, calm: Bools, begin_ns: int, settings: Settings) -> Bools:
    """Which of the intervals tell what was usual before something began: [B].

    Parameters
    ----------
    time_ns
        [B]: ends of the intervals, ascending.
    calm
        [B]: whether nothing was wrong.
    begin_ns
        When it is thought to have begun. The guard before it is left out, unless nothing else is there.

    """
    before = calm & (time_ns <= begin_ns)
    guarded = before & (time_ns <= begin_ns - settings.guard_s * SECOND)
    chosen = guarded if guarded.any() else before
    rows = np.flatnonzero(chosen)
    chosen[rows[: -settings.memory]] = False
    return chosen


def changes(
    series: Sequence[Counted],
    count: Floats,
    exposure: Floats,
    begins_ns: Int64s,
    before: Bools,
    during: Bools,
) -> list[Clue]:
    """Clues of S series that changed; each place is asked for less, the more series of it are looked at.

    Parameters
    ----------
    count, exposure, before, during
        As of `contrast`.
    begins_ns
        [B]: when the intervals begin.

    """
    if not len(series) or not before.any() or not during.any():
        return []
    seen = contrast(count, exposure, before, during)
    worse = np.array([each.worse for each in series])
    decades = np.where(worse, seen.more, np.maximum(seen.more, seen.fewer))
    looks = Counter(each.place for each in series)
    found = []
    for row in np.flatnonzero((decades > 0) & (seen.first >= 0)).tolist():
        each = series[row]
        left = float(decades[row]) - float(np.log10(looks[each.place]))
        if left > 0:
            onset = int(begins_ns[seen.first[row]])
            callee = each.callee if each.what == "ways" else ""
            signal: Signal = "log" if each.what == "lines" else "trace"
            found.append(Clue(each.place, signal, _text(each, seen, row), onset, left, callee))
    return found


def _text(each: Counted, seen: Contrast, row: int) -> str:
    return f"{each.text}: {seen.seen[row]:.0f}, where {seen.due[row]:.2g} were due"
