"""One HTTP GET of a target, within a time and a size whatever the other end does.

httptools reads the answer: `http.client` parses headers as those of mail, which costs as much as the body.
"""

import socket
import ssl
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httptools

from edgeobs.agent.settings import Target

_ACCEPT = "text/plain;version=0.0.4;q=1,*/*;q=0.1"
_CHUNK = 65_536
_GZIP = 31  # zlib's window bits for a gzip header
_HEADER_BYTES = 65_536
_FRAMING = 16  # bytes of chunks' sizes and the like for each byte of a body, at most


class FetchError(Exception):
    """There is no body; the message says why."""


class _Answer:
    """One answer as it comes in; httptools calls the methods named ``on_…``."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.on_message_begin()

    def on_message_begin(self) -> None:
        """What came before it was no more than a word that it will come (1xx)."""
        self.headers: dict[bytes, bytes] = {}
        self.parts: list[bytes] = []
        self.status = 0  # once the headers are whole
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # or it is a trailer, of which nobody asks
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        self.whole = self.status >= 200

    def take(self) -> bytes:
        """What came of the body since this was asked last."""
        found, self.parts = b"".join(self.parts), []
        return found

    def ends_with_connection(self) -> bool:
        """Whether nothing but that says where the body ends."""
        return not self.headers.keys() & {b"content-length", b"transfer-encoding"}


def fetch(target: Target, clock: Callable[[], float] = time.monotonic) -> bytes:
    """The body of a scrape, decompressed.

    Raises
    ------
    FetchError
        No connection, no answer in time, not 200, or too many bytes.

    """
    url = urlsplit(target.url)
    until = clock() + target.timeout_s
    try:
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        with _connected(host, port, until) as plain:
            if url.scheme != "https":
                return _get(plain, target, until)
            with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as sock:
                return _get(sock, target, until)
    except httptools.HttpParserError as error:
        raise FetchError(f"not HTTP: {error}") from error
    except TimeoutError:
        raise FetchError("timed out") from None
    except (OSError, ValueError) as error:
        raise FetchError(str(error) or type(error).__name__) from error


def _connected(host: str, port: int, until: float) -> socket.socket:
    last: OSError = OSError(f"{host}: no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(until - time.monotonic(), 0.001))
            sock.connect(address)
        except OSError as error:
            sock.close()
            last = error
        else:
            return sock
    raise last


def _get(sock: socket.socket, target: Target, until: float) -> bytes:
    sock.sendall(_request(target))
    answer, body, size, carried = _Answer(), bytearray(), 0, 0
    plain = None
    while not answer.whole:
        sock.settimeout(_left(until))
        part = sock.recv(_CHUNK)
        if not part:
            if answer.status and answer.ends_with_connection():
                break
            raise FetchError("the answer is cut short")
        size += len(part)
        answer.parser.feed_data(part)
        if answer.status >= 200:
            if answer.status != 200:
                raise FetchError(f"HTTP {answer.status}")
            if plain is None and answer.headers.get(b"content-encoding", b"") == b"gzip":
                plain = zlib.decompressobj(_GZIP)
            taken = answer.take()
            carried += len(taken)
            if size - carried > _HEADER_BYTES + _FRAMING * carried:
                raise FetchError(f"{size} bytes for a body of {carried}")
            _add(body, taken, plain, target.max_bytes)
        elif size > _HEADER_BYTES:
            raise FetchError(f"more than {_HEADER_BYTES} bytes of headers")
    if plain is not None and not plain.eof:
        raise FetchError("the gzip body has no end")
    return bytes(body)


def _request(target: Target) -> bytes:
    url = urlsplit(target.url)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = [f"GET {path} HTTP/1.1", f"Host: {url.netloc.rpartition('@')[2]}", f"Accept: {_ACCEPT}"]
    lines += ["Accept-Encoding: gzip", "Connection: close"]
    if target.token_file:
        lines.append(f"Authorization: Bearer {Path(target.token_file).read_text(encoding='utf-8').strip()}")
    if any(not line.isprintable() for line in lines):
        raise ValueError("the URL or the token has characters that no header may have")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _add(body: bytearray, part: bytes, plain: "zlib._Decompress | None", most: int) -> None:
    try:
        if plain is None:
            body += part
        elif plain.eof and part:
            raise FetchError("something follows the gzip body")
        else:
            body += plain.decompress(part, most + 1 - len(body))
    except zlib.error as error:
        raise FetchError(f"not gzip: {error}") from None
    if plain is not None and plain.unused_data:
        raise FetchError("something follows the gzip body")
    if len(body) > most:
        raise FetchError(f"more than {most} bytes")
