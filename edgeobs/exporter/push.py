"""Everything that is exposed, sent by OTLP/HTTP in a steady beat; what cannot be sent waits, bounded."""

import gzip
import os
import random
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import prometheus_client as prometheus
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.re import parse_env_headers
from prometheus_client import CollectorRegistry

from edgeobs.exporter.declarations import Declared
from edgeobs.exporter.otlp import metrics_data
from edgeobs.exporter.post import Post
from edgeobs.exporter.retry import Verdict, judge
from edgeobs.exporter.spool import DiskSpool, MemorySpool, Spool
from edgeobs.exporter.telling import warn

BETWEEN_S = 0.1
"""Seconds between two requests of a backlog: what was kept for hours comes back as ten requests a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where to, how often, and how much may wait."""

    url: str
    """The whole address, http or https."""

    every_s: float = 15.0
    """Seconds from one push to the next, > 0."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request."""

    token_file: Path | None = None
    """A bearer token, read for every request."""

    ca_file: Path | None = None
    """Who may sign the server's certificate."""

    buffer: Path | None = None
    """A folder for what waits while the server is away; without one it waits in memory."""

    buffer_bytes: int = 16 << 20
    """How much may wait, compressed, on disk in whole blocks of 4 KiB, ≥ 1; the oldest is dropped first."""

    timeout_s: float = 10.0
    """Seconds for one request, > 0."""


def configured(endpoint: str, given: Mapping[str, Any], env: Mapping[str, str] = os.environ) -> Settings:
    """Settings from what was given and, where that is silent, OpenTelemetry's environment variables.

    Raises
    ------
    ValueError
        There is a setting or an address that cannot be.

    """
    known = {name for name in Settings.__dataclass_fields__ if name != "url"}
    if unknown := sorted(set(given) - known):
        raise ValueError(f"push: unknown settings {unknown}; known are {sorted(known)}")
    base = endpoint or env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "") or "http://localhost:4318"
    url = base if urlsplit(base).path.strip("/") and endpoint else f"{base.rstrip('/')}/v1/metrics"
    if not endpoint:
        url = env.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") or url
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"push: expected http://HOST[:PORT][/PATH] or https://…; found {url!r}")
    words = env.get("OTEL_EXPORTER_OTLP_METRICS_HEADERS") or env.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    paths = {
        name: Path(given[name]) for name in ("buffer", "token_file", "ca_file") if given.get(name) is not None
    }
    made = Settings(url=url, **{"headers": parse_env_headers(words, liberal=True), **given, **paths})
    if not (made.every_s > 0 and made.timeout_s > 0 and made.buffer_bytes >= 1):
        raise ValueError(f"push: every_s and timeout_s are > 0, buffer_bytes is ≥ 1; found {made}")
    return made


class Told:
    """What a pusher says of itself; there is one for as long as the exporter."""

    def __init__(self) -> None:
        self.pushes = prometheus.Counter(
            "edgeobs_exporter_pushes_total",
            "Requests that were sent, refused for good, failed for now, or dropped as the buffer was full.",
            ["outcome"], registry=None,
        )  # fmt: skip
        for outcome in ("sent", "refused", "again", "dropped"):
            self.pushes.labels(outcome)
        self.rejected = prometheus.Counter(
            "edgeobs_exporter_push_rejected_points_total", "Points that a server left out.", registry=None
        )
        self.waiting = prometheus.Gauge(
            "edgeobs_exporter_push_waiting_bytes", "What waits to be sent.", registry=None
        )
        self.all = self.pushes, self.rejected, self.waiting


