"""How much each member is to blame: its own surprise, and what comes to it along calls.

Who calls something abnormal is abnormal too, so surprise is passed on from callers to those they call, as far
as these are surprising themselves; what stays is what no callee accounts for. To walk from symptoms along
calls is the idea of MonitorRank (Kim, Sumbaly and Shah, SIGMETRICS 2013) and MicroRCA (Wu et al., NOMS 2020);
here nothing is random, and every step is a share that can be told to people.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edgeobs.causes.model import Clue, Member
from edgeobs.causes.settings import Settings
from edgeobs.signals import SECOND, Edge, Resource

HOPS = 16
"""Calls along which blame is followed: in longer chains, and in rings, next to nothing is left by then."""

Passing = dict[Resource, dict[Resource, float]]
"""Who passes blame on → to whom, and which share of it."""


@dataclass(slots=True)
class Blame:
    """Of one member."""

    own: float = 0.0  # decades
    total: float = 0.0  # what stays of its own and of what came, decades
    clues: list[Clue] = field(default_factory=list)  # the strongest first
    givers: dict[Resource, float] = field(default_factory=dict)  # decades that came, by caller
    takers: dict[Resource, float] = field(default_factory=dict)  # decades that went, by callee

    @property
    def explained(self) -> bool:
        """Whether what it calls accounts for a third of it or more: it is no witness of anything else."""
        return bool(self.takers) and 2 * sum(self.takers.values()) >= self.total


def blames(
    members: Sequence[Member], clues: Iterable[Clue], edges: Sequence[Edge], first_ns: int, settings: Settings
) -> dict[Resource, Blame]:
    """Of every member; clues of other places, and those below the floor, are left out.

    ``first_ns`` is the onset of the first clue of all.
    """
    found = {member.place: Blame() for member in members}
    for clue in clues:
        if clue.decades >= settings.floor and clue.place in found:
            found[clue.place].clues.append(clue)
    used = {service for edge in edges for service in (edge.caller, edge.callee)}
    for member in members:
        blame = found[member.place]
        blame.clues.sort(key=lambda clue: (-clue.decades, clue.onset_ns, clue.text))
        blame.own = joined(blame.clues, first_ns, settings)
        if edges and member.service not in used:
            blame.own *= settings.unused
    _flow(found, _passing(members, found, edges))
    return found


def joined(clues: Iterable[Clue], first_ns: int, settings: Settings) -> float:
    """Decades of all clues of a place: the best of each signal, the less the later it began, summed."""
    best: dict[str, float] = {}
    for clue in clues:
        late = max(clue.onset_ns - first_ns, 0) / (settings.half_life_s * SECOND)
        decades = min(clue.decades, settings.most) * 2.0 ** -min(late, 60.0)
        best[clue.signal] = max(best.get(clue.signal, 0.0), decades)
    return sum(best.values())


def _flow(found: Mapping[Resource, Blame], passing: Passing) -> None:
    """Pass blame on, and keep the rest: what is kept sums to what there was, but for what still circles."""
    arrived = {place: blame.own for place, blame in found.items()}
    for _ in range(HOPS):
        following = {place: blame.own for place, blame in found.items()}
        for giver, shares in passing.items():
            for taker, share in shares.items():
                following[taker] += share * arrived[giver]
        arrived = following
    for place, blame in found.items():
        shares = passing.get(place, {})
        blame.total = (1.0 - sum(shares.values())) * arrived[place]
        blame.takers = {taker: share * arrived[place] for taker, share in shares.items()}
        for taker, decades in blame.takers.items():
            found[taker].givers[place] = decades


def _passing(members: Sequence[Member], found: Mapping[Resource, Blame], edges: Sequence[Edge]) -> Passing:
    """A caller's surprise against that of the worst that it calls says how much it passes on."""
    of: dict[str, list[Resource]] = {}
    for member in members:
        if found[member.place].own > 0 and member.service:
            of.setdefault(member.service, []).append(member.place)
    called: dict[Resource, set[Resource]] = {}
    for edge in edges:
        if edge.caller != edge.callee:
            for giver in of.get(edge.caller, ()):
                called.setdefault(giver, set()).update(of.get(edge.callee, ()))
    passing: Passing = {}
    for giver, takers in called.items():
        if takers:
            own = {taker: found[taker].own for taker in sorted(takers)}
            given = max(own.values()) / (max(own.values()) + found[giver].own)
            passing[giver] = {taker: given * each / sum(own.values()) for taker, each in own.items()}
    return passing
