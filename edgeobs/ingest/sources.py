"""Whose logs and spans are: of a resource's attributes only what says where and whose it is.

A metric's source is its resource, whole. Logs and spans become series of ours, and these must not be other
series after a restart of the process: its id, its container's, the SDK's version are left out.
"""

from collections.abc import Iterable
from functools import lru_cache

from edgeobs.ingest import naming
from edgeobs.signals import Labels, Principal, Source

_KEPT = frozenset(
    {
        "cloud.availability_zone",
        "edgeobs.simulated",
        "host.name",
        "k8s.cluster.name",
        "k8s.container.name",
        "k8s.cronjob.name",
        "k8s.daemonset.name",
        "k8s.deployment.name",
        "k8s.job.name",
        "k8s.namespace.name",
        "k8s.node.label.topology.kubernetes.io/zone",
        "k8s.node.name",
        "k8s.pod.name",
        "k8s.statefulset.name",
        "service.name",
        "service.namespace",
        "topology.kubernetes.io/zone",
    }
)
_LONGEST = 256  # characters of a value; a name in Kubernetes has at most 253


def source(attributes: Iterable[tuple[str, str]]) -> Source:
    """The source of logs or spans; the same object for the same attributes, while it is spoken of."""
    return _source(tuple(sorted((key, value[:_LONGEST]) for key, value in attributes if key in _KEPT)))


def speaks_for(principal: Principal, found: Source) -> bool:
    """Whether a sender may speak for a source: one that is held to certain nodes must name one of them."""
    return principal.nodes is None or found.resource.node in principal.nodes


@lru_cache(maxsize=16_384)
def _source(attributes: Labels) -> Source:
    return naming.source_of(attributes)
