"""What is the likeliest cause: a pod, workload, node, zone or link, from all that speaks against each.

Every candidate is scored in decades by the surprise that it accounts for. A pod accounts for its own, and for
what its callers pass on. A workload, node or zone accounts for that of all its members; it pays for each that
is calm and for being the larger claim, so that it is chosen where several suffer together, and only there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from edgeobs.causes.blame import blames, joined
from edgeobs.causes.links import sides
from edgeobs.causes.model import Cause, Clue, Kind, Member
from edgeobs.causes.settings import Settings
from edgeobs.causes.wholes import Blames, Whole, kind_of, wholes
from edgeobs.causes.words import Told, reason
from edgeobs.signals import Edge, Resource


class Candidate(NamedTuple):
    """A cause before it is compared with the others."""

    kind: Kind
    place: Resource
    score: float
    clues: tuple[Clue, ...]
    told: Told
    callee: str = ""


def rank(
    clues: Sequence[Clue], members: Sequence[Member], edges: Sequence[Edge], settings: Settings | None = None
) -> tuple[Cause, ...]:
    """The candidates, the likeliest first; empty where no clue reaches the floor.

    Parameters
    ----------
    clues
        All that is surprising now, of any strength: those below the floor are left out.
    members
        All that runs where the incident is, calm ones too: what suffers together is told from what does not.
    edges
        Who calls whom, by service. Without any, onset, surprise and placement decide alone.

    """
    # Sums of decades are to be the same to the last bit, in whatever order things are told.
    clues, members, edges = sorted(clues), sorted(members), sorted(edges)
    settings = _asked(clues, settings or Settings())
    apart = sides(members, clues, edges)
    own = [clue for clue in clues if not clue.callee]
    own += [clue for each in apart for clue in (each.caller, *each.callees)]
    ways = [each.link for each in apart if each.link.decades >= settings.floor]
    strong = [clue for clue in (*own, *ways) if clue.decades >= settings.floor]
    first = min((clue.onset_ns for clue in strong), default=0)
    found = blames(members, own, edges, first, settings)
    around = wholes(found, strong, first, settings)
    candidates = [
        *_pods(found, around, first),
        *(_group(each, found, first, settings) for each in around),
        *_links(ways, first, settings),
    ]
    return _compared([each for each in candidates if each.score > 0], settings)


def _asked(clues: Sequence[Clue], settings: Settings) -> Settings:
    """Who asks knows that something is wrong: where nothing is strong, the floor is half of the strongest."""
    strongest = max((clue.decades for clue in clues), default=0.0)
    return replace(settings, floor=min(settings.floor, strongest / 2))


def _pods(found: Blames, around: Sequence[Whole], first_ns: int) -> Iterable[Candidate]:
    for place, blame in found.items():
        if blame.own > 0:
            told = Told(
                after_ns=min(clue.onset_ns for clue in blame.clues) - first_ns,
                callers=_most(blame.givers),
                callees=_most(blame.takers),
                wholes=tuple(each.place for each in around if place in each.explained_by),
            )
            yield Candidate(kind_of(place)[0], place, blame.total, tuple(blame.clues), told)


def _most(decades: Mapping[Resource, float]) -> tuple[Resource, ...]:
    return tuple(sorted(decades, key=lambda place: (-decades[place], place)))


def _group(whole: Whole, found: Blames, first_ns: int, settings: Settings) -> Candidate:
    """What is its own; of several witnesses also theirs, less what calm ones and the larger claim cost."""
    score, clues, witnesses = whole.kept, list(whole.own), whole.seen if len(whole.seen) > 1 else ()
    if witnesses:
        costs = settings.wide_costs * (2 if whole.kind == "zone" else 1)
        calm = len(whole.members) - len(whole.ill)
        score += _alike([found[place].total for place in witnesses]) - costs - calm * settings.calm_costs
        theirs = [clue for place in witnesses for clue in found[place].clues]
        clues += sorted(theirs, key=lambda clue: (-clue.decades, clue.onset_ns, clue.text))
    after = min(clue.onset_ns for clue in clues) - first_ns
    told = Told(after_ns=after, ill=witnesses, of=len(whole.members), wholes=whole.explains)
    return Candidate(whole.kind, whole.place, score, tuple(clues), told)


def _alike(totals: Sequence[float]) -> float:
    """A common cause shows in all alike: what one suffers beyond the middle one is its own affair."""
    middle = sorted(totals)[(len(totals) - 1) // 2]
    return sum(min(total, middle) for total in totals)


def _links(ways: Sequence[Clue], first_ns: int, settings: Settings) -> Iterable[Candidate]:
    by: dict[tuple[Resource, str], list[Clue]] = {}
    for clue in sorted(ways, key=lambda clue: -clue.decades):
        by.setdefault((clue.place, clue.callee), []).append(clue)
    for (place, callee), clues in by.items():
        after = min(clue.onset_ns for clue in clues) - first_ns
        score = joined(clues, first_ns, settings)
        yield Candidate("link", place, score, tuple(clues), Told(after_ns=after), callee)


def _compared(candidates: Sequence[Candidate], settings: Settings) -> tuple[Cause, ...]:
    """Belief falls tenfold with every `doubt` decades; who is told of is compared with who is told of."""
    order = sorted(candidates, key=lambda each: (-each.score, each.told.after_ns, each.place, each.callee))
    order = order[: settings.candidates]
    odds = [10.0 ** ((each.score - order[0].score) / settings.doubt) for each in order]
    return tuple(
        Cause(
            each.kind, each.place, each.score, odd / sum(odds),
            reason(each.kind, each.told, each.clues, odd / sum(odds)), each.clues, each.callee,
        )
        for each, odd in zip(order, odds, strict=True)
    )  # fmt: skip
