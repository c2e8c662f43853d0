"""Live reads, calls and elections on a real API server, under the permissions that are shipped."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeobs.calls import Call, Unreachable
from edgeobs.kube.clock import boot_ns
from edgeobs.kube.cluster import Cluster
from edgeobs.kube.elector import Elector, terms
from edgeobs.kube.settings import KubernetesSettings
from edgeobs.objects import Ref, Taint
from tests.real.api import Api, wait
from tests.real.control_plane import Account, ControlPlane
from tests.real.fault_proxy import Answer, FaultProxy, Lost, Slow, writes
from tests.real.nodes import Nodes
from tests.real.test_control_plane import deployment, running

pytestmark = pytest.mark.real

RBAC = Path(__file__).parents[2] / "deploy/kubernetes/rbac.yaml"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/edgeobs/leases/edgeobs"


@pytest.fixture(scope="module")
def account(control_plane: ControlPlane) -> Account:
    """Ours, with what is shipped and nothing else."""
    return control_plane.account(RBAC)


@pytest.fixture
def cluster(control_plane: ControlPlane, account: Account, proxy: FaultProxy) -> Iterator[Cluster]:
    """Through the fault proxy; nothing is watched."""
    file = control_plane.kubeconfig(account.name, account.token, proxy.server)
    found = Cluster(
        KubernetesSettings(kubeconfig=file, cluster="site-1", namespace="edgeobs", qps=200, timeout_s=1)
    )
    yield found
    found.stop()


def pods(cluster: Cluster, node: str) -> list[Any]:
    return sorted(cluster.live.pods_of(node), key=lambda pod: pod.name)


def test_the_server_has_all_that_is_needed(cluster: Cluster) -> None:
    assert cluster.problems() == []


def test_a_cordon_with_its_preconditions(cluster: Cluster, nodes: Nodes) -> None:
    (name,) = nodes.fleet({"a": 1})
    node = cluster.live.node(name)
    assert node
    assert (node.cluster, node.ready, node.unschedulable) == ("site-1", "True", False)
    assert abs(time.time_ns() - node.lease_ns) < 30e9
    taint = {"key": "edgeobs.io/remediation", "value": "i1", "effect": "NoSchedule"}
    body = {"spec": {"unschedulable": True, "taints": [taint]}}
    ref = Ref("Node", "", name, node.uid)
    for wrong in (Call("patch", ref._replace(uid="another"), body), Call("patch", ref, body, version="1")):
        said = cluster.live.call(wrong)
        assert (said.status, said.reason) == (409, "Conflict")
    said = cluster.live.call(Call("patch", ref, body))
    assert said.ok
    node = cluster.live.node(name)
    assert node
    assert node.unschedulable
    assert Taint("edgeobs.io/remediation", "i1", "NoSchedule") in [
        each._replace(added="") for each in node.taints
    ]
    assert node.cordoned_by == "edgeobs"
    assert cluster.live.node("never-was") is None


def test_a_condition_of_ours_and_an_event(
    cluster: Cluster, nodes: Nodes, control_plane: ControlPlane
) -> None:
    (name,) = nodes.fleet({"a": 1})
    condition = {"type": "EdgeobsTest", "status": "True", "reason": "Test", "message": "for a test"}
    patch = Call(
        "patch",
        Ref("Node", "", name),
        {"status": {"conditions": [condition]}},
        subresource="status",
        strategic=True,
    )
    assert cluster.live.call(patch).ok
    node = cluster.live.node(name)
    assert node
    assert (node.ready, node.conditions["EdgeobsTest"]) == ("True", "True")
    event = {
        "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.uid},
        "reason": "EdgeobsTest", "message": "told for a test", "type": "Normal",
    }  # fmt: skip
    call = Call("create", Ref("Event", "default", f"{name}.edgeobs-test"), event)
    assert cluster.live.call(call).status == 201
    assert cluster.live.call(call)[:2] == (409, "AlreadyExists")
    assert "told for a test" in control_plane.kubectl("describe", "node", name)


def test_a_mistake_in_a_field_is_refused(cluster: Cluster, nodes: Nodes) -> None:
    (name,) = nodes.fleet({"a": 1})
    said = cluster.live.call(Call("patch", Ref("Node", "", name), {"spec": {"unschedulabel": True}}))
    assert said.status in {400, 422}
    assert "unschedulabel" in said.text


def test_evictions(cluster: Cluster, api: Api, nodes: Nodes, namespace: str) -> None:
    (name,) = nodes.fleet({"a": 1})
    api.apply(deployment(namespace, 2))
    running(api, namespace, 2)
    budget = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
    where = api.path(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "web", "namespace": namespace},
        }
    )
    api.apply({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": budget,
        "metadata": {"name": "web", "namespace": namespace},
    })  # fmt: skip
    wait("the budget is counted", lambda: api("GET", where).get("status", {}).get("currentHealthy") == 2)
    first, second = pods(cluster, name)
    said = cluster.live.call(Call("evict", first.ref))
    assert (said.status, said.reason) == (429, "TooManyRequests")
    assert "disruption budget" in said.text
    api.delete(where)
    said = cluster.live.call(Call("evict", first.ref._replace(uid="another")))
    assert (said.status, said.reason) == (409, "Conflict")
    assert cluster.live.call(Call("evict", first.ref)).ok
    wait("the pod is gone", lambda: first.uid not in {pod.uid for pod in pods(cluster, name)})
    assert cluster.live.call(Call("evict", first.ref))[:2] == (404, "NotFound")
    assert cluster.live.call(Call("delete", second.ref._replace(uid="another"))).status == 409
    assert cluster.live.call(Call("delete", second.ref)).ok
    workload = cluster.live.workload(Ref("Deployment", namespace, "web"))
    assert workload
    assert workload.replicas == 2


def test_an_answer_that_is_lost_is_unknown_and_the_call_was_made_once(
    cluster: Cluster, nodes: Nodes, proxy: FaultProxy
) -> None:
    (name,) = nodes.fleet({"a": 1})
    call = Call("patch", Ref("Node", "", name), {"metadata": {"annotations": {"edgeobs.io/test": "1"}}})
    for fault in (Lost(), Slow(5)):
        before = len([each for each in proxy.seen if each.method == "PATCH"])
        with proxy.fault(fault, writes, times=1):
            assert cluster.live.call(call).unknown
        if isinstance(fault, Lost):
            assert len([each for each in proxy.seen if each.method == "PATCH"]) == before + 1
    node = cluster.live.node(name)
    assert node
    assert node.annotations["edgeobs.io/test"] == "1"


def test_refusals_of_a_busy_server_are_passed_on(cluster: Cluster, nodes: Nodes, proxy: FaultProxy) -> None:
    (name,) = nodes.fleet({"a": 1})
    call = Call("patch", Ref("Node", "", name), {"metadata": {"annotations": {"edgeobs.io/test": "1"}}})
    for code, after in ((429, 7), (503, 3), (500, None)):
        with proxy.fault(Answer(code, after), times=1):
            said = cluster.live.call(call)
        assert (said.status, said.retry_after_s) == (code, float(after or 0))


def test_what_is_not_permitted_is_said(cluster: Cluster, control_plane: ControlPlane) -> None:
    said = cluster.live.call(Call("delete", Ref("Node", "", "a-1")))
    assert (said.status, said.reason) == (403, "Forbidden")
    assert 'cannot delete resource "nodes"' in said.text
    with pytest.raises(Unreachable, match="403 Forbidden"):
        cluster.live.raw(Ref("ConfigMap", "kube-system", "x"))
    file = control_plane.kubeconfig("nobody", "no-token")
    stranger = Cluster(KubernetesSettings(kubeconfig=file))
    assert "401 Unauthorized" in stranger.problems()[0]
    assert stranger.live.call(Call("delete", Ref("Node", "", "a-1")))[:2] == (401, "Unauthorized")
    stranger.stop()


def test_an_update_brings_no_deleted_lease_back(cluster: Cluster, api: Api) -> None:
    """Which the API server does where only the version is given."""
    api.delete(LEASE)
    ref = Ref("Lease", "edgeobs", "edgeobs")
    body = {"spec": {"holderIdentity": "a"}}
    assert cluster.live.call(Call("create", ref, body)).ok
    made = cluster.live.raw(ref)
    assert made
    uid, version = made["metadata"]["uid"], made["metadata"]["resourceVersion"]
    api.delete(LEASE)
    assert cluster.live.call(Call("update", ref._replace(uid=uid), body, version)).status == 409
    assert cluster.live.raw(ref) is None


def test_two_electors_and_somebody_who_meddles(cluster: Cluster, api: Api) -> None:
    """Sampled all along: never two who may act."""
    api.delete(LEASE)
    settings = KubernetesSettings(lease_s=3, renew_s=2.0, retry_s=0.2, timeout_s=0.9, namespace="edgeobs")
    one, two = (Elector(cluster.live, terms(settings, "edgeobs"), settings.retry_s) for _ in range(2))

    def acting() -> list[Elector]:
        now = boot_ns()
        found = [each for each in (one, two) if each.fence and each.fence.holds(now)]
        assert len(found) <= 1
        return found

    one.start()
    two.start()
    (first,) = wait("one may act", acting)
    for meddle in ("delete", "empty"):
        if meddle == "delete":
            api.delete(LEASE)
        else:
            api("PATCH", LEASE, {"spec": {"holderIdentity": None}})
        wait("nobody may act for a while", lambda: not acting())
        (first,) = wait("one may act again", acting)
    first.stop(5)
    wait("the other may act", lambda: [each for each in acting() if each is not first])
    lease = api("GET", LEASE)["spec"]
    assert lease["holderIdentity"] in {one.terms.identity, two.terms.identity} - {first.terms.identity}
    one.stop(5)
    two.stop(5)
    assert not acting()
