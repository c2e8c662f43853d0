"""Where each kind lives in the API, and which are watched. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from edgeobs.kube import trim
from edgeobs.kube.pool import Pool
from edgeobs.objects import Ref

CONTROL = "edgeobs-control"
"""The ConfigMap in our namespace by which whoever has kubectl may pause: ``paused``, ``reason``, ``by``."""

LEASES = "kube-node-lease"
"""The namespace of the nodes' Leases."""

# Names come from telemetry too: none may lead to another path. Kubernetes' own are narrower still.
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:-]{1,253}", re.ASCII)


def safe(name: str) -> str:
    """A name that can be part of a path or a selector. Raises ValueError for any other."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:80]!r} is no name of Kubernetes")
    return name


class Resource(NamedTuple):
    """A kind's place in the API."""

    group: str  # "v1", or "group/version"
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Its path below the server's URL; without a namespace that of all. Raises ValueError, see `safe`."""
        parts = ["api" if self.group == "v1" else "apis", self.group]
        if self.namespaced and namespace:
            parts += ["namespaces", safe(namespace)]
        parts += [self.plural, *(safe(part) for part in (name, subresource) if part)]
        return "/" + "/".join(parts)


RESOURCES: dict[str, Resource] = {
    "Node": Resource("v1", "nodes", False),
    "Pod": Resource("v1", "pods"),
    "Namespace": Resource("v1", "namespaces", False),
    "ConfigMap": Resource("v1", "configmaps"),
    "Service": Resource("v1", "services"),
    "Event": Resource("v1", "events"),
    "PersistentVolumeClaim": Resource("v1", "persistentvolumeclaims"),
    "PersistentVolume": Resource("v1", "persistentvolumes", False),
    "ResourceQuota": Resource("v1", "resourcequotas"),
    "Deployment": Resource("apps/v1", "deployments"),
    "StatefulSet": Resource("apps/v1", "statefulsets"),
    "ReplicaSet": Resource("apps/v1", "replicasets"),
    "DaemonSet": Resource("apps/v1", "daemonsets"),
    "PodDisruptionBudget": Resource("policy/v1", "poddisruptionbudgets"),
    "Lease": Resource("coordination.k8s.io/v1", "leases"),
    "EndpointSlice": Resource("discovery.k8s.io/v1", "endpointslices"),
    "VolumeAttachment": Resource("storage.k8s.io/v1", "volumeattachments", False),
}

WORKLOADS = ("Deployment", "StatefulSet", "ReplicaSet", "DaemonSet")


def path(ref: Ref, subresource: str = "") -> str:
    """The path of an object. Raises ValueError for a kind that is not known, or for no name."""
    resource = RESOURCES.get(ref.kind)
    if resource is None:
        raise ValueError(f"{ref.kind!r} is none of {', '.join(RESOURCES)}")
    if not ref.name or (resource.namespaced and not ref.namespace):
        raise ValueError(f"{ref} names no single {ref.kind}")
    return resource.path(ref.namespace, ref.name, subresource)


class Watched(NamedTuple):
    """A kind whose objects the mirror holds."""

    kind: str
    trim: Callable[[Mapping[str, Any], Pool], Any]
    namespace: str = ""
    fields: str = ""  # a field selector

    @property
    def path(self) -> str:
        """The path of its collection."""
        return RESOURCES[self.kind].path(self.namespace)


# A pod that has run to its end holds nothing, and nobody waits for it.
_NOT_OVER = "status.phase!=Succeeded,status.phase!=Failed"

WATCHED: tuple[Watched, ...] = (
    Watched("Node", trim.node),
    Watched("Lease", trim.beat, LEASES),
    Watched("Pod", trim.pod, fields=_NOT_OVER),
    Watched("Deployment", trim.workload("Deployment")),
    Watched("StatefulSet", trim.workload("StatefulSet")),
    Watched("ReplicaSet", trim.workload("ReplicaSet")),
    Watched("PodDisruptionBudget", trim.budget),
    Watched("ResourceQuota", trim.quota),
    Watched("PersistentVolumeClaim", trim.claim),
    Watched("PersistentVolume", trim.volume),
)
"""DaemonSets are not watched: a pod of one is known by its owner, and stays where it is."""


def control(namespace: str, name: str) -> Watched:
    """The ConfigMap by which people pause."""
    return Watched("ConfigMap", trim.notes, namespace, f"metadata.name={name}")


METASERVER: tuple[Watched, ...] = (Watched("Node", trim.node), Watched("Pod", trim.pod))
"""What KubeEdge keeps on a node that is cut off."""
