"""Release: the pods of a node that is proved dead may start elsewhere. Pure.

Stateless pods are deleted with their usual grace: their controller starts another at once, and nothing is
forced off a kubelet that may come back. Pods that hold volumes, and StatefulSets' pods, are promised to run
once at most: they are released only by Kubernetes' own way for a node that is shut down, the out-of-service
taint, and only when somebody fenced the node
(https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown).
"""

from collections.abc import Iterable
from typing import Any

from edgeobs.calls import Call
from edgeobs.objects import Node, Pod
from edgeobs.remediate import death, marks
from edgeobs.remediate.operation import Do, End, Facts, Next, Operation, Wait
from edgeobs.remediate.procedures.cordon import blocked, cordon_call, gone
from edgeobs.remediate.procedures.leaving import consents, naming
from edgeobs.signals import SECOND

_STATELESS = {"ReplicaSet", "ReplicationController"}
_LOOK_NS = SECOND


def release(operation: Operation, facts: Facts, now_ns: int) -> Next:
    """Proof, cordon, then one pod after the other; the proof is asked anew before each."""
    name = operation.action.target.node
    node = facts.nodes.get(name)
    if node is None:
        return gone(operation)
    held, steady_ns = facts.inventory.nodes.get(name), facts.inventory.steady_ns
    scene = death.Scene(node, held, steady_ns, facts.fleet, facts.incident, facts.settings, now_ns)
    proof = death.proof(scene)
    if not proof.dead:
        return _unproved(operation, proof.text, now_ns)
    if stop := blocked(operation, node):
        return stop
    if not node.unschedulable:
        return Do(cordon_call(operation, facts, node, now_ns), {**operation.memo, "marked": True})
    return _next(operation, facts, node, now_ns)


def _unproved(operation: Operation, text: str, now_ns: int) -> Next:
    """A node that comes back in the middle keeps what it still has."""
    if operation.memo.get("released"):
        return End("cancelled", f"{text}; {len(operation.memo['released'])} pods were released before")
    return Wait(now_ns + _LOOK_NS, text)


def _next(operation: Operation, facts: Facts, node: Node, now_ns: int) -> Next:
    seen = {"seen": True} if marks.cordoned(node, operation.action.incident) else {}
    memo = {"released": [], **operation.memo, **seen}
    pods = [pod for pod in facts.pods_of.get(node.name, ()) if _may_move(pod, facts)]
    free = [pod for pod in pods if _stateless(pod) and not pod.deleted_ns]
    if free:
        due = [pod for pod in free if facts.again_ns(pod.ref) <= now_ns]
        if not due:
            return Wait(min(facts.again_ns(pod.ref) for pod in free), "the API refuses for now", memo)
        return _delete(min(due, key=lambda pod: (-pod.priority, pod.namespace, pod.name)), memo)
    bound = [pod for pod in pods if not _stateless(pod)]
    if bound and death.named(node, death.FENCED):
        return _out_of_service(node, bound, memo, now_ns)
    return _finished(node, bound, memo)


def _delete(pod: Pod, memo: dict[str, Any]) -> Do:
    released = memo["released"]
    asked = released if pod.uid in released else [*released, pod.uid]
    says = f"release {pod.namespace}/{pod.name} from {pod.node}, which is dead"
    return Do(Call("delete", pod.ref, says=says), {**memo, "released": asked})


def _out_of_service(node: Node, bound: list[Pod], memo: dict[str, Any], now_ns: int) -> Next:
    if not any(taint.key == marks.OUT_OF_SERVICE.key for taint in node.taints):
        says = f"take {node.name} out of service: it is fenced, {len(bound)} pods with state may move"
        return Do(marks.add(node, marks.OUT_OF_SERVICE, says), memo)
    return Wait(now_ns + _LOOK_NS, f"{len(bound)} pods with state are being taken off by Kubernetes", memo)


def _finished(node: Node, bound: Iterable[Pod], memo: dict[str, Any]) -> End:
    text = f"{len(memo['released'])} pods of {node.name} were released"
    kept = [(pod, "has state") for pod in bound]
    if kept:
        text += f"; kept until the node is fenced ({death.FENCED} names its uid): {naming(kept)}"
    return End("verifying", text, memo)


def _may_move(pod: Pod, facts: Facts) -> bool:
    """Not over, nor static, nor a daemon's, nor without a controller to start it again; and opted in."""
    if pod.over or pod.mirror or pod.owner is None or pod.owner.kind == "DaemonSet":
        return False
    return consents(pod, facts.settings)


def _stateless(pod: Pod) -> bool:
    return pod.owner is not None and pod.owner.kind in _STATELESS and not pod.claims
