"""What is to be taken back, and when. Pure.

Our own marks, once the incident they were put for has been over for a while and nothing new is wrong with the
node; at once where a person interfered, or where an action that can be taken back did not help.
"""

from collections.abc import Collection, Iterable, Mapping

from edgeobs.remediate.fleet import FleetView
from edgeobs.remediate.operation import Operation
from edgeobs.remediate.settings import Settings
from edgeobs.signals import SECOND, UNDOING, Action, Incident, Resource, Verb

POLICY = "undo"
"""The name under which the guard knows these proposals."""

_PATCH = (("/spec/unschedulable", "null"),)


def undo(
    operations: Iterable[Operation],
    active: Mapping[str, Incident],
    over_ns: Mapping[str, int],
    settings: Settings,
    now_ns: int,
) -> dict[str, Action]:
    """What of our own is to be taken back now, by the operation that is undone.

    Parameters
    ----------
    operations
        All that are known, oldest first.
    active
        Incidents that are not over.
    over_ns
        When those that are over were first known to be.

    """
    found: dict[str, Action] = {}
    busy = {(incident.place.cluster, incident.place.node) for incident in active.values()}
    under_way = {each.action.target for each in operations if not each.over}
    for operation in operations:
        action = operation.action
        verb: Verb = "failback" if action.verb == "failover" else "uncordon"
        if not (operation.over and operation.standing and (action.target.node or verb == "failback")):
            continue
        if action.verb in UNDOING or action.target in under_way:
            continue
        reason = _due(operation, active, over_ns, busy, settings, now_ns)
        if reason and not any(
            (each.incident, each.verb) == (action.incident, verb) for each in found.values()
        ):
            found[operation.id] = _back(verb, action.target, reason, action.incident)
    return found


def orphans(
    fleet: FleetView,
    known: Collection[Operation],
    active: Mapping[str, Incident],
    well_ns: Mapping[tuple[str, str], int],
    settings: Settings,
    now_ns: int,
) -> dict[str, Action]:
    """Marks that another replica left, or one that lost its journal.

    Once their own time is over, or what we had found wrong with the node ourselves has been over for a while.

    Parameters
    ----------
    well_ns
        (cluster, node) → when the last incident of ours there was over.

    """
    ours = {operation.id for operation in known}
    incidents = {operation.action.incident for operation in known}
    quiet = now_ns - int(settings.undo_after_s * SECOND)
    busy = {(incident.place.cluster, incident.place.node) for incident in active.values()}
    found: dict[str, Action] = {}
    for node in fleet.nodes.values():
        marks = node.marks
        if marks is None or not marks.incident or marks.operation in ours or marks.incident in incidents:
            continue
        past = 0 < marks.until_ns <= now_ns
        place = node.cluster, node.name
        if place in busy or not (past or max(well_ns.get(place, now_ns), marks.since_ns) <= quiet):
            continue
        why = "are past their time" if past else "have outlived what was wrong here"
        reason = f"marks of {marks.by or 'another replica'} for {marks.incident} {why}"
        target = Resource(node.cluster, node.zone or node.telemetry_zone, node.name)
        found[marks.operation or f"marks-{node.uid}"] = _back("uncordon", target, reason, marks.incident)
    return found


def _due(
    operation: Operation,
    active: Mapping[str, Incident],
    over_ns: Mapping[str, int],
    busy: set[tuple[str, str]],
    settings: Settings,
    now_ns: int,
) -> str:
    """Why it is to be taken back now; empty: not yet."""
    action, memo = operation.action, operation.memo
    at_once = action.verb != "failover"  # that fails back after a long healthy hold alone
    if at_once and memo.get("person"):
        return f"{memo['person']}: what is left of ours goes too"
    if at_once and memo.get("helped") is False and action.verb in settings.undo_unhelpful:
        return f"{action.verb} did not help"
    if action.incident in active or (action.target.cluster, action.target.node) in busy:
        return ""
    ended = over_ns.get(action.incident, now_ns)
    quiet_s = (now_ns - ended) // SECOND
    least_s = settings.failback_after_s if action.verb == "failover" else settings.undo_after_s
    if now_ns - ended < least_s * SECOND:
        return ""
    return f"its incident has been over for {quiet_s} s"


def _back(verb: Verb, target: Resource, reason: str, incident: str) -> Action:
    return Action(verb, target, _PATCH if verb == "uncordon" else (), reason, POLICY, incident)
