"""Workloads, nodes and zones: which of their members suffer, and who of the two explains the other."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from edgeobs.causes.blame import Blame, joined
from edgeobs.causes.model import Clue, Kind
from edgeobs.causes.settings import Settings
from edgeobs.past import INTERVAL_NS
from edgeobs.signals import Resource

Blames = Mapping[Resource, Blame]


class Whole(NamedTuple):
    """A workload of several pods, a node or a zone."""

    kind: Kind
    place: Resource
    members: tuple[Resource, ...]
    ill: tuple[Resource, ...]  # of these
    seen: tuple[Resource, ...]  # of these, those that what they call does not explain
    own: tuple[Clue, ...]  # of itself, the strongest first
    kept: float  # decades of these that its members do not account for, and of members that it accounts for
    explained_by: tuple[Resource, ...] = ()  # of its members
    explains: tuple[Resource, ...] = ()


def wholes(found: Blames, strong: Sequence[Clue], first_ns: int, settings: Settings) -> list[Whole]:
    """What is unlike itself as a whole is so for a member that is more so: as a caller for what it calls."""
    groups: dict[tuple[Kind, Resource], list[Resource]] = {}
    for place in found:
        for kind, whole in _around(place):
            groups.setdefault((kind, whole), []).append(place)
    news: dict[Resource, list[Clue]] = {}
    for clue in sorted(strong, key=lambda clue: (-clue.decades, clue.onset_ns, clue.text)):
        if clue.place not in found and not clue.callee:
            groups.setdefault(kind_of(clue.place), [])
            news.setdefault(clue.place, []).append(clue)
    made = []
    for (kind, whole), places in groups.items():
        ill = tuple(place for place in places if found[place].own > 0)
        own = tuple(news.get(whole, ()))
        kept = joined(own, first_ns, settings)
        explained_by = _like(found, ill, own) if kept else ()
        explains = _lesser(found, ill, own, kept, settings) if kind == "node" and kept else ()
        kept = _shared(found, explained_by, own, kept, first_ns, settings)
        kept = _taken(found, explains, kept)
        seen = tuple(place for place in ill if not found[place].explained)
        if own or len(seen) > 1:
            row = Whole(kind, whole, tuple(places), ill, seen, own, kept, explained_by, explains)
            made.append(row)
    return made


def _like(found: Blames, ill: Sequence[Resource], own: Sequence[Clue]) -> tuple[Resource, ...]:
    """Members that may explain a whole: unlike themselves in the same signals. Lines that a pod logs account
    for no disk that fails.
    """
    signals = {clue.signal for clue in own}
    return tuple(place for place in ill if any(clue.signal in signals for clue in found[place].clues))


def _lesser(
    found: Blames, ill: Sequence[Resource], own: Sequence[Clue], kept: float, settings: Settings
) -> tuple[Resource, ...]:
    """Pods that a node may explain: those that began no earlier, by an interval of logs and traces, of which
    nothing alone is more surprising, and which do not explain it.

    A node is seen by its metrics alone, where a pod is seen by three signals: so one is compared with one.
    """
    began, like = min(clue.onset_ns for clue in own), _like(found, ill, own)
    return tuple(
        place
        for place in ill
        if place not in like
        and min(found[place].clues[0].decades, settings.most) <= kept
        and min(clue.onset_ns for clue in found[place].clues) >= began - INTERVAL_NS
    )


def _shared(
    found: Blames,
    by: Sequence[Resource],
    own: Sequence[Clue],
    kept: float,
    first_ns: int,
    settings: Settings,
) -> float:
    """Pass decades of a whole on to those that explain it, by what they have in common; the rest stays."""
    signals = {clue.signal for clue in own}
    alike = {
        place: joined((c for c in found[place].clues if c.signal in signals), first_ns, settings)
        for place in by
    }
    every, worst = sum(alike.values()), max(alike.values(), default=0.0)
    given = kept * worst / (worst + kept) if every else 0.0
    for place, decades in alike.items():
        found[place].total += given * decades / every if every else 0.0
    return kept - given


def _taken(found: Blames, places: Sequence[Resource], kept: float) -> float:
    """Pass decades of pods on to what explains them, as from a caller to what it calls."""
    came = 0.0
    for place in places:
        blame = found[place]
        given = blame.total * kept / (kept + blame.own)
        blame.total -= given
        came += given
    return kept + came


def _around(place: Resource) -> Iterable[tuple[Kind, Resource]]:
    if place.pod and place.workload:
        yield "workload", Resource(place.cluster, "", "", place.namespace, place.workload)
    if place.node:
        yield "node", place.place()
    if place.zone:
        yield "zone", Resource(place.cluster, place.zone)


def kind_of(place: Resource) -> tuple[Kind, Resource]:
    if place.pod:
        return "pod", place
    if place.workload:
        return "workload", place
    return ("node" if place.node else "zone"), place
