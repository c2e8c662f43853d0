"""The Kubernetes API, read live and called: `edgeobs.calls.Api`."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import httpx

from edgeobs.calls import Answer, Call, Unreachable
from edgeobs.kube import trim
from edgeobs.kube.connection import Pace, exchange
from edgeobs.kube.pool import Pool
from edgeobs.kube.protocol import answer, request
from edgeobs.kube.resources import LEASES, RESOURCES, WORKLOADS, path, safe
from edgeobs.objects import Claim, Node, Pod, Ref, Workload

T = TypeVar("T")

_PAGE = "500"
_MAX_PAGES = 100  # of one node's pods


class Live:
    """Every read is the API server's most recent state. Thread-safe. Nothing is ever repeated.

    Parameters
    ----------
    http
        A client with the server's URL and our credentials.
    timeout_s
        How long an answer may take.
    pace
        Bound on requests per second; None: unbounded. A call counts but never waits: what was true when it
        was decided must not grow old here.
    cluster
        The name this cluster has in telemetry, given to every node.
    read_only
        Refuse every call: what answers is not the API server.

    """

    def __init__(
        self,
        http: httpx.Client,
        timeout_s: float,
        pace: Pace | None = None,
        cluster: str = "",
        *,
        read_only: bool = False,
    ) -> None:
        self._http, self._timeout_s, self._pace = http, timeout_s, pace
        self._cluster, self._read_only = cluster, read_only
        self._pool = Pool(4096)

    def node(self, name: str) -> Node | None:
        """A node with its Lease."""
        found = self._one(Ref("Node", "", name), partial(trim.node, cluster=self._cluster))
        if found is None:
            return None
        beat = self._one(Ref("Lease", LEASES, name), trim.beat)
        return replace(found, lease_ns=beat.renewed_ns) if beat and beat.of(found) else found

    def pods_of(self, node: str) -> list[Pod]:
        """All pods bound to a node, those that have run to their end too."""
        try:
            params = {"fieldSelector": f"spec.nodeName={safe(node)}", "limit": _PAGE}
        except ValueError as error:
            raise Unreachable(str(error)) from error
        pods: list[Pod] = []
        for _ in range(_MAX_PAGES):
            found = self.read(RESOURCES["Pod"].path(), params) or {}
            pods += [self._trimmed(trim.pod, each) for each in found.get("items") or ()]
            token = (found.get("metadata") or {}).get("continue")
            if not token:
                return pods
            params["continue"] = token
        raise Unreachable(f"node {node} has more than {_MAX_PAGES * int(_PAGE)} pods")

    def pod(self, namespace: str, name: str) -> Pod | None:
        """A pod."""
        return self._one(Ref("Pod", namespace, name), trim.pod)

    def workload(self, ref: Ref) -> Workload | None:
        """A workload; None for a kind that is none of ours, too: nobody knows how it recovers."""
        if ref.kind not in WORKLOADS:
            return None
        return self._one(ref, trim.workload(ref.kind, idle=True))

    def claim(self, namespace: str, name: str) -> Claim | None:
        """A claim with its volume's node affinity."""
        found = self._one(Ref("PersistentVolumeClaim", namespace, name), trim.claim)
        if found is None or not found.volume:
            return found
        volume = self._one(Ref("PersistentVolume", "", found.volume), trim.volume)
        return replace(found, node_affinity=((),) if volume is None else volume.node_affinity)

    def raw(self, ref: Ref) -> dict[str, Any] | None:
        """An object as the API has it."""
        return self.read(self._path(ref))

    def read(self, where: str, params: Mapping[str, str] | None = None) -> dict[str, Any] | None:
        """What a path answers; None for 404. Raises Unreachable for every other refusal."""
        self._wait()
        reply = exchange(self._http, "GET", where, params or {}, self._timeout_s)
        if reply.status == 404:
            return None
        if reply.status != 200:
            said = answer(reply.status, reply.retry_after, reply.body)
            raise Unreachable(f"GET {where}: {said.status} {said.reason}: {said.text}")
        try:
            found = json.loads(reply.body)
        except ValueError as error:
            raise Unreachable(f"GET {where}: the answer is no JSON: {error}") from error
        if not isinstance(found, dict):
            raise Unreachable(f"GET {where}: the answer is no object")
        return found

    def call(self, call: Call) -> Answer:
        """Carry out a mutation, once."""
        if self._read_only:
            return Answer(405, "MethodNotAllowed", "a MetaServer is read and never written")
        try:
            sent = request(call)
        except (ValueError, TypeError, AttributeError) as error:
            return Answer(400, "BadRequest", f"{call.says or call.verb}: {error}")
        try:
            if self._pace:
                self._pace.reserve()
            reply = exchange(
                self._http, sent.method, sent.path, sent.params, self._timeout_s, sent.body, sent.type
            )
        except Unreachable as error:
            return Answer(0, "", str(error))
        return answer(reply.status, reply.retry_after, reply.body)

    def _one(self, ref: Ref, how: trim.Trim[T]) -> T | None:
        found = self.read(self._path(ref))
        return None if found is None else self._trimmed(how, found)

    def _trimmed(self, how: trim.Trim[T], found: Mapping[str, Any]) -> T:
        try:
            return trim.named(how, found, self._pool)
        except ValueError as error:
            raise Unreachable(str(error)) from error

    def _path(self, ref: Ref) -> str:
        try:
            return path(ref)
        except ValueError as error:
            raise Unreachable(str(error)) from error

    def _wait(self) -> None:
        """Until our own bound lets a request go. Raises Unreachable where that would take too long."""
        pause = self._pace.reserve() if self._pace else 0.0
        if pause > self._timeout_s:
            raise Unreachable(f"our own bound of requests per second (qps) would hold this for {pause:.1f} s")
        if pause > 0:
            time.sleep(pause)
