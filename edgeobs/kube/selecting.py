"""Selectors, affinities and constraints of a pod, from JSON. Pure.

What cannot be expressed becomes stricter, never laxer: a pod then fits nowhere rather than anywhere.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from edgeobs.objects import Operator, PodTerm, Requirement, Selector, Spread, Toleration

Json = Mapping[str, Any]

NOTHING: Selector = (Requirement("", "In", ()),)
"""Matches no labels: what a null selector means."""


def label_selector(found: Json | None) -> Selector:
    """A LabelSelector: null matches nothing, an empty one everything."""
    if found is None:
        return NOTHING
    return labels_in(found.get("matchLabels")) + requirements(found.get("matchExpressions"))


def labels_in(found: Json | None) -> Selector:
    """Exact labels, a nodeSelector's or a selector's ``matchLabels``."""
    return tuple(Requirement(key, "In", (str(value),)) for key, value in sorted((found or {}).items()))


def requirements(found: Iterable[Json] | None) -> Selector:
    """``matchExpressions`` or ``matchFields``; a field is carried as a label of its name."""
    return tuple(
        Requirement(
            each["key"], cast("Operator", each["operator"]), tuple(map(str, each.get("values") or ()))
        )
        for each in found or ()
    )


def node_terms(found: Json | None) -> tuple[Selector, ...]:
    """A NodeSelector's terms, one of which must hold; an empty term matches no node (and stays, empty)."""
    return tuple(
        requirements(term.get("matchExpressions")) + requirements(term.get("matchFields"))
        for term in (found or {}).get("nodeSelectorTerms") or ()
    )


def node_affinity(affinity: Json) -> tuple[Selector, ...]:
    """The required node affinity."""
    required = (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    return node_terms(required)


def pod_terms(affinity: Json, kind: str, namespace: str) -> tuple[PodTerm, ...]:
    """The required terms of ``podAffinity`` or ``podAntiAffinity``."""
    required = (affinity.get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    return tuple(_term(each, kind, namespace) for each in required or ())


def _term(found: Json, kind: str, namespace: str) -> PodTerm:
    """Namespaces selected by label count as all of them where pods repel, as none where they attract."""
    selector = label_selector(found.get("labelSelector"))
    names = tuple(found.get("namespaces") or ())
    wanted = found.get("namespaceSelector")
    everywhere = wanted is not None and (not wanted or kind == "podAntiAffinity")
    if wanted and not everywhere:
        selector = NOTHING
    own = () if names or wanted is not None else (namespace,)
    return PodTerm(selector, found["topologyKey"], names or own, everywhere)


def spreads(found: Iterable[Json] | None, labels: Mapping[str, str]) -> tuple[Spread, ...]:
    """Topology spread constraints that forbid; ``matchLabelKeys`` narrows them to the pod's own values."""
    return tuple(
        Spread(
            label_selector(each.get("labelSelector"))
            + labels_in({key: labels[key] for key in each.get("matchLabelKeys") or () if key in labels}),
            each["topologyKey"],
            int(each["maxSkew"]),
            int(each.get("minDomains") or 1),
        )
        for each in found or ()
        if each.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"
    )


def tolerations(found: Iterable[Json] | None) -> tuple[Toleration, ...]:
    """A pod's tolerations."""
    return tuple(
        Toleration(
            each.get("key") or "",
            "Exists" if each.get("operator") == "Exists" else "Equal",
            each.get("value") or "",
            each.get("effect") or "",
            each.get("tolerationSeconds"),
        )
        for each in found or ()
    )
