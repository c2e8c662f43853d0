"""All cases of now: which are incidents, what they are told as, and when they are over."""

from collections import Counter, deque

from edgeobs.incidents.case import Case, scope_of
from edgeobs.incidents.exhibit import Exhibit
from edgeobs.incidents.history import History
from edgeobs.incidents.points import fitted
from edgeobs.incidents.settings import Settings
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Counts, Incident, Resource

_FILL_AT_ONCE = 4  # plots completed per call: each is a look through the whole history, some 0.5 ms
_RECENT_POINTS = 60
_SIMULATED = ("edgeobs.simulated", "true")


class Cases:
    """By place, bounded; a case becomes an incident when it convinces, and is final when it is resolved."""

    def __init__(self, table: SeriesTable, settings: Settings, counts: Counts) -> None:
        self.table, self.settings, self._counts = table, settings, counts
        self.history = History(int(settings.history_mib * 2**20), settings.history_s)
        self.by_place: dict[Resource, Case] = {}
        self.recent: deque[Incident] = deque(maxlen=settings.max_recent)
        self.point_limit = settings.max_points
        self._changed: dict[int, Case] = {}
        self._unfilled: deque[tuple[Case, Exhibit, int]] = deque(maxlen=1000)
        self._over: list[Incident] = []  # restored only to be resolved: told at the next step
        self._opened: Counter[str] = Counter()  # scope → incidents open now
        self._no_room: set[Resource] = set()  # who is absent and would be an incident, were there room
        self._told_no_room: set[Resource] = set()  # of these, who was so at the last look as well
        self._simulated: set[Resource] | None = None  # nodes, zones and clusters; made when first asked for

    # -- what is told

    def begin(self) -> None:
        """A step begins: nothing has changed yet."""
        self._changed, self._simulated = {}, None

    def changed(self, now_ns: int) -> list[Incident]:
        """The incidents that changed since `begin` in more than their plots."""
        over, self._over = self._over, []
        return over + [self.plain(case, now_ns) for case in self._changed.values() if case.id]

    def active(self) -> list[Incident]:
        """Those that are not resolved, the oldest first."""
        cases = sorted((c for c in self.by_place.values() if c.id), key=lambda c: c.opened_ns)
        return [self.plain(case, case.updated_ns) for case in cases]

    def plain(self, case: Case, now_ns: int) -> Incident:
        """A case as plain data."""
        return case.incident(now_ns, self.settings)

    def fill(self, now_ns: int) -> list[Incident]:
        """Complete a few plots with what came before their onset; those completed."""
        filled: dict[str, Case] = {}
        for _ in range(min(_FILL_AT_ONCE, len(self._unfilled))):
            case, exhibit, series = self._unfilled.popleft()
            earlier = self.history.take(series, now_ns, self.point_limit // 2)
            exhibit.prepend(earlier, self.point_limit)
            case.shown = None
            if not case.resolved_ns:
                filled[case.id] = case
        return [self.plain(case, now_ns) for case in filled.values()]

    # -- how a case comes to be an incident

    def of(self, place: Resource, *, own: bool = False) -> Case:
        """The case evidence of a place belongs to: its zone's while that covers its nodes, or its own."""
        if not own:
            zone = self.by_place.get(place._replace(node=""))
            if zone is not None and zone.covers:
                return zone
        case = self.by_place.get(place)
        if case is None:
            case = self.by_place[place] = Case(place=place)
        return case

    def add(self, case: Case, exhibit: Exhibit) -> bool:
        """Take an exhibit in; whether there was room."""
        if not case.add(exhibit, self.settings.max_evidence):
            return False
        self._changed[id(case)] = case
        if case.id:
            self._queue(case, exhibit)
        return True

    def open(self, case: Case, now_ns: int) -> bool:
        """Make it an incident, if it convinces and there is room; whether it has become one just now."""
        if case.id or not case.convinces(now_ns, self.settings, len(self.table)):
            return False
        scope = case.scope
        if self._opened[scope] >= self.settings.max_active:
            self._counts["edgeobs_incidents_dropped_total", scope] += not case.refused
            case.refused = True
            return False
        for key in [k for k, exhibit in case.exhibits.items() if exhibit.calm]:
            del case.exhibits[key]
        case.open(now_ns)
        self._opened[scope] += 1
        for exhibit in case.exhibits.values():
            self._queue(case, exhibit)
        case.simulated = self._is_simulated(case.place)
        self._counts["edgeobs_incidents_opened_total", scope] += 1
        self._changed[id(case)] = case
        return True

    def reopen(self, case: Case) -> None:
        """Go on with an incident of a former run."""
        self.by_place[case.place] = case
        self._opened[case.scope] += 1

    def supersede(self, old: Case, newer: Case, now_ns: int) -> None:
        """The store was opened late, and the same place has an incident of this run already."""
        old.resolved_ns, old.closing = now_ns or old.updated_ns, f"; goes on as {newer.id}"
        self._over.append(self.plain(old, old.resolved_ns))

    def look_for_room(self) -> None:
        """A look at all absences begins: who had no room at the last one is not counted again."""
        self._told_no_room, self._no_room = self._no_room, set()

    def has_room(self, place: Resource) -> bool:
        """Whether what is absent has a case or may have one; if not, it is counted when it is new."""
        if place in self.by_place:
            return True
        scope = scope_of(place)
        if self._opened[scope] < self.settings.max_active:
            return True
        self._no_room.add(place)
        self._counts["edgeobs_incidents_dropped_total", scope] += place not in self._told_no_room
        return False

    # -- how it ends

    def resolve(self, case: Case, now_ns: int) -> None:
        """It is over; of what was no incident nothing is left."""
        del self.by_place[case.place]
        if not case.id:
            return
        self._opened[case.scope] -= 1
        case.resolved_ns, case.shown = now_ns, None
        self._changed[id(case)] = case
        for exhibit in case.exhibits.values():
            exhibit.points = fitted(exhibit.points, _RECENT_POINTS)
        self.recent.append(self.plain(case, now_ns))

    def sweep(self, now_ns: int) -> None:
        """Let time pass: calm, ongoing, resolved."""
        exhibits = 0
        for case in list(self.by_place.values()):
            exhibits += len(case.exhibits)
            for exhibit in case.live():
                if now_ns >= exhibit.calm_ns(self.settings):
                    exhibit.calm, case.shown = True, None
                    self._changed[id(case)] = case
            if not case.lives():
                self.resolve(case, now_ns)
            elif case.id and not case.ongoing and now_ns - case.opened_ns >= self.settings.ongoing_s * SECOND:
                case.ongoing, case.shown = True, None
                self._changed[id(case)] = case
        share = self.settings.max_points_in_all // max(1, exhibits)
        self.point_limit = max(16, min(self.settings.max_points, share))

    def _queue(self, case: Case, exhibit: Exhibit) -> None:
        """Have `fill` complete a plot."""
        if exhibit.series >= 0:
            self._unfilled.append((case, exhibit, exhibit.series))
            exhibit.series = -1

    def _is_simulated(self, place: Resource) -> bool:
        if self._simulated is None:
            self._simulated = set()
            for node, number in self.table.by_place.items():
                if _SIMULATED in self.table.nodes[number].attributes:
                    cluster, zone = node.cluster, node.zone
                    self._simulated |= {node, Resource(cluster, zone), Resource(cluster)}
        return place in self._simulated
