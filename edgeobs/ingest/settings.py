"""What can be set about taking telemetry in."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

Port = Annotated[int, Ge(0), Le(65535)]
Seconds = Annotated[float, Gt(0), Le(86400)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many series may live, and how long without being heard."""

    max_series: Annotated[int, Ge(1), Le(50_000_000)] = 500_000
    """Series of all senders together, those that edgeobs derives included."""
    max_series_per_sender: Annotated[int, Ge(1), Le(50_000_000)] = 250_000
    """Series of one sender; a token may set its own."""
    max_nodes: Annotated[int, Ge(1), Le(1_000_000)] = 10_000
    """Nodes of all senders together; series of a further one are refused."""
    idle_expiry_s: Annotated[float, Ge(1)] = 3600.0
    """Seconds without a sample after which a series is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One sender, known by its bearer token, its client certificate, or either."""

    name: Annotated[str, MinLen(1)]
    """What the sender is called in messages and logs."""
    token_file: str = ""
    """Path of a file that holds the bearer token; read again when it changes. Empty: no token."""
    common_name: str = ""
    """Common name of its client certificate (needs ``tls.client_ca_file``). Empty: no certificate."""
    nodes: tuple[str, ...] | Literal["*"]
    """The nodes it may speak for; ``*`` is any."""
    max_series: Annotated[int, Ge(1), Le(50_000_000)] | None = None
    """Series it may have; none: ``limits.max_series_per_sender``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files in PEM. Empty ``cert_file``: no TLS."""

    cert_file: str = ""
    """The server's certificate and its chain."""
    key_file: str = ""
    """The certificate's private key."""
    client_ca_file: str = ""
    """Authorities of client certificates; when set every client must show one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The servers that senders speak to."""

    host: str = "127.0.0.1"
    """Address to listen on. Without any token only loopback peers are served, whatever this says."""
    http_port: Port = 4318
    """OTLP/HTTP, remote write and Alertmanager's webhook; 0 is any free port."""
    grpc_port: Port | None = 4317
    """OTLP/gRPC; 0 is any free port, none is no gRPC."""
    max_body_bytes: Annotated[int, Ge(1024), Le(1 << 30)] = 16 << 20
    """Largest body as it comes over the wire, bytes."""
    max_decoded_bytes: Annotated[int, Ge(1024), Le(1 << 30)] = 64 << 20
    """Largest body after decompression, bytes."""
    max_json_bytes: Annotated[int, Ge(1024), Le(1 << 30)] = 4 << 20
    """Largest JSON body after decompression, bytes: JSON costs fifty times as much to read as protobuf."""
    header_timeout_s: Seconds = 10.0
    """Time from a request's first byte (or the connection) to the end of its headers."""
    body_timeout_s: Seconds = 30.0
    """Time from the end of the headers to the last byte of the body."""
    idle_timeout_s: Seconds = 75.0
    """How long a connection may stay open between requests."""
    max_connections: Annotated[int, Ge(1), Le(1_000_000)] = 1024
    """Connections open at once per server; more are closed as they come."""
    queue_bytes: Annotated[int, Ge(1024)] = 64 << 20
    """Bytes of requests that may wait for the engine before senders are told to come back."""
    receive_bytes: Annotated[int, Ge(1024)] = 128 << 20
    """Bytes of bodies that may be under way in one server: being received, waiting, and in work."""
    stop_timeout_s: Annotated[float, Ge(0), Le(60)] = 1.5
    """How long requests in progress may take to end when the server stops."""
    tokens: tuple[Token, ...] = ()
    """Senders by token. None: only loopback peers are served, without a token."""
    tls: Tls = Tls()
    """Certificate files for both servers."""
