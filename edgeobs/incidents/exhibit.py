"""Evidence as it grows: one series, sign, absence or foreign alert of an incident."""

from dataclasses import dataclass, field
from itertools import pairwise
from math import log10, nan
from statistics import median
from typing import Literal

from edgeobs.incidents.kinds import family_of, kind_of
from edgeobs.incidents.points import band, fitted
from edgeobs.incidents.promise import alone, hold_s
from edgeobs.incidents.settings import Settings
from edgeobs.incidents.watch import Watch
from edgeobs.signals import (
    NOWHERE,
    SECOND,
    Absence,
    Evidence,
    ExternalAlert,
    Identity,
    Joint,
    Kind,
    Labels,
    Point,
    Resource,
    Sign,
    Told,
)

_POSITIVE = {"s", "By", "1"}  # units of what is never negative, unless it was seen to be
_PER_SECOND = (Kind.COUNTER, Kind.DELTA, Kind.UPDOWN_DELTA)

ABSENCE_SCORE = {"exporter": 8.0, "node": 12.0, "zone": 16.0, "cluster": 20.0}
"""What an absence weighs among scores, decades: more when more is missing."""

ALERT_SCORE = 8.0
"""What a foreign alert weighs among scores, decades: somebody thought it worth a rule."""

Key = tuple[str, str]
"""(node, text): what evidence is known by within an incident; it outlives restarts and series ids."""


@dataclass(slots=True, kw_only=True)
class Exhibit:
    """Mutable twin of `signals.Evidence`; times as there, ``heard_ns`` on our clock."""

    source: Literal["series", "joint", "absence", "alert", "sign"]
    place: Resource
    text: str
    name: str
    labels: Labels = ()
    unit: str = ""
    onset_ns: int
    last_ns: int
    heard_ns: int
    score: float = 0.0
    value: float = nan
    expected: float = nan
    low: float = nan
    high: float = nan
    points: list[Point] = field(default_factory=list)
    series: int = -1  # where to look in the history; −1: nowhere, or done
    calm: bool = False
    ends_ns: int = 0  # of an alert: calm from then on, heard or not
    why: str = ""
    parts: tuple[tuple[str, float], ...] = ()
    ease: float = 0.0  # log₁₀ of the seconds between samples
    weak: bool = False  # not surprising enough to open an incident or to keep one: told where there is one
    kind: str = ""
    resource: Resource = NOWHERE
    detail: str = ""
    query: str = ""
    traces: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """What it is known by."""
        if self.source == "absence":
            which = f"absence {self.name}" + (f" {self.onset_ns}" if self.name == "exporter" else "")
        else:
            which = f"alert {dict(self.labels)['fingerprint']}" if self.source == "alert" else self.text
        return self.place.node, which

    @property
    def family(self) -> str:
        """The metric it came from: of what `features` derives from one histogram, the histogram."""
        return family_of(self.name, self.kind)

    def insists(self, settings: Settings, series: int) -> bool:
        """Whether it is an incident though it is alone, among so many series in all."""
        if self.weak:
            return False
        whole = self.source == "joint"
        least = settings.alone_score - self.ease if whole else alone(self.ease, series, settings)
        lasted = (self.last_ns - self.onset_ns) / SECOND
        return self.score >= least and (lasted >= settings.alone_s or 10**self.ease > settings.alone_s)

    def calm_ns(self, settings: Settings) -> int:
        """When it is calm, if nothing is heard of it until then."""
        return self.ends_ns or self.heard_ns + int(hold_s(self.ease, settings) * SECOND)

    def tell(self, told: Told) -> None:
        """What a stage has to say of it; what it has nothing to say of stays as it was."""
        self.detail, self.query = told.detail or self.detail, told.query or self.query
        self.traces = told.traces or self.traces

    def show(self, point: Point, expected: float, limit: int, why: str = "") -> bool:
        """Add a sample to the plot, unless it is older than its end; whether it is the highest so far."""
        if self.points and point.time_ns <= self.points[-1].time_ns:
            return False
        self.points.append(point)
        if len(self.points) > limit:
            self.points = fitted(self.points, limit)
        if point.score >= self.score:
            self.score, self.value, self.expected = point.score, point.value, expected
            self.low, self.high = point.low, point.high
            self.why = why
            return True
        return False

    def prepend(self, earlier: list[Point], limit: int) -> None:
        """Complete the plot with what came before it."""
        first = self.points[0].time_ns if self.points else 1 << 62
        room = max(1, limit - len(self.points))
        before = [point for point in earlier if point.time_ns < first][-room:]
        self.points = fitted(before + self.points, limit)

    def _least(self) -> float:
        """The low end of what is expected: no duration, size, share or count is less than nothing."""
        unit = self.unit.removesuffix("/s")
        positive = unit in _POSITIVE or unit.startswith("{")  # what is counted stands in braces
        if positive and self.low < 0 and all(point.value >= 0 for point in self.points):
            return 0.0
        return self.low

    def evidence(self, weight: float, *, whole_place: bool) -> Evidence:
        """The plain value; ``whole_place`` names the node, where an incident is of more than one."""
        node = self.place.node if whole_place else ""
        named = node and self.source in ("series", "sign")
        return Evidence(
            source=self.source,
            text=f"{node}: {self.text}" if named else self.text,
            name=self.name,
            labels=tuple(sorted({**dict(self.labels), "node": node}.items())) if node else self.labels,
            unit=self.unit,
            onset_ns=self.onset_ns,
            last_ns=self.last_ns,
            score=self.score,
            weight=weight,
            value=self.value,
            expected=self.expected,
            low=self._least(),
            high=self.high,
            points=tuple(self.points),
            calm=self.calm,
            why=self.why,
            parts=self.parts,
            kind=self.kind,
            resource=self.resource,
            detail=self.detail,
            query=self.query,
            traces=self.traces,
        )


