"""Why something is the cause, and how sure that is, for people."""

from collections.abc import Sequence
from typing import NamedTuple

from edgeobs.causes.model import Clue, Kind, short
from edgeobs.signals import SECOND, Resource

_NAMED = 3  # of a list; the others are counted


class Told(NamedTuple):
    """What is said of a candidate besides its clues."""

    after_ns: int = 0  # from the first clue of all to its first
    callers: tuple[Resource, ...] = ()  # who passed blame on to it, most first
    callees: tuple[Resource, ...] = ()  # to whom it passed blame on
    wholes: tuple[Resource, ...] = ()  # what it is part of, or what is part of it, that it explains
    ill: tuple[Resource, ...] = ()  # of a workload, node or zone: its members that suffer
    of: int = 0  # its members in all


def reason(kind: Kind, told: Told, clues: Sequence[Clue], share: float) -> str:
    """``likely (72 %): error lines of …; the first to change; called by a and b, which suffer too``."""
    parts = [_clues(clues)] if clues else []
    if told.ill:
        parts.insert(0, f"{len(told.ill)} of {told.of} here suffer together: {_names(told.ill)}")
    if kind == "link":
        parts.append("seen by this caller of this service, and between no others as much")
    parts.append(
        "the first to change" if told.after_ns <= 0 else f"{told.after_ns // SECOND} s after the first"
    )
    if told.callers:
        parts.append(f"called by {_names(told.callers)}, where it explains what is seen")
    if told.wholes:
        parts.append(f"it explains what is seen of {_names(told.wholes)}")
    if told.callees:
        parts.append(f"in part explained by what it calls: {_names(told.callees)}")
    return f"{_sure(share)} ({share:.0%}): " + "; ".join(parts)


def _clues(clues: Sequence[Clue]) -> str:
    best: dict[str, Clue] = {}
    for clue in clues:
        best.setdefault(clue.signal, clue)
    return "; ".join(f"{clue.text} ({signal}, {clue.decades:.1f} decades)" for signal, clue in best.items())


def _names(places: Sequence[Resource]) -> str:
    names = [short(place) for place in places[:_NAMED]]
    more = len(places) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _sure(share: float) -> str:
    if share >= 0.8:
        return "very likely"
    return "likely" if share >= 0.5 else "possible"
