"""Incidents → decisions: what policies propose, once each, and again when the answer changes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from edgeobs.remediate.deeds import Deeds
from edgeobs.remediate.fleet import FleetView
from edgeobs.remediate.guard import Guard, decision_id
from edgeobs.remediate.ledger import FULL, WITHDRAWN, Key, Ledger
from edgeobs.remediate.operation import Operation
from edgeobs.remediate.policies import Policy
from edgeobs.remediate.proposing import past_of, policies_of, propose
from edgeobs.remediate.settings import Settings
from edgeobs.remediate.undo import POLICY
from edgeobs.signals import SECOND, UNDOING, Action, Counts, Decision, Incident


class Remediation:
    """Policies and guard, joined.

    Each incident and verb is decided once. What was held or denied is looked at again every ``recheck_s``
    and decided anew when the verdict or the rule has changed; what is held and no longer proposed is
    withdrawn. An allowed action is in flight until its incident is resolved. A proposal for which there is no
    room is denied, once, and decided when there is room.

    What was really done is told to it (`told`); once its incident has been over for a while it proposes to
    take that back.
    """

    def __init__(
        self, settings: Settings, counts: Counts, policies: Mapping[str, Policy] | None = None
    ) -> None:
        self.settings = settings
        self.policies = policies_of(settings) if policies is None else policies
        self.guard = Guard(settings, counts, [*self.policies, POLICY])
        self._counts = counts
        self._looked_ns = 0
        self._no_room: set[Key] = set()  # proposals that were told so
        self.deeds = Deeds(settings)

    @property
    def operations(self) -> dict[str, Operation]:
        """What was and is really done, oldest first."""
        return self.deeds.operations

    def step(
        self,
        active: Callable[[], Sequence[Incident]],
        changed: Sequence[Incident],
        fleet: Callable[[], FleetView],
        now_ns: int,
    ) -> list[Decision]:
        """The decisions that are new.

        Parameters
        ----------
        active
            Called for all incidents that are not resolved, when it is time to look at all of them again.
        changed
            Incidents that changed in this step; these are looked at now.
        fleet
            Called for the world as it is now, when there is something to decide.

        """
        self.guard.ledger.look(now_ns)
        decisions: list[Decision] = []
        for incident in changed:
            if incident.state == "resolved":
                self.deeds.resolved(incident, now_ns)
                over = self.guard.ledger.close(incident.id)
                decisions += self._withdraw(over, "its incident is resolved", now_ns)
        all_due = self._due(now_ns)
        looked_at = active() if all_due else [i for i in changed if i.state != "resolved"]
        undone = self.deeds.undo(looked_at, fleet, now_ns) if all_due else {}
        actions = [*self._proposed(looked_at, now_ns), *undone.values()]
        proposed = {Key(action.incident, action.verb) for action in actions}
        ids = {incident.id for incident in looked_at}
        pending = self.guard.ledger.pending
        gone = [key for key in pending if key.incident in ids and key not in proposed]
        if all_due:
            gone += [key for key in pending if key.incident not in ids and key not in proposed]
            self.guard.ledger.forget(self.settings.cooldown_s or 0.0)
            self._no_room &= proposed
        decisions += self._withdraw([pending.pop(key) for key in gone], "it is no longer proposed", now_ns)
        due = [action for action in actions if self._open(action, now_ns)]
        if due:
            view = fleet()
            decisions += [d for action in due for d in self._decide(action, view, now_ns)]
        return [self.deeds.named(each, undone) for each in decisions]

    def told(self, operation: Operation) -> None:
        """What has become of an operation, as it is on record."""
        self.deeds.told(operation)
        ledger, action = self.guard.ledger, operation.action
        key = Key(action.incident, action.verb)
        if action.verb in UNDOING:
            if operation.over:
                ledger.undoing.pop(key, None)
            return
        if operation.memo.get("person"):
            ledger.hands_off[action.incident] = operation.memo["person"]
        elif operation.state == "cancelled" and not operation.memo.get("marked"):
            ledger.came_to_nothing(key, operation.id)
        if operation.over and operation.memo.get("helped") is not None and action.target.node:
            place = action.target.cluster, action.target.node
            back_off_s = 0.0 if operation.memo["helped"] else self.settings.back_off_s
            ledger.helped(place, operation.id, action.incident, back_off_s)

    def revoke(self, decision: Decision, reason: str) -> Decision:
        """The same decision, denied after all: it could not be put on record. Its budget is free again."""
        if decision.verdict != "allowed":
            return decision
        denied = replace(decision, verdict="denied", rule="journal", reason=reason)
        self.guard.ledger.revoke(decision)
        self.guard.record(denied)
        return denied

    def restore(
        self,
        decisions: Iterable[Decision],
        active: Iterable[Incident],
        now_ns: int,
        last_ns: int = 0,
        steady_ns: int = 0,
    ) -> None:
        """Take up where a store's rows leave off; the other parameters as of `Ledger.rebuilt`."""
        ours = self.guard.ledger
        since = [*ours.past, *ours.pending.values()]  # none, unless the store was opened late
        steady_ns = max(steady_ns, ours.steady_ns)
        ledger = Ledger.rebuilt([*decisions, *since], active, ours.last_ns or last_ns, steady_ns)
        ledger.settled_ns = max(ledger.settled_ns, ours.settled_ns)
        ledger.hands_off, ledger.back_off, ledger.undoing = ours.hands_off, ours.back_off, ours.undoing
        ledger.resume(now_ns)
        self.guard.ledger = ledger

    def _proposed(self, incidents: Iterable[Incident], now_ns: int) -> list[Action]:
        past = past_of(self.guard.ledger, self.operations)
        return propose(incidents, now_ns, self.policies, self.settings.ladders, past)

    def _due(self, now_ns: int) -> bool:
        due = now_ns < self._looked_ns or now_ns - self._looked_ns >= self.settings.recheck_s * SECOND
        if due:
            self._looked_ns = now_ns
        return due

    def _open(self, action: Action, now_ns: int) -> bool:
        """Whether there is anything to decide."""
        key = Key(action.incident, action.verb)
        ledger = self.guard.ledger
        if key in ledger.allowed or key in ledger.undoing or ledger.resting(key):
            return False
        known = self.guard.ledger.pending.get(key)
        return known is None or self._looked_ns == now_ns

    def _decide(self, action: Action, fleet: FleetView, now_ns: int) -> list[Decision]:
        pending = self.guard.ledger.pending
        key = Key(action.incident, action.verb)
        if key in self.guard.ledger.allowed:  # proposed by two policies
            return []
        known = pending.get(key)
        if known is None and len(pending) >= self.settings.max_pending:
            return self._refuse(key, action, now_ns)
        self._no_room.discard(key)
        decision = self.guard.consider(action, fleet, now_ns)
        if known is not None and (known.verdict, known.rule) == (decision.verdict, decision.rule):
            return []
        self.guard.record(decision)
        return [decision]

    def _refuse(self, key: Key, action: Action, now_ns: int) -> list[Decision]:
        """No room to remember it by: denied, and told once."""
        if key in self._no_room:
            return []
        self._no_room.add(key)
        steady, most = self.guard.ledger.steady_ns, self.settings.max_pending
        decision = Decision(
            id=decision_id(action, FULL, now_ns, steady), action=action, verdict="denied", rule=FULL,
            reason=f"{most} proposals are held or denied already", checks=(), dry_run=self.settings.dry_run,
            decided_ns=now_ns, steady_ns=steady,
        )  # fmt: skip
        self.guard.record(decision)
        return [decision]

    def _withdraw(self, decisions: Iterable[Decision], reason: str, now_ns: int) -> list[Decision]:
        steady = self.guard.ledger.steady_ns
        ended = [
            replace(
                each, id=decision_id(each.action, WITHDRAWN, now_ns, steady), verdict="denied",
                rule=WITHDRAWN, reason=reason, checks=(), decided_ns=now_ns, steady_ns=steady,
            )
            for each in decisions
            if each.verdict == "held"
        ]  # fmt: skip
        for each in ended:
            self._counts["edgeobs_decisions_total", each.action.verb, each.verdict, each.rule] += 1
        return ended
