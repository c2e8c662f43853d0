"""OTLP over gRPC. Bytes go to the engine as they came: compressed, and not parsed here.

Needs grpcio, which has no wheel for some small machines: import this module only where gRPC is wanted.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import grpc

from edgeobs.ingest import answers
from edgeobs.ingest.auth import Auth
from edgeobs.ingest.delivery import (
    AnyFormat,
    Delivery,
    Encoding,
    Overloaded,
    Signal,
    Submit,
    TooLarge,
    Unavailable,
)
from edgeobs.ingest.settings import Settings, Tls
from edgeobs.signals import Counts


class Service(NamedTuple):
    """One signal's service, which has one method."""

    protocol: str  # as the counters have it
    signal: Signal
    format: AnyFormat


_PACKAGE = "/opentelemetry.proto.collector"
SERVICES = {
    f"{_PACKAGE}.metrics.v1.MetricsService/Export": Service("otlp_grpc", "metrics", "otlp_proto"),
    f"{_PACKAGE}.logs.v1.LogsService/Export": Service("otlp_grpc_logs", "logs", "logs_proto"),
    f"{_PACKAGE}.trace.v1.TraceService/Export": Service("otlp_grpc_traces", "traces", "spans_proto"),
}
"""By method."""

_UNKNOWN = "otlp_grpc"  # what a method that there is not counts as
_RETRY_S = 1.0
_GZIP = b"\x1f\x8b"  # no protobuf message begins so: 0x1f is a wire type that there is not
_CODES: dict[int, Any] = {code.value[0]: code for code in grpc.StatusCode}


class GrpcServer:
    """Listens on one port; ``port`` is the bound one once started."""

    def __init__(self, submit: Submit, auth: Auth, settings: Settings, counts: Counts) -> None:
        self.port = 0
        self._settings = settings
        self._handler = _Handler(submit, auth, settings, counts)
        self._server: Any = None

    async def start(self) -> None:
        """Bind ``grpc_port`` and accept.

        Raises
        ------
        OSError
            The port is busy.
        ValueError
            A TLS file cannot be read.

        """
        settings = self._settings
        server = grpc.aio.server(
            options=_options(settings),
            # A request above this is refused by gRPC itself, before its message is read.
            maximum_concurrent_rpcs=settings.max_connections,
        )
        server.add_generic_rpc_handlers((self._handler,))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{host}:{settings.grpc_port or 0}"
        credentials = _credentials(settings.tls)
        try:
            self.port = (
                server.add_secure_port(address, credentials)
                if credentials
                else server.add_insecure_port(address)
            )
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from None
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Accept no more, let requests in progress end within ``stop_timeout_s``, then cut them off."""
        if self._server is not None:
            await self._server.stop(self._settings.stop_timeout_s)


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    def __init__(self, submit: Submit, auth: Auth, settings: Settings, counts: Counts) -> None:
        self._submit = submit
        self._auth = auth
        self._settings = settings
        self._counts = counts
        self._held = 0  # bytes of messages read and not yet answered

    def service(self, handler_call_details: Any) -> Any:
        """The one method of each signal; None makes gRPC say UNIMPLEMENTED."""
        service = SERVICES.get(handler_call_details.method)
        if service is None:
            self._count(_UNKNOWN, "UNIMPLEMENTED")
            return None
        # Declared as a stream of requests, of which there is one: so the sender is known before it is read.
        return grpc.stream_unary_rpc_method_handler(partial(self._export, service))

    async def _export(self, service: Service, requests: AsyncIterator[bytes], context: Any) -> bytes:
        try:
            done = await self._take(service, requests, context)
        except asyncio.CancelledError:
            self._count(service.protocol, "CANCELLED")
            raise
        except answers.EXPECTED as error:
            refused = answers.refusal(error)
            code = _CODES[refused.code]
            self._count(service.protocol, code.name)
            if isinstance(error, Overloaded):
                self._counts["edgeobs_queue_shed_total", service.protocol] += 1
            details = answers.status(refused).SerializeToString()
            await context.abort(code, refused.message, (("grpc-status-details-bin", details),))
            raise  # not reached: abort raises
        self._count(service.protocol, "OK")
        return done

    async def _take(self, service: Service, requests: AsyncIterator[bytes], context: Any) -> bytes:
        metadata = dict(context.invocation_metadata() or ())
        names = context.auth_context().get("x509_common_name", [b""])
        principal = self._auth.identify(
            _peer_host(context.peer()),
            str(metadata.get("authorization", "")),
            names[0].decode("utf-8", "replace"),
            time.monotonic(),
        )
        body = await self._read(service, requests)
        encoding: Encoding = "gzip" if body[:2] == _GZIP else "identity"
        if self._held + len(body) > self._settings.receive_bytes:
            raise Overloaded(_RETRY_S)
        self._held += len(body)
        try:
            receipt = await self._submit(Delivery(service.format, body, encoding, principal, time.time_ns()))
        finally:
            self._held -= len(body)
        return answers.otlp_done(receipt, service.signal).SerializeToString()

    async def _read(self, service: Service, requests: AsyncIterator[bytes]) -> bytes:
        limit = self._settings.body_timeout_s
        try:
            async with asyncio.timeout(limit):
                body = await anext(aiter(requests), None)
        except TimeoutError:
            raise answers.TooSlow(f"the request took longer than {limit:g} s") from None
        if body is None:
            raise Unavailable("the request ended before its message")
        self._counts["edgeobs_request_bytes_total", service.protocol] += len(body)
        if len(body) > self._settings.max_body_bytes:
            raise TooLarge(self._settings.max_body_bytes, "compressed")
        return body

    def _count(self, protocol: str, code: str) -> None:
        self._counts["edgeobs_requests_total", protocol, code] += 1


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),  # a busy port is an error, not a port shared with another process
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_concurrent_streams", 32),
        ("grpc.max_connection_idle_ms", round(settings.idle_timeout_s * 1000)),
        ("grpc.server_handshake_timeout_ms", round(settings.header_timeout_s * 1000)),
        ("grpc.max_metadata_size", 16_384),
        # Undone by the engine, under the same cap as over HTTP and without the GIL.
        ("grpc.per_message_decompression", 0),
    ]


def _credentials(tls: Tls) -> Any:
    if not tls.cert_file:
        return None
    try:
        chain = Path(tls.cert_file).read_bytes()
        key = Path(tls.key_file or tls.cert_file).read_bytes()
        authority = Path(tls.client_ca_file).read_bytes() if tls.client_ca_file else None
    except OSError as error:
        raise ValueError(f"tls: {error}") from None
    return grpc.ssl_server_credentials(
        [(key, chain)], root_certificates=authority, require_client_auth=authority is not None
    )


def _peer_host(peer: str) -> str:
    """The address in gRPC's ``ipv4:127.0.0.1:4317`` or ``ipv6:%5B::1%5D:4317``; empty for anything else."""
    family, _, address = unquote(peer).partition(":")
    if family not in ("ipv4", "ipv6"):
        return ""
    return address.rpartition(":")[0].strip("[]")
