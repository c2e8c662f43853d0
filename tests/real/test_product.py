"""The whole product beside a real control plane: ``edgeobs serve``, its own permissions, telemetry."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from benchmarks.serving import Core
from edgeobs.remediate import marks
from edgeobs.remediate.procedures import PROCEDURES
from tests.real import permissions
from tests.real.api import Api, Object, wait
from tests.real.conftest import none_left
from tests.real.control_plane import ControlPlane
from tests.real.nodes import LEASES, Nodes
from tests.real.product import OPTED_IN, RBAC, WIDE, deployment, product, running
from tests.real.site import Site

pytestmark = pytest.mark.real

KUBERNETES = {"stale_s": 10, "lease_s": 4, "renew_s": 2.5, "retry_s": 0.3, "timeout_s": 1.4, "qps": 200}
"""Quick to lead and to notice; a cache is confirmed within 5 s."""
CALM = {"hold_s": 5.0}
LIVE: dict[str, Any] = {
    "dry_run": False, "live": ["notify", "annotate", "cordon", "taint", "reschedule", "release", "failover"],
    "verify_s": 5.0, "undo_after_s": 1.0, "lease_dead_s": 10.0, "keep_free": 0.0, **WIDE,
    "ladders": {
        "disk_failing": [{"verb": v} for v in ("notify", "annotate", "cordon", "failover", "reschedule")],
        "node_silent": [{"verb": "cordon"}, {"verb": "release"}],
    },
}  # fmt: skip
DISK, DEAD, FIRST = "d-1", "m-1", "f-1"
ZONES = {FIRST: "f", DISK: "d", "d-2": "d", "e-1": "e", "e-2": "e", DEAD: "m", "m-2": "m", "m-3": "m"}
TOKEN = "a token of the tests' own"
SPACE = "product"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/edgeobs/leases/edgeobs"


class Story(NamedTuple):
    """What was seen while a disk failed and a node died."""

    cordoned: Object  # the node with the failing disk, cordoned
    described: str  # the same, by `kubectl describe node`
    uncordoned: Object  # and once its disk was well again
    moved_from: set[str]  # nodes of the pods that were to be rescheduled, afterwards
    shop: dict[str, Object]  # the Deployments and the Service that failed over
    released_s: float  # from the death of the other node to its pods' release
    elsewhere: list[Object]  # its pods that run afterwards
    audit: list[Object]  # what the API server noted of us
    operations: list[Object]


@pytest.fixture(scope="module")
def story(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Told once for all tests: most of it is waiting."""
    api, folder = control_plane.api, tmp_path_factory.mktemp("product")
    (folder / "token").write_text(TOKEN)
    with _site(control_plane):
        account = control_plane.account(RBAC)
        api.delete(LEASE)  # of another test's leader: making it is part of the story
        began = len(control_plane.audit(account.name))
        with (
            product(account, LIVE, folder, KUBERNETES, CALM, {"token_file": str(folder / "token")}) as served,
            Site(served.http_port, ZONES, 0.1) as site,
        ):
            site.warm()
            site.fail(FIRST)  # the first of a new leader waits until the cluster was read anew
            wait("it acts", lambda: _cordoned(api, FIRST), 40)
            try:
                found = _tell(control_plane, served, site)
            except TimeoutError as error:
                told = "\n".join(o["text"] for o in _get(served, "operations"))
                raise TimeoutError(f"{error}\n{told}") from error
            _pause(served)
        return found._replace(audit=control_plane.audit(account.name)[began:])


def _tell(plane: ControlPlane, served: Core, site: Site) -> Story:
    api, nodes = plane.api, Nodes(plane.api)
    here = {p["metadata"]["uid"] for p in running(api, SPACE, "mortal") if p["spec"]["nodeName"] == DEAD}
    assert here
    site.silence(DEAD)
    nodes.kill(DEAD)
    died = time.monotonic()
    site.fail(DISK)
    wait("the node with the failing disk is cordoned", lambda: _cordoned(api, DISK), 20)
    wait("its pods are elsewhere", lambda: _nodes_of(api, "web") and DISK not in _nodes_of(api, "web"), 60)
    wait("the shop is open elsewhere", lambda: _replicas(api, "shop") == 0, 60)
    wait("all is told", lambda: "EdgeobsCordonVerifying" in plane.kubectl("describe", "node", DISK))
    cordoned, described = api("GET", f"/api/v1/nodes/{DISK}"), plane.kubectl("describe", "node", DISK)
    moved_from = _nodes_of(api, "web")
    shop = {
        name: api("GET", path)
        for name, path in {
            "from": f"/apis/apps/v1/namespaces/{SPACE}/deployments/shop",
            "to": f"/apis/apps/v1/namespaces/{SPACE}/deployments/shop-e",
            "service": f"/api/v1/namespaces/{SPACE}/services/shop",
        }.items()
    }
    site.heal(DISK, FIRST)
    wait("it is uncordoned", lambda: not _cordoned(api, DISK), 60)
    uncordoned = api("GET", f"/api/v1/nodes/{DISK}")

    def released() -> bool:
        pods = api.items(f"/api/v1/namespaces/{SPACE}/pods", labelSelector="app=mortal")
        return not here & {p["metadata"]["uid"] for p in pods if "deletionTimestamp" not in p["metadata"]}

    wait("the dead node's pods are released", released, 90)
    took = time.monotonic() - died
    wait("they run elsewhere", lambda: len(running(api, SPACE, "mortal")) == 6, 30)
    elsewhere = running(api, SPACE, "mortal")
    operations = _get(served, "operations")
    return Story(cordoned, described, uncordoned, moved_from, shop, took, elsewhere, [], operations)


