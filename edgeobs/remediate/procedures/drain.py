"""Drain and reschedule: pods leave a node by the Eviction API, once it is proved that they fit elsewhere.

After Kubernetes' own ``kubectl drain``: https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/
Pure.
"""

from collections.abc import Sequence
from typing import Any

from edgeobs.calls import Call
from edgeobs.objects import Node, Pod
from edgeobs.remediate import marks
from edgeobs.remediate.fit import fit
from edgeobs.remediate.operation import Do, End, Facts, Memo, Next, Operation, Wait
from edgeobs.remediate.procedures.cordon import blocked, cordon_call, gone
from edgeobs.remediate.procedures.leaving import Leaving, naming, sort_out
from edgeobs.signals import SECOND

LOOK_NS = SECOND
"""How often pods that shut down are looked at again."""

STUCK_S = 30
"""Time past its grace period after which a pod that does not go is told to be stuck, seconds."""

_ROOM_NS = 5 * SECOND  # between two looks for room, once pods have left

_RETURNS = 3  # times the pods that were there at first: more evictions than this, and they keep coming back


def drain(operation: Operation, facts: Facts, now_ns: int) -> Next:
    """All pods leave; one that must not stops it before anything is done."""
    return _move(operation, facts, now_ns, chosen=False)


def reschedule(operation: Operation, facts: Facts, now_ns: int) -> Next:
    """The pods that opted in leave."""
    return _move(operation, facts, now_ns, chosen=True)


def _move(operation: Operation, facts: Facts, now_ns: int, *, chosen: bool) -> Next:
    name = operation.action.target.node
    node = facts.nodes.get(name)
    if node is None:
        return gone(operation)
    pods = sort_out(facts.pods_of.get(name, ()), facts.settings, chosen=chosen)
    if not pods.move and not pods.going and not pods.stop:
        return _nothing_left(operation, node)
    stop = blocked(operation, node) or _unfit(operation, facts, pods, now_ns)
    if stop is not None:
        return stop
    if not node.unschedulable:
        return Do(cordon_call(operation, facts, node, now_ns), {**operation.memo, "marked": True})
    return _evict(operation, facts, pods, now_ns)


def _unfit(operation: Operation, facts: Facts, pods: Leaving, now_ns: int) -> End | Wait | None:
    """Why nothing may be evicted: asked before the cordon, and before every eviction.

    Where pods have left already the rest waits for room: a node elsewhere may be back in a moment.
    """
    if pods.stop:
        return End("failed", f"{len(pods.stop)} pods must not be evicted: {naming(pods.stop)}")
    name = operation.action.target.node
    proof = fit(pods.move, facts.inventory, without={name}, keep_free=facts.settings.keep_free)
    if proof.whole:
        return None
    why = f"what runs on {name} would not fit: {proof.reason()}"
    return Wait(now_ns + _ROOM_NS, why) if operation.memo.get("evicted") else End("failed", why)


def _nothing_left(operation: Operation, node: Node) -> End:
    evicted = len(operation.memo.get("evicted", ()))
    text = f"{evicted} pods have left {node.name}" if evicted else f"no pod of {node.name} is to leave it"
    return End("verifying" if evicted else "done", text)


def _evict(operation: Operation, facts: Facts, pods: Leaving, now_ns: int) -> Next:
    memo = _memo(operation, facts, len(pods.move))
    if not pods.move:
        return _shutting_down(pods.going, memo, now_ns)
    evicted = memo["evicted"]
    if len(evicted) > _RETURNS * memo["first"] + 10:
        back = naming((pod, "is here again") for pod in pods.move)
        return End("failed", f"{len(evicted)} pods were evicted and others keep coming back: {back}")
    due = [pod for pod in pods.move if facts.again_ns(pod.ref) <= now_ns]
    if not due:
        return _refused(facts, pods.move, memo)
    # What matters most is safe first.
    pod = min(due, key=lambda pod: (-pod.priority, pod.namespace, pod.name))
    asked = evicted if pod.uid in evicted else [*evicted, pod.uid]
    says = f"evict {pod.namespace}/{pod.name} from {pod.node}"
    return Do(Call("evict", pod.ref, says=says), {**memo, "evicted": asked})


def _memo(operation: Operation, facts: Facts, here: int) -> dict[str, Any]:
    """What to remember now that the node is cordoned: by us, or by a person, whose cordon it stays."""
    node = facts.nodes[operation.action.target.node]
    ours = node is not None and marks.cordoned(node, operation.action.incident)
    return {"evicted": [], "first": here, **operation.memo, **({"seen": True} if ours else {})}


def _shutting_down(going: Sequence[Pod], memo: Memo, now_ns: int) -> Wait:
    """Finalizers are reported, never stripped; a pod that does not go is told."""
    stuck = [
        (pod, f"waits for its finalizers {', '.join(pod.finalizers)}" if pod.finalizers else "does not go")
        for pod in going
        if now_ns - pod.deleted_ns > (pod.grace_s + STUCK_S) * SECOND
    ]
    waits = f"{len(going)} pods are shutting down"
    reason = f"{waits}, {len(stuck)} are stuck: {naming(stuck)}" if stuck else waits
    return Wait(now_ns + LOOK_NS, reason, memo)


def _refused(facts: Facts, pods: Sequence[Pod], memo: Memo) -> Wait:
    """Every pod that is left was refused a moment ago, by its PodDisruptionBudget as a rule."""
    until = min(facts.again_ns(pod.ref) for pod in pods)
    said = [(pod, facts.told[pod.ref].answer.text or facts.told[pod.ref].answer.reason) for pod in pods]
    return Wait(until, f"evictions are refused for now: {naming(said)}", memo)