def of_joint(joint: Joint, watch: Watch, now_ns: int) -> Exhibit:
    """A node that has become evidence as a whole."""
    return Exhibit(
        source="joint", place=joint.place, text=watch.text, name="node", onset_ns=watch.onset_ns,
        last_ns=watch.onset_ns, heard_ns=now_ns, parts=joint.parts,
    )  # fmt: skip


def of_series(number: int, watch: Watch, now_ns: int) -> Exhibit:
    """A series that has become evidence."""
    identity = watch.identity
    if identity is None:
        raise ValueError(f"{watch.text}: no series")
    return Exhibit(
        source="series", place=watch.place, text=watch.text, name=identity.name, labels=identity.labels,
        unit=unit_of(identity), onset_ns=watch.onset_ns, last_ns=watch.onset_ns, heard_ns=now_ns,
        series=number, kind=kind_of(identity.name), resource=identity.source.resource,
    )  # fmt: skip


def of_sign(sign: Sign, now_ns: int) -> Exhibit:
    """What a stage of logs or spans found by itself."""
    return Exhibit(
        source="sign", place=sign.source.resource.place(), text=sign.text, name=sign.kind, labels=sign.labels,
        onset_ns=sign.time_ns, last_ns=sign.time_ns, heard_ns=now_ns, kind=sign.kind,
        resource=sign.source.resource, traces=sign.traces, ease=log10(max(sign.interval_s, 1.0)),
    )  # fmt: skip


def unit_of(identity: Identity) -> str:
    """Of what is scored: counters and deltas are per second."""
    return f"{identity.unit}/s" if identity.kind in _PER_SECOND else identity.unit


def of_absence(absence: Absence, now_ns: int) -> Exhibit:
    """Something that should speak and does not."""
    return Exhibit(
        source="absence", place=absence.place, text=absence.detail, name=absence.scope,
        onset_ns=absence.since_ns, last_ns=now_ns, heard_ns=now_ns, score=ABSENCE_SCORE[absence.scope],
    )  # fmt: skip


def of_alert(alert: ExternalAlert, now_ns: int, expiry_ns: int) -> Exhibit:
    """An alert that Alertmanager told us of."""
    return Exhibit(
        source="alert", place=alert.place, text=alert.summary or alert.name, name=alert.name,
        labels=(("fingerprint", alert.fingerprint), *alert.labels), onset_ns=alert.starts_ns, last_ns=now_ns,
        heard_ns=now_ns, score=ALERT_SCORE, ends_ns=now_ns + expiry_ns,
    )  # fmt: skip


def of_evidence(evidence: Evidence, place: Resource, now_ns: int) -> Exhibit:
    """What the store kept, growing again."""
    labels = dict(evidence.labels)
    node = place.node or labels.pop("node", "")
    kept = tuple(sorted(labels.items())) if not place.node else evidence.labels
    text = evidence.text.removeprefix(f"{node}: ") if not place.node else evidence.text
    expected = evidence.expected
    low, high = (evidence.low, evidence.high) if evidence.low == evidence.low else band(expected, nan)
    return Exhibit(
        source=evidence.source, place=place._replace(node=node), text=text, name=evidence.name, labels=kept,
        unit=evidence.unit, onset_ns=evidence.onset_ns, last_ns=evidence.last_ns, heard_ns=now_ns,
        score=evidence.score, value=evidence.value, expected=expected, low=low, high=high,
        points=list(evidence.points), calm=evidence.calm, why=evidence.why, parts=evidence.parts,
        kind=evidence.kind, resource=evidence.resource, detail=evidence.detail,
        query=evidence.query, traces=evidence.traces,
        ease=_ease([point.time_ns for point in evidence.points]),
    )  # fmt: skip


def _ease(times_ns: list[int]) -> float:
    """log₁₀ of the seconds between the samples of a plot, at least 0; they tell until a sample comes."""
    gaps = [after - before for before, after in pairwise(times_ns)]
    return log10(max(median(gaps) / SECOND, 1.0)) if gaps else 0.0
