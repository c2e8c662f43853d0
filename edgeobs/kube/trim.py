"""What the API sends, cut to what edgeobs uses. Pure.

Every function takes an object as JSON and raises ValueError naming the object and the field when it cannot be
one. Equal parts are shared through a `Pool`.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar, cast

from edgeobs.kube import selecting
from edgeobs.kube.amounts import amounts, pod_requests
from edgeobs.kube.pool import Pool
from edgeobs.objects import (
    Budget,
    Claim,
    Effect,
    Node,
    Pod,
    Quota,
    Ref,
    Selector,
    Taint,
    Truth,
    Workload,
)

Json = Mapping[str, Any]
T = TypeVar("T")
Trim = Callable[[Json, Pool], T]

OURS = "edgeobs.io/"
_MIRROR = "kubernetes.io/config.mirror"
_LONGEST = 1024  # characters of a node's annotation that is kept
_LONGEST_NOTE = 4096  # of a value of our ConfigMap
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Beat(NamedTuple):
    """A node's Lease."""

    node: str
    renewed_ns: int  # by the node's clock; 0: never
    version: str = ""
    uid: str = ""
    owner: str = ""  # the UID of its node; empty: unknown
    seen_ns: int = 0  # when that renewal was seen, by our steady clock

    def of(self, node: Node) -> bool:
        """Whether it is this node's, and not of an earlier one of the same name."""
        return self.node == node.name and self.owner in {"", node.uid}


class Volume(NamedTuple):
    """A PersistentVolume: from where it can be reached."""

    name: str
    node_affinity: tuple[Selector, ...]
    version: str = ""
    uid: str = ""


def named(trim: Trim[T], found: Json, pool: Pool) -> T:
    """A trimmed object. Raises ValueError that names it, whatever is wrong with it."""
    try:
        return trim(found, pool)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{_called(found)} is not as Kubernetes has it: {what}") from error


def _called(found: object) -> str:
    meta = found.get("metadata") if isinstance(found, Mapping) else None
    if not isinstance(meta, Mapping):
        return "an object without metadata"
    kind = str(found.get("kind") or "object") if isinstance(found, Mapping) else "object"
    return f"{kind.lower()} {meta.get('namespace') or ''}/{meta.get('name') or '?'}".replace(" /", " ")


