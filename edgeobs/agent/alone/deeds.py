"""What could be done alone, and what was. Plain data."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from edgeobs.signals import Decision, Evidence, Incident

Kind = Literal["restart_unit", "restart_pod"]

State = Literal["intended", "done", "failed", "refused", "unknown", "helped", "in_vain"]
"""``intended`` is on disk before anything happens; what is ``done`` is watched until it ``helped`` or was
``in_vain``; ``refused``: nothing was done, for a reason that only a look at the target gave; ``unknown``: it
may have been done or not."""

OVER: frozenset[State] = frozenset({"failed", "refused", "unknown", "helped", "in_vain"})
IN_VAIN: frozenset[State] = OVER - {"helped"}
"""Nothing was gained: there is no second try before the core is back."""

POLICY = "alone"


class Wish(NamedTuple):
    """What an incident asks for, by the allow-list; nobody has said yet that it may be done."""

    kind: Kind
    target: str  # a unit's name, or namespace/pod
    incident: Incident
    evidence: Evidence  # the strongest that asks for it
    among: int = 1  # pods that the incident asks to restart


class Result(NamedTuple):
    """What came of an effect."""

    state: State  # done, failed, refused or unknown
    text: str = ""  # why; empty where there is nothing to say


@dataclass(frozen=True, slots=True)
class Deed:
    """One action, from its intent on. A new value replaces the old one; ``id`` stays."""

    id: int
    decision: Decision  # its action's patch is ((kind, target),)
    incident: Incident  # as it was last seen
    evidence: str  # text of the evidence that asked for it
    state: State = "intended"
    text: str = ""  # why it ended so
    changed_ns: int = 0  # when its state last changed, by our clock
    watched_ns: int = 0  # since when it is watched, on the clock of budgets
    unanswered: bool = True  # the core has not answered since

    @property
    def kind(self) -> str:
        """What was done."""
        return self.decision.action.patch[0][0]

    @property
    def target(self) -> str:
        """To whom."""
        return self.decision.action.patch[0][1]


def busy(deeds: Iterable[Deed]) -> Deed | None:
    """The one that is not over."""
    return next((deed for deed in deeds if deed.state not in OVER), None)
