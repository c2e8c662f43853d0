"""OTLP/HTTP from the workloads of this node, and a look at the agent: small, threaded, bounded.

The core's server takes some 10 MiB that a node does not have. This one has a thread a connection and
httptools for its grammar; sizes, times and limits are those of `ingest.settings`, answers those of
`ingest.answers`.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools

from edgeobs.ingest import answers
from edgeobs.ingest.answers import JSON, PROTOBUF, TEXT, Answer, NotUnderstood, TooSlow
from edgeobs.ingest.auth import Auth
from edgeobs.ingest.delivery import (
    AnyFormat,
    Delivery,
    Encoding,
    Overloaded,
    Receipt,
    Signal,
    TooLarge,
    Unavailable,
)
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.settings import Settings
from edgeobs.signals import Counts

log = logging.getLogger("edgeobs.agent")

MOST_CONNECTIONS = 64
_HEADER_BYTES = 16_384
_CHUNK = 65_536
_ROUTES: dict[str, tuple[Signal, str, dict[str, AnyFormat]]] = {
    "/v1/metrics": ("metrics", "otlp_http", {PROTOBUF: "otlp_proto", JSON: "otlp_json"}),
    "/v1/logs": ("logs", "otlp_http_logs", {PROTOBUF: "logs_proto", JSON: "logs_json"}),
    "/v1/traces": ("traces", "otlp_http_traces", {PROTOBUF: "spans_proto", JSON: "spans_json"}),
}
"""Path → signal, what its requests are counted as, and content type → format."""

_ENCODINGS: dict[str, Encoding] = {"": "identity", "identity": "identity", "gzip": "gzip", "zstd": "zstd"}
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 413: "Content Too Large", 500: "Internal"}

Take = Callable[[Delivery], Receipt]
"""Waits until a delivery is processed; raises as `ingest.delivery.Submit` does."""


@dataclass(slots=True)
class _Request:
    """One request as it comes in; httptools calls the methods named ``on_…``."""

    most: int  # bytes of the body
    url: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    head: bool = False  # the headers are whole
    whole: bool = False
    size: int = 0  # of the headers

    def on_url(self, url: bytes) -> None:
        self.url += url
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value
        self._grow(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        self.head = True

    def on_body(self, part: bytes) -> None:
        self.body += part
        if len(self.body) > self.most:
            raise TooLarge(self.most, "compressed")

    def on_message_complete(self) -> None:
        self.whole = True

    def _grow(self, size: int) -> None:
        self.size += size
        if self.size > _HEADER_BYTES:
            raise Malformed(f"more than {_HEADER_BYTES} bytes of headers")


class Listener:
    """Serves on one socket until stopped.

    Parameters
    ----------
    sock
        A socket that listens.
    take
        What is done with a delivery.
    look
        ``GET`` path → body, for people and probes.

    """

    def __init__(
        self,
        sock: socket.socket,
        take: Take,
        auth: Auth,
        settings: Settings,
        counts: Counts,
        look: dict[str, Callable[[], str]],
    ) -> None:
        self.port: int = sock.getsockname()[1]
        self._sock, self._take, self._auth, self._settings = sock, take, auth, settings
        self._counts, self._look = counts, look
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="otlp-listener", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more connections; those that are open end with their request."""
        self._stopping.set()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self._sock.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, peer = self._sock.accept()
            except OSError:
                if self._stopping.is_set():
                    return
                time.sleep(0.1)  # out of file descriptors: they come back
                continue
            if not self._room.acquire(blocking=False):
                self._counts["edgeobs_requests_total", "otlp_http", "refused"] += 1
                connection.close()
                continue
            threading.Thread(
                target=self._serve, args=(connection, str(peer[0])), name="otlp", daemon=True
            ).start()

    def _serve(self, connection: socket.socket, peer: str) -> None:
        try:
            with connection:
                while not self._stopping.is_set() and self._one(connection, peer):
                    pass
        except OSError:
            pass  # the peer has gone
        finally:
            self._room.release()

    def _one(self, connection: socket.socket, peer: str) -> bool:
        """Serve one request; whether another may follow."""
        request = _Request(self._settings.max_body_bytes)
        parser = httptools.HttpRequestParser(request)
        keep = False
        method = ""
        try:
            if not self._receive(connection, request, parser):
                return False
            method = parser.get_method().decode("latin-1")
            answer = self._answer(method, request, peer)
            keep = parser.should_keep_alive()
        except httptools.HttpParserError as error:
            answer = Answer(400, TEXT, f"not HTTP: {error}\n".encode())
        except answers.EXPECTED as error:
            answer = answers.otlp_refusal(answers.refusal(error), _kind(request))
            keep = request.whole
            if isinstance(error, Overloaded):
                self._counts["edgeobs_queue_shed_total", _counted(request)] += 1
        except Exception:
            log.exception("a request failed")
            answer = Answer(500, TEXT, b"a mistake of ours; the agent's log has it\n")
        if method != "GET":
            self._counts["edgeobs_requests_total", _counted(request), str(answer.status)] += 1
        connection.settimeout(self._settings.body_timeout_s)
        connection.sendall(_wire(answer, keep=keep))
        return keep

    def _receive(
        self, connection: socket.socket, request: _Request, parser: httptools.HttpRequestParser
    ) -> bool:
        """Read one request whole; False when the peer has nothing to say."""
        s = self._settings
        connection.settimeout(s.idle_timeout_s)
        until, asked = 0.0, False
        while not request.whole:
            if until:
                left = until - time.monotonic()
                if left <= 0:
                    raise TooSlow("the request took too long")
                connection.settimeout(left)
            try:
                part = connection.recv(_CHUNK)
            except TimeoutError:
                if not until:
                    return False
                raise TooSlow("the request took too long") from None
            if not part:
                return False
            until = until or time.monotonic() + s.header_timeout_s + s.body_timeout_s
            _feed(parser, part)
            if request.head and not asked and request.headers.get(b"expect", b"").lower() == b"100-continue":
                asked = True
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _answer(self, method: str, request: _Request, peer: str) -> Answer:
        path = _path(request)
        if method == "GET" and path in self._look:
            return Answer(200, TEXT, self._look[path]().encode())
        if method != "POST" or path not in _ROUTES:
            return Answer(404, TEXT, f"POST {', '.join(_ROUTES)}, nothing else\n".encode())
        signal, counted, formats = _ROUTES[path]
        authorization = request.headers.get(b"authorization", b"").decode("latin-1")
        principal = self._auth.identify(peer, authorization, "", time.monotonic())
        kind = _kind(request)
        if kind not in formats:
            raise NotUnderstood(f"content-type {kind!r:.60}: expected {PROTOBUF} or {JSON}")
        squeezed = request.headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
        encoding = _ENCODINGS.get(squeezed)
        if encoding is None:
            raise NotUnderstood(f"content-encoding {squeezed!r:.60}: expected gzip, zstd or none")
        self._counts["edgeobs_request_bytes_total", counted] += len(request.body)
        if self._stopping.is_set():
            raise Unavailable("the agent is stopping")
        body = bytes(request.body)
        receipt = self._take(Delivery(formats[kind], body, encoding, principal, time.time_ns()))
        return answers.otlp_answer(receipt, kind, signal)


def _feed(parser: httptools.HttpRequestParser, part: bytes) -> None:
    try:
        parser.feed_data(part)
    except httptools.HttpParserCallbackError as error:
        if isinstance(error.__context__, answers.EXPECTED):
            raise error.__context__ from None
        raise


def _counted(request: _Request) -> str:
    return _ROUTES.get(_path(request), _ROUTES["/v1/metrics"])[1]


def _path(request: _Request) -> str:
    return urlsplit(request.url.decode("latin-1")).path


def _kind(request: _Request) -> str:
    given = request.headers.get(b"content-type", b"").decode("latin-1")
    return given.partition(";")[0].strip().lower()


def _wire(answer: Answer, *, keep: bool) -> bytes:
    reason = _REASONS.get(answer.status, "")
    head = [f"HTTP/1.1 {answer.status} {reason}", f"Content-Length: {len(answer.body)}"]
    head += [f"{name}: {value}" for name, value in answer.headers]
    if answer.content_type:
        head.append(f"Content-Type: {answer.content_type}")
    if not keep:
        head.append("Connection: close")
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + answer.body
