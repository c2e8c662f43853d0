"""How the Kubernetes API changes an object: preconditions and patches, on plain data. Pure.

For the cluster in memory; held to the real API server by the tests that run on both.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgeobs.calls import Answer, Call
from edgeobs.objects import Node, Pod, Taint, Workload
from edgeobs.remediate.marks import MANAGER

NOT_FOUND = Answer(404, "NotFound", "there is no such object")


def refusal(call: Call, uid: str, version: str) -> Answer | None:
    """What a precondition that does not hold is answered."""
    if call.ref.uid and call.ref.uid != uid:
        return Answer(409, "Conflict", f"the UID is {uid}, not {call.ref.uid}")
    if call.version and call.version != version:
        return Answer(409, "Conflict", "the object has been modified")
    return None


def merged(found: Any, patch: Any) -> Any:
    """A JSON merge patch applied (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(found) if isinstance(found, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def patched_node(node: Node, call: Call) -> Node:
    """A node after a patch; of its status only the conditions."""
    if call.subresource == "status":
        said = call.body.get("status", {}).get("conditions", ())
        return replace(
            node, conditions={**node.conditions, **{each["type"]: each["status"] for each in said}}
        )
    body = merged(node_json(node), call.body)
    meta, spec = body.get("metadata", {}), body.get("spec", {})
    unschedulable = bool(spec.get("unschedulable", False))
    return replace(
        node,
        labels=dict(meta.get("labels", {})),
        annotations=dict(meta.get("annotations", {})),
        taints=tuple(_taint(each) for each in spec.get("taints", ())),
        unschedulable=unschedulable,
        cordoned_by=MANAGER if unschedulable != node.unschedulable else node.cordoned_by,
    )


def node_json(node: Node) -> dict[str, Any]:
    """What of a node a patch may change, as the API has it."""
    taints = [
        {"key": t.key, "value": t.value, "effect": t.effect} | ({"timeAdded": t.added} if t.added else {})
        for t in node.taints
    ]
    spec: dict[str, Any] = {"taints": taints} if taints else {}
    if node.unschedulable:
        spec["unschedulable"] = True
    return {"metadata": {"labels": dict(node.labels), "annotations": dict(node.annotations)}, "spec": spec}


def patched_pod(pod: Pod, call: Call) -> Pod:
    """A pod after a patch of its metadata."""
    meta = merged(
        {"labels": dict(pod.labels), "annotations": dict(pod.annotations)}, call.body.get("metadata", {})
    )
    return replace(pod, labels=meta.get("labels", {}), annotations=meta.get("annotations", {}))


def patched_workload(workload: Workload, call: Call) -> Workload:
    """A workload after a patch of its metadata, its replicas or its scale."""
    known = {"labels": dict(workload.labels), "annotations": dict(workload.annotations)}
    meta = merged(known, call.body.get("metadata", {}))
    replicas = call.body.get("spec", {}).get("replicas", workload.replicas)
    return replace(
        workload, labels=meta.get("labels", {}), annotations=meta.get("annotations", {}), replicas=replicas
    )


def _taint(body: Mapping[str, Any]) -> Taint:
    return Taint(body["key"], body.get("value", ""), body["effect"], body.get("timeAdded", ""))
