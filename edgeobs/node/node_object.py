"""Writes conditions to this node's object in the API server: the newest alone, repeated until taken."""

import http.client
import json
import os
import random
import ssl
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from edgeobs.node.conditions import Condition, Conditions, known, patch, updated
from edgeobs.node.conditions import due as to_write
from edgeobs.node.health import CHECKS, Verdict

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes puts a pod's credentials."""
_LONGEST_ANSWER = 4 << 20  # a node with many images is some 100 KiB
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How the API server is reached; ``token_file`` is read again at every call, since tokens change."""

    url: str  # https://HOST:PORT
    token_file: str = ""
    ca_file: str = ""
    timeout_s: float = 10.0


def in_pod() -> Access | None:
    """As a pod's environment says; None: this is not one."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return None
    address = f"[{host}]" if ":" in host else host
    return Access(
        url=f"https://{address}:{port}", token_file=str(ACCOUNT / "token"), ca_file=str(ACCOUNT / "ca.crt")
    )


class NodeObject:
    """This node's conditions in the API server.

    ``counts`` has ``written`` and ``failed``; ``last_error`` says why, for people.

    Parameters
    ----------
    access
        How the API server is reached.
    name
        Of the Node.
    heartbeat_s
        Seconds after which what did not change is written again.

    """

    def __init__(self, access: Access, name: str, heartbeat_s: float) -> None:
        self.access, self.heartbeat_s = access, heartbeat_s
        self.counts: Counter[str] = Counter()
        self.last_error = ""
        self._path = f"/api/v1/nodes/{quote(name, safe='')}"
        self._newest: tuple[dict[str, Verdict], float] | None = None
        self._written: dict[str, Condition] | None = None  # None: the node was not read yet
        self._changed, self._stopping = threading.Condition(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="node-conditions", daemon=True)

    def start(self) -> "NodeObject":
        """Begin to write."""
        self._thread.start()
        return self

    def put(self, verdicts: dict[str, Verdict], now_s: float) -> None:
        """Take what the checks say at ``now_s``, Unix; never waits. What was not written yet is replaced."""
        with self._changed:
            self._newest = verdicts, now_s
            self._changed.notify()

    def stop(self, within_s: float = 1.0) -> None:
        """Stop, whatever was not written."""
        self._stopping.set()
        with self._changed:
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(within_s)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            with self._changed:
                while self._newest is None and not self._stopping.is_set():
                    self._changed.wait()
                newest, self._newest = self._newest, None
            if newest is None or self._stopping.is_set():
                continue
            try:
                self._write(*newest)
                failures = 0
            except (OSError, ValueError, http.client.HTTPException) as error:
                failures += 1
                self.counts["failed"] += 1
                self.last_error = f"{type(error).__name__}: {error}"
                with self._changed:
                    self._newest = self._newest or newest
                pause = min(_FIRST_PAUSE_S * 2 ** min(failures - 1, 10), _LONGEST_PAUSE_S)
                self._stopping.wait(pause * (0.5 + random.random() / 2))  # noqa: S311  jitter

    def _write(self, verdicts: dict[str, Verdict], now_s: float) -> None:
        if self._written is None:
            self._written = known(self._call("GET", self._path), {*verdicts, *CHECKS})
        wanted = updated(self._written, verdicts, now_s)
        now_due: Conditions = to_write(self._written, wanted, self.heartbeat_s)
        if now_due:
            self._call("PATCH", f"{self._path}/status?fieldManager=edgeobs-node", patch(now_due))
            self._written = {**self._written, **now_due}
            self.counts["written"] += 1

    def _call(self, method: str, path: str, body: object | None = None) -> dict[str, object]:
        """The answer's object; OSError with what the server said when it refused."""
        where = urlsplit(self.access.url)
        connection = self._connect(where.scheme, where.hostname or "", where.port)
        headers = {"Accept": "application/json", "User-Agent": "edgeobs-node"}
        if self.access.token_file:
            headers["Authorization"] = (
                f"Bearer {Path(self.access.token_file).read_text(encoding='utf-8').strip()}"
            )
        if body is not None:
            headers["Content-Type"] = "application/strategic-merge-patch+json"
        try:
            connection.request(
                method, where.path.rstrip("/") + path, None if body is None else json.dumps(body), headers
            )
            answer = connection.getresponse()
            text = answer.read(_LONGEST_ANSWER)
        finally:
            connection.close()
        if answer.status >= 300:
            raise OSError(f"{method} {path}: HTTP {answer.status}: {text[:200].decode('utf-8', 'replace')}")
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError(f"{method} {path}: not an object")
        return found

    def _connect(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        timeout = self.access.timeout_s
        if scheme == "https":
            context = ssl.create_default_context(cafile=self.access.ca_file or None)
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        return http.client.HTTPConnection(host, port, timeout=timeout)
