"""What the cluster itself tells of an operation: Events on the node, and a condition of ours. Pure.

As `kubectl describe node` shows it. Told for people alone, as well as can be: nothing waits for it, nothing
is decided by it, and what could not be told is counted.
"""

from datetime import UTC, datetime
from hashlib import blake2b

from edgeobs.calls import Call
from edgeobs.objects import Ref
from edgeobs.remediate.operation import Operation
from edgeobs.signals import SECOND, UNDOING, Decision

CONDITION = "EdgeobsRemediation"
_NAMESPACE = "default"  # of Events on what has none
_WARNING = frozenset({"failed", "cancelled"})
_MAX = 1024  # characters of an Event's message


def tell(operation: Operation, uid: str, me: str, now_ns: int) -> list[Call]:
    """What to say when an operation has changed; nothing of what is about no single node."""
    node = operation.action.target.node
    if not node or not uid:
        return []
    action = operation.action
    word = {"uncordon": "Uncordon"}.get(action.verb, action.verb.title())
    message = f"{operation.text()} (incident {action.incident}: {action.reason})"
    kind = "Warning" if operation.state in _WARNING or operation.memo.get("helped") is False else "Normal"
    key = f"{operation.id}\0{operation.state}\0{operation.reason}"
    return [
        _event(node, uid, f"Edgeobs{word}{operation.state.title()}", message, kind, key, me, now_ns),
        _condition(node, uid, operation, now_ns),
    ]


def notice(operation: Operation, uid: str, me: str, now_ns: int) -> Call:
    """The Event of an action that only tells."""
    action = operation.action
    message = f"incident {action.incident}: {action.reason}"
    return _event(action.target.node, uid, "EdgeobsIncident", message, "Warning", operation.id, me, now_ns)


def refused(decision: Decision, me: str, now_ns: int) -> list[Call]:
    """What to say of an action that was held or denied."""
    node = decision.action.target.node
    if not node or not decision.uid:
        return []
    reason = f"Edgeobs{decision.action.verb.title()}{decision.verdict.title()}"
    return [_event(node, decision.uid, reason, decision.text(), "Normal", decision.id, me, now_ns)]


def _event(node: str, uid: str, reason: str, message: str, kind: str, key: str, me: str, now_ns: int) -> Call:
    # The same thing said twice has the same name: the second is refused as there already.
    name = f"{node[:200]}.edgeobs-{blake2b(key.encode(), digest_size=8).hexdigest()}"
    at = _text(now_ns)
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": _NAMESPACE},
        "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid},
        "type": kind,
        "reason": reason,
        "message": message if len(message) <= _MAX else message[: _MAX - 1] + "…",
        "source": {"component": "edgeobs", "host": me},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
    return Call("create", Ref("Event", _NAMESPACE, name), body, says=f"tell of {node}: {reason}")


def _condition(node: str, uid: str, operation: Operation, now_ns: int) -> Call:
    """True while something of ours is under way or stands on the node."""
    action = operation.action
    gone = operation.state == "undone" or (operation.over and not operation.memo.get("marked"))
    standing = not gone and action.verb not in UNDOING
    condition = {
        "type": CONDITION,
        "status": "True" if standing else "False",
        "reason": f"{action.verb.title()}{operation.state.title()}",
        "message": f"{operation.text()}; incident {action.incident}: {action.reason}"[:_MAX],
        "lastHeartbeatTime": _text(now_ns),
        "lastTransitionTime": _text(now_ns),
    }
    body = {"status": {"conditions": [condition]}}
    ref = Ref("Node", "", node, uid)
    return Call("patch", ref, body, subresource="status", strategic=True, says=f"condition of {node}")


def _text(ns: int) -> str:
    return datetime.fromtimestamp(ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
