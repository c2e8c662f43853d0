"""Which Kubernetes API, as whom, how fresh, how often."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSettings:
    """Without a kubeconfig the pod's service account is used; outside a pod ``KUBECONFIG``, then
    ``~/.kube/config``."""

    kubeconfig: Path | None = None
    """A kubeconfig file; null finds the credentials as said above."""

    context: str = ""
    """Context of the kubeconfig; empty: its current one."""

    cluster: str = ""
    """The name this cluster has in telemetry (``k8s.cluster.name``); a node is matched by it and its name."""

    namespace: str = ""
    """Where the Lease and our ConfigMap are; empty: the namespace of the credentials."""

    lease: str = "edgeobs"
    """Name of the Lease that replicas elect by."""

    metaserver_url: str = ""
    """KubeEdge's MetaServer on this node, ``http://127.0.0.1:10550``: read from there, change nothing and
    hold no election. Empty: the API server itself."""

    stale_s: Annotated[float, Ge(10), Le(600)] = 30.0
    """Nothing is decided on a cache that was last confirmed longer ago than this, seconds. Watches are opened
    anew within half of it, so that a quiet cluster confirms itself."""

    timeout_s: Annotated[float, Gt(0), Le(60)] = 5.0
    """How long the API may take to answer one call, seconds. Below ``lease_s`` − ``renew_s``, so that a call
    has been sent before another replica may lead."""

    qps: Annotated[float, Gt(0), Le(1000)] = 20.0
    """Requests started per second, at most, the elections' aside; 2 s of them may come at once."""

    lease_s: Annotated[int, Ge(3), Le(600)] = 15
    """A Lease that has not changed for this long is free, seconds …"""

    renew_s: Annotated[float, Gt(1)] = 9.0
    """… its holder stops acting when it could not renew for this long, seconds …"""

    retry_s: Annotated[float, Ge(0.1)] = 2.0
    """… and both look at it this often, seconds."""

    def __post_init__(self) -> None:
        """Two replicas must never lead at once, nor one lose its seat to a single slow answer."""
        if self.timeout_s >= self.lease_s - self.renew_s:
            raise ValueError("timeout_s below lease_s − renew_s")
        if self.renew_s < 2 * self.retry_s:
            raise ValueError("renew_s at least 2 × retry_s")
