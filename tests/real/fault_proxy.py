"""Stands between edgeobs and the API server, and fails as networks and API servers do.

It ends TLS with the API server's own certificate, so that a kubeconfig needs another port and nothing more,
and passes credentials on. HTTP/1.1, a thread for each connection.
"""

import json
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

CONNECTIONS = 256
"""More than these are hung up on."""
IDLE_S = 600.0
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The request is answered with this code, and goes no further."""

    code: int
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Slow:
    """The request waits before it goes on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Lost:
    """The request is carried out, its answer never arrives: the connection is closed."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Every event of a watch comes twice."""


@dataclass(frozen=True, slots=True)
class Late:
    """An event of a watch comes after the one that follows it; bookmarks keep their place."""


Fault = Answer | Slow | Lost | Duplicate | Late
Matches = Callable[[str, str], bool]
Ending = Literal["closed", "cut", "gone"]


def anything(method: str, path: str) -> bool:
    """Every request."""
    return bool(method and path)


def watches(method: str, path: str) -> bool:
    """Requests that stream events."""
    return method == "GET" and parse_qs(urlsplit(path).query).get("watch", [""])[-1] in ("1", "true")


def reads(method: str, path: str) -> bool:
    """Gets and lists."""
    return method == "GET" and not watches(method, path)


def writes(method: str, path: str) -> bool:
    """What changes something."""
    return method != "GET" and bool(path)


@dataclass(slots=True)
class _Rule:
    fault: Fault
    on: Matches
    left: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came, and what became of it: the API server's code, or the fault."""

    method: str
    path: str
    outcome: int | Fault


@dataclass(slots=True, eq=False)
class _Watch:
    """A stream of events that is open."""

    upstream: socket.socket
    ending: Ending = "closed"
    held: bytes = field(default=b"")


