"""What comes in becomes evidence: surprising series and nodes, signs, absences, foreign alerts."""

from collections.abc import Callable, Sequence
from math import log10, nan

from edgeobs.incidents.case import Case
from edgeobs.incidents.cases import Cases
from edgeobs.incidents.exhibit import Exhibit, of_absence, of_alert, of_joint, of_series, of_sign
from edgeobs.incidents.promise import LEAST, opening
from edgeobs.incidents.watch import DROPPED, Watch, Watcher
from edgeobs.incidents.zones import absorb, covered, gather
from edgeobs.signals import (
    SECOND,
    Absence,
    Batch,
    Counts,
    ExternalAlert,
    Joint,
    Labels,
    Point,
    Resource,
    Scores,
    Sign,
    Source,
    Told,
)

OWN_ALERT = "EdgeobsIncident"
"""What our incidents are called in Alertmanager; told back to us, they are no news."""

Lore = Callable[[Source, Labels, int], Told]
"""Whose, which labels, and the series (−1: none) of evidence of logs or spans → what else is to be told."""

_SAME_NS = SECOND // 2  # absences that nobody looked at anew are not taken in again within this time
_WIDE = ("zone", "cluster")


class Intake:
    """Finds for each piece of news the case that it belongs to."""

    def __init__(self, cases: Cases, counts: Counts, lore: Lore) -> None:
        self.cases, self.settings, self._counts = cases, cases.settings, counts
        self.watcher = Watcher(cases.table, cases.settings, counts)
        self.wholes: dict[Resource, Watch] = {}  # nodes that are surprising as a whole
        self._lore = lore
        self._absent: tuple[Sequence[Absence], int] = ((), 0)  # as last taken in, and when

    def samples(self, batch: Batch, scores: Scores, now_ns: int) -> None:
        """Take samples with their scores in."""
        limit = self.cases.point_limit
        for number, watch, point, expected, why, ease, late in self.watcher.observe(batch, scores, now_ns):
            case = self.cases.of(watch.place)
            exhibit = case.exhibits.get((watch.place.node, watch.text))
            if exhibit is not None and not exhibit.calm:
                exhibit.show(point, expected, limit, why)
                exhibit.ease, case.shown = ease, None
            elif late:
                continue
            else:
                exhibit = of_series(number, watch, now_ns)
                exhibit.ease = ease
                exhibit.show(point, expected, limit, why)
                if not self.cases.add(case, exhibit):
                    continue
            if exhibit.kind and watch.identity is not None and not late:
                exhibit.tell(self._lore(watch.identity.source, watch.identity.labels, number))
            if not late and watch.heard_ns == now_ns:
                self._heard(case, exhibit, point.time_ns, now_ns)

    def joint(self, joint: Joint, now_ns: int) -> None:
        """Take in how surprising a node is as a whole."""
        ease = log10(max(joint.interval_s, 1.0))
        least = opening(ease, self.settings)
        watch = self.wholes.get(joint.place)
        if watch is None:
            if joint.score < least or len(self.wholes) >= self.settings.max_watched:
                return
            watch = self.wholes[joint.place] = Watch(joint.place, "the node as a whole")
        if not watch.observe(joint.time_ns, joint.score, ease, now_ns, self.settings):
            return
        case = self.cases.of(watch.place)
        exhibit = case.exhibits.get((watch.place.node, watch.text))
        if exhibit is None or exhibit.calm:
            if joint.score < least:
                return
            exhibit = of_joint(joint, watch, now_ns)
            exhibit.ease = ease
            if not self.cases.add(case, exhibit):
                return
        case.shown = None
        point = Point(joint.time_ns, joint.raw, 0.0, 1.0, joint.score)
        if exhibit.show(point, 0.5, self.cases.point_limit):
            exhibit.parts = joint.parts
        if joint.score >= least:  # its memory is long: what keeps other evidence alive would keep this always
            self._heard(case, exhibit, joint.time_ns, now_ns)

    def signs(self, signs: Sequence[Sign], now_ns: int) -> None:
        """Take in what the stages of logs and spans found by themselves, the most surprising first."""
        most = self.settings.max_samples_per_step
        if len(signs) > most:
            self._counts[DROPPED, "step"] += len(signs) - most
        for sign in sorted(signs, key=lambda each: -each.score)[:most]:
            if sign.score >= LEAST:
                self._sign(sign, now_ns)

    def _sign(self, sign: Sign, now_ns: int) -> None:
        """What is rare but not rare enough waits, for as long as evidence lasts, for an incident to join."""
        place = sign.source.resource.place()
        case = self.cases.of(place)
        exhibit = case.exhibits.get((place.node, sign.text))
        if exhibit is None or exhibit.calm:
            exhibit = of_sign(sign, now_ns)
            if not self.cases.add(case, exhibit):
                return
            exhibit.tell(self._lore(sign.source, sign.labels, -1))
        exhibit.show(Point(sign.time_ns, sign.value, nan, nan, sign.score), nan, self.cases.point_limit)
        exhibit.weak = exhibit.score < opening(exhibit.ease, self.settings)
        case.shown = None
        self._heard(case, exhibit, sign.time_ns, now_ns)

    def absences(self, absences: Sequence[Absence], now_ns: int) -> None:
        """Take in all that is absent now."""
        before, taken_ns = self._absent
        if absences is before and 0 <= now_ns - taken_ns < _SAME_NS:
            return
        self._absent = absences, now_ns
        self.cases.look_for_room()
        wide = {a.place for a in absences if a.scope in _WIDE}
        for absence in sorted(absences, key=lambda a: a.scope not in _WIDE):
            if wide and covered(absence, wide):
                continue
            if self.cases.has_room(absence.place):
                self._absence(absence, now_ns)

    def _absence(self, absence: Absence, now_ns: int) -> None:
        case = self.cases.of(absence.place, own=True)
        exhibit = of_absence(absence, now_ns)
        known = case.exhibits.get(exhibit.key)
        if known is not None and not known.calm:
            known.heard_ns = known.last_ns = now_ns
            known.text, case.shown = absence.detail, None
            self._open(case, now_ns)
            return
        if self.cases.add(case, exhibit):
            self._open(case, now_ns)
        if absence.scope in _WIDE and case.id:
            case.covers = True
            absorb(self.cases, case, now_ns)

    def alert(self, alert: ExternalAlert, now_ns: int) -> bool:
        """Take an alert of somebody else in; whether one has ended, which is to be looked at at once."""
        if alert.name == OWN_ALERT:
            self._counts[DROPPED, "own_alert"] += 1
            return False
        exhibit = of_alert(alert, now_ns, int(self.settings.alert_expiry_s * SECOND))
        if alert.status == "resolved":
            return self._ended(exhibit, alert, now_ns)
        case = self.cases.of(alert.place, own=True)
        known = case.exhibits.get(exhibit.key)
        if (known is None or known.calm) and self.cases.add(case, exhibit):
            self._open(case, now_ns)
        if not case.id:
            del self.cases.by_place[case.place]
        return False

    def _ended(self, exhibit: Exhibit, alert: ExternalAlert, now_ns: int) -> bool:
        place, found = alert.place, False
        for wide in {place, place._replace(node=""), place._replace(node="", zone="")}:
            case = self.cases.by_place.get(wide)
            known = case.exhibits.get(exhibit.key) if case is not None else None
            if known is None or known.source != "alert" or known.place[:3] != place[:3]:
                continue
            if known.onset_ns <= alert.starts_ns:
                known.ends_ns, known.last_ns, found = now_ns, alert.ends_ns or now_ns, True
        return found

    def sweep(self, now_ns: int) -> None:
        """Let go of whoever has been calm for the hold time."""
        self.watcher.sweep(now_ns)
        self.wholes = {
            place: watch for place, watch in self.wholes.items() if not watch.calm(now_ns, self.settings)
        }

    def _heard(self, case: Case, exhibit: Exhibit, time_ns: int, now_ns: int) -> None:
        exhibit.heard_ns, exhibit.last_ns = now_ns, max(time_ns, exhibit.last_ns)
        self._open(case, now_ns)

    def _open(self, case: Case, now_ns: int) -> None:
        if self.cases.open(case, now_ns) and case.scope == "node":
            gather(self.cases, case.place, now_ns)
