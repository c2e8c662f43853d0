"""What can be set about the agent."""

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Gt, Le, MaxLen, MinLen

from edgeobs.agent.alone.settings import Settings as AloneSettings
from edgeobs.uplink import Settings as UplinkSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A Prometheus endpoint on this node."""

    url: Annotated[str, MinLen(8)]
    """Where its metrics are, ``http://127.0.0.1:9100/metrics``."""
    job: str = ""
    """The label ``job`` of its series. Empty: host and port."""
    interval_s: Annotated[float, Ge(1), Le(3600)] = 15.0
    """Seconds between two scrapes."""
    timeout_s: Annotated[float, Gt(0), Le(60)] = 5.0
    """Seconds until the last byte must be here, connecting included."""
    max_bytes: Annotated[int, Ge(1024), Le(64 << 20)] = 4 << 20
    """Largest body; a larger one is refused as a whole."""
    max_samples: Annotated[int, Ge(1), Le(1_000_000)] = 10_000
    """Most samples in one scrape; more, and it is refused as a whole."""
    token_file: str = ""
    """Path of a file that holds the bearer token; read at every scrape. Empty: none is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What the agent reads, and what it tells of it."""

    node: str = ""
    """``k8s.node.name``. Empty: the environment's NODE_NAME, or else the host's name."""
    zone: str = ""
    """``topology.kubernetes.io/zone``. Empty: left out."""
    cluster: str = ""
    """``k8s.cluster.name``. Empty: left out."""
    interval_s: Annotated[float, Ge(0.1), Le(60)] = 1.0
    """Seconds between two steps; what arrived since the last one is scored together."""
    read_node: bool = True
    """Whether this machine itself is read, every interval."""
    targets: Annotated[tuple[Target, ...], MaxLen(64)] = ()
    """Prometheus endpoints that are scraped."""
    summary_s: Annotated[float, Ge(1), Le(86_400)] = 300.0
    """Seconds that one summary of a series is about."""
    recent_mib: Annotated[float, Ge(0.1), Le(1024)] = 0.5
    """Samples kept for the time before an onset, MiB: 4 bytes each where all series tick together."""
    window_before_s: Annotated[float, Ge(0), Le(3600)] = 60.0
    """Seconds before an onset that a raw window begins, as far as `recent_mib` reaches."""
    window_s: Annotated[float, Ge(0), Le(86_400)] = 600.0
    """Seconds after an onset that a raw window ends, and with its incident at the latest."""
    uplink: UplinkSettings = field(default_factory=UplinkSettings)
    """The core, and what it is told."""
    alone: AloneSettings = field(default_factory=AloneSettings)
    """What may be done while the core does not answer."""