class Pusher:
    """Reads all that is exposed and sends it, from one thread.

    A new body goes straight out while nothing waits; only what could not be sent is written to disk.

    Parameters
    ----------
    service
        ``service.name``, unless OTEL_SERVICE_NAME says otherwise.
    settings
        Where to, how often, how much may wait.
    exposed, declared
        What is read, and what it is called in OTLP.
    told
        Where it counts.

    Raises
    ------
    OSError
        The buffer's folder cannot be used.

    """

    def __init__(
        self, service: str, settings: Settings, exposed: CollectorRegistry, declared: Mapping[str, Declared],
        told: Told,
    ) -> None:  # fmt: skip
        self.settings, self._exposed, self._declared, self._told = settings, exposed, declared, told
        self._resource = resource(service)
        self._scope = InstrumentationScope("edgeobs.exporter")
        self._start_ns = time.time_ns()
        self._spool: Spool = (
            MemorySpool(settings.buffer_bytes)
            if settings.buffer is None
            else DiskSpool(settings.buffer, settings.buffer_bytes)
        )
        self._post = Post(settings.url, settings.headers, settings.token_file, settings.ca_file)
        self._not_before, self._failures, self._dropped = 0.0, 0, 0
        self._spooling = threading.Lock()
        self._stopping = threading.Event()
        self._until = float("inf")
        self._thread = threading.Thread(target=self._run, name="exporter-push", daemon=True)

    def start(self) -> "Pusher":
        """Begin."""
        self._thread.start()
        return self

    def stop(self, within_s: float) -> None:
        """Send what there is, or keep it; ends within about that long."""
        self._until = time.monotonic() + within_s
        self._stopping.set()
        self._thread.join(within_s)
        if self._thread.is_alive():  # a server that does not answer; what it should have had is kept
            self._keep(self._body())

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            now = time.monotonic()
            if now >= due:
                self._offer(self._body())
                due = max(due + self.settings.every_s, time.monotonic())
            self._send_one()
            next_try = max(self._not_before, now + BETWEEN_S) if self._spool.size else due
            self._stopping.wait(min(due, next_try) - time.monotonic())
        self._not_before = 0.0
        while self._spool.size and self._left_s() > 0 and self._send_one():
            pass
        self._offer(self._body())

    def _body(self) -> bytes:
        try:
            families = list(self._exposed.collect())
            data = metrics_data(
                families, self._declared, self._resource, self._scope, time.time_ns(), self._start_ns
            )
            return gzip.compress(encode_metrics(data).SerializeToString(), 3)
        except Exception as error:  # noqa: BLE001  a collector of others that raises; the next time it may not
            warn("push: %s: %s", type(error).__name__, error)
            return b""

    def _offer(self, body: bytes) -> None:
        if not body:
            return
        ready = not self._spool.size and time.monotonic() >= self._not_before and self._left_s() > 0
        if not ready or self._send(body).what == "again":
            self._keep(body)

    def _keep(self, body: bytes) -> None:
        with self._spooling:
            self._spool.put(body)
            self._tell()

    def _send_one(self) -> bool:
        """Send the oldest that waits, when its time has come; whether the next may follow."""
        if time.monotonic() < self._not_before:
            return False
        with self._spooling:
            body = self._spool.oldest()
        if body is None or self._send(body).what == "again":
            return False
        with self._spooling:
            self._spool.done()
            self._tell()
        return True

    def _send(self, body: bytes) -> Verdict:
        answer = self._post(body, max(min(self.settings.timeout_s, self._left_s()), 0.1))
        verdict = judge(answer, self._failures, time.time(), random.random())  # noqa: S311  jitter
        self._told.pushes.labels(verdict.what).inc()
        self._told.rejected.inc(max(answer.rejected, 0))
        if answer.why and (verdict.what == "refused" or not self._failures):
            warn("push: %s: %s: %s", self.settings.url, verdict.what, answer.why)
        self._failures = self._failures + 1 if verdict.what == "again" else 0
        self._not_before = time.monotonic() + verdict.pause_s
        return verdict

    def _left_s(self) -> float:
        return self._until - time.monotonic()

    def _tell(self) -> None:
        self._told.waiting.set(self._spool.size)
        self._told.pushes.labels("dropped").inc(self._spool.dropped - self._dropped)
        self._dropped = self._spool.dropped


def resource(service: str) -> Resource:
    """Who tells: ``service.name``, ``host.name``; OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME win."""
    host = socket.gethostname()
    own = {"service.name": service, "host.name": host, "service.instance.id": host}
    return Resource.create({**own, **OTELResourceDetector().detect().attributes})
