"""Sends requests over OTLP/HTTP from one thread: kept-alive, repeated as the protocol has it, bounded."""

import gzip
import http.client
import random
import ssl
import threading
import time
from collections import Counter, deque
from pathlib import Path
from urllib.parse import urlsplit

from edgeobs.node.retry import Answer, judge
from edgeobs.node.settings import Sending


class Sender:
    """A bounded backlog and the thread that empties it, oldest first.

    ``counts`` has ``sent``, ``refused`` (the server will never take it), ``dropped`` (the backlog was full)
    and ``repeated``.

    Parameters
    ----------
    settings
        Where to, how patiently, and how much may wait.

    """

    def __init__(self, settings: Sending) -> None:
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self.last_error = ""
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self._thread = threading.Thread(target=self._run, name="otlp-sender", daemon=True)

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self) -> "Sender":
        """Begin to send."""
        self._thread.start()
        return self

    def put(self, body: bytes) -> None:
        """Take one request's bytes; never waits. Drops the oldest when the backlog is full."""
        with self._changed:
            self._waiting.append(body)
            if len(self._waiting) > self.settings.backlog:
                self._waiting.popleft()
                self.counts["dropped"] += 1
            self._changed.notify()

    def stop(self, within_s: float = 1.0) -> None:
        """Stop, in the middle of the backlog if need be."""
        self._stopping.set()
        with self._changed:
            self._changed.notify()
        if self._thread.ident is not None:  # it was started
            self._thread.join(within_s)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._changed:
                while not self._waiting and not self._stopping.is_set():
                    self._changed.wait()
                body = self._waiting.popleft() if self._waiting else b""
            if body and not self._stopping.is_set():
                self._deliver(gzip.compress(body, 1) if self.settings.gzip else body)
        self._close()

    def _deliver(self, body: bytes) -> None:
        attempt = 0
        while not self._stopping.is_set():
            answer = self._post(body)
            verdict = judge(answer, attempt, self.settings, time.time(), random.random())  # noqa: S311 jitter
            if verdict.what != "again":
                self.counts[verdict.what] += 1
                return
            self.counts["repeated"] += 1
            attempt += 1
            self._stopping.wait(verdict.pause_s)

    def _post(self, body: bytes) -> Answer:
        try:
            connection = self._connection = self._connection or self._connect()
            connection.request("POST", urlsplit(self.settings.url).path or "/", body, self._headers())
            response = connection.getresponse()
            text = response.read(65536)
        except (OSError, http.client.HTTPException) as error:
            self._close()
            self.last_error = f"{type(error).__name__}: {error}"
            return Answer(0)
        if response.status >= 300:
            self.last_error = f"HTTP {response.status}: {text[:200]!r}"
        if not response.isclosed():  # more than we read: the connection cannot carry another request
            self._close()
        return Answer(response.status, response.headers.get("Retry-After", ""))

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/x-protobuf", "User-Agent": "edgeobs"}
        if self.settings.gzip:
            headers["Content-Encoding"] = "gzip"
        if self.settings.token_file:
            token = Path(self.settings.token_file).read_text(encoding="utf-8").strip()
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _connect(self) -> http.client.HTTPConnection:
        url = urlsplit(self.settings.url)
        host, timeout = url.hostname or "", self.settings.timeout_s
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=self.settings.ca_file or None)
            return http.client.HTTPSConnection(host, url.port, timeout=timeout, context=context)
        return http.client.HTTPConnection(host, url.port, timeout=timeout)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
