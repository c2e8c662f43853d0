"""What was decided, as far as budgets and repetition need it; built again from the store's rows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from edgeobs.signals import SECOND, Decision, Incident, Resource, Verb

HOUR_NS = 3600 * SECOND


class Key(NamedTuple):
    """A proposal is made once per incident and verb."""

    incident: str
    verb: Verb


@dataclass(slots=True)
class Ledger:
    """Allowed decisions that still count, and the last word on proposals that were not allowed.

    An allowed decision is in flight until its incident is resolved; dry-run makes no difference.
    """

    allowed: dict[Key, Decision] = field(default_factory=dict)  # in flight
    past: list[Decision] = field(default_factory=list)  # allowed, in order of time, for rates and cool-downs
    pending: dict[Key, Decision] = field(default_factory=dict)  # held or denied

    def record(self, decision: Decision) -> None:
        """Remember a decision."""
        key = Key(decision.action.incident, decision.action.verb)
        if decision.verdict != "allowed":
            self.pending[key] = decision
            return
        self.pending.pop(key, None)
        self.allowed[key] = decision
        self.past.append(decision)

    def close(self, incident: str) -> list[Decision]:
        """An incident is over: what was in flight for it no longer is; its pending decisions, taken out."""
        for key in [key for key in self.allowed if key.incident == incident]:
            del self.allowed[key]
        return [self.pending.pop(key) for key in list(self.pending) if key.incident == incident]

    def revoke(self, decision: Decision) -> None:
        """An allowed decision that was not carried out, nor will be, does not count."""
        self.allowed.pop(Key(decision.action.incident, decision.action.verb), None)
        self.past = [each for each in self.past if each.id != decision.id]

    def forget(self, now_ns: int, cooldown_s: float) -> None:
        """Let go of what no rate or cool-down looks back to."""
        since = now_ns - max(HOUR_NS, int(cooldown_s * SECOND))
        self.past = [each for each in self.past if each.decided_ns > since]

    def in_flight(self) -> set[Resource]:
        """What is under an allowed action: nodes, or zones as a whole (node empty)."""
        return {decision.action.target for decision in self.allowed.values()}

    @staticmethod
    def rebuilt(decisions: Iterable[Decision], active: Iterable[Incident]) -> "Ledger":
        """The ledger as it was: from kept decisions, oldest first, and the incidents not over."""
        alive = {incident.id for incident in active}
        ledger = Ledger()
        for decision in decisions:
            ledger.record(decision)
        for key in {*ledger.allowed, *ledger.pending}:
            if key.incident not in alive:
                ledger.close(key.incident)
        return ledger