class FaultProxy:
    """Listens on a free loopback port while a ``with`` block runs; without faults it is transparent.

    Parameters
    ----------
    server
        The API server, ``https://host:port``.
    certificate
        The API server's, which is also what it is trusted by.
    key
        Of that certificate.

    """

    def __init__(self, server: str, certificate: Path, key: Path) -> None:
        url = urlsplit(server)
        self._upstream = (url.hostname or "", url.port or 443)
        self._client = ssl.create_default_context(cafile=str(certificate))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._connections: set[socket.socket] = set()
        self._watches: set[_Watch] = set()
        self._flowing, self._closing = threading.Event(), threading.Event()
        self._flowing.set()
        self._listener: _Listener | None = None
        self._port = 0
        self.seen: deque[Seen] = deque(maxlen=100_000)

    @property
    def server(self) -> str:
        """What to name in a kubeconfig."""
        return f"https://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.restore()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._flowing.set()
        self.cut()

    # Faults of requests.

    @contextmanager
    def fault(self, fault: Fault, on: Matches = anything, times: int | None = None) -> Iterator[None]:
        """Befall the matching requests, or the first ``times`` of them, for as long as the block runs."""
        rule = _Rule(fault, on, times)
        with self._lock:
            self._rules.append(rule)
        try:
            yield
        finally:
            with self._lock:
                self._rules.remove(rule)

    # Faults of connections.

    def cut(self) -> None:
        """Refuse connections, and end those that are open."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        with self._lock:
            open_now = [*self._connections, *(watch.upstream for watch in self._watches)]
        for connection in open_now:
            _hang_up(connection)

    def restore(self) -> None:
        """Listen again, on the same port."""
        if self._listener is None:
            self._listener = _Listener(self, self._port)
            self._port = self._listener.server_port

    def freeze(self) -> None:
        """Half-open: connections are accepted and stay open, and nothing moves in them."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Move again."""
        self._flowing.set()

    # Faults of watches.

    def end_watches(self, ending: Ending = "closed") -> int:
        """End those that are open; how many that were.

        ``closed`` as the API server ends them at their timeout, ``cut`` in the middle, ``gone`` with the
        event that says that their resource version is too old.
        """
        with self._lock:
            open_now = list(self._watches)
        for watch in open_now:
            watch.ending = ending
            _hang_up(watch.upstream)
        return len(open_now)

    def open_watches(self) -> int:
        """How many there are."""
        with self._lock:
            return len(self._watches)

    def holds(self) -> bool:
        """Whether an event waits for the one that is to go before it."""
        with self._lock:
            return any(watch.held for watch in self._watches)

    # What the handlers ask.

    def _fault_for(self, method: str, path: str, kinds: type | tuple[type, ...]) -> Fault | None:
        with self._lock:
            for rule in self._rules:
                if isinstance(rule.fault, kinds) and rule.left != 0 and rule.on(method, path):
                    if rule.left is not None:
                        rule.left -= 1
                    return rule.fault
        return None


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, proxy: FaultProxy, port: int) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002  the base class's
        return len(self.proxy._connections) < CONNECTIONS

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up, and so do we."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    server: _Listener

    def setup(self) -> None:
        self.proxy = self.server.proxy
        self.request = self.proxy._tls.wrap_socket(
            self.request, server_side=True, do_handshake_on_connect=False
        )
        with self.proxy._lock:
            self.proxy._connections.add(self.request)
        super().setup()

    def handle(self) -> None:
        self.proxy._flowing.wait()
        self.request.do_handshake()
        super().handle()

    def finish(self) -> None:
        with self.proxy._lock:
            self.proxy._connections.discard(self.request)
        try:
            super().finish()
        finally:
            self.request.close()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.proxy._flowing.wait()
        fault = self.proxy._fault_for(self.command, self.path, (Answer, Slow, Lost))
        if isinstance(fault, Slow):
            self.proxy._closing.wait(fault.seconds)
        if isinstance(fault, Answer):
            self._note(fault)
            self._answer(fault)
        else:
            self._forward(body, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  the base class looks for these

    def _forward(self, body: bytes, fault: Fault | None) -> None:
        streams = watches(self.command, self.path)
        left_out = _HOP | ({"accept-encoding"} if streams else set())
        headers = {key: value for key, value in self.headers.items() if key.lower() not in left_out}
        upstream = HTTPSConnection(*self.proxy._upstream, context=self.proxy._client, timeout=IDLE_S)
        try:
            upstream.request(self.command, self.path, body or None, headers)
            response = upstream.getresponse()
            self._note(fault or response.status)
            if isinstance(fault, Lost):
                response.read()
                self.close_connection = True
            elif streams and response.status == 200 and upstream.sock is not None:
                self._stream(response, _Watch(upstream.sock))
            else:
                self._whole(response)
        except (OSError, HTTPException):
            self.close_connection = True
        finally:
            upstream.close()

    def _whole(self, response: HTTPResponse) -> None:
        body = response.read()
        self.proxy._flowing.wait()
        self._head(response)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, response: HTTPResponse, watch: _Watch) -> None:
        with self.proxy._lock:
            self.proxy._watches.add(watch)
        try:
            self._head(response)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in _lines(response):
                self.proxy._flowing.wait()
                self._chunk(self._shaped(line, watch))
            if watch.ending == "gone":
                self._chunk(json.dumps({"type": "ERROR", "object": _status(410)}).encode() + b"\n")
            if watch.ending == "cut":
                self.close_connection = True
            else:
                self._chunk(watch.held)
                self.wfile.write(b"0\r\n\r\n")
        finally:
            with self.proxy._lock:
                self.proxy._watches.discard(watch)

    def _shaped(self, line: bytes, watch: _Watch) -> bytes:
        """What to send for an event."""
        fault = self.proxy._fault_for(self.command, self.path, (Duplicate, Late))
        if isinstance(fault, Duplicate):
            line += line
        if b'"type":"BOOKMARK"' in line[:40]:
            return line
        if watch.held:
            line, watch.held = line + watch.held, b""
        elif isinstance(fault, Late):
            line, watch.held = b"", line
        return line

    def _chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _head(self, response: HTTPResponse) -> None:
        self.send_response_only(response.status, response.reason)
        for key, value in response.getheaders():
            if key.lower() not in _HOP:
                self.send_header(key, value)

    def _answer(self, fault: Answer) -> None:
        body = json.dumps(_status(fault.code)).encode()
        self.send_response_only(fault.code)
        if fault.retry_after_s is not None:
            self.send_header("Retry-After", str(fault.retry_after_s))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _note(self, outcome: int | Fault) -> None:
        self.proxy.seen.append(Seen(self.command, self.path, outcome))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Stay quiet."""


def _lines(response: HTTPResponse) -> Iterator[bytes]:
    """Events, until the stream ends in whatever way."""
    try:
        while (line := response.readline()).endswith(b"\n"):
            yield line
    except (OSError, HTTPException, ValueError):
        return


def _status(code: int) -> dict[str, Any]:
    reason = _REASONS.get(code, "")
    message = f"{reason} (by the fault proxy)"
    head: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return head | {"message": message, "reason": reason, "code": code}


def _hang_up(connection: socket.socket) -> None:
    """End a connection under whoever reads it."""
    try:
        socket.socket.shutdown(
            connection, socket.SHUT_RDWR
        )  # SSLSocket's own would pull TLS from under the reader
    except OSError:
        return
