"""Clues of detectors and clues of counts, as one."""

from collections.abc import Sequence

from edgeobs.causes.model import Clue
from edgeobs.causes.settings import Settings


def merged(detected: Sequence[Clue], changed: Sequence[Clue], settings: Settings | None = None) -> list[Clue]:
    """What detectors found, and what changed for each request.

    Where counts tell of a change, detectors' clues of logs and traces are of no use beside them: a series is
    unlike itself for another load or mix of requests too. Where counts tell of none, these are all there is.
    Clues of links are kept: what is spent on the way is of no place.
    """
    floor = (settings or Settings()).floor
    if not any(clue.decades >= floor for clue in changed):
        return [*detected, *changed]
    kept = [clue for clue in detected if clue.callee or clue.signal not in ("log", "trace")]
    return [*kept, *changed]
