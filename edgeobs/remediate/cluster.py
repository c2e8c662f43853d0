"""A cluster in memory that answers as the Kubernetes API would: UIDs, versions, preconditions, evictions.

The model that the demo and the simulation act upon. Safe to use from several threads.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from threading import RLock
from typing import Any

from edgeobs.calls import Answer, Call, Unreachable
from edgeobs.objects import Budget, Claim, Inventory, Node, Pod, Quota, Ref, Workload
from edgeobs.remediate import model, model_pods
from edgeobs.remediate.model_objects import Others
from edgeobs.remediate.settings import Settings
from edgeobs.signals import SECOND, Heartbeat, Resource

_KINDS = {"Deployment", "StatefulSet", "ReplicaSet", "DaemonSet"}


class MemoryCluster:
    """All of a cluster that edgeobs looks at (`calls.Api`, `fleet.ClusterView`).

    Parameters
    ----------
    settings
        Which label and annotation matter.
    limit
        Nodes it learns at most.
    clock
        Unix nanoseconds: when a deletion was asked for.

    """

    stale_ns = SECOND

    def __init__(self, settings: Settings, limit: int = 10_000, clock: Callable[[], int] = lambda: 0) -> None:
        self._settings, self._limit, self._clock = settings, limit, clock
        self._lock, self._numbers = RLock(), count(1)
        self._nodes: dict[tuple[str, str], Node] = {}
        self._pods: dict[model_pods.Key, Pod] = {}
        self._workloads: dict[tuple[str, str, str], Workload] = {}
        self._budgets: dict[model_pods.Key, tuple[Budget, int]] = {}  # and how many must stay ready
        self._claims: dict[model_pods.Key, Claim] = {}
        self._others = Others()
        self.quotas: tuple[Quota, ...] = ()
        self.writes = 0  # mutations that were done

    # -- what is in it

    def nodes(self) -> list[Node]:
        """All nodes as they are now."""
        with self._lock:
            return list(self._nodes.values())

    def put(self, *things: Node | Pod | Workload | Claim) -> None:
        """Add or replace, as a person with kubectl would."""
        with self._lock:
            for thing in things:
                self._put(thing)

    def put_budget(self, budget: Budget, least: int) -> None:
        """A disruption budget, and how many of its pods must stay ready."""
        with self._lock:
            self._budgets[budget.namespace, budget.name] = budget, least
            self._count_budgets()

    def learn(self, beats: Iterable[Heartbeat], *, opted_in: bool = False) -> None:
        """List the nodes that are heard, labelled with the zone they name; for a demo without a cluster."""
        for beat in beats:
            place = beat.place
            known = (place.cluster, place.node) in self._nodes
            if beat.state == "retired" or known or len(self._nodes) >= self._limit:
                continue
            labels = {self._settings.zone_label: place.zone} if place.zone else {}
            notes = {self._settings.opt_in: "enabled"} if opted_in else {}
            uid = f"memory-{len(self._nodes)}"
            self.put(Node(place.node, uid, "", labels, notes, ready="True", cluster=place.cluster))

    def forget(self, places: Iterable[Resource]) -> None:
        """Nodes that are long gone."""
        with self._lock:
            for place in places:
                self._nodes.pop((place.cluster, place.node), None)

    def remove(self, name: str, cluster: str = "") -> None:
        """A node is deleted; its pods are left behind."""
        self.forget([Resource(cluster=cluster, node=name)])

    def settle(self, dead: Iterable[str] = ()) -> None:
        """Let controllers do their work once: remove, replace and schedule pods, count budgets."""
        with self._lock:
            kept = model_pods.removed(self._pods.values(), dead, self._clock())
            self._pods = {(pod.namespace, pod.name): pod for pod in kept}
            self.put(*model_pods.replaced(kept, self._workloads.values(), self._named))
            for pod in list(self._pods.values()):
                if not pod.node:
                    self._pods[pod.namespace, pod.name] = model_pods.scheduled(
                        pod, self._nodes.values(), self._pods.values()
                    )
            self._count_budgets()

    # -- as a cache has it: this is the truth itself

    def inventory(self, now_ns: int) -> Inventory:
        """All of it, as of now."""
        with self._lock:
            nodes: dict[str, Node] = {}
            for node in self._nodes.values():
                nodes[f"{node.cluster}/{node.name}" if node.name in nodes else node.name] = node
            budgets = tuple(budget for budget, _ in self._budgets.values())
            pods, claims = tuple(self._pods.values()), tuple(self._claims.values())
            workloads = tuple(self._workloads.values())
            return Inventory(nodes, pods, workloads, budgets, self.quotas, claims, now_ns)

    def age_ns(self) -> int:
        """It is never old."""
        return 0

    # -- as the API has it

    def node(self, name: str) -> Node | None:
        """A node; Unreachable when two clusters have one of this name."""
        with self._lock:
            found = [node for node in self._nodes.values() if node.name == name]
        if len(found) > 1:
            raise Unreachable(f"{len(found)} clusters have a node {name}: which one is meant cannot be told")
        return found[0] if found else None

    def pods_of(self, node: str) -> list[Pod]:
        """All pods bound to a node."""
        with self._lock:
            return [pod for pod in self._pods.values() if pod.node == node]

    def pod(self, namespace: str, name: str) -> Pod | None:
        """A pod."""
        return self._pods.get((namespace, name))

    def workload(self, ref: Ref) -> Workload | None:
        """A workload, whatever the UID."""
        return self._workloads.get(ref[:3])

    def claim(self, namespace: str, name: str) -> Claim | None:
        """A claim."""
        return self._claims.get((namespace, name))

    def raw(self, ref: Ref) -> dict[str, Any] | None:
        """Any other object that was created here."""
        return self._others.raw(ref)

    def call(self, call: Call) -> Answer:
        """Carry out one mutation."""
        with self._lock:
            answer = self._call(call)
            self.writes += answer.ok and call.ref.kind != "Event"
            return answer

    def _call(self, call: Call) -> Answer:
        if call.ref.kind == "Node":
            return self._change(call, self.node(call.ref.name), model.patched_node)
        if call.ref.kind in _KINDS:
            return self._change(call, self.workload(call.ref), model.patched_workload)
        if call.ref.kind == "Pod":
            pod = self.pod(call.ref.namespace, call.ref.name)
            if call.verb in {"evict", "delete"} and pod is not None:
                return model.refusal(call, pod.uid, pod.version) or self._leave(call, pod)
            return self._change(call, pod, model.patched_pod)
        return self._others.call(call, self._numbers)

    def _change(self, call: Call, thing: Any, patched: Callable[[Any, Call], Any]) -> Answer:
        if thing is None:
            return model.NOT_FOUND
        if call.verb != "patch":
            return Answer(405, "MethodNotAllowed", f"{call.verb} of {call.ref}")
        refused = model.refusal(call, thing.uid, thing.version)
        return refused or Answer(200, version=self._put(patched(thing, call)).version)

    def _leave(self, call: Call, pod: Pod) -> Answer:
        """Evict, within disruption budgets, or delete."""
        if pod.deleted_ns:
            return Answer(201 if call.verb == "evict" else 200, version=pod.version)
        budgets = model_pods.budgets_of(pod, [each for each, _ in self._budgets.values()])
        if call.verb == "evict" and not pod.over and pod.phase != "Pending" and budgets:
            if len(budgets) > 1:
                return Answer(500, "InternalError", "this pod has more than one PodDisruptionBudget")
            if budgets[0].allowed <= 0:
                return Answer(429, "TooManyRequests", f"it would violate the budget {budgets[0].name}")
        left = self._put(replace(pod, deleted_ns=self._clock() or 1, ready=False))
        self._count_budgets()
        return Answer(201 if call.verb == "evict" else 200, version=left.version)

    def _put(self, thing: Any) -> Any:
        thing = replace(thing, version=str(next(self._numbers))) if hasattr(thing, "version") else thing
        match thing:
            case Node():
                self._nodes[thing.cluster, thing.name] = thing
            case Pod():
                self._pods[thing.namespace, thing.name] = thing
            case Workload():
                self._workloads[thing.ref[:3]] = thing
            case Claim():
                self._claims[thing.namespace, thing.name] = thing
        return thing

    def _named(self, workload: Workload) -> tuple[str, str]:
        number = next(self._numbers)
        return f"{workload.name}-{number}", f"uid-{number}"

    def _count_budgets(self) -> None:
        for key, (budget, least) in self._budgets.items():
            ready = sum(
                pod.ready and not pod.deleted_ns and budget in model_pods.budgets_of(pod, [budget])
                for pod in self._pods.values()
            )
            self._budgets[key] = replace(budget, allowed=max(ready - least, 0)), least