def ns(stamp: str | None) -> int:
    """An RFC 3339 time as Unix nanoseconds, to the microsecond; 0 where there is none."""
    if not stamp:
        return 0
    since = datetime.fromisoformat(stamp) - _EPOCH
    return (since // timedelta(microseconds=1)) * 1000


def node(found: Json, pool: Pool, cluster: str = "") -> Node:
    """A Node, without its Lease."""
    meta, spec, status = found["metadata"], found.get("spec") or {}, found.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    taints = tuple(
        Taint(
            each["key"], each.get("value") or "", cast("Effect", each["effect"]), each.get("timeAdded") or ""
        )
        for each in spec.get("taints") or ()
    )
    unschedulable = bool(spec.get("unschedulable"))
    kept = {key: value for key, value in (meta.get("annotations") or {}).items() if len(value) <= _LONGEST}
    return Node(
        name=pool.share(meta["name"]),
        uid=meta.get("uid", ""),
        version=meta.get("resourceVersion", ""),
        labels=_shared(meta.get("labels"), pool),
        annotations=_shared(kept, pool),
        taints=pool.share(taints),
        unschedulable=unschedulable,
        cordoned_by=pool.share(_manager(meta, "f:spec", "f:unschedulable")) if unschedulable else "",
        ready=cast("Truth", conditions.pop("Ready", "Unknown")),
        allocatable=pool.mapping(amounts(status.get("allocatable"))),
        conditions=pool.mapping(conditions),
        deleting="deletionTimestamp" in meta,
        cluster=cluster,
    )


def notes(found: Json, pool: Pool) -> Mapping[str, str]:  # noqa: ARG001  as every trim
    """The data of a ConfigMap, its longest values cut."""
    return {str(key): str(value)[:_LONGEST_NOTE] for key, value in (found.get("data") or {}).items()}


def _shared(found: Json | None, pool: Pool) -> Mapping[str, str]:
    """What is a node's own in part and all nodes' in part: keys and values are shared one by one."""
    return {pool.share(key): pool.share(value) for key, value in (found or {}).items()}


def _manager(meta: Json, *path: str) -> str:
    """Who last set a field, by the managed fields; empty: unknown."""
    for entry in meta.get("managedFields") or ():
        fields = entry.get("fieldsV1") or {}
        for step in path:
            fields = fields.get(step)
            if fields is None:
                break
        else:
            return str(entry.get("manager") or "")
    return ""


def pod(found: Json, pool: Pool) -> Pod:
    """A Pod."""
    meta, spec, status = found["metadata"], found.get("spec") or {}, found.get("status") or {}
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    affinity = spec.get("affinity") or {}
    namespace = pool.share(meta["namespace"])
    claims, empty_dir = _volumes(meta["name"], spec)
    return Pod(
        namespace=namespace,
        name=meta["name"],
        uid=meta.get("uid", ""),
        version=meta.get("resourceVersion", ""),
        node=pool.share(spec.get("nodeName") or ""),
        phase=pool.share(status.get("phase") or ""),
        ready=any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ()),
        labels=pool.mapping(labels),
        annotations=pool.mapping({key: text for key, text in annotations.items() if key.startswith(OURS)}),
        owner=_owner(meta, namespace, pool),
        priority=int(spec.get("priority") or 0),
        requests=pool.mapping(pod_requests(spec, status)),
        node_selector=pool.share(selecting.labels_in(spec.get("nodeSelector"))),
        node_affinity=pool.share(selecting.node_affinity(affinity)),
        tolerations=pool.share(selecting.tolerations(spec.get("tolerations"))),
        affinity=pool.share(selecting.pod_terms(affinity, "podAffinity", namespace)),
        anti_affinity=pool.share(selecting.pod_terms(affinity, "podAntiAffinity", namespace)),
        spread=pool.share(selecting.spreads(spec.get("topologySpreadConstraints"), labels)),
        claims=claims,
        empty_dir=empty_dir,
        host_ports=pool.share(_host_ports(spec)),
        mirror=_MIRROR in annotations,
        finalizers=pool.share(tuple(meta.get("finalizers") or ())),
        grace_s=_or(spec.get("terminationGracePeriodSeconds"), 30),
        deleted_ns=_asked(meta),
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else int(value)


def _asked(meta: Json) -> int:
    """When deletion was asked for: the API has when its grace ends."""
    ends = ns(meta.get("deletionTimestamp"))
    return ends - _or(meta.get("deletionGracePeriodSeconds"), 0) * 1_000_000_000 if ends else 0


def _owner(meta: Json, namespace: str, pool: Pool) -> Ref | None:
    for each in meta.get("ownerReferences") or ():
        if each.get("controller"):
            return pool.share(Ref(each["kind"], namespace, each["name"], each.get("uid", "")))
    return None


def _volumes(name: str, spec: Json) -> tuple[tuple[str, ...], bool]:
    """Claims by name, a generic ephemeral volume's too, and whether there is an emptyDir."""
    claims, empty_dir = [], False
    for each in spec.get("volumes") or ():
        claim = each.get("persistentVolumeClaim")
        if claim is not None:
            claims.append(claim["claimName"])
        elif each.get("ephemeral") is not None:
            claims.append(f"{name}-{each['name']}")
        empty_dir = empty_dir or each.get("emptyDir") is not None
    return tuple(claims), empty_dir


def _host_ports(spec: Json) -> tuple[str, ...]:
    return tuple(
        f"{port.get('protocol') or 'TCP'}/{port['hostPort']}"
        for part in ("containers", "initContainers")
        for container in spec.get(part) or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def workload(kind: str, *, idle: bool = False) -> Trim[Workload | None]:
    """How a workload of a kind is trimmed; an old ReplicaSet without replicas is None unless ``idle``."""

    def trim(found: Json, pool: Pool) -> Workload | None:
        meta, spec, status = found["metadata"], found.get("spec") or {}, found.get("status") or {}
        replicas, ready = _counts(kind, spec, status)
        if kind == "ReplicaSet" and not idle and not replicas and not status.get("replicas"):
            return None
        namespace = pool.share(meta["namespace"])
        annotations = meta.get("annotations") or {}
        return Workload(
            kind=kind,
            namespace=namespace,
            name=meta["name"],
            uid=meta.get("uid", ""),
            version=meta.get("resourceVersion", ""),
            labels=pool.mapping(meta.get("labels") or {}),
            annotations=pool.mapping({key: t for key, t in annotations.items() if key.startswith(OURS)}),
            owner=_owner(meta, namespace, pool),
            selector=pool.share(selecting.label_selector(spec.get("selector"))),
            replicas=replicas,
            ready_replicas=ready,
            template=_template(found, pool) if kind == "Deployment" else None,
        )

    return trim


def _template(found: Json, pool: Pool) -> Pod | None:
    """The pod that a workload would start, under the workload's name."""
    made, own = (found.get("spec") or {}).get("template"), found["metadata"]
    if not made:
        return None
    names = {"name": own["name"], "namespace": own["namespace"]}
    return pod({"metadata": (made.get("metadata") or {}) | names, "spec": made.get("spec") or {}}, pool)


def _counts(kind: str, spec: Json, status: Json) -> tuple[int, int]:
    if kind == "DaemonSet":
        return int(status.get("desiredNumberScheduled") or 0), int(status.get("numberReady") or 0)
    return _or(spec.get("replicas"), 1), int(status.get("readyReplicas") or 0)


def budget(found: Json, pool: Pool) -> Budget:
    """A PodDisruptionBudget."""
    meta, selector = found["metadata"], (found.get("spec") or {}).get("selector")
    return Budget(
        namespace=pool.share(meta["namespace"]),
        name=meta["name"],
        selector=pool.share(selecting.label_selector(selector)),
        allowed=int((found.get("status") or {}).get("disruptionsAllowed") or 0),
        selects_all=selector is not None and not selecting.label_selector(selector),
    )


def quota(found: Json, pool: Pool) -> Quota:
    """A ResourceQuota, as its controller last counted it."""
    meta, spec, status = found["metadata"], found.get("spec") or {}, found.get("status") or {}
    hard = amounts(status.get("hard") or spec.get("hard"))
    return Quota(pool.share(meta["namespace"]), meta["name"], hard, amounts(status.get("used")))


def claim(found: Json, pool: Pool) -> Claim:
    """A PersistentVolumeClaim, without its volume's node affinity."""
    meta, spec, status = found["metadata"], found.get("spec") or {}, found.get("status") or {}
    bound = status.get("phase") == "Bound"
    access = pool.share(tuple(status.get("accessModes") or spec.get("accessModes") or ()))
    volume_name = spec.get("volumeName") or "" if bound else ""
    return Claim(pool.share(meta["namespace"]), meta["name"], volume_name, (), access)


def volume(found: Json, pool: Pool) -> Volume:
    """A PersistentVolume."""
    affinity = (found.get("spec") or {}).get("nodeAffinity") or {}
    meta, terms = found["metadata"], selecting.node_terms(affinity.get("required"))
    return Volume(meta["name"], pool.share(terms), meta.get("resourceVersion", ""), meta.get("uid", ""))


def beat(found: Json, pool: Pool) -> Beat:
    """A node's Lease: named as its node."""
    meta, renewed_ns = found["metadata"], ns((found.get("spec") or {}).get("renewTime"))
    owners = [each.get("uid", "") for each in meta.get("ownerReferences") or () if each["kind"] == "Node"]
    owner = owners[0] if owners else ""
    version, uid = meta.get("resourceVersion", ""), meta.get("uid", "")
    return Beat(pool.share(meta["name"]), renewed_ns, version, uid, owner)
