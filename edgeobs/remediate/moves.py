"""A workload's failover as the cluster has it: who may go where, and what we wrote down on the objects. Pure.

The operator prepares the destinations: Deployments of their own, in the same namespace, usually at zero
replicas, each bound to its place by its own affinity. So nothing is copied, and a GitOps controller sees
nothing new. On the workload that fails over:

- ``edgeobs.io/remediation: enabled`` (label or annotation)
- ``edgeobs.io/failover-to: web-edge-b,web-cloud``: the Deployments, in the order of preference
- ``edgeobs.io/failover-service: web``: the Service whose selector is turned to the destination; without it
  traffic follows readiness, because the Service selects both
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from edgeobs.calls import Call
from edgeobs.objects import Inventory, Labels, Pod, Ref, Workload
from edgeobs.remediate.marks import INCIDENT, OPERATION, PREFIX
from edgeobs.remediate.settings import Settings

TO, SERVICE = f"{PREFIX}failover-to", f"{PREFIX}failover-service"
OVER_TO, FROM = f"{PREFIX}failed-over-to", f"{PREFIX}failover-from"
BEFORE, SET = f"{PREFIX}replicas-before", f"{PREFIX}replicas-set"
SELECTOR = f"{PREFIX}selector-before"

MOST = 10
"""Destinations of a workload at most."""


class Origin(NamedTuple):
    """A workload that fails over, and to which Deployments of its namespace, in order."""

    ref: Ref
    to: tuple[str, ...]
    service: str

    @property
    def key(self) -> str:
        """What it is called in a memo."""
        return f"{self.ref.namespace}/{self.ref.name}"

    def destination(self, at: int) -> Ref:
        """The Deployment that is tried at this place in the order."""
        return Ref("Deployment", self.ref.namespace, self.to[at])

    @property
    def service_ref(self) -> Ref:
        """The Service that is turned."""
        return Ref("Service", self.ref.namespace, self.service)

    def memo(self) -> list[Any]:
        """As JSON has it."""
        return [*self.ref, list(self.to), self.service]

    @staticmethod
    def read(memo: Iterable[Any]) -> "Origin":
        """The reverse of `memo`."""
        *ref, to, service = memo
        return Origin(Ref(*ref), tuple(to), service)


def opted(workload: Workload, settings: Settings) -> bool:
    """Whether a workload may fail over: it opted in, and names where to."""
    key = settings.opt_in
    enabled = "enabled" in (workload.labels.get(key), workload.annotations.get(key))
    return enabled and workload.kind == "Deployment" and bool(workload.annotations.get(TO))


def origin(workload: Workload) -> Origin:
    """What its annotations say."""
    names = (name.strip() for name in workload.annotations.get(TO, "").split(","))
    to = tuple(name for name in names if name and name != workload.name)[:MOST]
    return Origin(workload.ref, to, workload.annotations.get(SERVICE, "").strip())


def origins(inventory: Inventory, nodes: Iterable[str], settings: Settings) -> list[Origin]:
    """The workloads with pods on these nodes that may fail over, by name."""
    names = set(nodes)
    sets = {each.uid: each.owner for each in inventory.workloads if each.kind == "ReplicaSet" and each.owner}
    owners = (sets.get(pod.owner.uid) for pod in inventory.pods if pod.node in names and pod.owner)
    uids = {owner.uid for owner in owners if owner}
    found = [each for each in inventory.workloads if each.uid in uids and opted(each, settings)]
    return sorted((origin(each) for each in found), key=lambda each: each.key)


def copies(workload: Workload, number: int) -> list[Pod]:
    """The pods that a workload would have more; none where its template is unknown."""
    if workload.template is None:
        return []
    space, made = workload.namespace, workload.template
    named = ((f"{workload.name}-{at}", f"{workload.uid}-{at}") for at in range(number))
    return [replace(made, namespace=space, name=name, uid=uid) for name, uid in named]


def scale(workload: Workload, replicas: int, notes: Mapping[str, str | None], says: str) -> Call:
    """The patch that sets a Deployment's replicas, and writes down what was before."""
    body = {"metadata": {"annotations": dict(notes)}, "spec": {"replicas": replicas}}
    return Call("patch", workload.ref, body, version=workload.version, says=says)


def rescaled(workload: Workload) -> str:
    """What somebody else did to a Deployment that we had scaled; empty: it is as we left it."""
    if workload.annotations.get(SET, str(workload.replicas)) == str(workload.replicas):
        return ""
    return f"{workload.name} was scaled to {workload.replicas} by somebody else"


def note(workload: Workload, notes: Mapping[str, str | None], says: str) -> Call:
    """The patch that changes annotations alone."""
    return Call(
        "patch", workload.ref, {"metadata": {"annotations": dict(notes)}}, workload.version, says=says
    )


def turn(service: Mapping[str, Any], selector: Labels, notes: Mapping[str, str | None], says: str) -> Call:
    """The patch that makes a Service select these labels and no others."""
    meta = service["metadata"]
    now: dict[str, str | None] = dict.fromkeys(selecting(service))
    body = {"metadata": {"annotations": dict(notes)}, "spec": {"selector": {**now, **selector}}}
    ref = Ref("Service", meta["namespace"], meta["name"], meta.get("uid", ""))
    return Call("patch", ref, body, version=meta.get("resourceVersion", ""), says=says)


def selecting(service: Mapping[str, Any]) -> dict[str, str]:
    """What a Service selects."""
    return dict((service.get("spec") or {}).get("selector") or {})


def annotations(service: Mapping[str, Any]) -> dict[str, str]:
    """A raw object's annotations."""
    return dict((service.get("metadata") or {}).get("annotations") or {})


def labels_of(workload: Workload) -> dict[str, str]:
    """What tells a Deployment's pods from others, for a Service: its selector's ``matchLabels``."""
    plain = (each for each in workload.selector if each.operator == "In" and len(each.values) == 1)
    return {each.key: each.values[0] for each in plain}


def told_by(workload: Workload) -> dict[str, str]:
    """All the labels that a Service may select its pods by."""
    return {**(workload.template.labels if workload.template else {}), **labels_of(workload)}


def before(selector: Labels) -> str:
    """A selector for an annotation."""
    return json.dumps(dict(selector), sort_keys=True, separators=(",", ":"))


def read_before(text: str) -> dict[str, str] | None:
    """The reverse; None when it cannot be read."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    fine = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
    return found if fine else None


def ours(incident: str, operation: str, **more: str) -> dict[str, str]:
    """The annotations that say for what it was done."""
    return {INCIDENT: incident, OPERATION: operation, **more}


CLEAN: dict[str, None] = dict.fromkeys((INCIDENT, OPERATION, OVER_TO, FROM, BEFORE, SET, SELECTOR))
"""The annotations that are taken away when all is as it was."""
