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
