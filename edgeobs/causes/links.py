"""Whose fault it is that calls take long on the way: the caller's, the callee's, or the link's between them.

If all that call a service wait for it longer than it works, it is on the callee's side; if one caller waits
for all that it calls, on the caller's; if one caller waits for one callee, whom others reach as ever, the
link between them is left. Where there is nobody to compare with, link and callee share it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from edgeobs.causes.model import Clue, Member, short
from edgeobs.signals import Edge, Resource


class Sides(NamedTuple):
    """One clue of a link, taken apart: decades of each sum to the clue's."""

    caller: Clue
    link: Clue
    callees: tuple[Clue, ...]  # one of each member of the called service


def sides(members: Sequence[Member], clues: Sequence[Clue], edges: Sequence[Edge]) -> list[Sides]:
    """Every clue that has a callee, taken apart."""
    if not any(clue.callee for clue in clues):
        return []
    service = {member.place: member.service or short(member.place) for member in members}
    places: dict[str, list[Resource]] = {}
    for member in members:
        places.setdefault(member.service, []).append(member.place)
    ill = {(service.get(clue.place, short(clue.place)), clue.callee) for clue in clues if clue.callee}
    callers: dict[str, list[bool]] = {}  # of a callee: whether each sees it
    called: dict[str, list[bool]] = {}  # by a caller: whether it sees it of each
    for caller, callee in {(edge.caller, edge.callee) for edge in edges if edge.caller} | ill:
        callers.setdefault(callee, []).append((caller, callee) in ill)
        called.setdefault(caller, []).append((caller, callee) in ill)
    found = []
    for clue in clues:
        if clue.callee:
            by = _agreement(called[service.get(clue.place, short(clue.place))])
            alone = len(callers[clue.callee]) == 1
            of = (1.0 - by) / 2 if alone else _agreement(callers[clue.callee])
            whole = max(by + of, 1.0)
            found.append(_apart(clue, places.get(clue.callee, []), by / whole, of / whole))
    return found


def _agreement(ill: Sequence[bool]) -> float:
    """Which share of the others is ill as well; 0 where there are none."""
    return (sum(ill) - 1) / (len(ill) - 1) if len(ill) > 1 else 0.0


def _apart(clue: Clue, callees: Sequence[Resource], caller: float, callee: float) -> Sides:
    text = f"{clue.text} (as its callers see it)"
    return Sides(
        clue._replace(decades=caller * clue.decades, callee=""),
        clue._replace(decades=(1.0 - caller - callee) * clue.decades),
        tuple(
            clue._replace(place=place, text=text, decades=callee * clue.decades, callee="")
            for place in callees
        ),
    )
