"""Which pods may be restarted where they are: asked of what MetaServer has of them. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from edgeobs.kube import trim
from edgeobs.kube.pool import Pool
from edgeobs.objects import Pod
from edgeobs.remediate import Settings as GuardSettings
from edgeobs.remediate.procedures.leaving import consents

CRITICAL = 2_000_000_000
"""The priority from which Kubernetes calls a pod critical for its node or its cluster."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_SOURCE, _API = "kubernetes.io/config.source", "api"


def named(target: str) -> tuple[str, str]:
    """Namespace and name of a target; ValueError: no such names can be in a path."""
    namespace, _, name = target.partition("/")
    if not _NAME.fullmatch(namespace) or not _NAME.fullmatch(name) or ".." in target:
        raise ValueError(f"{target!r:.100} is no namespace/pod")
    return namespace, name


def refusal(found: Iterable[Any], target: str, node: str, guard: GuardSettings) -> str:
    """Why a pod may not be restarted; empty: it may.

    Parameters
    ----------
    found
        The pods of its namespace, as JSON; of other nodes too.
    target
        ``namespace/name``.
    node
        This one.
    guard
        Says what opting in is: `opt_in`, `workloads_opt_in`.

    """
    try:
        raw = {(pod.namespace, pod.name): (pod, each) for each in found for pod in [_trimmed(each)]}
        pod, body = raw[named(target)]
    except ValueError as error:
        return str(error)
    except KeyError:
        return "MetaServer does not know it"
    return _own(pod, body, node) or _consent(pod, guard) or _last(pod, [other for other, _ in raw.values()])


def _own(pod: Pod, body: Mapping[str, Any], node: str) -> str:
    spec, notes = body.get("spec") or {}, body["metadata"].get("annotations") or {}
    critical = pod.priority >= CRITICAL or str(spec.get("priorityClassName", "")).startswith("system-")
    forbids = {
        f"it is bound to {pod.node or 'no node'}, and this is {node}": pod.node != node,
        "it is a static pod: the kubelet's own": pod.mirror or notes.get(_SOURCE, _API) != _API,
        "it is a DaemonSet's": pod.owner is not None and pod.owner.kind == "DaemonSet",
        "it is critical for the node or the cluster": critical,
        "it is being deleted": bool(pod.deleted_ns),
        f"it is {pod.phase or 'in no phase that is known'}, not Running": pod.phase != "Running",
        "its restartPolicy is not Always: nobody would start it again": spec.get("restartPolicy") != "Always",
    }
    return next((why for why, so in forbids.items() if so), "")


def _consent(pod: Pod, guard: GuardSettings) -> str:
    return (
        ""
        if consents(pod, guard)
        else f"it has not opted in: no label or annotation {guard.opt_in} is 'enabled'"
    )


def _last(pod: Pod, others: Iterable[Pod]) -> str:
    """What is not Ready serves nobody; what is may be the last one that does, for all that is known here."""
    if not pod.ready:
        return ""
    owner = pod.owner.uid if pod.owner else ""
    twins = (each for each in others if each.name != pod.name and each.owner and each.owner.uid == owner)
    if owner and any(each.ready and not each.deleted_ns for each in twins):
        return ""
    return "it is Ready, and no other Ready pod of its controller is known here"


def _trimmed(found: Any) -> Pod:
    return trim.named(trim.pod, found, Pool(256))
