"""Scores, absences and foreign alerts → incidents of nodes, zones and clusters.

A resolved incident is final: what returns is a new one. Flapping is what the hold time is for.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from math import log10

from edgeobs.incidents.case import Case, scope_of
from edgeobs.incidents.exhibit import Exhibit, of_absence, of_alert, of_evidence, of_joint, of_series
from edgeobs.incidents.history import History
from edgeobs.incidents.points import fitted
from edgeobs.incidents.settings import Settings
from edgeobs.incidents.watch import DROPPED, Watch, Watcher, opening
from edgeobs.series import SeriesTable
from edgeobs.signals import (
    SECOND,
    Absence,
    Batch,
    Counts,
    ExternalAlert,
    Incident,
    Joint,
    Point,
    Resource,
    Scores,
)

OWN_ALERT = "EdgeobsIncident"
"""What our incidents are called in Alertmanager; told back to us, they are no news."""

_FILL_AT_ONCE = 4  # plots completed per call: each is a look through the whole history, some 0.5 ms
_SWEEP_NS = SECOND // 2
_SAME_NS = SECOND // 2  # absences that nobody looked at anew are not taken in again within this time
_WIDE = ("zone", "cluster")
_SIMULATED = ("edgeobs.simulated", "true")
_RECENT_POINTS = 60


class Incidents:
    """All incidents, and all that may become one. Not safe to share between threads.

    Parameters
    ----------
    table
        Who the series are. Places with the resource attribute ``edgeobs.simulated`` are marked as simulated.
    settings, counts
        Thresholds and bounds; what was dropped at a bound is counted by reason.

    """

    def __init__(self, table: SeriesTable, settings: Settings, counts: Counts) -> None:
        self._table, self.settings, self._counts = table, settings, counts
        self._watcher = Watcher(table, settings, counts)
        self._history = History(int(settings.history_mib * 2**20), settings.history_s)
        self._cases: dict[Resource, Case] = {}
        self._recent: deque[Incident] = deque(maxlen=settings.max_recent)
        self._changed: dict[int, Case] = {}
        self._unfilled: deque[tuple[Case, Exhibit, int]] = deque(maxlen=1000)
        self._point_limit = settings.max_points
        self._over: list[Incident] = []  # restored only to be resolved: told at the next step
        self.wholes: dict[Resource, Watch] = {}  # nodes that are surprising as a whole
        self._swept_ns = 0
        self._opened: Counter[str] = Counter()  # scope → incidents open now
        self._absent: tuple[Sequence[Absence], int] = ((), 0)  # as last taken in, and when
        self._no_room: set[Resource] = set()  # who is absent and would be an incident, were there room
        self._simulated: set[Resource] | None = None  # nodes, zones and clusters; made when first asked for

    def step(
        self,
        batch: Batch,
        scores: Scores,
        absences: Sequence[Absence],
        alerts: Sequence[ExternalAlert],
        now_ns: int,
        joint: Sequence[Joint] = (),
    ) -> list[Incident]:
        """Take in what is new; the incidents that changed in more than their plots.

        Parameters
        ----------
        batch, scores
            Samples with their scores, row by row.
        absences
            All that hold now.
        alerts
            Those not seen before.
        joint
            How surprising nodes are as a whole, in order of time.

        """
        self._changed, self._simulated = {}, None
        self._history.append(batch, scores)
        self._take_samples(batch, scores, now_ns)
        for each in joint:
            self._take_joint(each, now_ns)
        self._take_absences(absences, now_ns)
        for alert in alerts:
            self._take_alert(alert, now_ns)
        if now_ns - self._swept_ns >= _SWEEP_NS or now_ns < self._swept_ns:
            self._sweep(now_ns)
        over, self._over = self._over, []
        return over + [self._plain(case, now_ns) for case in self._changed.values() if case.id]

    def active(self) -> list[Incident]:
        """Those that are not resolved, with their plots as they are now; the oldest first."""
        cases = sorted((c for c in self._cases.values() if c.id), key=lambda c: c.opened_ns)
        return [self._plain(case, case.updated_ns) for case in cases]

    def recent(self) -> list[Incident]:
        """The last resolved ones, oldest first, with coarse plots."""
        return list(self._recent)

    def fill(self, now_ns: int) -> list[Incident]:
        """Complete a few plots with what came before their onset; those completed.

        Nothing depends on it: call it when what was decided is safe.
        """
        filled: dict[str, Case] = {}
        for _ in range(min(_FILL_AT_ONCE, len(self._unfilled))):
            case, exhibit, series = self._unfilled.popleft()
            earlier = self._history.take(series, now_ns, self._point_limit // 2)
            exhibit.prepend(earlier, self._point_limit)
            case.shown = None
            if not case.resolved_ns:
                filled[case.id] = case
        return [self._plain(case, now_ns) for case in filled.values()]

    def restore_incidents(self, incidents: Iterable[Incident], now_ns: int = 0) -> None:
        """Take up what the store kept; after the series table was restored, so that evidence goes on.

        ``now_ns`` (default: each incident's last change) is when calm begins to be counted again.
        """
        wanted: dict[tuple[Resource, str], Exhibit] = {}
        for incident in sorted(incidents, key=lambda each: each.opened_ns):
            if incident.state == "resolved":
                self._recent.append(incident)
                continue
            case = _case_of(incident, now_ns or incident.updated_ns, self.settings)
            newer = self._cases.get(case.place)
            if newer is not None and newer.id:
                self._supersede(case, newer, now_ns)
                continue
            self._cases[case.place] = case
            self._opened[case.scope] += 1
            for exhibit in case.live():
                if exhibit.source == "series":
                    wanted[exhibit.place, exhibit.text] = exhibit
        names = {exhibit.name for exhibit in wanted.values()}
        for number, identity in enumerate(self._table.identities):
            if identity is None or identity.name not in names:
                continue
            known = wanted.get((identity.source.resource.place(), identity.text()))
            if known is not None:
                self._watcher.follow(number, known.onset_ns, known.heard_ns)

    def _supersede(self, old: Case, newer: Case, now_ns: int) -> None:
        """The store was opened late, and the same place has an incident of this run already."""
        old.resolved_ns, old.closing = now_ns or old.updated_ns, f"; goes on as {newer.id}"
        self._over.append(self._plain(old, old.resolved_ns))

    # -- what comes in

    def _take_samples(self, batch: Batch, scores: Scores, now_ns: int) -> None:
        for number, watch, point, expected, why, ease, late in self._watcher.observe(batch, scores, now_ns):
            case = self._case(watch.place)
            exhibit = case.exhibits.get((watch.place.node, watch.text))
            if exhibit is not None and not exhibit.calm:
                exhibit.show(point, expected, self._point_limit, why)
                case.shown = None
            elif late:
                continue
            else:
                exhibit = of_series(number, watch, now_ns)
                exhibit.ease = ease
                exhibit.show(point, expected, self._point_limit, why)
                if not self._add(case, exhibit):
                    continue
            if not late and watch.heard_ns == now_ns:
                exhibit.heard_ns, exhibit.last_ns = now_ns, max(point.time_ns, exhibit.last_ns)
                self._open(case, now_ns)

    def _take_joint(self, joint: Joint, now_ns: int) -> None:
        ease = log10(max(joint.interval_s, 1.0))
        least = opening(ease, self.settings)
        watch = self.wholes.get(joint.place)
        if watch is None:
            if joint.score < least or len(self.wholes) >= self.settings.max_watched:
                return
            watch = self.wholes[joint.place] = Watch(joint.place, "the node as a whole")
        if not watch.observe(joint.time_ns, joint.score, ease, now_ns, self.settings):
            return
        case = self._case(watch.place)
        exhibit = case.exhibits.get((watch.place.node, watch.text))
        if exhibit is None or exhibit.calm:
            if joint.score < least:
                return
            exhibit = of_joint(joint, watch, now_ns)
            exhibit.ease = ease
            if not self._add(case, exhibit):
                return
        case.shown = None
        if exhibit.show(Point(joint.time_ns, joint.raw, 0.0, 1.0, joint.score), 0.5, self._point_limit):
            exhibit.parts = joint.parts
        if (
            joint.score >= least
        ):  # its memory is long: what keeps other evidence alive would keep this for ever
            exhibit.heard_ns, exhibit.last_ns = now_ns, max(joint.time_ns, exhibit.last_ns)
            self._open(case, now_ns)

    def _take_absences(self, absences: Sequence[Absence], now_ns: int) -> None:
        before, taken_ns = self._absent
        if absences is before and 0 <= now_ns - taken_ns < _SAME_NS:
            return
        self._absent = absences, now_ns
        no_room, self._no_room = self._no_room, set()
        wide = {a.place for a in absences if a.scope in _WIDE}
        for absence in sorted(absences, key=lambda a: a.scope not in _WIDE):
            if wide and _covered(absence, wide):
                continue
            if self._has_room(absence, no_room):
                self._take_absence(absence, now_ns)

    def _has_room(self, absence: Absence, told: set[Resource]) -> bool:
        """Whether it has a case or may have one; if not, it is counted when it is new."""
        place = absence.place
        if place in self._cases:
            return True
        scope = scope_of(place)
        if self._opened[scope] < self.settings.max_active:
            return True
        self._no_room.add(place)
        self._counts["edgeobs_incidents_dropped_total", scope] += place not in told
        return False

    def _take_absence(self, absence: Absence, now_ns: int) -> None:
        case = self._case(absence.place, own=True)
        exhibit = of_absence(absence, now_ns)
        known = case.exhibits.get(exhibit.key)
        if known is not None and not known.calm:
            known.heard_ns = known.last_ns = now_ns
            known.text, case.shown = absence.detail, None
            self._open(case, now_ns)
            return
        if self._add(case, exhibit):
            self._open(case, now_ns)
        if absence.scope in _WIDE and case.id:
            case.covers = True
            self._absorb(case, now_ns)

    def _take_alert(self, alert: ExternalAlert, now_ns: int) -> None:
        if alert.name == OWN_ALERT:
            self._counts[DROPPED, "own_alert"] += 1
            return
        exhibit = of_alert(alert, now_ns, int(self.settings.alert_expiry_s * SECOND))
        if alert.status == "resolved":
            self._resolve_alert(exhibit, alert, now_ns)
            return
        case = self._case(alert.place, own=True)
        known = case.exhibits.get(exhibit.key)
        if (known is None or known.calm) and self._add(case, exhibit):
            self._open(case, now_ns)
        if not case.id:
            del self._cases[case.place]

    def _resolve_alert(self, exhibit: Exhibit, alert: ExternalAlert, now_ns: int) -> None:
        place = alert.place
        for wide in {place, place._replace(node=""), place._replace(node="", zone="")}:
            known = self._cases[wide].exhibits.get(exhibit.key) if wide in self._cases else None
            if known is None or known.source != "alert" or known.place[:3] != place[:3]:
                continue
            if known.onset_ns <= alert.starts_ns:
                known.ends_ns, known.last_ns = now_ns, alert.ends_ns or now_ns
                self._swept_ns = 0

    # -- cases

    def _case(self, place: Resource, *, own: bool = False) -> Case:
        """The case evidence of a place belongs to: its zone's while that covers its nodes, or its own."""
        if not own:
            zone = self._cases.get(place._replace(node=""))
            if zone is not None and zone.covers:
                return zone
        case = self._cases.get(place)
        if case is None:
            case = self._cases[place] = Case(place=place)
        return case

    def _add(self, case: Case, exhibit: Exhibit) -> bool:
        if not case.add(exhibit, self.settings.max_evidence):
            return False
        self._changed[id(case)] = case
        if case.id:
            self._queue(case, exhibit)
        return True

    def _queue(self, case: Case, exhibit: Exhibit) -> None:
        """Have `fill` complete a plot."""
        if exhibit.series >= 0:
            self._unfilled.append((case, exhibit, exhibit.series))
            exhibit.series = -1

    def _open(self, case: Case, now_ns: int) -> None:
        if case.id or not case.convinces(now_ns, self.settings):
            return
        scope = case.scope
        if self._opened[scope] >= self.settings.max_active:
            self._counts["edgeobs_incidents_dropped_total", scope] += not case.refused
            case.refused = True
            return
        for key in [k for k, exhibit in case.exhibits.items() if exhibit.calm]:
            del case.exhibits[key]
        case.open(now_ns)
        self._opened[scope] += 1
        for exhibit in case.exhibits.values():
            self._queue(case, exhibit)
        case.simulated = self._is_simulated(case.place)
        self._counts["edgeobs_incidents_opened_total", scope] += 1
        self._changed[id(case)] = case
        if scope == "node":
            self._group(case.place, now_ns)

    def _group(self, place: Resource, now_ns: int) -> None:
        """Make one incident of a zone of those that began together in it."""
        zone = place._replace(node="")
        if not zone.zone or (zone in self._cases and self._cases[zone].covers):
            return
        since = now_ns - int(self.settings.zone_window_s * SECOND)
        together = [
            c for c in self._members(zone) if c.id and c.opened_ns >= since and not c.only_absences()
        ]  # fmt: skip
        if len(together) < self.settings.zone_nodes:
            return
        known = sum(_inside(each, zone) for each in self._table.by_place)
        if len(together) < self.settings.zone_share * known:
            return
        case = self._case(zone)
        strongest = sorted(
            (e for c in together for e in c.live()), key=lambda e: (-e.score, e.onset_ns, e.key)
        )
        for exhibit in strongest[: self.settings.max_evidence]:
            case.add(exhibit, self.settings.max_evidence)
        case.covers = True
        self._open(case, now_ns)
        if case.id:
            self._absorb(case, now_ns)
        else:
            case.covers = False

    def _absorb(self, wide: Case, now_ns: int) -> None:
        """End the incidents that are only a part of a wider one."""
        since = now_ns - int(self.settings.zone_window_s * SECOND)
        for case in self._members(wide.place):
            fresh = not case.id or case.opened_ns >= since
            if case is wide or not (fresh or case.only_absences()):
                continue
            case.closing = f"; part of {wide.id}, {wide.scope} {wide.place.zone or wide.place.cluster}"
            self._resolve(case, now_ns)

    def _members(self, wide: Resource) -> list[Case]:
        """The cases inside a zone, or inside a cluster."""
        nodes = bool(wide.zone)
        return [c for c in self._cases.values() if _inside(c.place, wide) and (c.place.node or not nodes)]

    def _resolve(self, case: Case, now_ns: int) -> None:
        del self._cases[case.place]
        if not case.id:
            return
        self._opened[case.scope] -= 1
        case.resolved_ns, case.shown = now_ns, None
        self._changed[id(case)] = case
        for exhibit in case.exhibits.values():
            exhibit.points = fitted(exhibit.points, _RECENT_POINTS)
        self._recent.append(self._plain(case, now_ns))

    def _sweep(self, now_ns: int) -> None:
        """Let time pass: calm, ongoing, resolved."""
        self._swept_ns = now_ns
        self._watcher.sweep(now_ns)
        before = now_ns - int(self.settings.hold_s * SECOND)
        self.wholes = {place: watch for place, watch in self.wholes.items() if watch.heard_ns > before}
        hold = int(self.settings.hold_s * SECOND)
        exhibits = 0
        for case in list(self._cases.values()):
            exhibits += len(case.exhibits)
            for exhibit in case.live():
                ends = exhibit.ends_ns or exhibit.heard_ns + hold
                if now_ns >= ends:
                    exhibit.calm, case.shown = True, None
                    self._changed[id(case)] = case
            if not case.live():
                self._resolve(case, now_ns)
            elif case.id and not case.ongoing and now_ns - case.opened_ns >= self.settings.ongoing_s * SECOND:
                case.ongoing, case.shown = True, None
                self._changed[id(case)] = case
        share = self.settings.max_points_in_all // max(1, exhibits)
        self._point_limit = max(16, min(self.settings.max_points, share))

    def _plain(self, case: Case, now_ns: int) -> Incident:
        return case.incident(now_ns, self.settings)

    def _is_simulated(self, place: Resource) -> bool:
        if self._simulated is None:
            self._simulated = set()
            for node, number in self._table.by_place.items():
                if _SIMULATED in self._table.nodes[number].attributes:
                    cluster, zone = node.cluster, node.zone
                    self._simulated |= {node, Resource(cluster, zone), Resource(cluster)}
        return place in self._simulated


def _covered(absence: Absence, wide: set[Resource]) -> bool:
    """Whether a zone or cluster that is absent as a whole says it already."""
    cluster, zone = absence.place.cluster, absence.place.zone
    if absence.scope == "cluster":
        return False
    return Resource(cluster) in wide or (absence.scope != "zone" and Resource(cluster, zone) in wide)


def _inside(node: Resource, place: Resource) -> bool:
    return node.cluster == place.cluster and place.zone in {"", node.zone} and place.node in {"", node.node}


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
        covers=incident.scope != "node" and any(each.source != "alert" for each in incident.evidence),
        exhibits={each.key: each for each in exhibits},
    )
