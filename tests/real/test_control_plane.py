"""The harness does what the tests that stand on it believe."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.real.api import Api, Object, wait
from tests.real.control_plane import ControlPlane, ControlPlaneError
from tests.real.nodes import Nodes

pytestmark = pytest.mark.real

RBAC = """
apiVersion: v1
kind: Namespace
metadata: {name: watching}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: watcher, namespace: watching}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: watcher}
rules: [{apiGroups: [""], resources: [nodes], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: watcher}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: watcher}
subjects: [{kind: ServiceAccount, name: watcher, namespace: watching}]
"""


def deployment(namespace: str, replicas: int) -> Object:
    labels = {"app": "web"}
    container = {"name": "web", "image": "web", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "web", "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def running(api: Api, namespace: str, count: int) -> list[Object]:
    """The pods, once as many as asked for are Ready and none is on its way out."""

    def found() -> list[Object]:
        pods = api.items(f"/api/v1/namespaces/{namespace}/pods")
        return pods if len(pods) == count and all(map(is_ready, pods)) else []

    return wait(f"{count} pods are Ready", found)


def is_ready(pod: Object) -> bool:
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def test_twenty_pods_run_on_nine_nodes_and_a_drain_moves_them(
    control_plane: ControlPlane, api: Api, nodes: Nodes, namespace: str
) -> None:
    names = nodes.fleet({"a": 3, "b": 3, "c": 3})
    assert names == ["a-1", "a-2", "a-3", "b-1", "b-2", "b-3", "c-1", "c-2", "c-3"]
    api.apply(deployment(namespace, 20))
    pods = running(api, namespace, 20)
    places = [pod["spec"]["nodeName"] for pod in pods]
    assert set(places) == set(names)
    left = {pod["metadata"]["uid"] for pod in pods if pod["spec"]["nodeName"] == "b-2"}

    said = control_plane.kubectl("drain", "b-2", "--timeout=30s")

    assert said.count("evicted") == len(left) > 0
    pods = running(api, namespace, 20)
    assert "b-2" not in {pod["spec"]["nodeName"] for pod in pods}
    assert not left & {pod["metadata"]["uid"] for pod in pods}


def test_a_dead_node_is_not_ready_and_removes_no_pod_until_it_is_back(
    api: Api, nodes: Nodes, namespace: str
) -> None:
    nodes.fleet({"a": 1, "b": 1})
    api.apply(deployment(namespace, 4))
    pods = running(api, namespace, 4)
    victim = next(pod["metadata"]["name"] for pod in pods if pod["spec"]["nodeName"] == "a-1")
    last_heard = nodes.renewed("a-1")

    nodes.kill("a-1")

    wait("a-1 is not heard of", lambda: nodes.ready("a-1") == "Unknown")
    assert nodes.ready("b-1") == "True"
    assert nodes.renewed("b-1") > last_heard
    wait("its pods are taken for not ready", lambda: not on_node(api, namespace, "a-1"))
    api.delete(f"/api/v1/namespaces/{namespace}/pods/{victim}")
    wait("another takes its place", lambda: len(on_node(api, namespace, "b-1")) == 3)
    kept = api("GET", f"/api/v1/namespaces/{namespace}/pods/{victim}")
    assert "deletionTimestamp" in kept["metadata"]

    nodes.revive("a-1")

    nodes.wait_ready(["a-1"])
    wait("the pod is removed", lambda: len(api.items(f"/api/v1/namespaces/{namespace}/pods")) == 4)
    wait("those that are left are Ready again", lambda: on_node(api, namespace, "a-1"))


def on_node(api: Api, namespace: str, node: str) -> list[Object]:
    """Its pods that are Ready."""
    found = api.items(f"/api/v1/namespaces/{namespace}/pods", fieldSelector=f"spec.nodeName={node}")
    return list(filter(is_ready, found))


def test_a_zone_goes_dark_and_comes_back(nodes: Nodes) -> None:
    names = nodes.fleet({"a": 3, "b": 2})
    dark = nodes.of_zone("a")
    assert dark == ["a-1", "a-2", "a-3"]
    nodes.kill(*dark)
    wait("the zone is dark", lambda: [nodes.ready(name) for name in dark] == ["Unknown"] * 3)
    assert [nodes.ready(name) for name in names[3:]] == ["True"] * 2
    nodes.revive(*dark)
    nodes.wait_ready(names)


def test_an_account_may_do_what_its_role_says_and_is_audited(
    control_plane: ControlPlane, nodes: Nodes, tmp_path: Path
) -> None:
    nodes.add("a-1", "a")
    manifests = tmp_path / "rbac.yaml"
    manifests.write_text(RBAC)

    account = control_plane.account(manifests)

    with Api(control_plane.server, control_plane.certificate, account.token) as theirs:
        assert [node["metadata"]["name"] for node in theirs.items("/api/v1/nodes")] == ["a-1"]
        with pytest.raises(httpx.HTTPStatusError, match="cannot delete resource") as refused:
            theirs.delete("/api/v1/nodes/a-1")
    assert refused.value.response.status_code == 403
    events = wait("the audit log has both", lambda: both(control_plane.audit(account.name)))
    assert [
        (event["verb"], event["objectRef"]["resource"], event["responseStatus"]["code"]) for event in events
    ] == [
        ("list", "nodes", 200),
        ("delete", "nodes", 403),
    ]
    assert account.name in control_plane.kubectl("auth", "whoami", kubeconfig=account.kubeconfig)


def both(events: list[Object]) -> list[Object]:
    return events if len(events) == 2 else []


def test_what_ends_at_once_is_named_with_what_it_said(control_plane: ControlPlane, tmp_path: Path) -> None:
    parts = control_plane.parts
    broken = tmp_path / "kube-apiserver"
    broken.write_text("#!/bin/sh\necho no such flag >&2\nexit 1\n")
    broken.chmod(0o755)
    parts = dataclasses.replace(parts, programs={**parts.programs, "kube-apiserver": broken})
    with (
        pytest.raises(ControlPlaneError, match="kube-apiserver ended:\nno such flag"),
        ControlPlane(parts=parts),
    ):
        pass


def test_nothing_outlives_a_run_that_is_killed(control_plane: ControlPlane, tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from tests.real.control_plane import ControlPlane
ControlPlane(Path({str(tmp_path)!r})).__enter__()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program], env=environment) as process:
        try:
            started = wait("two programs run", lambda: programs(process.pid, "etcd", "kube-apiserver"))
        finally:
            process.kill()
    wait("they ended", lambda: not [each for each in started if each.is_running()])
    assert control_plane.api("GET", "/version")["gitVersion"]


def programs(parent: int, *names: str) -> list[psutil.Process]:
    found = [child for child in psutil.Process(parent).children() if child.name() in names]
    return found if len(found) == len(names) else []