def test_a_failing_disk_is_cordoned_with_our_marks(story: Story) -> None:
    node = story.cordoned
    notes = node["metadata"]["annotations"]
    incident = notes["edgeobs.io/incident"]
    assert node["spec"]["unschedulable"]
    assert {"key": "edgeobs.io/remediation", "value": incident, "effect": "NoSchedule"} in node["spec"][
        "taints"
    ]
    assert "its disk is failing" in notes["edgeobs.io/reason"]
    assert incident in notes["edgeobs.io/note"]
    by = {each["manager"] for each in node["metadata"]["managedFields"] if "f:unschedulable" in str(each)}
    assert by == {"edgeobs"}


def test_describe_tells_the_story(story: Story) -> None:
    for word in ("EdgeobsRemediation", "EdgeobsIncident", "EdgeobsCordonWorking", "its disk is failing"):
        assert word in story.described


def test_once_it_is_over_the_node_is_as_it_was(story: Story) -> None:
    node = story.uncordoned
    assert not node["spec"].get("unschedulable")
    assert not [t for t in node["spec"].get("taints", ()) if t["key"].startswith("edgeobs.io/")]
    ours = {key for key in node["metadata"]["annotations"] if key.startswith("edgeobs.io/")}
    assert ours <= {"edgeobs.io/since", "edgeobs.io/note"}
    done = {(o["verb"], o["state"]) for o in story.operations if o["target"]["node"] == DISK}
    assert ("uncordon", "done") in done
    assert ("cordon", "undone") in done


def test_pods_that_opted_in_leave_the_failing_node(story: Story) -> None:
    assert story.moved_from
    assert DISK not in story.moved_from


def test_a_workload_fails_over_with_its_service(story: Story) -> None:
    assert story.shop["from"]["spec"]["replicas"] == 0
    assert story.shop["to"]["spec"]["replicas"] == 2
    assert story.shop["service"]["spec"]["selector"] == {"app": "shop-e"}


def test_a_dead_nodes_pods_run_elsewhere_within_a_minute(story: Story) -> None:
    assert story.released_s < 60
    assert {pod["spec"]["nodeName"] for pod in story.elsewhere} <= {"m-2", "m-3"}


def test_the_permissions_shipped_are_those_that_are_used(story: Story) -> None:
    granted = permissions.granted(RBAC)
    assert permissions.denied(story.audit) == []
    used, beyond = permissions.used(story.audit, granted)
    assert beyond == []
    assert [" ".join(filter(None, each)) for each in sorted(granted - used)] == []


def test_every_verb_that_changes_the_cluster_was_part_of_it(story: Story) -> None:
    """What is not live here changes nothing that another verb does not change too."""
    done = {each["verb"] for each in story.operations if each["state"] not in {"cancelled", "failed"}}
    same = {"drain", "taint", "failback", "playbook"}
    assert done >= PROCEDURES.keys() - same


def test_a_dry_run_changes_nothing(control_plane: ControlPlane, tmp_path: Path) -> None:
    api = control_plane.api
    with _site(control_plane):
        account = control_plane.account(RBAC)
        before, began = _pods(api), len(control_plane.audit(account.name))
        with (
            product(account, {**WIDE, "dry_run": True}, tmp_path, KUBERNETES, CALM) as served,
            Site(served.http_port, ZONES, 0.1) as site,
        ):
            site.warm()
            site.fail(DISK)
            wait("it would act", lambda: _allowed(served, DISK), 40)
            time.sleep(2 * KUBERNETES["retry_s"])
        assert _pods(api) == before
        assert _written_by_us(api) == set()
        changes = [e for e in control_plane.audit(account.name)[began:] if e["verb"] not in permissions.READS]
        assert {e["objectRef"]["resource"] for e in changes} <= {"leases"}
        assert {e["objectRef"]["namespace"] for e in changes} <= {"edgeobs"}


