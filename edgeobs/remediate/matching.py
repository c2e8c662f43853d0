"""Labels, taints and node affinity, matched as Kubernetes matches them. Pure."""

from collections.abc import Iterable

from edgeobs.objects import HOSTNAME, Labels, Node, Pod, Requirement, Selector, Taint, Toleration

# What a field selector in node affinity may name; it comes trimmed as a label of this key.
FIELD_NAME = "metadata.name"


def matches(selector: Selector, labels: Labels) -> bool:
    """Whether labels satisfy every requirement; an empty selector is satisfied by all."""
    return all(_holds(requirement, labels) for requirement in selector)


def _holds(requirement: Requirement, labels: Labels) -> bool:
    key, operator, values = requirement
    found = labels.get(key)
    if operator == "Exists":
        return found is not None
    if operator == "DoesNotExist":
        return found is None
    if operator == "NotIn":  # a label that is not there is in no set
        return found not in values
    if found is None:
        return False
    if operator == "In":
        return found in values
    return _compared(operator, found, values)


def _compared(operator: str, found: str, values: tuple[str, ...]) -> bool:
    """``Gt`` and ``Lt``: both sides are integers, or it does not hold."""
    try:
        left, right = int(found), int(values[0])
    except (ValueError, IndexError):
        return False
    return left > right if operator == "Gt" else left < right


def wants(pod: Pod, node: Node) -> bool:
    """Whether a pod's nodeSelector and required node affinity admit a node."""
    return matches(pod.node_selector, node.labels) and reaches(pod.node_affinity, node)


def reaches(terms: tuple[Selector, ...], node: Node) -> bool:
    """Whether one of the terms of a node affinity holds; no terms admit every node."""
    if not terms:
        return True
    labels = {HOSTNAME: node.name, **node.labels, FIELD_NAME: node.name}
    return any(term and matches(term, labels) for term in terms)  # an empty term matches nothing


def untolerated(pod: Pod, taints: Iterable[Taint]) -> Taint | None:
    """The first taint that keeps a pod off a node; ``PreferNoSchedule`` keeps nothing off."""
    for taint in taints:
        if taint.effect != "PreferNoSchedule" and not any(tolerates(t, taint) for t in pod.tolerations):
            return taint
    return None


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether a toleration covers a taint."""
    if toleration.effect not in {"", taint.effect}:
        return False
    if not toleration.key:
        return toleration.operator == "Exists"
    if toleration.key != taint.key:
        return False
    return toleration.operator == "Exists" or toleration.value == taint.value
