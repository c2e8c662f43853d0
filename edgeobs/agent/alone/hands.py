"""The only place that does anything: a unit restarted through systemctl, a pod through MetaServer.

Nothing here decides whether it may be, but for what only a look at the pod can tell.
"""

import http.client
import json
import os
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from edgeobs.agent.alone.deeds import Result
from edgeobs.agent.alone.pods import named, refusal
from edgeobs.remediate import Settings as GuardSettings

_MOST_BYTES = 8 << 20  # of an answer
_PIECE = 65_536
_LONGEST = 300  # characters of what was said


@dataclass(frozen=True, slots=True)
class Hands:
    """Called by a thread of its own, for it waits. Nothing is ever repeated, and nothing raises.

    Parameters
    ----------
    node
        This one, as Kubernetes calls it.
    timeout_s
        How long an action may take, seconds.
    metaserver_url
        ``http://127.0.0.1:10550``.
    guard
        What opting in is, of pods.
    still
        Whether the core is still silent: asked again where something took time.

    """

    node: str
    timeout_s: float
    metaserver_url: str
    guard: GuardSettings
    still: Callable[[], bool] = lambda: True

    def do(self, kind: str, target: str) -> Result:
        """One action. ``target`` was checked against the allow-list."""
        try:
            if kind == "restart_unit":
                return self._unit(target)
            if kind == "restart_pod":
                return self._pod(target)
        except Exception as error:  # noqa: BLE001  whatever it is, it was in the middle of something
            return Result("unknown", f"{type(error).__name__}: {error}"[:_LONGEST])
        return Result("refused", f"there is no action {kind!r:.40}")

    def _unit(self, unit: str) -> Result:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "SYSTEMD_COLORS": "0"}
        command = ["systemctl", "--no-ask-password", "restart", unit]
        try:
            done = subprocess.run(  # noqa: S603  an exact name from the configuration, and no shell
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, timeout=self.timeout_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Result("unknown", f"systemctl did not end within {self.timeout_s:g} s")
        except OSError as error:
            return Result("failed", f"systemctl: {error.strerror or error}")
        if done.returncode == 0:
            return Result("done")
        said = " ".join(done.stderr.decode(errors="replace").split())
        return Result("failed", f"systemctl ended with status {done.returncode}: {said}"[:_LONGEST])

    def _pod(self, target: str) -> Result:
        namespace, name = named(target)
        until = time.monotonic() + self.timeout_s
        where = f"/api/v1/namespaces/{namespace}/pods"
        try:
            status, body = self._ask("GET", where, b"", until)
            found = (json.loads(body)["items"] or []) if status == 200 else []
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            return Result("failed", f"MetaServer: {type(error).__name__}: {error}"[:_LONGEST])
        if status != 200:
            return Result("failed", f"MetaServer answers {status} to GET {where}")
        why = refusal(found, target, self.node, self.guard)
        if why or not self.still():
            return Result("refused", why or "the core is back")
        if time.monotonic() >= until:
            return Result("failed", f"MetaServer took all of {self.timeout_s:g} s to say what there is")
        # Not a deletion: without the cloud MetaServer takes none, and nobody would bring the pod back. This
        # has the runtime stop its containers, and by the kubelet's own rules they start again.
        try:
            status, body = self._ask("POST", f"{where}/restart", json.dumps([name]).encode(), until)
        except (OSError, http.client.HTTPException) as error:
            return Result("unknown", f"MetaServer: {type(error).__name__}: {error}"[:_LONGEST])
        return _restarted(status, body)

    def _ask(self, method: str, path: str, body: bytes, until: float) -> tuple[int, bytes]:
        url, left = urlsplit(self.metaserver_url), until - time.monotonic()
        if left <= 0:
            raise TimeoutError("there is no time left")
        host, port = url.hostname or "", url.port
        connection = (
            http.client.HTTPSConnection(host, port, timeout=left, context=ssl.create_default_context())
            if url.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=left)
        )
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(method, url.path.rstrip("/") + path, body or None, headers)
            response = connection.getresponse()
            said = _read(connection, response, until)
        finally:
            connection.close()
        if len(said) > _MOST_BYTES:
            raise ValueError(f"an answer of more than {_MOST_BYTES} bytes")
        return response.status, said


def _read(connection: http.client.HTTPConnection, response: http.client.HTTPResponse, until: float) -> bytes:
    """The body, in pieces: a timeout is of each, and one that drips must end too."""
    said = bytearray()
    while len(said) <= _MOST_BYTES:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("there is no time left")
        if connection.sock is not None:  # http.client lets go of it where the answer ends the connection
            connection.sock.settimeout(left)
        piece = response.read1(_PIECE)
        if not piece:
            break
        said += piece
    return bytes(said)


def _restarted(status: int, body: bytes) -> Result:
    """MetaServer answers 200 with lists of messages, errors under a name that begins with ``err``."""
    if status != 200:
        return Result(
            "failed", f"MetaServer answers {status}: {body[:_LONGEST].decode(errors='replace')}"[:_LONGEST]
        )
    try:
        found: Any = json.loads(body)
        wrong = [
            each for key, value in found.items() if key.lower().startswith("err") for each in value or ()
        ]
    except (ValueError, AttributeError, TypeError):
        return Result("unknown", f"MetaServer answers {body[:100].decode(errors='replace')}")
    return Result("failed", "; ".join(map(str, wrong))[:_LONGEST]) if wrong else Result("done")
