"""The mirror of a real API server, under the permissions that are shipped, whatever lies between the two."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeobs.kube.cluster import Cluster
from edgeobs.kube.mirror import NEVER_NS
from edgeobs.kube.resources import WATCHED
from edgeobs.kube.settings import KubernetesSettings
from tests.real.api import Api, wait
from tests.real.control_plane import Account, ControlPlane
from tests.real.fault_proxy import Answer, Duplicate, Fault, FaultProxy, Late, anything, reads, watches
from tests.real.nodes import Nodes

pytestmark = pytest.mark.real

RBAC = Path(__file__).parents[2] / "deploy/kubernetes/rbac.yaml"


@pytest.fixture(scope="session")
def account(control_plane: ControlPlane) -> Account:
    """Ours, with what is shipped and nothing else."""
    return control_plane.account(RBAC)


@pytest.fixture
def cluster(control_plane: ControlPlane, account: Account, proxy: FaultProxy) -> Iterator[Cluster]:
    """Everything, through the fault proxy; its watches are open for 4 s to 5 s."""
    file = control_plane.kubeconfig(account.name, account.token, proxy.server)
    found = Cluster(
        KubernetesSettings(kubeconfig=file, cluster="site-1", namespace="edgeobs", qps=200, stale_s=10)
    )
    found.start()
    wait("everything is listed", lambda: found.mirror.age_ns() < NEVER_NS)
    yield found
    wait("every watch is open", lambda: proxy.open_watches() >= len(WATCHED), 60)
    found.stop()


def deployment(namespace: str, replicas: int) -> dict[str, Any]:
    labels = {"app": "web"}
    container = {"name": "web", "image": "web", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "web", "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def same(cluster: Cluster, api: Api) -> bool:
    """Whether nodes and pods are as the server has them this moment."""
    held = cluster.mirror.inventory(time.time_ns())
    nodes = {
        each["metadata"]["uid"]: each["metadata"]["resourceVersion"] for each in api.items("/api/v1/nodes")
    }
    pods = {
        each["metadata"]["uid"]: each["metadata"]["resourceVersion"] for each in api.items("/api/v1/pods")
    }
    return {node.uid: node.version for node in held.nodes.values()} == nodes and {
        pod.uid: pod.version for pod in held.pods
    } == pods


def test_it_holds_what_the_server_has(cluster: Cluster, api: Api, nodes: Nodes, namespace: str) -> None:
    names = nodes.fleet({"a": 2, "b": 1})
    api.apply(deployment(namespace, 6))
    budget = {"minAvailable": 5, "selector": {"matchLabels": {"app": "web"}}}
    meta = {"name": "web", "namespace": namespace}
    api.apply({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": budget})

    def pods() -> list[Any]:
        held = cluster.mirror.inventory(time.time_ns())
        return [pod for pod in held.pods if pod.namespace == namespace and pod.ready and pod.node]

    wait("six pods are Ready in the mirror", lambda: len(pods()) == 6)
    held = cluster.mirror.inventory(time.time_ns())
    assert set(held.nodes) == set(names)
    for node in held.nodes.values():
        assert (node.ready, node.cluster) == ("True", "site-1")
        assert abs(time.time_ns() - node.lease_ns) < 30e9
        assert node.allocatable == {"cpu": 4000, "memory": 8 << 30, "pods": 110}
    assert all(pod.requests == {"cpu": 100, "memory": 64 << 20} for pod in pods())
    wait("the budget is counted", lambda: [b.allowed for b in cluster.mirror.inventory(1).budgets] == [1])
    kinds = {(each.kind, each.replicas) for each in held.workloads if each.namespace == namespace}
    assert kinds == {("Deployment", 6), ("ReplicaSet", 6)}
    owner = pods()[0].owner
    assert owner in {each.ref for each in held.workloads}


def test_a_persons_cordon_is_seen_with_their_name(
    cluster: Cluster, control_plane: ControlPlane, nodes: Nodes
) -> None:
    (name,) = nodes.fleet({"a": 1})
    control_plane.kubectl("cordon", name)
    wait("the cordon is in the mirror", lambda: cluster.mirror.inventory(1).nodes[name].unschedulable)
    node = cluster.mirror.inventory(1).nodes[name]
    assert node.cordoned_by.startswith("kubectl")
    live = cluster.live.node(name)
    assert live
    assert (live.uid, live.unschedulable, live.cordoned_by) == (node.uid, True, node.cordoned_by)


def test_at_rest_it_confirms_itself_and_is_never_stale(cluster: Cluster) -> None:
    """Without nodes and pods: no events at all."""
    oldest, until = 0, time.monotonic() + 12
    while time.monotonic() < until:
        oldest = max(oldest, cluster.mirror.age_ns())
        assert cluster.fresh
        time.sleep(0.05)
    assert oldest > 1e9, "ages are measured"


def changes(api: Api, nodes: Nodes, round_: int) -> None:
    """Something of everything: added, changed, deleted, and made anew under the same name."""
    nodes.add(f"new-{round_}", "a")
    api.delete("/api/v1/nodes/again")
    nodes.add("again", "a")
    api("PATCH", "/api/v1/nodes/again", {"metadata": {"labels": {"round": str(round_)}}})


@pytest.mark.parametrize(
    ("fault", "on"),
    [
        (Answer(500), anything), (Answer(503, 1), anything), (Answer(429, 1), anything),
        (Answer(410), watches),
        (Answer(410), reads), (Duplicate(), watches), (Late(), watches),
    ],
    ids=str,
)  # fmt: skip
def test_faults_of_requests_pass(
    cluster: Cluster, api: Api, nodes: Nodes, proxy: FaultProxy, fault: Fault, on: Callable[[str, str], bool]
) -> None:
    changes(api, nodes, 0)
    times = None if isinstance(fault, Duplicate | Late) else 40
    with proxy.fault(fault, on, times):
        proxy.end_watches("cut")
        changes(api, nodes, 1)
        if times is None:
            wait("it is as the server is, under the fault", lambda: same(cluster, api))
    wait("it is as the server is", lambda: same(cluster, api), 60)
    wait("and fresh again", lambda: cluster.fresh)


@pytest.mark.parametrize("ending", ["closed", "cut", "gone"])
def test_watches_that_end_lose_nothing(
    cluster: Cluster, api: Api, nodes: Nodes, proxy: FaultProxy, ending: Any
) -> None:
    for number in range(3):
        assert proxy.end_watches(ending)
        changes(api, nodes, number)
        wait("it is as the server is", lambda: same(cluster, api))
        wait("every watch is open again", lambda: proxy.open_watches() >= 5)


def test_cut_off_it_grows_old_and_comes_back_true(
    cluster: Cluster, api: Api, nodes: Nodes, proxy: FaultProxy
) -> None:
    changes(api, nodes, 0)
    wait("it is as the server is", lambda: same(cluster, api))
    before = cluster.mirror.inventory(1).nodes["again"].uid
    proxy.cut()
    changes(api, nodes, 1)
    wait("it is stale", lambda: not cluster.fresh, 20)
    assert cluster.mirror.inventory(1).nodes["again"].uid == before
    assert cluster.mirror.problems()
    proxy.restore()
    wait("it is as the server is", lambda: same(cluster, api), 60)
    wait("and fresh again", lambda: cluster.fresh, 60)
    assert cluster.mirror.inventory(1).nodes["again"].uid != before


def test_half_open_it_grows_old_and_comes_back_true(
    cluster: Cluster, api: Api, nodes: Nodes, proxy: FaultProxy
) -> None:
    proxy.freeze()
    changes(api, nodes, 0)
    wait("it is stale", lambda: not cluster.fresh, 20)
    wait("the silence is noticed", cluster.mirror.problems, 20)
    proxy.thaw()
    wait("it is as the server is", lambda: same(cluster, api), 60)
    wait("and fresh again", lambda: cluster.fresh, 60)
