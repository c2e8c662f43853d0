"""The manifests that are shipped, as a real API server takes them."""

from pathlib import Path

import pytest
import yaml

from edgeobs.config import load
from tests.real.api import Api, documents
from tests.real.control_plane import ControlPlane
from tests.real.product import DEPLOY, RBAC

pytestmark = pytest.mark.real

MANIFEST = DEPLOY / "edgeobs.yaml"


def test_the_api_server_takes_every_object(control_plane: ControlPlane) -> None:
    control_plane.account(RBAC)  # with the namespace
    for each in documents(MANIFEST):
        control_plane.api.path(each)  # a kind that it has
    said = control_plane.kubectl(
        "apply", "--dry-run=server", "--server-side", "--validate=strict", "-f", str(MANIFEST)
    )
    assert len(said.splitlines()) == len(list(documents(MANIFEST)))


def test_the_pods_stand_the_strictest_pod_security(api: Api, control_plane: ControlPlane) -> None:
    control_plane.account(RBAC)
    (pods,) = (each["spec"]["template"] for each in documents(MANIFEST) if each["kind"] == "StatefulSet")
    strict = {"pod-security.kubernetes.io/enforce": "restricted"}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "strict", "labels": strict}}
    api.apply(space)
    api.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "edgeobs", "namespace": "strict"}}
    )
    spec = pods["spec"] | {"volumes": [*pods["spec"]["volumes"], {"name": "data", "emptyDir": {}}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": spec}
    try:
        api("POST", "/api/v1/namespaces/strict/pods", pod, dryRun="All")
    finally:
        api.delete("/api/v1/namespaces/strict")


def test_the_configuration_in_it_can_be_used(tmp_path: Path) -> None:
    (found,) = (each["data"] for each in documents(MANIFEST) if each["kind"] == "ConfigMap")
    file = tmp_path / "edgeobs.yaml"
    file.write_text(found["edgeobs.yaml"])
    config = load(file)
    assert config.cluster.kind == "kubernetes"
    assert config.remediate.dry_run
    assert yaml.safe_load(found["edgeobs.yaml"])["web"]["token_file"]
