"""What belongs to something wider: nodes of a zone that fail together, and who is silent with all others."""

from edgeobs.incidents.case import Case
from edgeobs.incidents.cases import Cases
from edgeobs.signals import SECOND, Absence, Resource


def gather(cases: Cases, place: Resource, now_ns: int) -> None:
    """Make one incident of a zone of those that began together in it; ``place`` is the latest."""
    zone, settings = place._replace(node=""), cases.settings
    if not zone.zone or (zone in cases.by_place and cases.by_place[zone].covers):
        return
    since = now_ns - int(settings.zone_window_s * SECOND)
    together = [
        c for c in _members(cases, zone) if c.id and c.opened_ns >= since and not c.only_absences()
    ]  # fmt: skip
    if len(together) < settings.zone_nodes:
        return
    known = sum(_inside(each, zone) for each in cases.table.by_place)
    if len(together) < settings.zone_share * known:
        return
    case = cases.of(zone)
    strongest = sorted((e for c in together for e in c.live()), key=lambda e: (-e.score, e.onset_ns, e.key))
    for exhibit in strongest[: settings.max_evidence]:
        case.add(exhibit, settings.max_evidence)
    case.covers = True
    cases.open(case, now_ns)
    if case.id:
        absorb(cases, case, now_ns)
    else:
        case.covers = False


def absorb(cases: Cases, wide: Case, now_ns: int) -> None:
    """End the incidents that are only a part of a wider one."""
    since = now_ns - int(cases.settings.zone_window_s * SECOND)
    for case in _members(cases, wide.place):
        fresh = not case.id or case.opened_ns >= since
        if case is wide or not (fresh or case.only_absences()):
            continue
        case.closing = f"; part of {wide.id}, {wide.scope} {wide.place.zone or wide.place.cluster}"
        cases.resolve(case, now_ns)


def covered(absence: Absence, wide: set[Resource]) -> bool:
    """Whether a zone or cluster that is absent as a whole says it already."""
    cluster, zone = absence.place.cluster, absence.place.zone
    if absence.scope == "cluster":
        return False
    return Resource(cluster) in wide or (absence.scope != "zone" and Resource(cluster, zone) in wide)


def _members(cases: Cases, wide: Resource) -> list[Case]:
    """The cases inside a zone, or inside a cluster."""
    nodes = bool(wide.zone)
    return [c for c in cases.by_place.values() if _inside(c.place, wide) and (c.place.node or not nodes)]


def _inside(node: Resource, place: Resource) -> bool:
    return node.cluster == place.cluster and place.zone in {"", node.zone} and place.node in {"", node.node}
