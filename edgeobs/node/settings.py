"""What can be set about collecting and sending."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, MinLen


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """Where to, and what becomes of what cannot be sent."""

    url: Annotated[str, MinLen(8)] = "http://127.0.0.1:4318/v1/metrics"
    """OTLP/HTTP's metrics path, whole; http or https."""
    token_file: str = ""
    """Path of a file that holds the bearer token; read at every connect. Empty: none is sent."""
    ca_file: str = ""
    """Authorities that sign the server's certificate, PEM. Empty: the system's."""
    gzip: bool = False
    """Compress bodies: fewer bytes, more CPU on the node."""
    timeout_s: Annotated[float, Gt(0), Le(60)] = 5.0
    """Seconds for one request, connecting included."""
    backlog: Annotated[int, Ge(1), Le(100_000)] = 300
    """Requests kept while the server cannot be reached; then the oldest are dropped, and counted."""
    first_pause_s: Annotated[float, Gt(0)] = 0.5
    """Seconds before the first repetition; doubles each time."""
    longest_pause_s: Annotated[float, Gt(0)] = 30.0
    """Seconds that no pause exceeds, whatever the server asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is read on this machine, and whose name it bears."""

    interval_s: Annotated[float, Ge(0.1), Le(3600)] = 1.0
    """Seconds between two collections."""
    node: str = ""
    """``k8s.node.name``. Empty: the environment's NODE_NAME, or else the host's name."""
    zone: str = ""
    """``topology.kubernetes.io/zone``. Empty: left out."""
    cluster: str = ""
    """``k8s.cluster.name``. Empty: left out."""
    at_most: Annotated[int, Ge(1), Le(256)] = 16
    """Devices, mounts, interfaces and sensors, of each; the rest is left out, and counted."""
    pods_at_most: Annotated[int, Ge(0), Le(1000)] = 250
    """Pods and containers, of each; the rest is left out, and counted."""
    root: str = "/"
    """Where the machine's files are: ``/host`` in a container that has them there."""
    per_cpu: bool = False
    """Processor time of each processor by itself, as node_exporter's names have it."""
    node_exporter_names: bool = False
    """What node_exporter has bears its names, not OpenTelemetry's."""
    within_s: Annotated[float, Gt(0), Le(10)] = 0.5
    """Seconds that one source of files may take before it is left behind."""
    peers: tuple[str, ...] = ()
    """Whom to reach, at most 16: ``tcp://HOST:PORT`` (answered or refused, both are an answer) or
    ``udp://HOST:PORT`` of an echo service (RFC 862)."""
    endpoints: tuple[str, ...] = (
        "kubelet=http://127.0.0.1:10248/healthz",
        "edgecore=http://127.0.0.1:10350/healthz",
    )
    """``NAME=URL`` of what should say ``200`` on this machine, at most 16; see docs/node.md."""
    dns_name: str = ""
    """A name that each of the machine's name servers should resolve. Empty: none is asked."""
    dns_port: Annotated[int, Ge(1), Le(65535)] = 53
    """UDP port of the name servers."""
    smartctl: str = "smartctl"
    """smartmontools' program, by name or path. Empty: it is not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """When something about a node is a problem."""

    every_s: Annotated[float, Ge(1), Le(3600)] = 10.0
    """Seconds between two looks."""
    full_within_s: Annotated[float, Gt(0)] = 4 * 3600.0
    """A filesystem that will be full within this many seconds, at the rate of the last hour, is a problem."""
    full_share: Annotated[float, Gt(0), Le(1)] = 0.95
    """So is one that is this full now."""
    skew_s: Annotated[float, Gt(0)] = 0.1
    """Seconds that the clock may be off by its own account."""
    error_s: Annotated[float, Gt(0)] = 5.0
    """Seconds that it may be off at worst (the kernel's maximum error)."""
    event_s: Annotated[float, Gt(0)] = 600.0
    """Seconds for which something in the kernel's log counts."""
    confirm_s: Annotated[float, Ge(0)] = 15.0
    """Seconds that a problem must last before it is told."""
    hold_s: Annotated[float, Ge(0)] = 60.0
    """Seconds that it must be gone before it is over."""
    heartbeat_s: Annotated[float, Ge(10)] = 300.0
    """Seconds after which conditions that did not change are written again."""
