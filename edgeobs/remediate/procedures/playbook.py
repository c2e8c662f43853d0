"""Notify, annotate, and a user's playbook: what takes nothing from the cluster by itself. Pure."""

from edgeobs.calls import Call
from edgeobs.objects import Ref
from edgeobs.remediate import marks, story
from edgeobs.remediate.operation import Do, End, Facts, Next, Operation, Reads, Wait
from edgeobs.remediate.procedures.cordon import gone
from edgeobs.signals import SECOND

_LOOK_NS = SECOND // 2


def notify(operation: Operation, facts: Facts, now_ns: int) -> Next:
    """An Event on the node, once."""
    node = facts.nodes.get(operation.action.target.node)
    if node is None:
        return gone(operation)
    call = story.notice(operation, node.uid, facts.me, now_ns)
    told = facts.told.get(call.ref)
    if told is not None and (told.answer.ok or told.answer.status == 409):  # 409: it is there
        return End("done", f"an Event tells of it on {node.name}")
    return Do(call)


def annotate(operation: Operation, facts: Facts, now_ns: int) -> Next:  # noqa: ARG001  as every procedure
    """A note on the node: incident and reason. The next note replaces it; no budget counts it."""
    node = facts.nodes.get(operation.action.target.node)
    if node is None:
        return gone(operation)
    text = f"{operation.action.incident}: {operation.action.reason}"[: marks.MAX_REASON]
    if node.annotations.get(marks.NOTE) == text:
        return End("done", f"{node.name} is annotated")
    body = {"metadata": {"annotations": {marks.NOTE: text}}}
    ref = Ref("Node", "", node.name, node.uid)
    return Do(Call("patch", ref, body, version=node.version, says=f"annotate {node.name}"))


def reads(operation: Operation) -> Reads:
    """The run of a playbook, as far as this process knows of it."""
    node = operation.action.target.node
    return Reads(nodes=(node,) if node else (), objects=(run(operation),))


def run(operation: Operation) -> Ref:
    """The run of a playbook is named for its operation."""
    return Ref("Playbook", "", operation.id)


def playbook(operation: Operation, facts: Facts, now_ns: int) -> Next:
    """Started once; where it is not known whether it ran, again only if it says that this is safe."""
    name = dict(operation.action.patch).get("playbook", "")
    book = facts.settings.playbooks.get(name)
    if book is None:
        return End("cancelled", f"there is no playbook {name!r} any more")
    state = facts.objects.get(run(operation))
    if state is not None and not state["done"]:
        return Wait(now_ns + _LOOK_NS, f"playbook {name} is running")
    if state is not None:
        said = f"{state['status']} {state['text']}".strip()
        if state["status"] and state["status"] < 300:
            return End("verifying", f"playbook {name} ran: {said}")
        return End("failed", f"playbook {name}: {said or 'no answer'}")
    told = facts.told.get(run(operation))
    sent = operation.memo.get("started") and not (told and told.answer.reason == "NotSent")
    if sent and not book.repeatable:
        return End("failed", f"whether playbook {name} ran is not known, and it is not repeatable")
    action = operation.action
    body = {
        "playbook": name, "operation": operation.id, "incident": action.incident, "reason": action.reason,
        "policy": action.policy, "target": action.target._asdict(),
    }  # fmt: skip
    return Do(
        Call("run", run(operation), body, says=f"run playbook {name}"), {**operation.memo, "started": True}
    )
