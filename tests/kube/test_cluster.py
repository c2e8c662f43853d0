"""All of it at work against a fake server: watches, live reads, election, start and stop."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edgeobs.calls import Answer, Call, Unreachable
from edgeobs.kube.cluster import Cluster
from edgeobs.kube.credentials import Credentials
from edgeobs.kube.election import Terms
from edgeobs.kube.elector import Elector, terms
from edgeobs.kube.settings import KubernetesSettings
from edgeobs.objects import Ref
from tests.kube.fake_api import FakeApi, status
from tests.kube.test_election import S, Store
from tests.kube.test_reflector import wait

SETTINGS = KubernetesSettings(cluster="site-1", namespace="edgeobs", qps=500)


def credentials(url: str) -> Credentials:
    return Credentials(url, "default", ssl.create_default_context(), lambda: None, None, "a test")


@pytest.fixture
def cluster(fake: FakeApi) -> Iterator[Cluster]:
    found = Cluster(SETTINGS, credentials(fake.url))
    yield found
    found.stop()


def test_it_watches_every_kind_and_stops(cluster: Cluster, fake: FakeApi) -> None:
    fake.put("/api/v1/nodes", "edge-1")
    fake.put(
        "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", "edge-1",
        spec={"renewTime": "2026-01-01T00:00:00.000000Z"},
    )  # fmt: skip
    fake.put("/api/v1/pods", "web", metadata={"namespace": "shop"})
    cluster.start()
    wait(lambda: cluster.fresh, "everything is listed")
    found = cluster.mirror.inventory(time.time_ns())
    assert found.nodes["edge-1"].cluster == "site-1"
    assert found.nodes["edge-1"].lease_ns == 1_767_225_600_000_000_000
    assert [pod.name for pod in found.pods] == ["web"]
    assert 0 <= time.time_ns() - found.read_ns < 30 * S
    (_, given), *_ = [each for each in fake.asked(limit="500") if each[0] == "/api/v1/pods"]
    assert given["fieldSelector"] == "status.phase!=Succeeded,status.phase!=Failed"
    cluster.stop()
    assert not [thread for thread in threading.enumerate() if thread.name in {"watches", "elector"}]


def test_the_config_map_by_which_people_pause_is_read_as_it_changes(cluster: Cluster, fake: FakeApi) -> None:
    path = "/api/v1/namespaces/edgeobs/configmaps"
    cluster.start()
    wait(lambda: cluster.fresh, "everything is listed")
    assert cluster.mirror.notes() == {}
    (_, given), *_ = [each for each in fake.asked(limit="500") if each[0] == path]
    assert given["fieldSelector"] == "metadata.name=edgeobs-control"
    fake.put(path, "edgeobs-control", data={"paused": "true", "reason": "x" * 5000})
    wait(lambda: cluster.mirror.notes().get("paused") == "true", "the pause is seen")
    assert len(cluster.mirror.notes()["reason"]) == 4096


def test_a_claim_knows_from_where_its_volume_can_be_reached(cluster: Cluster, fake: FakeApi) -> None:
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    fake.put(
        "/api/v1/persistentvolumes", "v", spec={"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}
    )
    claims = "/api/v1/persistentvolumeclaims"
    bound = {"status": {"phase": "Bound"}, "metadata": {"namespace": "shop"}}
    fake.put(claims, "here", spec={"volumeName": "v"}, **bound)
    fake.put(claims, "lost", spec={"volumeName": "gone"}, **bound)
    fake.put(claims, "free", metadata={"namespace": "shop"})
    cluster.start()
    wait(lambda: cluster.fresh, "everything is listed")
    found = {claim.name: claim.node_affinity for claim in cluster.mirror.inventory(1).claims}
    assert [requirement.key for requirement in found["here"][0]] == ["zone"]
    assert (found["lost"], found["free"]) == (((),), ())


def test_a_fault_of_our_own_begins_the_watches_anew(
    cluster: Cluster, fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeobs.kube.cluster._AGAIN_S", 0.05)
    real, calls = cluster._watch, []

    async def once() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("a fault of our own")
        await real()

    monkeypatch.setattr(cluster, "_watch", once)
    fake.put("/api/v1/nodes", "edge-1")
    cluster.start()
    wait(lambda: cluster.fresh, "everything is listed after all")


def test_a_metaserver_is_read_without_an_election(fake: FakeApi) -> None:
    cluster = Cluster(KubernetesSettings(metaserver_url=fake.url, qps=500))
    fake.put("/api/v1/nodes", "edge-1")
    cluster.start()
    wait(lambda: cluster.fresh, "nodes and pods are listed")
    assert set(cluster.mirror.inventory(1).nodes) == {"edge-1"}
    assert "only read" in cluster.problems()[0]
    assert cluster.elector.fence is None
    cluster.stop()
    assert {path for method, path, *_ in fake.calls} == {"/api/v1/nodes", "/api/v1/pods"}


class Leases:
    """An Api of one Lease, which fails as told."""

    def __init__(self) -> None:
        self.store, self.failing = Store(), ""
        self.said: Answer | None = None

    def raw(self, _: Ref) -> dict[str, Any] | None:
        if self.failing:
            raise Unreachable(self.failing)
        return self.store.lease

    def call(self, call: Call) -> Answer:
        return self.said or self.store.call(call)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise AssertionError(f"an elector asks for its Lease alone, not {name}")


def test_an_elector_says_what_is_wrong_and_takes_the_seat_when_it_is_over() -> None:
    api, now = Leases(), [0]
    elector = Elector(api, Terms("a", Ref("Lease", "n", "l"), 15, 9.0), 2.0, lambda: now[0])
    api.failing = "no route"
    elector.step()
    assert (elector.problem, elector.fence, elector.holder) == ("no route", None, "")
    api.failing, api.said = "", Answer(403, "Forbidden", "leases is forbidden")
    elector.step()
    assert elector.problem == "create the Lease: 403 Forbidden: leases is forbidden"
    api.said = None
    elector.step()
    assert (elector.problem, elector.holder) == ("", "a")
    assert elector.fence
    assert not elector.fence.holds(now[0])
    assert elector.may_act() is None
    for _ in range(8):
        now[0] += 2 * S
        elector.step()
    assert elector.may_act(8.0) == elector.fence
    assert elector.may_act(9.0) is None
    now[0] += 9 * S
    assert elector.may_act() is None
    api.store.lease = {"metadata": [], "spec": {}}
    elector.step()
    elector.step()
    assert elector.problem


def test_two_electors_hand_the_seat_over() -> None:
    api = Leases()
    settings = KubernetesSettings(lease_s=3, renew_s=2.0, retry_s=0.1, timeout_s=0.5)
    first, second = (Elector(api, terms(settings, "n"), settings.retry_s) for _ in range(2))
    assert first.terms.identity != second.terms.identity
    first.start()
    wait(
        lambda: first.fence and first.fence.holds(time.clock_gettime_ns(time.CLOCK_BOOTTIME)),
        "the first may act",
    )
    second.start()
    first.stop(5)
    assert first.fence is None
    wait(lambda: second.fence, "the second takes it")
    assert second.holder == second.terms.identity
    second.stop(5)


def test_who_stops_does_not_act_any_more_even_while_letting_go() -> None:
    api = Leases()
    elector = Elector(api, Terms("a", Ref("Lease", "n", "l"), 15, 9.0), 2.0)
    elector.step()
    assert elector.fence
    elector.stop(1)
    assert elector.fence is None


def test_what_a_server_lacks_is_asked_at_the_start(cluster: Cluster, fake: FakeApi) -> None:
    fake.answers.append(status(404, "NotFound"))
    assert "the API server does not say which version it is (no version)" in cluster.problems()
