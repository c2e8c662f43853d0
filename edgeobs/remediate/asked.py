"""What would be done about a node now, and what every rule says of it: nothing is decided. Pure."""

from collections.abc import Iterable
from typing import NamedTuple, get_args

from edgeobs.remediate.fleet import FleetView, NodeView
from edgeobs.remediate.proposing import past_of, propose
from edgeobs.remediate.remediation import Remediation
from edgeobs.signals import UNDOING, Action, Decision, Incident, Resource, Verb


class Answer(NamedTuple):
    """As it would be decided at this moment."""

    proposed: tuple[Decision, ...]  # what policies propose
    verbs: tuple[Decision, ...]  # of every other verb, were it proposed


def asked(
    remediation: Remediation, node: NodeView, incidents: Iterable[Incident], fleet: FleetView, now_ns: int
) -> Answer:
    """Look at a node with all of the guard's rules.

    Parameters
    ----------
    incidents
        Those that are not over; of the node, and of its zone and cluster, count.

    """
    place = Resource(node.cluster, node.zone or node.telemetry_zone, node.name)
    mine = [each for each in incidents if _concerns(each, place)]
    guard = remediation.guard
    past = past_of(guard.ledger, remediation.operations)
    actions = propose(mine, now_ns, remediation.policies, remediation.settings.ladders, past)
    there = {action.verb for action in actions}
    newest = max(mine, key=lambda each: each.opened_ns, default=None)
    incident = newest.id if newest else "no incident"
    others = [
        Action(verb, place, (), "nobody proposes it", _policy(remediation, verb), incident)
        for verb in get_args(Verb)
        if verb not in there
    ]
    return Answer(
        tuple(guard.consider(action, fleet, now_ns) for action in actions),
        tuple(guard.consider(action, fleet, now_ns) for action in others),
    )


def facts(node: NodeView) -> tuple[tuple[str, str], ...]:
    """What is known of a node, for people."""
    marks = node.marks
    who = (
        f"{marks.reason} (incident {marks.incident}, operation {marks.operation})"
        if marks
        else "none of ours"
    )
    return (
        ("cluster", node.cluster or "unnamed"),
        ("zone", node.zone or f"no label; it says {node.telemetry_zone or 'nothing'} itself"),
        ("in the cluster", "listed" if node.listed else "not listed"),
        ("opted in", "yes" if node.opted_in else "no"),
        ("telemetry", node.state),
        ("ready", node.ready),
        ("cordoned", "yes" if node.cordoned else "no"),
        ("marks", who),
        ("veto by annotation", node.veto or "none"),
    )


def _concerns(incident: Incident, place: Resource) -> bool:
    where = incident.place
    same_zone = not where.zone or where.zone == place.zone
    return where.cluster == place.cluster and (where.node == place.node if where.node else same_zone)


def _policy(remediation: Remediation, verb: Verb) -> str:
    """One that is in force: which, is not what is asked."""
    return "undo" if verb in UNDOING else next(iter(remediation.policies), "")
