"""Kubernetes objects, as far as edgeobs uses them: plain data, trimmed from what the API sends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Amounts = Mapping[str, int]
"""Resource → amount: ``cpu`` in thousandths of a core, others (``memory``, ``pods``, …) in whole units."""

Labels = Mapping[str, str]
Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
Operator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
Truth = Literal["True", "False", "Unknown"]

HOSTNAME = "kubernetes.io/hostname"


class Ref(NamedTuple):
    """Which object. ``uid`` tells it from an earlier or later one of the same name; empty: whichever."""

    kind: str
    namespace: str  # empty: not namespaced
    name: str
    uid: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind.lower(), self.namespace, self.name) if part)


class Taint(NamedTuple):
    """A node's; ``value`` may be empty."""

    key: str
    value: str
    effect: Effect
    added: str = ""  # timeAdded, as the API has it

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


class Toleration(NamedTuple):
    """A pod's. An empty key with ``Exists`` tolerates all; an empty effect means every effect."""

    key: str
    operator: Literal["Exists", "Equal"]
    value: str
    effect: str
    seconds: int | None = None  # of NoExecute: how long it stays; None: for ever


class Requirement(NamedTuple):
    """One condition on labels; ``matchLabels`` becomes ``In`` with one value."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


Selector = tuple[Requirement, ...]
"""All of them hold; empty: everything."""


class PodTerm(NamedTuple):
    """A required pod (anti-)affinity term."""

    selector: Selector
    topology_key: str
    namespaces: tuple[str, ...]  # the pod's own where none is named
    all_namespaces: bool = False


class Spread(NamedTuple):
    """A topology spread constraint that forbids (``whenUnsatisfiable: DoNotSchedule``)."""

    selector: Selector
    topology_key: str
    max_skew: int
    min_domains: int = 1


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the API has it."""

    name: str
    uid: str = ""
    version: str = ""  # resourceVersion, opaque
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    cordoned_by: str = ""  # the field manager that owns spec.unschedulable; empty: unknown
    ready: Truth = "Unknown"
    allocatable: Amounts = field(default_factory=dict)
    conditions: Mapping[str, Truth] = field(default_factory=dict)  # all, ours too, but Ready
    lease_ns: int = 0  # when its kubelet last renewed its Lease, by the node's clock; 0: unknown
    lease_seen_ns: int = 0  # when a watcher saw that renewal, by its own steady clock; 0: by none
    deleting: bool = False
    cluster: str = ""  # the name this cluster has in telemetry


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as the API has it, with what a scheduler would ask of it."""

    namespace: str
    name: str
    uid: str = ""
    version: str = ""
    node: str = ""  # empty: not scheduled
    phase: str = ""  # Pending, Running, Succeeded, Failed, Unknown
    ready: bool = False
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)  # ours alone
    owner: Ref | None = None  # the controller
    priority: int = 0
    requests: Amounts = field(default_factory=dict)  # as the scheduler counts them
    node_selector: Selector = ()
    node_affinity: tuple[Selector, ...] = ()  # required terms: one of them holds; empty: all nodes fit
    tolerations: tuple[Toleration, ...] = ()
    affinity: tuple[PodTerm, ...] = ()
    anti_affinity: tuple[PodTerm, ...] = ()
    spread: tuple[Spread, ...] = ()
    claims: tuple[str, ...] = ()  # PersistentVolumeClaims by name
    empty_dir: bool = False
    host_ports: tuple[str, ...] = ()  # "TCP/8080"
    mirror: bool = False  # a static pod's mirror: the kubelet's own
    finalizers: tuple[str, ...] = ()
    grace_s: int = 30  # terminationGracePeriodSeconds
    deleted_ns: int = 0  # when its deletion was asked for; 0: it was not

    @property
    def ref(self) -> Ref:
        """Which it is."""
        return Ref("Pod", self.namespace, self.name, self.uid)

    @property
    def over(self) -> bool:
        """Whether it has run to its end and holds no resources."""
        return self.phase in {"Succeeded", "Failed"}


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, StatefulSet, ReplicaSet or DaemonSet."""

    kind: str
    namespace: str
    name: str
    uid: str = ""
    version: str = ""
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    owner: Ref | None = None
    selector: Selector = ()
    replicas: int = 0
    ready_replicas: int = 0
    template: Pod | None = None  # what it would start, where that is known

    @property
    def ref(self) -> Ref:
        """Which it is."""
        return Ref(self.kind, self.namespace, self.name, self.uid)


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget."""

    namespace: str
    name: str
    selector: Selector = ()
    allowed: int = 0  # status.disruptionsAllowed
    selects_all: bool = False  # an empty selector selects every pod of the namespace


@dataclass(frozen=True, slots=True)
class Quota:
    """A ResourceQuota: what is left of each resource it limits."""

    namespace: str
    name: str
    hard: Amounts = field(default_factory=dict)
    used: Amounts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """A PersistentVolumeClaim with the node affinity of the volume it is bound to."""

    namespace: str
    name: str
    volume: str = ""  # empty: not bound
    node_affinity: tuple[Selector, ...] = ()  # of the volume: one of them holds; empty: reachable from all
    access: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """A cluster at one moment, as a cache has it."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    workloads: tuple[Workload, ...] = ()
    budgets: tuple[Budget, ...] = ()
    quotas: tuple[Quota, ...] = ()
    claims: tuple[Claim, ...] = ()
    read_ns: int = 0  # as of when, by our clock: the oldest of its parts
    steady_ns: int = 0  # the watcher's steady clock, of which `Node.lease_seen_ns` is
