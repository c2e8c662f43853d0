"""Nodes that KWOK plays, and their deaths."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.real.api import Api, Object, wait
from tests.real.control_plane import KUBELET

ZONE = "topology.kubernetes.io/zone"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
NOT_READY = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
CAPACITY = {"cpu": "4", "memory": "8Gi", "pods": "110"}


class Nodes:
    """Makes, kills and revives nodes through the harness's API."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def add(
        self,
        name: str,
        zone: str,
        labels: Mapping[str, str] | None = None,
        capacity: Mapping[str, str] | None = None,
        taints: Sequence[Object] = (),
    ) -> None:
        """Register a node, as its kubelet would; `wait_ready` waits for it."""
        own = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", ZONE: zone, KUBELET: "running"}
        room = dict(CAPACITY) | dict(capacity or {})
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": own | dict(labels or {})},
            "spec": {"taints": list(taints)},
            "status": {"capacity": room, "allocatable": room},
        }
        self.api("POST", "/api/v1/nodes", node)

    def fleet(self, zones: Mapping[str, int], **more: Any) -> list[str]:
        """As many nodes in each zone as asked for, named ZONE-1, ZONE-2, …, Ready."""
        made = {f"{zone}-{number + 1}": zone for zone, count in zones.items() for number in range(count)}
        for name, zone in made.items():
            self.add(name, zone, **more)
        self.wait_ready(list(made))
        return list(made)

    def wait_ready(self, names: Sequence[str], within_s: float = 30) -> None:
        """Until all are Ready, and Kubernetes lets pods onto them."""

        def all_are() -> bool:
            usable = {node["metadata"]["name"] for node in self.api.items("/api/v1/nodes") if _usable(node)}
            return usable.issuperset(names)

        wait(f"nodes are Ready: {', '.join(names[:9])}", all_are, within_s)

    def ready(self, name: str) -> str:
        """``True``, ``False``, ``Unknown`` if nothing is heard of its kubelet; empty before it was heard."""
        return _condition(self.api("GET", f"/api/v1/nodes/{name}"), "Ready")

    def renewed(self, name: str) -> str:
        """When its Lease was last renewed, RFC 3339."""
        at: str = self.api("GET", f"{LEASES}/{name}")["spec"]["renewTime"]
        return at

    def of_zone(self, zone: str) -> list[str]:
        """The names of a zone's nodes."""
        return [
            node["metadata"]["name"]
            for node in self.api.items("/api/v1/nodes", labelSelector=f"{ZONE}={zone}")
        ]

    def kill(self, *names: str) -> None:
        """End the kubelets: no Lease is renewed, no status written, no pod started or removed.

        KWOK renews no Lease of a node that its selector does not match, and touches no pod of a node whose
        Lease another holds; so both, and the Lease then looks as a dead kubelet leaves it.
        """
        for name in names:
            self._label(name, "stopped")
        for name in names:
            self._lease(name, name)

    def revive(self, *names: str) -> None:
        """Start the kubelets of killed nodes again."""
        for name in names:
            self._lease(name, None)
            self._label(name, "running")

    def _label(self, name: str, value: str) -> None:
        self.api("PATCH", f"/api/v1/nodes/{name}", {"metadata": {"labels": {KUBELET: value}}})

    def _lease(self, name: str, holder: str | None) -> None:
        self.api("PATCH", f"{LEASES}/{name}", {"spec": {"holderIdentity": holder}})


def _condition(node: Object, kind: str) -> str:
    conditions = node.get("status", {}).get("conditions", ())
    return next((each["status"] for each in conditions if each["type"] == kind), "")


def _usable(node: Object) -> bool:
    """Kubernetes taints a node that is not ready; only once that is off will pods come."""
    keys = {taint["key"] for taint in node["spec"].get("taints", ())}
    return _condition(node, "Ready") == "True" and not keys & NOT_READY
