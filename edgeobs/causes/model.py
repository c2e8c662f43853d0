"""What is known when causes are asked for, and the answer: plain data."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from edgeobs.signals import Resource

Signal = Literal["metric", "log", "trace", "absence", "alert"]
Kind = Literal["pod", "workload", "node", "zone", "link"]


class Clue(NamedTuple):
    """One thing that speaks against a place."""

    place: Resource  # of a `Member`, or of a node or a zone alone
    signal: Signal
    text: str  # for people, one line
    onset_ns: int
    decades: float  # how surprising: 10^-decades false ones are promised a look
    callee: str = ""  # a service: seen on calls to it, beyond what it took itself, so on the way there


class Member(NamedTuple):
    """Something that runs, calm or not, and what the service graph calls it."""

    place: Resource  # with its pod, or with its workload where pods are not told apart
    service: str = ""  # as `signals.Edge` names it; empty: it is in no graph


@dataclass(frozen=True, slots=True)
class Cause:
    """A candidate, and what speaks for it."""

    kind: Kind
    place: Resource  # of a link: who calls
    score: float  # decades that it accounts for
    share: float  # of belief among the candidates told, in [0, 1]
    reason: str  # for people: why, and how sure
    clues: tuple[Clue, ...]  # its own, the strongest first
    callee: str = ""  # of a link: the service that is called

    def name(self) -> str:
        """``checkout-5d8``, ``node edge-3``, ``the link from cart to checkout``."""
        if self.kind == "link":
            return f"the link from {short(self.place)} to {self.callee}"
        return short(self.place) if self.kind == "pod" else f"{self.kind} {short(self.place)}"


def short(place: Resource) -> str:
    """The deepest name of a place."""
    return place.pod or place.workload or place.node or place.zone or place.cluster
