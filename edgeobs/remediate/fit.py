"""Capacity first: does what would leave a node fit elsewhere? Asked before the first eviction. Pure.

It is asked in the scheduler's own way (filters, then the node with the most room left), not whether any
packing exists: a packing that the scheduler would not find helps nobody. Preemption is not counted upon.
"""

from bisect import insort
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgeobs.objects import Claim, Inventory, Node, Pod, Quota
from edgeobs.remediate.matching import reaches, untolerated, wants
from edgeobs.remediate.topology import Topology

_SHARED = ("cpu", "memory")  # by which the scheduler tells how full a node is


class Homeless(NamedTuple):
    """A pod that fits nowhere, and why."""

    pod: Pod
    reason: str


@dataclass(frozen=True, slots=True)
class Fit:
    """Where each pod could go (uid → node), and those that cannot."""

    placed: Mapping[str, str]
    homeless: tuple[Homeless, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all of them fit."""
        return not self.homeless

    def reason(self, most: int = 3) -> str:
        """Which pods do not fit and why, the first few by name."""
        if self.whole:
            return f"{len(self.placed)} pods fit elsewhere"
        named = "; ".join(f"{pod.namespace}/{pod.name}: {why}" for pod, why in self.homeless[:most])
        more = f"; and {len(self.homeless) - most} more" if len(self.homeless) > most else ""
        number, of = len(self.homeless), len(self.homeless) + len(self.placed)
        return f"{number} of {of} pods fit nowhere: {named}{more}"


def fit(
    leaving: Sequence[Pod],
    inventory: Inventory,
    *,
    without: Collection[str] = (),
    within: Collection[str] | None = None,
    keep_free: float = 0.0,
    beside: bool = False,
) -> Fit:
    """Where pods could go.

    Parameters
    ----------
    leaving
        Pods that would be evicted, or brought up again.
    inventory
        The cluster; what `leaving` uses now is not counted.
    without
        Nodes that are no destination: the origin.
    within
        The only nodes that are; None: all others.
    keep_free
        Share of each node's allocatable that must stay free, in [0, 1).
    beside
        Whether the new pods come up while the old ones still run (a failover): quotas need room for both.

    """
    moving = {pod.uid for pod in leaving}
    staying = [pod for pod in inventory.pods if pod.node and not pod.over and pod.uid not in moving]
    open_to = [
        node
        for name, node in inventory.nodes.items()
        if name not in without and (within is None or name in within)
    ]
    board = _Board(inventory, staying, open_to, keep_free)
    quotas = _Quotas(inventory.quotas, beside)
    placed: dict[str, str] = {}
    homeless: list[Homeless] = []
    for pod in inventory.pods:  # those that wait for a node already come first, if they come at all
        if not pod.node and not pod.over and not pod.deleted_ns and pod.uid not in moving:
            board.place(pod)
    for pod in sorted(leaving, key=lambda pod: (-pod.priority, -board.size(pod), pod.namespace, pod.name)):
        problem = quotas.objection(pod)
        home, why = (None, problem) if problem else board.place(pod)
        if home is None:
            homeless.append(Homeless(pod, why))
        else:
            placed[pod.uid] = home
            quotas.take(pod)
    return Fit(placed, tuple(homeless))


class _Board:
    """Nodes with what is left on them, the emptiest first."""

    def __init__(
        self, inventory: Inventory, staying: Iterable[Pod], nodes: Iterable[Node], keep_free: float
    ) -> None:
        staying = list(staying)
        self._used: dict[str, Counter[str]] = {}
        self._ports: dict[str, set[str]] = {}
        for pod in staying:
            self._count(pod, pod.node)
        self._nodes = {node.name: node for node in nodes}
        self._limit = {
            name: {key: int(amount * (1 - keep_free)) for key, amount in node.allocatable.items()}
            for name, node in self._nodes.items()
        }
        self._order = sorted((self._fullness(name), name) for name in self._nodes)
        self._topology = Topology(inventory.nodes, staying)
        self._claims = {(claim.namespace, claim.name): claim for claim in inventory.claims}
        self._whole = Counter[str]()
        for node in self._nodes.values():
            self._whole.update(node.allocatable)

    def size(self, pod: Pod) -> float:
        """The largest share that a pod asks of all nodes together: the bulky are placed first."""
        return max((amount / (self._whole[key] or 1) for key, amount in pod.requests.items()), default=0.0)

    def place(self, pod: Pod) -> tuple[str | None, str]:
        """Put a pod on the emptiest node that takes it; None, and what most nodes said."""
        claims, missing = self._claims_of(pod)
        if missing:
            return None, missing
        said: Counter[str] = Counter()
        for at, (_, name) in enumerate(self._order):
            why = self._objection(pod, self._nodes[name], claims)
            if not why:
                del self._order[at]
                self._take(pod, name)
                return name, ""
            said[why] += 1
        return None, _summary(said)

    def _take(self, pod: Pod, name: str) -> None:
        self._count(pod, name)
        insort(self._order, (self._fullness(name), name))
        self._topology.add(pod, self._nodes[name])

    def _count(self, pod: Pod, node: str) -> None:
        used = self._used.setdefault(node, Counter())
        used.update(pod.requests)
        used["pods"] += 1
        self._ports.setdefault(node, set()).update(pod.host_ports)

    def _fullness(self, name: str) -> float:
        limit, used = self._limit[name], self._used.get(name, Counter())
        return sum(used[key] / (limit.get(key) or 1) for key in _SHARED) / len(_SHARED)

    def _objection(self, pod: Pod, node: Node, claims: Sequence[Claim]) -> str:
        """Why a node does not take a pod, the cheapest questions first; empty: it does."""
        if node.ready != "True" or node.unschedulable or node.deleting:
            return "node not ready or cordoned"
        short = self._short(pod, node.name)
        if short:
            return f"not enough {short}"
        if not self._ports.get(node.name, set()).isdisjoint(pod.host_ports):
            return "host port taken"
        return _unsuited(pod, node, claims) or self._topology.objection(pod, node)

    def _short(self, pod: Pod, name: str) -> str:
        """The first resource that a node has too little of; one it does not name it does not have."""
        limit, used = self._limit[name], self._used.get(name, Counter())
        for key, amount in pod.requests.items():
            if amount and used[key] + amount > limit.get(key, 0):
                return key
        return "pods" if used["pods"] + 1 > limit.get("pods", 0) else ""

    def _claims_of(self, pod: Pod) -> tuple[list[Claim], str]:
        found = []
        for name in pod.claims:
            claim = self._claims.get((pod.namespace, name))
            if claim is None:
                return [], f"its claim {name} is not there"
            found.append(claim)
        return found, ""


def _unsuited(pod: Pod, node: Node, claims: Sequence[Claim]) -> str:
    """Why a node is none of those a pod may run on; empty: it is."""
    taint = untolerated(pod, node.taints)
    if taint is not None:
        return f"taint {taint.key} is not tolerated"
    if not wants(pod, node):
        return "nodeSelector or nodeAffinity"
    if any(not reaches(claim.node_affinity, node) for claim in claims):
        return "its volume cannot be reached from there"
    return ""


class _Quotas:
    """What namespaces may still take."""

    def __init__(self, quotas: Iterable[Quota], beside: bool) -> None:
        self._beside = beside
        self._of: dict[str, list[tuple[Quota, Counter[str]]]] = {}
        for quota in quotas:
            self._of.setdefault(quota.namespace, []).append((quota, Counter(quota.used)))

    def objection(self, pod: Pod) -> str:
        """The quota that would refuse the pod's successor.

        Where the old pod goes its share comes free: only a quota that is overdrawn already refuses.
        """
        for quota, used in self._of.get(pod.namespace, ()):
            for key, hard in quota.hard.items():
                more = _asks(pod, key) if self._beside else 0
                asked = more if self._beside else _asks(pod, key)
                if asked and used[key] + more > hard:
                    return f"ResourceQuota {quota.name}: {key} {used[key] + more} of {hard}"
        return ""

    def take(self, pod: Pod) -> None:
        """A pod is placed."""
        if self._beside:
            for quota, used in self._of.get(pod.namespace, ()):
                used.update({key: _asks(pod, key) for key in quota.hard})


def _asks(pod: Pod, key: str) -> int:
    """What a pod counts for in a quota's resource."""
    if key in {"pods", "count/pods"}:
        return 1
    return pod.requests.get(key.removeprefix("requests."), 0) if not key.startswith("limits.") else 0


def _summary(said: Counter[str]) -> str:
    """``6 nodes: not enough cpu, 2 nodes: taint x is not tolerated``, as the scheduler tells it."""
    if not said:
        return "there is no other node"
    return ", ".join(
        f"{number} node{'s' if number > 1 else ''}: {why}" for why, number in said.most_common(4)
    )
