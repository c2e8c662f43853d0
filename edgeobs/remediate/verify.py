"""Did it help? What is watched once an action is complete. Pure."""

from collections.abc import Collection

from edgeobs.objects import Node
from edgeobs.remediate import marks
from edgeobs.remediate.operation import STALE_NS, End, Facts, Next, Operation, Wait
from edgeobs.signals import SECOND, Incident

_MOST = 50
_ILL = (
    "MemoryPressure",
    "DiskPressure",
    "PIDPressure",
    "NetworkUnavailable",
    "KernelDeadlock",
    "ReadonlyFilesystem",
)
_MOVES = frozenset({"release", "failover"})  # they move work away from a node that stays as ill as it is
AGAIN_NS = 5 * SECOND
"""How often it is looked at."""


def verify(operation: Operation, facts: Facts, now_ns: int) -> Next:
    """Until ``memo["verify_ns"]``: does the incident end, or its evidence become calm, and is the node well?

    Ends at once when a person undid what was done. What telemetry says must be new: an incident that is not
    known (yet) is not one that is over.
    """
    memo, name = operation.memo, operation.action.target.node
    node = facts.nodes.get(name)
    if name in facts.nodes and (node is None or node.uid != memo.get("uid")):
        return End(
            "done", f"{name} is not the node it was", {**memo, "gone": operation.action.verb != "failover"}
        )
    person = _undone_by(operation, node) if node else ""
    if person:
        return End("cancelled", person, {**memo, "person": person})
    if facts.fleet_age_ns > STALE_NS:
        return Wait(now_ns + AGAIN_NS, operation.reason)
    quiet = calm(facts.incident, memo.get("evidence", ()))
    sick = "" if node is None or operation.action.verb in _MOVES else ill(node)
    if quiet and not sick:
        how = "its incident is resolved" if facts.incident is None else "what was abnormal is calm"
        return End("done", f"helped: {how}", {**memo, "helped": True})
    left = f"{name}: {sick}" if quiet else _still(facts.incident)
    if now_ns >= memo.get("verify_ns", 0):
        return End("done", f"did not help: {left}", {**memo, "helped": False})
    return Wait(min(now_ns + AGAIN_NS, memo["verify_ns"]), left if quiet else operation.reason)


def ill(node: Node) -> str:
    """The first of a node's conditions that says it is not well; empty: none does."""
    if node.ready != "True":
        return f"Ready is {node.ready}"
    found = next((name for name in _ILL if node.conditions.get(name) == "True"), "")
    return f"{found} is True" if found else ""


def calm(incident: Incident | None, of: Collection[str]) -> bool:
    """Whether an incident is over, or nothing of its evidence is abnormal any more.

    Of the evidence that there was when the action was complete, where there was any (``of``, by its text):
    what moves work makes other things unusual, and that is no failure of it.
    """
    if incident is None or incident.state == "resolved":
        return True
    counts = [each for each in incident.evidence if not of or each.text in of]
    return bool(incident.evidence) and all(each.calm for each in counts)


def evidence(incident: Incident | None) -> list[str]:
    """What is abnormal of an incident now, by its text; bounded."""
    return [each.text for each in incident.evidence if not each.calm][:_MOST] if incident else []


def _still(incident: Incident | None) -> str:
    if incident is None:
        return "it is not known how it goes on"
    worst = next((each for each in incident.evidence if not each.calm), None)
    what = f": {worst.brief()}" if worst else ""
    return f"the incident goes on at {incident.score:.1f} decades{what}"


def _undone_by(operation: Operation, node: Node) -> str:
    """What a person did to our marks; empty: nothing."""
    if not operation.memo.get("seen"):
        return ""
    if operation.action.verb != "taint":
        return marks.touched(node, operation.action.incident)
    there = any(taint.key == marks.PRESSURE for taint in node.taints)
    return "" if there else "our taint was taken away by somebody else"
