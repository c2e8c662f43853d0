"""What was decided, as far as budgets and repetition need it; built again from the store's rows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from edgeobs.signals import SECOND, TELLING, UNDOING, Decision, Incident, Resource, Verb

HOUR_NS = 3600 * SECOND
STEP_NS = 600 * SECOND
"""Time between two looks from which our clock was set, or we stood still."""

SETTLE_NS = 300 * SECOND
"""How long after such a step nothing new is done."""

WITHDRAWN = "withdrawn"
"""The rule of a decision that ends a held proposal nobody makes any more."""

_AGAIN_NS = 60 * SECOND
_MOST_PLACES = 10_000
FULL = "full"
"""The rule of a decision on a proposal for which there was no room."""


class Key(NamedTuple):
    """A proposal is made once per incident and verb."""

    incident: str
    verb: Verb


class BackOff(NamedTuple):
    """What was done on a node last did not help."""

    until_ns: int  # on the clock of budgets
    incident: str
    operation: str
    times: int  # in a row


@dataclass(slots=True)
class Ledger:
    """Allowed decisions that still count, and the last word on proposals that were not allowed.

    An allowed decision is in flight until its incident is resolved; dry-run makes no difference.

    Ages are told by a clock of its own, which `look` moves by as much as our clock moved since the last
    look: not at all when that went backward or by more than `STEP_NS`, nor while we are down. So it never
    runs ahead of real time by more than `STEP_NS`, and no setting of the clock frees a budget.
    """

    allowed: dict[Key, Decision] = field(default_factory=dict)  # in flight
    past: list[Decision] = field(default_factory=list)  # allowed, in order of time, for rates and cool-downs
    pending: dict[Key, Decision] = field(default_factory=dict)  # held or denied
    undoing: dict[Key, Decision] = field(default_factory=dict)  # allowed, of what takes back; free of budgets
    hands_off: dict[str, str] = field(default_factory=dict)  # incident → what a person undid
    back_off: dict[tuple[str, str], "BackOff"] = field(default_factory=dict)  # by (cluster, node)
    tried: dict[Key, tuple[int, int]] = field(default_factory=dict)
    """What came to nothing: until when on the clock of budgets it is not decided again, how often so far."""
    last_ns: int = 0  # our clock at the last look; 0: none yet
    steady_ns: int = SECOND  # the clock of budgets
    settled_ns: int = 0  # nothing new before this time of it

    def look(self, now_ns: int) -> None:
        """Let time pass; to be called all the time, and before anything is decided."""
        gone = now_ns - self.last_ns if self.last_ns else 0
        if 0 <= gone <= STEP_NS:
            self.steady_ns += gone
        else:
            self.settled_ns = self.steady_ns + SETTLE_NS
        self.last_ns = now_ns

    def resume(self, now_ns: int) -> None:
        """The first look after a restart: whatever our clock says has passed, nothing of it counts."""
        steady_ns = self.steady_ns
        self.look(now_ns)
        self.steady_ns = steady_ns

    def record(self, decision: Decision) -> None:
        """Remember a decision."""
        key = Key(decision.action.incident, decision.action.verb)
        if decision.rule in {WITHDRAWN, FULL}:
            self.pending.pop(key, None)
            return
        if decision.verdict != "allowed":
            self.pending[key] = decision
            return
        self.pending.pop(key, None)
        if decision.action.verb in UNDOING:
            self.undoing[key] = decision
            return
        self.allowed[key] = decision
        if decision.action.verb not in TELLING:
            self.past.append(decision)

    def close(self, incident: str) -> list[Decision]:
        """An incident is over: what was in flight for it no longer is; its pending decisions, taken out."""
        for key in [key for key in self.allowed if key.incident == incident]:
            del self.allowed[key]
        self.hands_off.pop(incident, None)
        self.tried = {key: tried for key, tried in self.tried.items() if key.incident != incident}
        return [self.pending.pop(key) for key in list(self.pending) if key.incident == incident]

    def revoke(self, decision: Decision) -> None:
        """An allowed decision that was not carried out, nor will be, does not count."""
        key = Key(decision.action.incident, decision.action.verb)
        self.allowed.pop(key, None)
        self.undoing.pop(key, None)
        self.past = [each for each in self.past if each.id != decision.id]

    def came_to_nothing(self, key: Key, decision: str) -> None:
        """An allowed decision ended without any act: its budget is free again, and it may be decided anew."""
        made = self.allowed.get(key)
        if made is None or made.id != decision:
            return
        self.revoke(made)
        times = self.tried.get(key, (0, 0))[1] + 1
        wait_ns = min(_AGAIN_NS << min(times - 1, 20), HOUR_NS)
        self.tried[key] = self.steady_ns + wait_ns, times

    def resting(self, key: Key) -> bool:
        """Whether it came to nothing a moment ago, and is not decided again yet."""
        return self.tried.get(key, (0, 0))[0] > self.steady_ns

    def helped(self, place: tuple[str, str], operation: str, incident: str, back_off_s: float) -> None:
        """What was done on a node helped (0 s), or not: back off, twice as long each time, up to a day."""
        before = self.back_off.pop(place, None)
        if not back_off_s or (before and before.operation == operation):
            self.back_off |= {place: before} if before and back_off_s else {}
            return
        times = before.times + 1 if before else 1
        wait_ns = min(int(back_off_s * SECOND) << min(times - 1, 20), 24 * HOUR_NS)
        self.back_off[place] = BackOff(self.steady_ns + wait_ns, incident, operation, times)
        while len(self.back_off) > _MOST_PLACES:
            del self.back_off[next(iter(self.back_off))]

    def forget(self, cooldown_s: float) -> None:
        """Let go of what no rate or cool-down looks back to."""
        self.past = self.since(max(HOUR_NS, int(cooldown_s * SECOND)))

    def since(self, back_ns: int) -> list[Decision]:
        """What was allowed within so long."""
        return [each for each in self.past if self.age(each) < back_ns]

    def age(self, decision: Decision) -> int:
        """How long ago it was decided, nanoseconds, ≥ 0; where that is unknown, 0."""
        return self.steady_ns - decision.steady_ns if decision.steady_ns else 0

    def in_flight(self) -> set[Resource]:
        """What is under an allowed action: nodes, or zones as a whole (node empty)."""
        return {each.action.target for key, each in self.allowed.items() if key.verb not in TELLING}

    @staticmethod
    def rebuilt(
        decisions: Iterable[Decision], active: Iterable[Incident], last_ns: int = 0, steady_ns: int = 0
    ) -> "Ledger":
        """The ledger as it was.

        Parameters
        ----------
        decisions
            What was kept, oldest first.
        active
            The incidents that are not over.
        last_ns, steady_ns
            Our clock when it was last looked at (0: as of the last decision), and how far the clock of
            budgets had come at least; no less than at the last decision.

        """
        alive = {incident.id for incident in active}
        ledger = Ledger(last_ns=last_ns, steady_ns=max(steady_ns, SECOND))
        for decision in decisions:
            ledger.record(decision)
            ledger.last_ns = ledger.last_ns if last_ns else decision.decided_ns
            ledger.steady_ns = max(ledger.steady_ns, decision.steady_ns)
            if any(check[:2] == ("clock", "held") for check in decision.checks):
                ledger.settled_ns = decision.steady_ns + SETTLE_NS
        ledger.undoing.clear()  # what of it is under way is told by who does it
        for key in {*ledger.allowed, *ledger.pending}:
            if key.incident not in alive:
                ledger.close(key.incident)
        return ledger
