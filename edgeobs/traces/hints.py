"""Which traces are worth keeping, and why: for whoever samples at the tail, and for people.

Pure: what is known of an interval goes in, hints come out. Nothing here decides what is stored anywhere.
"""

from collections.abc import Iterable
from typing import NamedTuple

from edgeobs.signals import UInt64s


class Hint(NamedTuple):
    """A trace worth keeping."""

    trace: str  # id, 32 hex digits
    reason: str  # "slow", "failed", "new edge"
    what: str  # for people: of what
    service: str  # of an edge: who is called
    operation: str  # empty: of a service or an edge
    time_ns: int  # end of the interval it was seen in
    score: float  # decades of that interval; 0: of a new edge, which is news whatever it shows


class Candidate(NamedTuple):
    """What an interval has to show of a service, operation or edge; empty trace ids: there are none."""

    what: str
    service: str
    operation: str
    slow: str
    failed: str
    score: float  # decades, how surprising a detector found its interval; 0: nobody did
    new: bool  # an edge nobody has seen before


def worth(candidates: Iterable[Candidate], time_ns: int) -> tuple[Hint, ...]:
    """Each trace once, with the first reason found: failed before slow before new.

    What is not surprising and not new is not worth a hint: a sampler keeps its even share of that anyway.
    """
    found: dict[str, Hint] = {}
    for candidate in candidates:
        reasons = (
            ("failed", candidate.failed if candidate.score > 0 else ""),
            ("slow", candidate.slow if candidate.score > 0 else ""),
            ("new edge", candidate.slow if candidate.new else ""),
        )
        for reason, trace in reasons:
            if trace:
                found.setdefault(trace, Hint(trace, reason, *candidate[:3], time_ns, candidate.score))
    return tuple(found.values())


def text_of(trace: UInt64s) -> str:
    """32 hex digits of a trace id (2); empty for zeros."""
    high, low = trace.tolist()
    return f"{high:016x}{low:016x}" if high or low else ""
