"""The cluster in memory and a real one answer the same: what is proved on the model holds there too."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from edgeobs.calls import Api as Calls
from edgeobs.calls import Call
from edgeobs.kube.cluster import Cluster
from edgeobs.kube.settings import KubernetesSettings
from edgeobs.objects import Budget, Node, Pod, Ref, Requirement, Taint, Workload
from edgeobs.remediate import MemoryCluster, Settings, marks, story
from edgeobs.remediate.operation import Operation
from edgeobs.signals import SECOND, Action, Resource
from tests.real.api import wait
from tests.real.control_plane import ControlPlane

pytestmark = pytest.mark.real

RBAC = Path(__file__).parents[2] / "deploy/kubernetes/rbac.yaml"
NOBODY = "00000000-0000-0000-0000-000000000000"
WEB = (Requirement("app", "In", ("web",)),)


class Site(Protocol):
    """A node ``m-1`` with two pods of a workload, and a person."""

    api: Calls

    def pods(self) -> list[Pod]:
        """Those two, once they are ready."""

    def budget(self, least: int) -> None:
        """A disruption budget for them."""

    def person(self, *, unschedulable: bool) -> None:
        """Uncordons or cordons the node."""


class Memory:
    """On the model."""

    def __init__(self) -> None:
        self.now_ns = SECOND
        self.cluster = MemoryCluster(Settings(), clock=lambda: self.now_ns)
        self.api: Calls = self.cluster
        self.cluster.put(Node("m-1", "uid-m-1", ready="True"))
        self.cluster.put(Workload("ReplicaSet", "shop", "web", "u", selector=WEB, replicas=2))
        self.cluster.settle()

    def pods(self) -> list[Pod]:
        return self.api.pods_of("m-1")

    def budget(self, least: int) -> None:
        self.cluster.put_budget(Budget("shop", "web", WEB), least)

    def person(self, *, unschedulable: bool) -> None:
        node = self.api.node("m-1")
        assert node is not None
        self.cluster.put(replace(node, unschedulable=unschedulable, cordoned_by="kubectl-cordon"))


class Real:
    """On the real API server, as edgeobs itself."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace
        file = plane.account(RBAC).kubeconfig
        self.cluster = Cluster(KubernetesSettings(kubeconfig=file, namespace="edgeobs", qps=200))
        self.api: Calls = self.cluster.live
        labels = {"app": "web"}
        container = {"name": "web", "image": "web"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
        meta = {"name": "web", "namespace": namespace}
        plane.api.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})

    def pods(self) -> list[Pod]:
        def found() -> list[Pod]:
            pods = [pod for pod in self.api.pods_of("m-1") if pod.namespace == self.namespace and pod.ready]
            return pods if len(pods) == 2 else []

        return wait("two pods are ready", found)

    def budget(self, least: int) -> None:
        meta = {"name": "web", "namespace": self.namespace}
        spec = {"minAvailable": least, "selector": {"matchLabels": {"app": "web"}}}
        api, kind = self.plane.api, "PodDisruptionBudget"
        api.apply({"apiVersion": "policy/v1", "kind": kind, "metadata": meta, "spec": spec})
        path = f"/apis/policy/v1/namespaces/{self.namespace}/poddisruptionbudgets/web"
        wait("it counts", lambda: api("GET", path).get("status", {}).get("disruptionsAllowed") == 2 - least)

    def person(self, *, unschedulable: bool) -> None:
        self.plane.kubectl("cordon" if unschedulable else "uncordon", "m-1")


