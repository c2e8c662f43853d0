"""The guard: every rule on every action; nothing passes that one of them forbids. No clock, no I/O."""

from collections.abc import Iterable
from hashlib import blake2b

from edgeobs.remediate.fleet import FleetView
from edgeobs.remediate.guards import RULES, Scene
from edgeobs.remediate.guards.consent import is_dry
from edgeobs.remediate.ledger import Ledger
from edgeobs.remediate.settings import Settings
from edgeobs.signals import Action, Check, Counts, Decision, Verdict

ALL = "all"
_SEVERITY: dict[Verdict, int] = {"denied": 0, "held": 1, "allowed": 2}


class Guard:
    """Decides on actions and remembers what was allowed.

    Parameters
    ----------
    settings
        Switches and budgets.
    counts
        Decisions are counted by verb, verdict and rule.
    policies
        Names of the policies in force; an action of any other is denied.
    ledger
        What was decided before, from `Ledger.rebuilt` after a restart.

    """

    def __init__(
        self, settings: Settings, counts: Counts, policies: Iterable[str] = (), ledger: Ledger | None = None
    ) -> None:
        self.settings = settings
        self.ledger = ledger if ledger is not None else Ledger()
        self._counts, self._policies = counts, frozenset(policies)

    def decide(self, action: Action, fleet: FleetView, now_ns: int) -> Decision:
        """Check an action and record the decision, so that the next one sees it."""
        self.ledger.look(now_ns)
        decision = self.consider(action, fleet, now_ns)
        self.record(decision)
        return decision

    def consider(self, action: Action, fleet: FleetView, now_ns: int) -> Decision:
        """The same without recording: denied when any rule denies, else held when any holds.

        Budgets are as of the ledger's last look.
        """
        scene = Scene(
            action, fleet.targets(action.target), fleet, self.ledger, self.settings, self._policies, now_ns
        )
        checks = tuple(Check(name, *rule(scene)) for name, rule in RULES.items())
        said = worst(checks, action.reason)
        return Decision(
            id=decision_id(action, said.rule, now_ns, self.ledger.steady_ns),
            action=action,
            verdict=said.verdict,
            rule=said.rule,
            reason=said.reason,
            checks=checks,
            dry_run=is_dry(scene),
            decided_ns=now_ns,
            steady_ns=self.ledger.steady_ns,
            uid=scene.targets[0].uid if action.target.node and scene.targets else "",
        )

    def record(self, decision: Decision) -> None:
        """Let a decision count."""
        self.ledger.record(decision)
        self._counts["edgeobs_decisions_total", decision.action.verb, decision.verdict, decision.rule] += 1


def worst(checks: Iterable[Check], reason: str) -> Check:
    """What all rules together say: the first that denies, else the first that holds, else ``reason``."""
    found = min(checks, key=lambda check: _SEVERITY[check.verdict])
    return Check(ALL, "allowed", reason) if found.verdict == "allowed" else found


def decision_id(action: Action, rule: str, now_ns: int, steady_ns: int) -> str:
    """The same in every replay of the same data; a clock set back makes none twice."""
    times = str(now_ns), str(steady_ns)
    seed = "\0".join((action.incident, action.verb, *action.target[:3], rule, *times))
    return "dec-" + blake2b(seed.encode(), digest_size=6).hexdigest()
