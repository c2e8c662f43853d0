"""What a node's checks found, as conditions on its Node, through a real API server and by what is shipped."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from edgeobs.node.health import CHECKS, Verdict
from edgeobs.node.node_object import Access, NodeObject
from tests.node.boards import unpack
from tests.real.api import Api, documents, wait
from tests.real.control_plane import ControlPlane
from tests.real.nodes import Nodes
from tests.real.product import DEPLOY, RBAC

pytestmark = pytest.mark.real

MANIFEST = DEPLOY / "node.yaml"
STRATEGIC = "application/strategic-merge-patch+json"
BAD, GOOD = Verdict("True", "DiskFullSoon", "/ is full"), Verdict("False", "DisksHaveRoom", "there is room")
Mint = Callable[[str], Access]


@pytest.fixture
def mint(control_plane: ControlPlane, api: Api, nodes: Nodes, tmp_path: Path) -> Iterator[Mint]:
    """A token of our account as a pod on a node has it; two nodes are there, and what is shipped holds."""
    control_plane.account(RBAC)  # for the namespace
    api.apply(
        "---\n".join(yaml.safe_dump(each) for each in documents(MANIFEST) if each["kind"] != "DaemonSet")
    )
    nodes.fleet({"a": 2})
    pods = "/api/v1/namespaces/edgeobs/pods"

    def access(node: str) -> Access:
        name = f"node-of-{node or 'none'}"
        spec: dict[str, Any] = {"expirationSeconds": 3600}
        if node:
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": "edgeobs"},
                "spec": {
                    "serviceAccountName": "edgeobs-node",
                    "nodeName": node,
                    "containers": [{"name": "node", "image": "edgeobs"}],
                },
            }
            made = api("POST", pods, pod)
            bound = {"kind": "Pod", "apiVersion": "v1", "name": name, "uid": made["metadata"]["uid"]}
            spec["boundObjectRef"] = bound
        path = "/api/v1/namespaces/edgeobs/serviceaccounts/edgeobs-node/token"
        token = tmp_path / name
        token.write_text(api("POST", path, {"spec": spec})["status"]["token"])
        return Access(url=control_plane.server, token_file=str(token), ca_file=str(control_plane.certificate))

    yield access
    api.delete(pods, gracePeriodSeconds=0)


def conditions(api: Api, node: str) -> dict[str, dict[str, str]]:
    found = api("GET", f"/api/v1/nodes/{node}")["status"]["conditions"]
    return {each["type"]: each for each in found}


def status(api: Api, node: str, kind: str) -> str:
    return conditions(api, node).get(kind, {}).get("status", "")


def test_conditions_come_and_change_beside_those_of_the_kubelet(mint: Mint, api: Api) -> None:
    access, kubelets = mint("a-1"), conditions(api, "a-1")
    node = NodeObject(access, "a-1", 300).start()
    try:
        node.put({"DiskFullSoon": BAD}, 1_700_000_000.5)
        wait("it is told", lambda: "DiskFullSoon" in conditions(api, "a-1"))
        told = conditions(api, "a-1")
        assert told["DiskFullSoon"] == {
            "type": "DiskFullSoon",
            "status": "True",
            "reason": "DiskFullSoon",
            "message": "/ is full",
            "lastTransitionTime": "2023-11-14T22:13:20Z",
            "lastHeartbeatTime": "2023-11-14T22:13:20Z",
        }
        assert told.keys() == {*kubelets, "DiskFullSoon"}
        assert told["Ready"]["status"] == kubelets["Ready"]["status"] == "True"
    finally:
        node.stop(10)
    again = NodeObject(access, "a-1", 300).start()  # a restart: it asks what it said
    try:
        again.put({"DiskFullSoon": BAD}, 1_700_000_400.0)
        wait("it beats", lambda: again.counts["written"] == 1)
        told = conditions(api, "a-1")
        assert told["DiskFullSoon"]["lastTransitionTime"] == "2023-11-14T22:13:20Z"
        assert told["DiskFullSoon"]["lastHeartbeatTime"] == "2023-11-14T22:20:00Z"
        again.put({"DiskFullSoon": GOOD}, 1_700_000_500.0)
        wait("it is over", lambda: conditions(api, "a-1")["DiskFullSoon"]["status"] == "False")
    finally:
        again.stop(10)


def test_a_pod_may_tell_of_its_own_node_alone_and_of_nothing_else(
    mint: Mint, api: Api, control_plane: ControlPlane
) -> None:
    access = mint("a-1")
    own, other, ready = (
        {"status": {"conditions": [{"type": kind, "status": "True", "reason": "Tried", "message": "m"}]}}
        for kind in ("ClockSkew", "ClockSkew", "Ready")
    )

    def tried(token: str, node: str, body: dict[str, Any]) -> tuple[int, str]:
        with Api(control_plane.server, control_plane.certificate, Path(token).read_text()) as its:
            try:
                its("PATCH", f"/api/v1/nodes/{node}/status", body, STRATEGIC)
            except httpx.HTTPStatusError as error:
                return error.response.status_code, error.response.text
        return 200, ""

    def refused() -> bool:
        return tried(access.token_file, "a-2", other)[0] == 422

    wait("the policy holds", refused)
    assert "its own node alone" in tried(access.token_file, "a-2", other)[1]
    assert tried(access.token_file, "a-1", own)[0] == 200
    ready["status"]["conditions"][0]["status"] = "False"
    assert "own conditions" in tried(access.token_file, "a-1", ready)[1]
    assert "only conditions" in tried(access.token_file, "a-1", {"status": {"capacity": {"cpu": "64"}}})[1]
    assert tried(mint("").token_file, "a-1", own)[0] == 422  # a token of no pod
    assert conditions(api, "a-1")["Ready"]["status"] == "True"
    assert api("GET", "/api/v1/nodes/a-1")["status"]["capacity"]["cpu"] == "4"


def test_the_program_tells_what_is_wrong_with_a_board(mint: Mint, api: Api, tmp_path: Path) -> None:
    access = mint("a-2")
    root = unpack("raspberry", tmp_path / "board")
    where = ["--api", access.url, "--api-token-file", access.token_file, "--api-ca-file", access.ca_file]
    command = [sys.executable, "-m", "edgeobs.node", f"--root={root}", "--url=", "--listen=127.0.0.1:0"]
    environment = {**os.environ, "NODE_NAME": "a-2"}
    with subprocess.Popen([*command, "--conditions", *where], env=environment) as child:
        try:
            wait("it is told", lambda: status(api, "a-2", "ReadonlyFilesystem") == "True", within_s=90)
        finally:
            child.terminate()
    assert child.returncode == 0
    told = {kind: each["status"] for kind, each in conditions(api, "a-2").items()}
    assert told["ReadonlyFilesystem"] == told["ThermalThrottling"] == told["GatewayUnreachable"] == "True"
    assert told["KernelDeadlock"] == told["DiskFullSoon"] == "False"
    assert "StorageWorn" not in told  # its SD card does not tell


def test_the_api_server_takes_every_object_and_the_policy_names_every_check(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    control_plane.account(RBAC)
    (policy,) = (each for each in documents(MANIFEST) if each["kind"] == "ValidatingAdmissionPolicy")
    (own,) = (each["expression"] for each in policy["spec"]["variables"] if each["name"] == "own")
    assert yaml.safe_load(own) == list(CHECKS)
    file = tmp_path / "node.yaml"
    line = "            privileged: true     # for /dev/kmsg; without it all but the kernel's log is told\n"
    assert line in MANIFEST.read_text()
    file.write_text(MANIFEST.read_text().replace(line, ""))  # this API server takes no privileged pod
    how = ("--dry-run=server", "--server-side", "--force-conflicts", "--validate=strict")
    said = control_plane.kubectl("apply", *how, "-f", str(file))
    assert len(said.splitlines()) == len(list(documents(MANIFEST)))