def test_permissions_taken_away_in_the_middle_hold_it_and_given_back_it_goes_on(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    api = control_plane.api
    binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/edgeobs"
    with _site(control_plane):
        account = control_plane.account(RBAC)
        with (
            product(account, LIVE, tmp_path, KUBERNETES, CALM) as served,
            Site(served.http_port, ZONES, 0.1) as site,
        ):
            site.warm()
            site.fail(FIRST)
            wait("it acts", lambda: _cordoned(api, FIRST), 40)
            assert api.delete(binding)
            try:
                site.fail(DISK)
                wait(
                    "it says why not",
                    lambda: "403" in _reasons(served) or "cluster as of" in _reasons(served),
                    40,
                )
                assert not _cordoned(api, DISK)
            finally:
                control_plane.account(RBAC)
            wait("it goes on", lambda: _cordoned(api, DISK), 90)


@contextmanager
def _site(plane: ControlPlane) -> Iterator[None]:
    """Nodes and workloads; gone afterwards."""
    api = plane.api
    nodes = Nodes(api)
    for name, zone in ZONES.items():
        nodes.add(name, zone, OPTED_IN | {"pool": zone})
    try:
        nodes.wait_ready(list(ZONES))
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
        accounts = f"/api/v1/namespaces/{SPACE}/serviceaccounts"
        wait(f"{SPACE} has an account", lambda: api.items(accounts))
        _workloads(api)
        yield
    finally:
        wait("all pods are gone", lambda: _clear(api), 60)
        api.delete("/api/v1/nodes")
        api.delete(LEASES)
        plane.new_kubelets()


def _workloads(api: Api) -> None:
    """Two pods of each of web and shop on the node whose disk fails, and two of mortal on each of three."""
    first = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 100, "preference": {"matchExpressions": [
            {"key": "kubernetes.io/hostname", "operator": "In", "values": [DISK]}]}}]}}  # fmt: skip
    to = {"edgeobs.io/failover-to": "shop-e", "edgeobs.io/failover-service": "shop"}
    api.apply(deployment("web", SPACE, 2, nodeSelector={"pool": "d"}, affinity=first))
    api.apply(deployment("shop", SPACE, 2, to, {}, nodeSelector={"kubernetes.io/hostname": DISK}))
    api.apply(deployment("shop-e", SPACE, 0, nodeSelector={"pool": "e"}))
    api.apply(deployment("mortal", SPACE, 6, nodeSelector={"pool": "m"}))
    api.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "shop", "namespace": SPACE},
            "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80}]},
        }
    )
    for name, number in {"web": 2, "shop": 2, "mortal": 6}.items():
        wait(f"{name} runs", lambda name=name, number=number: len(running(api, SPACE, name)) == number)  # type: ignore[misc]


def _clear(api: Api) -> bool:
    api.delete(f"/apis/apps/v1/namespaces/{SPACE}/deployments")
    api.delete(f"/api/v1/namespaces/{SPACE}/services/shop")
    return none_left(api, f"/api/v1/namespaces/{SPACE}/pods")


def _get(served: Core, path: str) -> list[Object]:
    """A list of the page's API."""
    with _page(served) as http:
        found: list[Object] = http.get(f"/api/v1/{path}").raise_for_status().json()
        return found


def _pause(served: Core) -> None:
    """And resume, as a person would by the API: so the ConfigMap is made, and then changed."""
    with _page(served) as http:
        for word in ("pause", "resume"):
            wait(f"{word} is heard", lambda word=word: _said(http, word))  # type: ignore[misc]


def _said(http: httpx.Client, word: str) -> bool:
    """False: it was said too soon after another word."""
    answer = http.post(f"/api/v1/remediation/{word}", json={"why": "tried"})
    assert answer.status_code in (200, 429), answer.text
    return answer.is_success


def _page(served: Core) -> httpx.Client:
    headers = {"authorization": f"Bearer {TOKEN}", "X-Edgeobs-Word": "1"}
    return httpx.Client(base_url=f"http://127.0.0.1:{served.web_port}", headers=headers, trust_env=False)


def _cordoned(api: Api, name: str) -> bool:
    return bool(api("GET", f"/api/v1/nodes/{name}")["spec"].get("unschedulable"))


def _nodes_of(api: Api, app: str) -> set[str]:
    return {pod["spec"]["nodeName"] for pod in running(api, SPACE, app)}


def _replicas(api: Api, name: str) -> int:
    return int(api("GET", f"/apis/apps/v1/namespaces/{SPACE}/deployments/{name}")["spec"]["replicas"])


def _allowed(served: Core, name: str) -> bool:
    decisions = _get(served, "decisions?limit=1000")
    return any(d["action"]["target"]["node"] == name and d["verdict"] == "allowed" for d in decisions)


def _reasons(served: Core) -> str:
    """Why what concerns the failing disk's node is not done."""
    about = [*_get(served, "operations"), *_get(served, "decisions?limit=1000")]
    found = [
        o["reason"]
        for o in about
        if (o.get("target") or o["action"]["target"])["node"] == DISK and o.get("verdict") != "allowed"
    ]
    return " ".join(found)


def _pods(api: Api) -> set[str]:
    """By UID."""
    return {each["metadata"]["uid"] for each in api.items("/api/v1/pods")}


def _written_by_us(api: Api) -> set[str]:
    """Whatever has a field that the API server ascribes to edgeobs."""
    paths = ("/api/v1/nodes", "/api/v1/pods", "/apis/apps/v1/deployments", "/api/v1/services")
    return {
        f"{path} {each['metadata']['name']}"
        for path in paths
        for each in api.items(path)
        if any(entry["manager"] == marks.MANAGER for entry in each["metadata"]["managedFields"])
    }
