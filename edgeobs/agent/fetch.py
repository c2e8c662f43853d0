"""One HTTP GET of a target, within a time and a size whatever the other end does."""

import http.client
import socket
import ssl
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from edgeobs.agent.settings import Target

_ACCEPT = "text/plain;version=0.0.4;q=1,*/*;q=0.1"
_CHUNK = 65_536
_GZIP = 31  # zlib's window bits for a gzip header


class FetchError(Exception):
    """There is no body; the message says why."""


class _Timed(socket.socket):
    """Every read ends at one moment, however many there are."""

    until: float = 0.0

    def recv_into(self, *arguments: object, **named: object) -> int:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left)
        return super().recv_into(*arguments, **named)  # type: ignore[arg-type]


def fetch(target: Target, clock: Callable[[], float] = time.monotonic) -> bytes:
    """The body of a scrape, decompressed.

    Raises
    ------
    FetchError
        No connection, no answer in time, not 200, or too many bytes.

    """
    url = urlsplit(target.url)
    until = clock() + target.timeout_s
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        plain = _connected(url.hostname or "", port, until)
        with plain:
            sock: socket.socket = plain
            if url.scheme == "https":
                context = ssl.create_default_context()
                # A TLS socket has its own reads: the time of each is bounded, and how many there are.
                sock = context.wrap_socket(plain, server_hostname=url.hostname)
            return _get(sock, url.hostname or "", port, target, until)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchError(str(error) or type(error).__name__) from error


def _connected(host: str, port: int, until: float) -> _Timed:
    last: OSError = OSError(f"{host}: no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = _Timed(family, kind, protocol)
        sock.until = until
        try:
            sock.settimeout(max(until - time.monotonic(), 0.001))
            sock.connect(address)
        except OSError as error:
            sock.close()
            last = error
        else:
            return sock
    raise last


def _get(sock: socket.socket, host: str, port: int, target: Target, until: float) -> bytes:
    connection = http.client.HTTPConnection(host, port)
    connection.sock = sock
    url = urlsplit(target.url)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    headers = {"Accept": _ACCEPT, "Accept-Encoding": "gzip", "Connection": "close"}
    if target.token_file:
        headers["Authorization"] = f"Bearer {Path(target.token_file).read_text(encoding='utf-8').strip()}"
    connection.request("GET", path, headers=headers)
    with connection.getresponse() as response:
        if response.status != 200:
            raise FetchError(f"HTTP {response.status}")
        squeezed = response.headers.get("Content-Encoding", "") == "gzip"
        return _read(response, target.max_bytes, until, squeezed=squeezed)


def _read(response: http.client.HTTPResponse, most: int, until: float, *, squeezed: bool) -> bytes:
    plain = zlib.decompressobj(_GZIP) if squeezed else None
    body = bytearray()
    while part := response.read1(_CHUNK):
        if time.monotonic() > until:
            raise FetchError("timed out")
        try:
            body += part if plain is None else plain.decompress(part, most + 1 - len(body))
        except zlib.error as error:
            raise FetchError(f"not gzip: {error}") from None
        if len(body) > most:
            raise FetchError(f"more than {most} bytes")
    if plain is not None and not plain.eof:
        raise FetchError("the gzip body has no end")
    if response.length:
        raise FetchError(f"{response.length} bytes short")
    return bytes(body)
