"""Parts that may fail without stopping the others."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from edgeobs.signals import SECOND, Counts

log = logging.getLogger("edgeobs.detect")

ERRORS = "edgeobs_detector_errors_total"
TOLD_NS = 60 * SECOND
"""A part that fails is logged once in this time, and called failing for as long."""
_LONGEST = 200  # characters of a reason
_T = TypeVar("_T")


@dataclass(slots=True)
class Failure:
    """What is known of a part that failed."""

    reason: str
    last_ns: int
    told_ns: int
    times: int  # since it was last logged


class Parts:
    """Who failed, when and why. Whatever a part left undone stays so: it is asked again the next time."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.failures: dict[str, Failure] = {}

    def ask(self, part: str, now_ns: int, what: Callable[[], _T], otherwise: _T) -> _T:
        """What a part answers; ``otherwise`` when it raises, which is counted and marked."""
        try:
            return what()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"[:_LONGEST]
            if times := self._failed(part, reason, now_ns):
                log.exception("part_failed", extra={"part": part, "reason": reason, "times": times})
            return otherwise

    def failing(self, now_ns: int) -> dict[str, str]:
        """The parts that failed a short while ago, each with its last reason."""
        return {
            part: failure.reason
            for part, failure in self.failures.items()
            if 0 <= now_ns - failure.last_ns < TOLD_NS
        }

    def _failed(self, part: str, reason: str, now_ns: int) -> int:
        """How often it has failed since that was last logged, when it is time to log it; else 0."""
        self.counts[ERRORS, part] += 1
        known = self.failures.setdefault(part, Failure(reason, now_ns, now_ns - TOLD_NS, 0))
        known.reason, known.last_ns, known.times = reason, now_ns, known.times + 1
        if 0 <= now_ns - known.told_ns < TOLD_NS:
            return 0
        times, known.told_ns, known.times = known.times, now_ns, 0
        return times
