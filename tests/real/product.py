"""The whole product beside a real control plane: ``edgeobs serve`` with the permissions that are shipped."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from benchmarks.serving import Core, core
from tests.real.api import Api, Object
from tests.real.control_plane import Account, ControlPlane

DEPLOY = Path(__file__).parents[2] / "deploy/kubernetes"
RBAC = DEPLOY / "rbac.yaml"
OPTED_IN = {"edgeobs.io/remediation": "enabled"}
WIDE: dict[str, Any] = {
    "nodes_per_zone": 1_000_000, "cluster_share": 1.0, "per_hour": 1_000_000, "cooldown_s": 0, "approve": [],
}  # fmt: skip
"""Budgets that hold nothing up: what is tried is the way through, not how seldom it is gone."""


@contextmanager
def product(
    account: Account,
    remediate: Mapping[str, Any],
    folder: Path | None = None,
    kubernetes: Mapping[str, Any] | None = None,
    incidents: Mapping[str, Any] | None = None,
    web: Mapping[str, Any] | None = None,
) -> Iterator[Core]:
    """A core that acts on the cluster of an account, ready; sections of its configuration are given."""
    config = {
        "cluster": {
            "kind": "kubernetes",
            "kubernetes": {
                "kubeconfig": str(account.kubeconfig),
                "namespace": "edgeobs",
                **(kubernetes or {}),
            },
        },
        "remediate": dict(remediate),
        "incidents": dict(incidents or {}),
        "web": dict(web or {}),
    }
    with core(config, folder) as served:
        yield served


def deployment(
    name: str,
    namespace: str,
    replicas: int,
    annotations: Mapping[str, str] | None = None,
    pods: Mapping[str, str] = OPTED_IN,
    **spec: Any,
) -> Object:
    """One that opted in, of pods that hold nothing.

    ``pods`` are labels of theirs, ``spec`` goes into their own.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name, "namespace": namespace, "labels": OPTED_IN, "annotations": dict(annotations or {}),
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name, **pods}},
                "spec": {
                    "containers": [{"name": "main", "image": "main"}],
                    "terminationGracePeriodSeconds": 1,
                    **spec,
                },
            },
        },
    }  # fmt: skip


def running(api: Api, namespace: str, app: str) -> list[Object]:
    """Pods of a Deployment that run and are not to go."""
    pods = api.items(f"/api/v1/namespaces/{namespace}/pods", labelSelector=f"app={app}")
    return [
        p for p in pods if p["status"].get("phase") == "Running" and "deletionTimestamp" not in p["metadata"]
    ]


class Cordons:
    """When nodes were seen to be cordoned, by a watch of the administrator's, for as long as a ``with``.

    Attributes
    ----------
    seen_s
        Node → Unix seconds.

    """

    def __init__(self, plane: ControlPlane) -> None:
        self.seen_s: dict[str, float] = {}
        self._http = plane.api.http
        self._version = plane.api("GET", "/api/v1/nodes", limit=1)["metadata"]["resourceVersion"]
        self._thread = threading.Thread(target=self._run, name="cordons", daemon=True)
        self._over = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True

    def _run(self) -> None:
        query = {"watch": "1", "resourceVersion": self._version, "timeoutSeconds": "3600"}
        try:
            with self._http.stream("GET", "/api/v1/nodes", params=query, timeout=None) as answer:
                for line in answer.iter_lines():
                    if self._over:
                        return
                    now, found = time.time(), json.loads(line)["object"]
                    if found.get("spec", {}).get("unschedulable"):
                        self.seen_s.setdefault(found["metadata"]["name"], now)
        except httpx.TransportError:  # the control plane ends
            return
