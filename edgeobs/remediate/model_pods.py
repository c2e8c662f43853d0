"""What Kubernetes' own controllers do with pods, in small: remove, replace, schedule. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from edgeobs.objects import Amounts, Budget, Node, Pod, Ref, Workload
from edgeobs.remediate.matching import matches, untolerated
from edgeobs.signals import SECOND

Key = tuple[str, str]
"""Namespace and name."""


def budgets_of(pod: Pod, budgets: Iterable[Budget]) -> list[Budget]:
    """The disruption budgets that select a pod."""
    return [
        each
        for each in budgets
        if each.namespace == pod.namespace
        and (each.selects_all or (each.selector and matches(each.selector, pod.labels)))
    ]


def removed(pods: Iterable[Pod], dead: Iterable[str], now_ns: int) -> list[Pod]:
    """Pods without those whose grace is over; a kubelet that is dead confirms none."""
    gone = set(dead)
    return [
        pod
        for pod in pods
        if not (
            pod.deleted_ns
            and now_ns >= pod.deleted_ns + pod.grace_s * SECOND
            and not pod.finalizers
            and pod.node not in gone
        )
    ]


def replaced(
    pods: Iterable[Pod], workloads: Iterable[Workload], name: Callable[[Workload], tuple[str, str]]
) -> list[Pod]:
    """The pods that are missing of each workload, not scheduled yet. ``name`` gives a name and a UID."""
    counts: dict[tuple[str, str, str], int] = {}
    for pod in pods:
        if pod.owner is not None and not pod.deleted_ns and not pod.over:
            key = pod.owner[:3]
            counts[key] = counts.get(key, 0) + 1
    made = []
    for workload in workloads:
        for _ in range(workload.replicas - counts.get(workload.ref[:3], 0)):
            called, uid = name(workload)
            labels = {each.key: each.values[0] for each in workload.selector if each.operator == "In"}
            owner = Ref(workload.kind, workload.namespace, workload.name, workload.uid)
            made.append(Pod(workload.namespace, called, uid, phase="Pending", labels=labels, owner=owner))
    return made


def scheduled(pod: Pod, nodes: Iterable[Node], pods: Iterable[Pod]) -> Pod:
    """A pod on the emptiest node that takes it, and ready there at once; or as it is."""
    pods = list(pods)
    fit = [
        (sum(each.node == node.name for each in pods), node.name)
        for node in nodes
        if node.ready == "True" and not (node.unschedulable or node.deleting)
        if untolerated(pod, node.taints) is None and _room(pod, node, pods)
    ]
    if not fit:
        return pod
    return replace(pod, node=min(fit)[1], phase="Running", ready=True)


def _room(pod: Pod, node: Node, pods: Iterable[Pod]) -> bool:
    there = [each for each in pods if each.node == node.name and not each.over]
    if "pods" in node.allocatable and len(there) + 1 > node.allocatable["pods"]:
        return False
    return all(
        _sum(there, name) + amount <= node.allocatable.get(name, amount if not node.allocatable else 0)
        for name, amount in pod.requests.items()
    )


def _sum(pods: Iterable[Pod], resource: str) -> int:
    amounts: Iterable[Amounts] = (pod.requests for pod in pods)
    return sum(each.get(resource, 0) for each in amounts)
