"""What the API sends becomes what edgeobs uses, and nothing else of it is kept."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.kube import trim
from edgeobs.kube.pool import Pool
from edgeobs.kube.selecting import NOTHING
from edgeobs.objects import Budget, Claim, PodTerm, Quota, Ref, Requirement, Spread, Taint, Toleration

POD: dict[str, Any] = {
    "kind": "Pod",
    "metadata": {
        "name": "web-1", "namespace": "shop", "uid": "u1", "resourceVersion": "7",
        "labels": {"app": "web", "tier": "front"},
        "annotations": {"edgeobs.io/incident": "i1", "kubectl.kubernetes.io/last": "{}"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "uid": "r1", "controller": True}],
        "finalizers": ["x/y"], "deletionTimestamp": "2026-01-01T00:00:45Z", "deletionGracePeriodSeconds": 45,
    },
    "spec": {
        "nodeName": "edge-1", "priority": 5, "terminationGracePeriodSeconds": 45,
        "containers": [
            {"name": "a", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
             "ports": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]},
        ],
        "nodeSelector": {"disk": "ssd"},
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}],
                 "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["edge-1"]}]}, {}]}},
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}]},
        },
        "tolerations": [{"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"},
                        {"operator": "Exists", "tolerationSeconds": 300}],
        "topologySpreadConstraints": [
            {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
             "labelSelector": {"matchLabels": {"app": "web"}}, "matchLabelKeys": ["tier", "absent"]},
            {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}],
        "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}},
                    {"name": "e", "ephemeral": {"volumeClaimTemplate": {}}}, {"name": "f", "emptyDir": {}}],
    },
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}  # fmt: skip

NODE: dict[str, Any] = {
    "kind": "Node",
    "metadata": {
        "name": "edge-1", "uid": "n1", "resourceVersion": "9", "labels": {"zone": "a"},
        "annotations": {"edgeobs.io/remediation": "enabled", "big": "x" * 2000},
        "managedFields": [{"manager": "kubectl-cordon", "fieldsV1": {"f:spec": {"f:unschedulable": {}}}}],
    },
    "spec": {"unschedulable": True, "taints": [
        {"key": "k", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"}]},
    "status": {"allocatable": {"cpu": "4", "memory": "1Gi", "pods": "110"},
               "conditions": [{"type": "Ready", "status": "False"},
                              {"type": "DiskPressure", "status": "True"}]},
}  # fmt: skip


def pod(**spec: Any) -> Any:
    found = copy.deepcopy(POD)
    found["spec"] |= spec
    return trim.named(trim.pod, found, Pool())


def test_a_pod() -> None:
    found = pod()
    assert found.ref == Ref("Pod", "shop", "web-1", "u1")
    assert (found.version, found.node, found.phase, found.ready) == ("7", "edge-1", "Running", True)
    assert found.annotations == {"edgeobs.io/incident": "i1"}
    assert found.owner == Ref("ReplicaSet", "shop", "web", "r1")
    assert found.requests == {"cpu": 100, "memory": 64 << 20}
    assert found.node_selector == (Requirement("disk", "In", ("ssd",)),)
    assert found.node_affinity == (
        (Requirement("zone", "In", ("a", "b")), Requirement("metadata.name", "In", ("edge-1",))),
        (),
    )
    web = Requirement("app", "In", ("web",))
    assert found.anti_affinity == (PodTerm((web,), "kubernetes.io/hostname", ("shop",)),)
    assert found.spread == (Spread((web, Requirement("tier", "In", ("front",))), "zone", 1),)
    assert found.tolerations == (
        Toleration("k", "Equal", "v", "NoSchedule"),
        Toleration("", "Exists", "", "", 300),
    )
    assert (found.claims, found.empty_dir, found.host_ports) == (("data", "web-1-e"), True, ("TCP/8080",))
    assert (found.finalizers, found.grace_s, found.mirror) == (("x/y",), 45, False)
    assert found.deleted_ns == 1_767_225_600_000_000_000  # asked for 45 s before its grace ends


def test_a_grace_of_zero_is_not_the_default() -> None:
    assert pod(terminationGracePeriodSeconds=0).grace_s == 0


def test_a_null_selector_matches_nothing_and_an_empty_one_everything() -> None:
    terms = [{"topologyKey": "z"}, {"topologyKey": "z", "labelSelector": {}}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    found = pod(affinity={"podAffinity": required}).affinity
    assert [term.selector for term in found] == [NOTHING, ()]


def test_namespaces_chosen_by_label_are_all_where_pods_repel_and_none_where_they_attract() -> None:
    term = {"topologyKey": "z", "labelSelector": {}, "namespaceSelector": {"matchLabels": {"a": "b"}}}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    found = pod(affinity={"podAffinity": required, "podAntiAffinity": required})
    assert found.anti_affinity == (PodTerm((), "z", (), all_namespaces=True),)
    assert found.affinity == (PodTerm(NOTHING, "z", ()),)


def test_a_node() -> None:
    found = trim.node(NODE, Pool(), cluster="site-1")
    assert (found.name, found.uid, found.version, found.cluster) == ("edge-1", "n1", "9", "site-1")
    assert (found.ready, found.conditions) == ("False", {"DiskPressure": "True"})
    assert found.annotations == {"edgeobs.io/remediation": "enabled"}
    assert found.taints == (Taint("k", "", "NoSchedule", "2026-01-01T00:00:00Z"),)
    assert (found.unschedulable, found.cordoned_by, found.deleting) == (True, "kubectl-cordon", False)
    assert found.allocatable == {"cpu": 4000, "memory": 1 << 30, "pods": 110}


def test_the_rest() -> None:
    meta = {"name": "x", "namespace": "shop", "uid": "w1", "resourceVersion": "3"}
    selector = {"matchLabels": {"a": "b"}}
    deployment = {"metadata": meta, "spec": {"selector": selector, "replicas": 0}, "status": {}}
    found = trim.workload("Deployment")(deployment, Pool())
    assert found
    assert (found.replicas, found.ready_replicas) == (0, 0)
    assert found.selector == (Requirement("a", "In", ("b",)),)
    assert found.template is None
    made = {"metadata": {"labels": {"app": "web"}}, "spec": POD["spec"]}
    found = trim.workload("Deployment")({**deployment, "spec": {"template": made}}, Pool())
    assert found
    assert found.template
    assert (found.template.namespace, found.template.name, found.template.uid) == ("shop", "x", "")
    assert (found.template.labels, found.template.requests["cpu"]) == ({"app": "web"}, 100)
    assert trim.workload("ReplicaSet")(deployment, Pool()) is None
    assert trim.workload("ReplicaSet", idle=True)(deployment, Pool()) is not None
    daemons = {"metadata": meta, "status": {"desiredNumberScheduled": 3, "numberReady": 2}}
    found = trim.workload("DaemonSet")(daemons, Pool())
    assert found
    assert (found.replicas, found.ready_replicas, found.selector) == (3, 2, NOTHING)
    budget = {"metadata": meta, "spec": {"selector": {}}, "status": {"disruptionsAllowed": 1}}
    assert trim.budget(budget, Pool()) == Budget("shop", "x", (), 1, selects_all=True)
    assert trim.budget({"metadata": meta}, Pool()) == Budget("shop", "x", NOTHING, 0)
    quota = {"metadata": meta, "status": {"hard": {"requests.cpu": "2"}, "used": {"requests.cpu": "500m"}}}
    assert trim.quota(quota, Pool()) == Quota("shop", "x", {"requests.cpu": 2000}, {"requests.cpu": 500})
    claim = {
        "metadata": meta,
        "spec": {"volumeName": "v"},
        "status": {"phase": "Bound", "accessModes": ["RWO"]},
    }
    assert trim.claim(claim, Pool()) == Claim("shop", "x", "v", (), ("RWO",))
    assert trim.claim({"metadata": meta, "spec": {"volumeName": "v"}}, Pool()).volume == ""
    lease = {"metadata": meta, "spec": {"renewTime": "2026-01-01T00:00:00.500000Z"}}
    assert trim.beat(lease, Pool()) == trim.Beat("x", 1_767_225_600_500_000_000, "3", "w1")


@given(st.data())
def test_an_object_that_is_none_is_named_whatever_is_wrong_with_it(data: st.DataObject) -> None:
    """Some value of a sound object is replaced by something else."""
    kind, how = data.draw(st.sampled_from([(POD, trim.pod), (NODE, trim.node)]))
    found: Any = copy.deepcopy(kind)
    place = found
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not place[key] or not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(st.sampled_from([None, 7, "", "text", [], {}, [None], [7], {"a": 1}]))
            break
        place = place[key]
    try:
        trim.named(how, found, Pool())
    except ValueError as error:
        assert "is not as Kubernetes has it" in str(error)  # noqa: PT017


def test_the_error_says_which_object_and_what() -> None:
    with pytest.raises(
        ValueError, match="pod shop/web-1 is not as Kubernetes has it: cpu: expected a quantity"
    ):
        pod(containers=[{"resources": {"requests": {"cpu": "lots"}}}])
    with pytest.raises(ValueError, match="an object without metadata is not as Kubernetes has it"):
        trim.named(trim.pod, {}, Pool())


def test_equal_parts_are_kept_once_and_the_pool_is_bounded() -> None:
    pool = Pool(64)
    one, two = (trim.pod(copy.deepcopy(POD), pool) for _ in range(2))
    assert one.labels is two.labels
    assert one.tolerations is two.tolerations
    assert one.owner is two.owner
    assert one.requests is two.requests
    for number in range(1000):
        pool.share(f"value {number}")
        pool.mapping({"key": f"value {number}"})
        assert len(pool) <= 2 * 64 + 2


def test_what_is_asked_for_often_stays_shared() -> None:
    pool = Pool(8)
    first = pool.mapping({"a": "b"})
    for number in range(100):
        pool.share(str(number))
        assert pool.mapping({"a": "b"}) is first
