"""Whose fault it is that calls take long on the way: the caller's, the callee's, or the link's between them.

If all that call a service wait for it longer than it works, it is on the callee's side; if one caller waits
for all that it calls, on the caller's; if one caller waits for one callee, whom others reach as ever, the
link between them is left. Where there is nobody to compare with, link and callee share it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from edgeobs.causes.model import Clue, Member
from edgeobs.signals import Edge


class Sides(NamedTuple):
    """One clue of a link, taken apart: decades of each sum to the clue's."""

    caller: Clue
    link: Clue
    callees: tuple[Clue, ...]  # one of each member of the called service


def sides(members: Sequence[Member], clues: Sequence[Clue], edges: Sequence[Edge]) -> list[Sides]:
    """Every clue that has a callee, taken apart."""
    service = {member.place: member.service for member in members}
    ill = {(service.get(clue.place, ""), clue.callee) for clue in clues if clue.callee}
    there = {(edge.caller, edge.callee) for edge in edges if edge.caller} | ill
    found = []
    for clue in clues:
        if clue.callee:
            callers = [pair in ill for pair in there if pair[1] == clue.callee]
            called = [pair in ill for pair in there if pair[0] == service.get(clue.place, "")]
            caller, callee = _agreement(called), _agreement(callers)
            if len(callers) == 1:
                callee = (1.0 - caller) / 2
            whole = max(caller + callee, 1.0)
            found.append(_apart(clue, members, caller / whole, callee / whole))
    return found


def _agreement(ill: Sequence[bool]) -> float:
    """Which share of the others is ill as well; 0 where there are none."""
    return (sum(ill) - 1) / (len(ill) - 1) if len(ill) > 1 else 0.0


def _apart(clue: Clue, members: Sequence[Member], caller: float, callee: float) -> Sides:
    text = f"{clue.text} (as its callers see it)"
    return Sides(
        clue._replace(decades=caller * clue.decades, callee=""),
        clue._replace(decades=(1.0 - caller - callee) * clue.decades),
        tuple(
            clue._replace(place=member.place, text=text, decades=callee * clue.decades, callee="")
            for member in members
            if member.service == clue.callee
        ),
    )
