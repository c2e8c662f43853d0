"""The cluster in memory answers as the API does."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.calls import Call, Unreachable
from edgeobs.objects import Budget, Node, Pod, Ref, Requirement, Taint, Toleration, Workload
from edgeobs.remediate import MemoryCluster, Settings, model, model_pods
from edgeobs.remediate.matching import untolerated
from edgeobs.signals import SECOND, Heartbeat, Resource

WEB = (Requirement("app", "In", ("web",)),)
NODE = Node("n0", "uid-n0", labels={"zone": "a"}, ready="True")
RS = Workload("ReplicaSet", "shop", "web", "uid-rs", selector=WEB, replicas=2)


class Clock:
    now_ns = SECOND

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster(clock: Clock) -> MemoryCluster:
    made = MemoryCluster(Settings(), clock=clock)
    made.put(NODE, replace(NODE, name="n1", uid="uid-n1"), RS)
    made.settle()
    return made


def patch(body: dict[str, Any], **changes: Any) -> Call:
    return Call("patch", Ref("Node", "", "n0", changes.pop("uid", "")), body, **changes)


def test_every_write_has_a_version_of_its_own(cluster: MemoryCluster) -> None:
    before = cluster.node("n0")
    assert before is not None
    answer = cluster.call(patch({"spec": {"unschedulable": True}}, version=before.version))
    after = cluster.node("n0")
    assert after is not None
    assert answer.ok
    assert after.version == answer.version != before.version
    assert after.cordoned_by == "edgeobs"
    assert cluster.call(patch({}, version=before.version)).reason == "Conflict"


def test_another_of_the_same_name_is_refused(cluster: MemoryCluster) -> None:
    assert cluster.call(patch({"spec": {"unschedulable": True}}, uid="uid-old")).status == 409
    assert cluster.call(patch({}, uid="uid-n0")).ok
    gone = Call("patch", Ref("Node", "", "n9"))
    assert cluster.call(gone).status == 404


def test_a_name_in_two_clusters_is_nobodys(cluster: MemoryCluster) -> None:
    cluster.put(replace(NODE, cluster="other"))
    with pytest.raises(Unreachable, match="2 clusters"):
        cluster.node("n0")
    assert len(cluster.inventory(5).nodes) == 3


json = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner) | st.lists(inner),
    max_leaves=8,
)


@given(json, json)
def test_a_merge_patch_is_idempotent_and_removes_what_is_null(found: Any, change: Any) -> None:
    once = model.merged(found, change)
    assert model.merged(once, change) == once
    if isinstance(change, dict):
        assert not {key for key, value in change.items() if value is None} & once.keys()
        assert {k: v for k, v in once.items() if k not in change} == (
            {k: v for k, v in found.items() if k not in change} if isinstance(found, dict) else {}
        )


@given(st.lists(st.builds(Taint, st.sampled_from("ab"), st.sampled_from(["", "x"]), st.just("NoSchedule"))))
def test_a_node_survives_being_json(taints: list[Taint]) -> None:
    node = replace(NODE, taints=tuple(taints), unschedulable=bool(taints), annotations={"k": "v"})
    assert model.patched_node(node, Call("patch", Ref("Node", "", "n0"))) == node


def pod(cluster: MemoryCluster, number: int = 0) -> Pod:
    return sorted(cluster.inventory(1).pods, key=lambda each: each.name)[number]


def test_missing_pods_are_made_and_spread(cluster: MemoryCluster) -> None:
    pods = cluster.inventory(1).pods
    assert sorted(each.node for each in pods) == ["n0", "n1"]
    assert all(each.ready and each.owner == RS.ref for each in pods)


def test_an_eviction_respects_the_budget_until_another_is_ready(cluster: MemoryCluster, clock: Clock) -> None:
    cluster.put_budget(Budget("shop", "web", WEB), least=1)
    first, second = pod(cluster, 0), pod(cluster, 1)
    assert cluster.call(Call("evict", first.ref)).status == 201
    assert cluster.call(Call("evict", first.ref)).status == 201, "on its way already"
    refused = cluster.call(Call("evict", second.ref))
    assert (refused.status, refused.reason) == (429, "TooManyRequests")
    cluster.settle()
    assert cluster.call(Call("evict", second.ref)).status == 201
    clock.now_ns += 31 * SECOND
    cluster.settle()
    left = cluster.inventory(1).pods
    assert len(left) == 2
    assert not {first.uid, second.uid} & {each.uid for each in left}


def test_two_budgets_for_a_pod_are_an_error_of_the_server(cluster: MemoryCluster) -> None:
    cluster.put_budget(Budget("shop", "web", WEB), least=0)
    cluster.put_budget(Budget("shop", "all", selects_all=True), least=0)
    assert cluster.call(Call("evict", pod(cluster).ref)).status == 500


def test_a_pod_of_another_uid_is_not_evicted(cluster: MemoryCluster) -> None:
    assert cluster.call(Call("evict", pod(cluster).ref._replace(uid="old"))).status == 409
    assert cluster.call(Call("evict", Ref("Pod", "shop", "none", "u"))).status == 404


def test_a_finalizer_and_a_dead_kubelet_keep_a_pod(cluster: MemoryCluster, clock: Clock) -> None:
    first, second = pod(cluster, 0), pod(cluster, 1)
    cluster.put(replace(first, finalizers=("example.org/hold",)))
    for each in (first, second):
        cluster.call(Call("evict", each.ref))
    clock.now_ns += 100 * SECOND
    cluster.settle(dead=[second.node])
    left = {each.uid for each in cluster.inventory(1).pods}
    assert {first.uid, second.uid} <= left


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        (lambda node: replace(node, unschedulable=True), False),
        (lambda node: replace(node, taints=(Taint("k", "v", "NoSchedule"),)), False),
        (lambda node: replace(node, taints=(Taint("k", "v", "PreferNoSchedule"),)), True),
        (lambda node: replace(node, ready="Unknown"), False),
        (lambda node: replace(node, allocatable={"cpu": 100}), False),
        (lambda node: replace(node, allocatable={"cpu": 500}), True),
    ],
)
def test_where_a_pod_may_run(change: Callable[[Node], Node], fits: bool) -> None:
    new = Pod("shop", "web-1", "u", phase="Pending", requests={"cpu": 200})
    assert model_pods.scheduled(new, [change(NODE)], [new]).ready == fits


@pytest.mark.parametrize(
    ("toleration", "tolerates"),
    [
        (Toleration("", "Exists", "", ""), True),
        (Toleration("k", "Exists", "", "NoSchedule"), True),
        (Toleration("k", "Equal", "v", ""), True),
        (Toleration("k", "Equal", "w", ""), False),
        (Toleration("k", "Exists", "", "NoExecute"), False),
    ],
)
def test_what_a_pod_tolerates(toleration: Toleration, tolerates: bool) -> None:
    pod = Pod("shop", "p", tolerations=(toleration,))
    found = untolerated(pod, [Taint("k", "v", "NoSchedule")]) is None
    assert found == tolerates


def test_objects_that_it_does_not_know_are_kept_as_they_are(cluster: MemoryCluster) -> None:
    ref = Ref("ConfigMap", "edgeobs", "pause")
    assert cluster.call(Call("patch", ref, {"data": {"a": "1"}})).status == 404
    assert cluster.call(Call("create", ref, {"data": {"a": "1"}})).status == 201
    assert cluster.call(Call("create", ref, {})).reason == "AlreadyExists"
    found = cluster.raw(ref)
    assert found is not None
    assert cluster.call(Call("update", ref, {"data": {}}, version="0")).status == 409
    version = found["metadata"]["resourceVersion"]
    assert cluster.call(Call("update", ref, {"data": {}}, version=version)).ok
    assert cluster.call(Call("delete", ref)).ok
    assert cluster.raw(ref) is None


def test_it_learns_who_is_heard_up_to_its_limit() -> None:
    small = MemoryCluster(Settings(), limit=2)
    beats = [Heartbeat(Resource("s", "a", f"n{i}"), "alive", 1, SECOND) for i in range(5)]
    small.learn(beats, opted_in=True)
    small.learn(beats, opted_in=True)
    assert [(node.name, node.version) for node in small.nodes()] == [("n0", "1"), ("n1", "2")]
    small.forget([Resource("s", "a", "n0")])
    assert [node.name for node in small.nodes()] == ["n1"]
