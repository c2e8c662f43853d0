"""Every rule of the guard by name, in the order in which they are named when several forbid."""

from edgeobs.remediate.guards import budgets, consent, people, silence
from edgeobs.remediate.guards.base import Rule, Scene

__all__ = ["RULES", "Rule", "Scene"]

RULES: dict[str, Rule] = {
    "journal": consent.journal,
    "policy": consent.policy,
    "verb": consent.verb,
    "paused": consent.paused,
    "vetoed": people.vetoed,
    "window": people.window,
    "leader": consent.leader,
    "fresh_view": consent.fresh_view,
    "clock": budgets.clock,
    "self_doubt": silence.self_doubt,
    "zone_hold": silence.zone_hold,
    "known_node": consent.known_node,
    "opted_in": consent.opted_in,
    "zone_label_known": consent.zone_label_known,
    "alive_if_sends": silence.alive_if_sends,
    "person": consent.person,
    "back_off": budgets.back_off,
    "zone_budget": budgets.zone_budget,
    "cluster_budget": budgets.cluster_budget,
    "hourly_rate": budgets.hourly_rate,
    "cooldown": budgets.cooldown,
    "approved": people.approved,
    "dry_run": consent.dry_run,
}
