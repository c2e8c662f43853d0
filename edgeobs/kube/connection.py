"""HTTP to the API server: clients, a bound on how often, and one exchange with a bound on time and size."""

import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, NamedTuple

import httpx
from lightkube.core.exceptions import ConfigError

from edgeobs.calls import Unreachable
from edgeobs.kube.clock import boot_ns
from edgeobs.kube.credentials import Credentials

MAX_BODY = 128 << 20
"""Bytes of one response, decompressed; a page of 500 objects of the largest size etcd takes would be more."""

TROUBLES = (
    httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ConfigError,
    OSError, ValueError, KeyError, TypeError,
)  # fmt: skip
"""What a request may fail with: the network, TLS, a credentials plug-in, a body that is none."""

_SECOND = 1_000_000_000


class Pace:
    """At most ``rate`` requests per second, of which 2 s may come at once. Thread-safe."""

    def __init__(self, rate: float, clock: Callable[[], int] = boot_ns) -> None:
        self._each_ns, self._spare_ns = int(_SECOND / rate), 2 * _SECOND
        self._clock, self._lock, self._next = clock, Lock(), 0

    def reserve(self) -> float:
        """Take the next place; how long to wait for it, seconds."""
        with self._lock:
            now = self._clock()
            self._next = max(self._next, now - self._spare_ns) + self._each_ns
            return max(self._next - now, 0) / _SECOND


class Reply(NamedTuple):
    """A response, read whole."""

    status: int
    retry_after: str
    body: bytes


def client(credentials: Credentials, timeout_s: float) -> httpx.Client:
    """For calls, from any thread. A request has left us within ``timeout_s`` or is given up.

    The time for connecting counts twice, once for TCP and once for TLS.
    """
    part = timeout_s / 6
    timeout = httpx.Timeout(timeout_s, connect=2 * part, write=part, pool=part)
    return httpx.Client(timeout=timeout, **_options(credentials))


def async_client(credentials: Credentials, timeout_s: float) -> httpx.AsyncClient:
    """For watches, each on a connection of its own."""
    return httpx.AsyncClient(timeout=timeout_s, **_options(credentials))


def _options(credentials: Credentials) -> dict[str, Any]:
    return {
        "base_url": credentials.server,
        "verify": credentials.verify,
        "auth": credentials.auth(),
        "proxy": credentials.proxy,
        "trust_env": False,  # the proxy has been chosen, and no .netrc signs for us
        "follow_redirects": False,
        "headers": {"User-Agent": "edgeobs", "Accept": "application/json"},
        "limits": httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=30.0),
    }


def exchange(
    http: httpx.Client,
    method: str,
    path: str,
    params: Mapping[str, str],
    timeout_s: float,
    body: bytes = b"",
    kind: str = "application/json",
) -> Reply:
    """One request and its whole response, within twice ``timeout_s`` even where it trickles.

    Raises Unreachable: then it may have been carried out or not.
    """
    headers = {"Content-Type": kind} if body else {}
    until = time.monotonic() + 2 * timeout_s
    try:
        with http.stream(method, path, params=params, content=body or None, headers=headers) as response:
            chunks, size = [], 0
            for chunk in response.iter_bytes():
                size += len(chunk)
                if size > MAX_BODY:
                    raise Unreachable(f"{method} {path}: the answer is larger than {MAX_BODY} bytes")
                if time.monotonic() > until:
                    raise Unreachable(f"{method} {path}: the answer took longer than {2 * timeout_s:g} s")
                chunks.append(chunk)
            return Reply(response.status_code, response.headers.get("Retry-After", ""), b"".join(chunks))
    except TROUBLES as error:
        raise Unreachable(f"{method} {path}: {trouble(error)}") from error


def trouble(error: Exception) -> str:
    """What went wrong, for people; httpx leaves some without a word."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
