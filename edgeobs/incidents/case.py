"""An incident while it is being put together: its exhibits, which of them came first, what it amounts to."""

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from edgeobs.incidents.exhibit import Exhibit, Key
from edgeobs.incidents.settings import Settings
from edgeobs.incidents.words import title
from edgeobs.signals import SECOND, Evidence, Incident, Resource, Suspect

Scope = Literal["node", "zone", "cluster"]

_CALM_WEIGHT = 0.1
_WHOLE_WEIGHT = 0.01  # a node as a whole says that something is wrong; what, its series say


def scope_of(place: Resource) -> Scope:
    """What a place is: a node, a zone or a whole cluster."""
    return "node" if place.node else "zone" if place.zone else "cluster"


@dataclass(slots=True, kw_only=True)
class Case:
    """Mutable twin of `signals.Incident`. ``id`` is empty while the evidence does not yet convince."""

    place: Resource
    simulated: bool = False
    id: str = ""
    opened_ns: int = 0
    updated_ns: int = 0
    resolved_ns: int = 0
    ongoing: bool = False
    refused: bool = False  # it convinced, but too many were open
    covers: bool = False  # of a zone: what happens to its nodes belongs to it
    suspects: tuple[Suspect, ...] = ()
    closing: str = ""  # why it ended, when that is not that all is calm
    exhibits: dict[Key, Exhibit] = field(default_factory=dict)
    shown: Incident | None = None  # as last built; None when something has changed since

    @property
    def scope(self) -> Scope:
        """What it is of."""
        return scope_of(self.place)

    def open(self, now_ns: int) -> None:
        """Give it its name, the same in every replay of the same data."""
        seed = "\0".join((self.scope, *self.place[:3], str(now_ns)))
        self.id = "inc-" + blake2b(seed.encode(), digest_size=6).hexdigest()
        self.opened_ns = now_ns

    def add(self, exhibit: Exhibit, most: int) -> bool:
        """Take an exhibit in, for the weakest when there is no room; whether it was taken."""
        if len(self.exhibits) >= most and exhibit.key not in self.exhibits:
            loser = self._dispensable(exhibit)
            if loser is None:
                return False
            del self.exhibits[loser.key]
        self.exhibits[exhibit.key] = exhibit
        self.shown = None
        return True

    def _dispensable(self, newcomer: Exhibit) -> Exhibit | None:
        """Who goes: the calm, then the weakest of a metric that crowds others out, then the weaker."""
        weakest = min(self.exhibits.values(), key=lambda e: (not e.calm, e.source == "absence", e.score))
        if weakest.calm:
            return weakest
        crowd = Counter(each.name for each in self.exhibits.values())
        name, most = crowd.most_common(1)[0]
        if crowd[newcomer.name] + 1 < most:
            return min((e for e in self.exhibits.values() if e.name == name), key=lambda e: e.score)
        return weakest if weakest.score < newcomer.score - 1 else None

    def live(self) -> list[Exhibit]:
        """The exhibits that are not calm."""
        return [each for each in self.exhibits.values() if not each.calm]

    def lives(self) -> bool:
        """Whether it is not over: an incident lives by what could have opened one."""
        return any(not (self.id and each.weak) for each in self.live())

    def only_absences(self) -> bool:
        """Whether silence is all that speaks for it."""
        return all(each.source == "absence" for each in self.live())

    def convinces(self, now_ns: int, settings: Settings, series: int) -> bool:
        """Whether it is an incident: something said so outright, two metrics agree, or one insists.

        ``series`` are followed in all: of many, one must insist more.
        """
        since = now_ns - int(settings.join_s * SECOND)
        live = [each for each in self.live() if each.heard_ns >= since and not each.weak]
        if any(each.source in ("absence", "alert") for each in live):
            return True
        if len({each.family for each in live if each.source in ("series", "sign")}) >= settings.min_names:
            return True
        return any(each.insists(settings, series) for each in live)

    def incident(self, now_ns: int, settings: Settings) -> Incident:
        """The plain value as of now, kept until something changes."""
        if self.shown is None:
            evidence = ranked(list(self.exhibits.values()), settings, whole_place=not self.place.node)
            live = self.live()
            nodes = len({each.place.node for each in live})
            self.updated_ns = now_ns
            self.shown = Incident(
                id=self.id,
                scope=self.scope,
                place=self.place,
                state="resolved" if self.resolved_ns else "ongoing" if self.ongoing else "open",
                opened_ns=self.opened_ns,
                updated_ns=self.updated_ns,
                resolved_ns=self.resolved_ns,
                score=max((each.score for each in live or self.exhibits.values()), default=0.0),
                title=title(self.place, evidence, nodes) + self.closing,
                evidence=evidence,
                simulated=self.simulated,
                suspects=self.suspects,
            )
        return self.shown


def ranked(exhibits: list[Exhibit], settings: Settings, *, whole_place: bool) -> tuple[Evidence, ...]:
    """The exhibits as evidence, likeliest cause first: the earlier and the stronger; weights sum to 1."""
    if not exhibits:
        return ()
    first = min(each.onset_ns for each in exhibits)
    half = settings.half_life_s * SECOND
    weights = [
        max(each.score, 1.0)
        * 2.0 ** max(-(each.onset_ns - first) / half, -60.0)
        * (_CALM_WEIGHT if each.calm else 1)
        * (_WHOLE_WEIGHT if each.source == "joint" else 1)
        for each in exhibits
    ]
    total = sum(weights)
    pairs = sorted(zip(weights, exhibits, strict=True), key=lambda p: (-p[0], p[1].onset_ns, p[1].key))
    return tuple(each.evidence(weight / total, whole_place=whole_place) for weight, each in pairs)
