"""Which pods are where: counts of matching pods by topology domain, kept true while pods are placed. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from edgeobs.objects import HOSTNAME, Node, Pod, PodTerm, Selector
from edgeobs.remediate.matching import matches, wants


class _Group(NamedTuple):
    """Pods that a selector of some namespace means, by the values of a node label."""

    selector: Selector
    namespaces: tuple[str, ...]  # empty: all
    key: str

    def has(self, pod: Pod) -> bool:
        return (not self.namespaces or pod.namespace in self.namespaces) and matches(
            self.selector, pod.labels
        )


def domain(node: Node, key: str) -> str | None:
    """The value of a node's topology label; None: it has none, and is in no domain."""
    return node.labels.get(key, node.name if key == HOSTNAME else None)


class Topology:
    """Pods on nodes, as affinity and spread constraints see them.

    Parameters
    ----------
    nodes
        All nodes by name.
    pods
        Those that stay, each bound to one of the nodes.

    """

    def __init__(self, nodes: Mapping[str, Node], pods: Iterable[Pod]) -> None:
        self._nodes = nodes
        self._by_namespace: dict[str, list[tuple[Pod, Node]]] = defaultdict(list)
        self._counts: dict[_Group, Counter[str]] = {}
        self._eligible: dict[tuple[Selector, tuple[Selector, ...], str], frozenset[str]] = {}
        self._repels: Counter[tuple[_Group, str]] = Counter()  # whom the pods that are there keep away, where
        for pod in pods:
            node = nodes.get(pod.node)
            if node is not None and not pod.over:
                self._keep(pod, node)

    def add(self, pod: Pod, node: Node) -> None:
        """A pod is placed."""
        for group, counts in self._counts.items():
            where = domain(node, group.key)
            if where is not None and group.has(pod):
                counts[where] += 1
        self._keep(pod, node)

    def objection(self, pod: Pod, node: Node) -> str:
        """Why pods that are elsewhere keep this one off a node; empty: they do not."""
        return (
            self._apart(pod, node)
            or self._repelled(pod, node)
            or self._together(pod, node)
            or self._spread(pod, node)
        )

    def _keep(self, pod: Pod, node: Node) -> None:
        self._by_namespace[pod.namespace].append((pod, node))
        for term in pod.anti_affinity:
            where = domain(node, term.topology_key)
            if where is not None:
                self._repels[_group(term, pod), where] += 1

    def _apart(self, pod: Pod, node: Node) -> str:
        for term in pod.anti_affinity:
            where = domain(node, term.topology_key)
            if where is not None and self._count(_group(term, pod))[where]:
                return f"podAntiAffinity: {term.topology_key}={where} has a pod it must not share it with"
        return ""

    def _repelled(self, pod: Pod, node: Node) -> str:
        for (group, where), number in self._repels.items():
            if number and domain(node, group.key) == where and group.has(pod):
                return f"podAntiAffinity of a pod in {group.key}={where} keeps it away"
        return ""

    def _together(self, pod: Pod, node: Node) -> str:
        for term in pod.affinity:
            group = _group(term, pod)
            where = domain(node, term.topology_key)
            counts = self._count(group)
            # The first of a group that wants its own company may start anywhere, as the scheduler has it.
            first = not counts.total() and group.has(pod)
            if where is None or not (counts[where] or first):
                return f"podAffinity: no pod it needs beside it in its {term.topology_key}"
        return ""

    def _spread(self, pod: Pod, node: Node) -> str:
        for rule in pod.spread:
            where = domain(node, rule.topology_key)
            if where is None:
                return f"topologySpread: the node has no label {rule.topology_key}"
            counts = self._count(_Group(rule.selector, (pod.namespace,), rule.topology_key))
            domains = self._domains(pod, rule.topology_key)
            least = min((counts[each] for each in domains), default=0)
            if len(domains) < rule.min_domains:
                least = 0
            own = matches(rule.selector, pod.labels)
            if counts[where] + own - least > rule.max_skew:
                return (
                    f"topologySpread: {rule.topology_key}={where} would have more than {rule.max_skew} over"
                )
        return ""

    def _domains(self, pod: Pod, key: str) -> frozenset[str]:
        """The domains among the nodes that a pod may run on, cordoned or tainted ones too (their default)."""
        asked = pod.node_selector, pod.node_affinity, key
        known = self._eligible.get(asked)
        if known is None:
            found = (domain(node, key) for node in self._nodes.values() if wants(pod, node))
            known = self._eligible[asked] = frozenset(each for each in found if each is not None)
        return known

    def _count(self, group: _Group) -> Counter[str]:
        known = self._counts.get(group)
        if known is None:
            known = self._counts[group] = Counter()
            for namespace in group.namespaces or tuple(self._by_namespace):
                for pod, node in self._by_namespace.get(namespace, ()):
                    where = domain(node, group.key)
                    if where is not None and matches(group.selector, pod.labels):
                        known[where] += 1
        return known


def _group(term: PodTerm, pod: Pod) -> _Group:
    namespaces = () if term.all_namespaces else term.namespaces or (pod.namespace,)
    return _Group(term.selector, namespaces, term.topology_key)
