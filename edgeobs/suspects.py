"""What is likely to have caused an incident: its evidence, that of others then, and what logs and traces
count, as clues for `causes`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from edgeobs.causes import Clue, Member, Settings, rank
from edgeobs.causes.happened import Span, happened
from edgeobs.causes.merging import merged
from edgeobs.causes.model import Signal
from edgeobs.past import INTERVAL_NS, Tallies
from edgeobs.signals import SECOND, Edge, Evidence, Incident, Resource, Suspect

TOGETHER_NS = 120 * SECOND
"""Evidence that began this close to an incident's own may have the same cause."""

KNOWN_NS = 20 * SECOND
"""After so long nothing more comes of an interval: lines and spans are on their way, children wait."""

MOST_CLUES, MOST_MEMBERS, MOST_COUNTED = 64, 2000, 50
_TOLD = 5
_LINK = "span link time"


class Counting(NamedTuple):
    """What logs and traces count, for who asks."""

    tallies: Callable[[Collection[Resource]], tuple[Tallies, Tallies]]
    """Of these places: lines, and spans."""
    former: Sequence[Incident]  # resolved within the last hour: what was then is not usual
    now_ns: int


def suspects(
    incident: Incident,
    others: Iterable[Incident],
    running: Mapping[Resource, str],
    edges: Sequence[Edge],
    counts: Counting | None = None,
    settings: Settings | None = None,
) -> tuple[Suspect, ...]:
    """The likeliest causes of an incident, the likeliest first.

    Parameters
    ----------
    others
        Incidents of the same time; those that nothing joins to this one are left out.
    running
        What runs, down to the pod → its service. What suffers together is told from what does not.
    edges
        Who calls whom.
    counts
        None: the evidence is all there is.

    """
    cluster = incident.place.cluster
    running = {place: name for place, name in running.items() if place.cluster == cluster}
    by_service = _by_service(running)
    about = _about(incident, running, edges)
    where = [at for at, name in running.items() if name in about]
    first = min((each.onset_ns for each in incident.evidence), default=0)
    joined = [
        each
        for each in (*others, *(counts.former if counts else ()))
        if each.id != incident.id and _joined(each.place, incident.place, where)
    ]
    near = [
        (each, other.place)
        for other in joined
        for each in other.evidence
        if abs(each.onset_ns - first) <= TOGETHER_NS
    ]
    told = [(each, incident.place) for each in incident.evidence] + near
    clues = [clue(each, place, by_service) for each, place in told]
    if counts is not None and told:
        begin = min(each.onset_ns for each, _ in told)
        places = _counted(clues, running, about)
        clues = merged(clues, _changes(counts, places, begin, joined, settings), settings)
    clues = sorted(clues, key=lambda each: -each.decades)[:MOST_CLUES]
    members = {**dict.fromkeys((each.place for each in clues if each.place.node), ""), **running}
    known = [Member(place, name) for place, name in members.items() if _runs(place)][:MOST_MEMBERS]
    found = rank(clues, known, edges, settings)[:_TOLD]
    return tuple(Suspect(each.kind, each.name(), each.place, each.share, each.reason) for each in found)


def _counted(clues: Sequence[Clue], running: Mapping[Resource, str], about: set[str]) -> list[Resource]:
    """Whose counts are looked at: whom clues are of first, then who runs the services that it is about."""
    places = [each.place for each in sorted(clues, key=lambda each: -each.decades) if _runs(each.place)]
    places += sorted(place for place, name in running.items() if name in about)
    return list(dict.fromkeys(places))[:MOST_COUNTED]


def _changes(
    counts: Counting,
    places: Collection[Resource],
    onset_ns: int,
    others: Sequence[Incident],
    settings: Settings | None,
) -> list[Clue]:
    """What changed in the counts of places. Evidence is of samples, which end when they are told."""
    lines, spans = counts.tallies(places)
    troubles = [_span(each) for each in others if each.evidence]
    end_ns = counts.now_ns - KNOWN_NS
    return happened(lines, spans, onset_ns - INTERVAL_NS, end_ns, troubles, settings)


def _span(incident: Incident) -> Span:
    """From its first evidence to its last."""
    return min(each.onset_ns for each in incident.evidence), max(each.last_ns for each in incident.evidence)


def _about(incident: Incident, running: Mapping[Resource, str], edges: Sequence[Edge]) -> set[str]:
    """Services of an incident: what runs there, all that it waits for by calls, and who calls it."""
    place = incident.place
    here = {name for at, name in running.items() if name and _holds(place, at)}
    here |= {running.get(each.resource, "") for each in incident.evidence}
    callees: dict[str, set[str]] = {}
    for edge in edges:
        callees.setdefault(edge.caller, set()).add(edge.callee)
    found, due = set(here), list(here)
    while due:
        new = callees.get(due.pop(), set()) - found
        found |= new
        due += new
    return (found | {edge.caller for edge in edges if edge.callee in here}) - {""}


def _joined(place: Resource, to: Resource, where: Sequence[Resource]) -> bool:
    """Whether what is wrong at a place may have to do with what is wrong at another: by zone, or by calls.

    ``where`` the services run that the other is about.
    """
    if place.cluster != to.cluster:
        return False
    if not (place.zone or place.node) or not (to.zone or to.node):
        return True  # of the cluster as a whole
    if place.zone and place.zone == to.zone:
        return True
    return any(_holds(place, at) for at in where)


def _holds(place: Resource, at: Resource) -> bool:
    """Whether something runs at a node, in a zone, or in a cluster."""
    return place.node in ("", at.node) and place.zone in ("", at.zone) and place.cluster == at.cluster


def clue(evidence: Evidence, place: Resource, by_service: Mapping[str, Resource]) -> Clue:
    """A piece of evidence of an incident of a place, as it speaks against whom it is of.

    A metric without a pod is of its node; time on the way to a service is of who waits for it.
    """
    labels, where = dict(evidence.labels), evidence.resource
    if not place.node:
        place = place._replace(node=labels.get("node", ""))
    callee = labels.get("callee", "") if evidence.kind == _LINK else ""
    caller = by_service.get(labels.get("caller", ""))
    if callee and caller is not None:
        where = caller
    elif not where.pod and not (evidence.kind and where.workload):
        where = where.place() if where.node else place
    return Clue(
        where, _signal(evidence), evidence.brief(), evidence.onset_ns, evidence.score,
        callee if caller is not None else "",
    )  # fmt: skip


def _signal(evidence: Evidence) -> Signal:
    if evidence.source in ("absence", "alert"):
        return evidence.source
    if evidence.kind:
        return "log" if evidence.kind.startswith("log") else "trace"
    return "metric"


def _runs(place: Resource) -> bool:
    """Whether it is something that runs, and no node alone."""
    return bool(place.pod or place.workload)


def _by_service(running: Mapping[Resource, str]) -> dict[str, Resource]:
    """One member of each service: who calls is named by service alone."""
    return {name: place for place, name in sorted(running.items(), reverse=True) if name}
