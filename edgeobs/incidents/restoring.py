"""What the store kept becomes cases again."""

from collections.abc import Iterable

from edgeobs.incidents.case import Case
from edgeobs.incidents.cases import Cases
from edgeobs.incidents.exhibit import Exhibit, of_evidence
from edgeobs.incidents.settings import Settings
from edgeobs.incidents.watch import Watcher
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Incident, Resource


def restore(cases: Cases, watcher: Watcher, incidents: Iterable[Incident], now_ns: int) -> None:
    """Take incidents up, and watch their series; ``now_ns`` 0 is each incident's last change."""
    wanted: dict[tuple[Resource, str], Exhibit] = {}
    for incident in sorted(incidents, key=lambda each: each.opened_ns):
        if incident.state == "resolved":
            cases.recent.append(incident)
            continue
        case = _case_of(incident, now_ns or incident.updated_ns, cases.settings)
        newer = cases.by_place.get(case.place)
        if newer is not None and newer.id:
            cases.supersede(case, newer, now_ns)
            continue
        cases.reopen(case)
        for exhibit in case.live():
            if exhibit.source == "series":
                wanted[exhibit.place, exhibit.text] = exhibit
    _follow(cases.table, watcher, wanted)


def _follow(table: SeriesTable, watcher: Watcher, wanted: dict[tuple[Resource, str], Exhibit]) -> None:
    names = {exhibit.name for exhibit in wanted.values()}
    for number, identity in enumerate(table.identities):
        if identity is None or identity.name not in names:
            continue
        known = wanted.get((identity.source.resource.place(), identity.text()))
        if known is not None:
            watcher.follow(number, known.onset_ns, known.heard_ns)


def _case_of(incident: Incident, now_ns: int, settings: Settings) -> Case:
    exhibits = [of_evidence(each, incident.place, now_ns) for each in incident.evidence]
    for exhibit in exhibits:
        if exhibit.source == "alert":
            exhibit.ends_ns = now_ns + int(settings.alert_expiry_s * SECOND)
    return Case(
        place=incident.place,
        simulated=incident.simulated,
        id=incident.id,
        opened_ns=incident.opened_ns,
        updated_ns=incident.updated_ns,
        ongoing=incident.state == "ongoing",
        suspects=incident.suspects,
        covers=incident.scope != "node" and any(each.source != "alert" for each in incident.evidence),
        exhibits={each.key: each for each in exhibits},
    )
