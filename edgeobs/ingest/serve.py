"""Run an ASGI application in the running event loop: bind, serve, stop in time."""

import asyncio
import contextlib
import socket
import ssl
from email.utils import formatdate
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from edgeobs.ingest.protocol import EdgeProtocol, Gate
from edgeobs.ingest.settings import Settings, Tls
from edgeobs.signals import Counts

_BACKLOG = 512


def listen(host: str, port: int, *, any_if_busy: bool = False) -> socket.socket:
    """A listening socket; ``port`` 0, or a busy one with ``any_if_busy``, becomes a free one.

    Raises
    ------
    OSError
        The address is not this machine's, or the port is busy; the message names it.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        if any_if_busy and port:
            return listen(host, 0)
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from None


def ssl_context(tls: Tls) -> ssl.SSLContext | None:
    """TLS 1.2 or newer from files, with clients' certificates demanded when an authority is named.

    Raises
    ------
    ValueError
        A file is missing or not what it should be; the message names the setting.

    """
    if not tls.cert_file:
        if tls.client_ca_file or tls.key_file:
            raise ValueError("tls: key_file and client_ca_file need a cert_file")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file or None)
    except OSError as error:
        raise ValueError(f"tls.cert_file {tls.cert_file}, tls.key_file {tls.key_file}: {error}") from None
    if tls.client_ca_file:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(tls.client_ca_file)
        except OSError as error:
            raise ValueError(f"tls.client_ca_file {tls.client_ca_file}: {error}") from None
    return context


class HttpServer:
    """Serves one application on one socket.

    The application's lifespan events are not sent: what it needs is built before it is served. Peers are who
    the connection says; no forwarding header is believed.
    """

    def __init__(self, app: Any, sock: socket.socket, settings: Settings, counts: Counts) -> None:
        self.port: int = sock.getsockname()[1]
        self._sock = sock
        self._settings = settings
        self._tls = ssl_context(settings.tls)
        self._state = ServerState()
        self._gate = Gate(settings, counts)
        self._config = Config(
            app,
            http=EdgeProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # a bad request is counted, not logged: senders must not fill the log
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=max(1, round(settings.idle_timeout_s)),
        )
        self._config.load()
        self._server: asyncio.Server | None = None
        self._clock: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: EdgeProtocol(self._config, self._state, self._gate),
            sock=self._sock,
            backlog=_BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=self._settings.header_timeout_s if self._tls else None,
            ssl_shutdown_timeout=1.0 if self._tls else None,
        )
        self._tick()

    async def stop(self) -> None:
        """Accept no more, let requests in progress end within ``stop_timeout_s``, then cut them off."""
        if self._server is None:
            return
        self._server.close()
        if self._clock is not None:
            self._clock.cancel()
        for connection in list(self._state.connections):
            connection.shutdown()
        await self._end(self._settings.stop_timeout_s)
        for task in self._state.tasks:
            task.cancel()
        await self._end(0.2)
        for connection in list(self._state.connections):
            connection.transport.abort()

    async def _end(self, within_s: float) -> None:
        if self._state.tasks:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait(set(self._state.tasks), timeout=within_s)

    def _tick(self) -> None:
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self._clock = asyncio.get_running_loop().call_later(1.0, self._tick)
