"""Cordon: keep new work off a node. Uncordon: take that back, where nobody touched it since. Pure."""

from edgeobs.calls import Call
from edgeobs.objects import Node, Taint
from edgeobs.remediate import marks
from edgeobs.remediate.operation import Do, End, Facts, Next, Operation
from edgeobs.signals import SECOND


def cordon(operation: Operation, facts: Facts, now_ns: int) -> Next:
    """``spec.unschedulable`` with our taint and annotations, in one patch."""
    node = facts.nodes.get(operation.action.target.node)
    if node is None:
        return gone(operation)
    incident = operation.action.incident
    if marks.cordoned(node, incident):
        return End("verifying", f"{node.name} is cordoned", {**operation.memo, "marked": True, "seen": True})
    if stop := blocked(operation, node):
        return stop
    if node.unschedulable:
        person = f"{node.name} is cordoned already, not by us: it is left as it is"
        return End("cancelled", person, {**operation.memo, "person": person})
    return Do(cordon_call(operation, facts, node, now_ns), {**operation.memo, "marked": True})


def taint(operation: Operation, facts: Facts, now_ns: int) -> Next:
    """A taint that asks to prefer other nodes for new work."""
    node = facts.nodes.get(operation.action.target.node)
    if node is None:
        return gone(operation)
    wanted = Taint(marks.PRESSURE, "true", "PreferNoSchedule")
    found = marks.read(node)
    if found and found.incident == operation.action.incident and marks.has(node, wanted):
        return End("verifying", f"{node.name} is tainted", {**operation.memo, "marked": True, "seen": True})
    if stop := blocked(operation, node):
        return stop
    says = f"taint {node.name} with {wanted}"
    call = marks.put(node, wanted, _notes(operation, facts, now_ns), unschedulable=False, says=says)
    return Do(call, {**operation.memo, "marked": True})


def uncordon(operation: Operation, facts: Facts, now_ns: int) -> Next:  # noqa: ARG001  every procedure has it
    """Our marks away; schedulable again only if the cordon is ours and nobody touched it since."""
    node = facts.nodes.get(operation.action.target.node)
    if node is None or node.uid != operation.memo.get("uid"):
        return End("done", "the node is gone, and our marks with it", {**operation.memo, "gone": True})
    found = marks.read(node)
    if found is None:
        reason = operation.memo.get("person") or f"{node.name} has no marks of ours any more"
        return End("done", reason, {**operation.memo, "gone": True})
    incident = operation.action.incident
    if found.incident and found.incident != incident:
        reason = f"{node.name} is marked for another incident by now, {found.incident}"
        return End("cancelled", reason, {**operation.memo, "gone": True})
    cordon_is_ours = any(each.key == marks.TAINT for each in marks.ours(node))
    person = "it is cordoned by somebody else" if node.unschedulable else ""
    person = marks.touched(node, incident) if cordon_is_ours else person
    if person:
        says = f"take our marks off {node.name}; {person}, so whether it is schedulable stays as it is"
        return Do(marks.clear(node, schedulable=False, says=says), {**operation.memo, "person": person})
    back = cordon_is_ours and node.unschedulable
    says = f"{'uncordon' if back else 'take our marks off'} {node.name}"
    return Do(marks.clear(node, schedulable=back, says=says))


def cordon_call(operation: Operation, facts: Facts, node: Node, now_ns: int) -> Call:
    """The patch that cordons a node; for every procedure that begins with it."""
    wanted = marks.cordon_taint(operation.action.incident)
    says = f"cordon {node.name}"
    return marks.put(node, wanted, _notes(operation, facts, now_ns), unschedulable=True, says=says)


def gone(operation: Operation) -> End:
    """The node is not there any more."""
    return End("cancelled", f"{operation.action.target.node} is not in the cluster any more")


def blocked(operation: Operation, node: Node) -> End | None:
    """Why a node may not be marked by this operation.

    It is another node, or another incident's, or a person undid our cordon.

    ``memo["seen"]`` says that the cordon was there once: if it is not any more, a person took it away.
    """
    uid = operation.memo.get("uid")
    if uid and node.uid != uid:
        reason = f"{node.name} is another node by now, of the same name"
        return End("cancelled", reason, {**operation.memo, "gone": True})
    found = marks.read(node)
    incident = operation.action.incident
    if found is not None and found.incident != incident:
        by = f" by {found.by}" if found.by else ""
        reason = f"{node.name} is marked already for {found.incident or 'something'}{by}"
        return End("cancelled", reason)
    if marks.has(node, marks.cordon_taint(incident)) or operation.memo.get("seen"):
        person = marks.touched(node, incident)
        return End("cancelled", person, {**operation.memo, "person": person}) if person else None
    return None


def _notes(operation: Operation, facts: Facts, now_ns: int) -> dict[str, str]:
    until = now_ns + int(facts.settings.marks_s * SECOND)
    action = operation.action
    return marks.notes(operation.id, action.incident, action.reason, facts.me, now_ns, until)