@pytest.fixture(params=["memory", "real"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if request.param == "memory":
        yield Memory()
        return
    nodes = request.getfixturevalue("nodes")
    nodes.add("m-1", "m")
    nodes.wait_ready(["m-1"])
    made = Real(request.getfixturevalue("control_plane"), request.getfixturevalue("namespace"))
    yield made
    made.cluster.stop()


def node(site: Site) -> Node:
    found = site.api.node("m-1")
    assert found is not None
    return found


def patch(body: dict[str, Any], **more: Any) -> Call:
    return Call("patch", Ref("Node", "", more.pop("name", "m-1"), more.pop("uid", "")), body, **more)


def cordon(site: Site) -> None:
    found = node(site)
    notes = marks.notes("dec-1", "inc-1", "its disk", "edge-a", 5 * SECOND, 9 * SECOND)
    call = marks.put(found, marks.cordon_taint("inc-1"), notes, unschedulable=True, says="cordon")
    # The node's own heartbeat may come in between: then it is read again, as an operation would.
    assert site.api.call(call).ok or site.api.call(replace(call, version=node(site).version)).ok


def test_marks_are_put_read_and_taken_away(site: Site) -> None:
    cordon(site)
    found = node(site)
    assert marks.cordoned(found, "inc-1")
    assert marks.touched(found, "inc-1") == ""
    assert marks.read(found) == marks.Marks("dec-1", "inc-1", "its disk", 5 * SECOND, 9 * SECOND, "edge-a")
    assert site.api.call(replace(marks.clear(found, schedulable=True, says=""), version="")).ok
    found = node(site)
    assert (found.unschedulable, marks.read(found), marks.ours(found)) == (False, None, ())
    assert marks.acted_ns(found) == 5 * SECOND


def test_what_a_person_does_to_a_cordon_shows(site: Site) -> None:
    cordon(site)
    site.person(unschedulable=False)
    assert marks.touched(node(site), "inc-1") == "it was uncordoned by somebody else"
    site.person(unschedulable=True)
    assert "cordoned anew by kubectl" in marks.touched(node(site), "inc-1")


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"version": "1"}, 409, "Conflict"),
        ({"uid": NOBODY}, 409, "Conflict"),
        ({"name": "m-9"}, 404, "NotFound"),
    ],
)
def test_a_precondition_that_does_not_hold_changes_nothing(
    site: Site, changes: dict[str, str], status: int, reason: str
) -> None:
    assert site.api.call(patch({"metadata": {"annotations": {"a": "1"}}})).ok, (
        "so that its version is another"
    )
    answer = site.api.call(patch({"spec": {"unschedulable": True}}, **changes))
    assert (answer.status, answer.reason) == (status, reason)
    assert not node(site).unschedulable


def test_a_merge_patch_replaces_lists_and_removes_what_is_null(site: Site) -> None:
    one = {
        "metadata": {"annotations": {"a": "1", "b": "2"}},
        "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]},
    }
    two = {
        "metadata": {"annotations": {"a": None}},
        "spec": {"taints": [{"key": "l", "effect": "NoSchedule"}]},
    }
    assert site.api.call(patch(one)).ok
    assert site.api.call(patch(two)).ok
    found = node(site)
    assert [taint for taint in found.taints if taint.key in "kl"] == [Taint("l", "", "NoSchedule")]
    assert ("a" in found.annotations, found.annotations["b"]) == (False, "2")
    assert site.api.call(patch({"spec": {"taints": None}})).ok
    assert not [taint for taint in node(site).taints if taint.key in "kl"]


def test_the_story_is_told_once(site: Site) -> None:
    action = Action("cordon", Resource("s", "m", "m-1"), (), "its disk", "disk_failing", "inc-1")
    made = Operation(
        id="dec-1",
        action=action,
        state="verifying",
        memo={"marked": True},
        begun_ns=1,
        updated_ns=1,
        deadline_ns=9,
    )
    event, condition = story.tell(made, node(site).uid, "edge-a", 5 * SECOND)
    assert site.api.call(event).status == 201
    again = site.api.call(event)
    assert (again.status, again.reason) == (409, "AlreadyExists")
    assert site.api.call(condition).ok
    assert node(site).conditions["EdgeobsRemediation"] == "True"


def test_evictions_keep_to_the_budget_and_to_the_uid(site: Site) -> None:
    first, second = site.pods()
    # Before there is a budget: the real server takes from it before it looks at the UID.
    assert site.api.call(Call("evict", first.ref._replace(uid=NOBODY))).status == 409
    assert site.api.call(Call("evict", first.ref._replace(name="none"))).status == 404
    site.budget(1)
    site.person(unschedulable=True)  # or what comes for the first is soon ready, and the second may go too
    # The controller may be counting just then: it is asked again, as a drain would.
    wait("the first may go", lambda: site.api.call(Call("evict", first.ref)).status == 201)
    refused = site.api.call(Call("evict", second.ref))
    assert (refused.status, refused.reason) == (429, "TooManyRequests")
