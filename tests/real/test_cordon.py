"""Cordon and uncordon on a real control plane, with the permissions shipped and people in between."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgeobs.control import Elected, Mirrored
from edgeobs.kube.cluster import Cluster
from edgeobs.kube.settings import KubernetesSettings
from edgeobs.objects import Node
from edgeobs.remediate import Operation, Settings, fleet_view, marks
from edgeobs.remediate.conductor import Conductor
from edgeobs.remediate.journal import Journal
from edgeobs.remediate.reading import Seen
from edgeobs.signals import SECOND, Action, Counts, Decision, Heartbeat, Resource, Verb
from tests.real.api import Api, wait
from tests.real.control_plane import ControlPlane
from tests.real.nodes import Nodes
from tests.remediate.acting import an_incident

pytestmark = pytest.mark.real

RBAC = Path(__file__).parents[2] / "deploy/kubernetes/rbac.yaml"
SETTINGS = Settings(dry_run=False, live=("cordon", "taint"), cluster_share=1.0, verify_s=0.001)
ZONE = SETTINGS.zone_label


class Acting:
    """A conductor over a real cluster; time is real."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.view, self.says = cluster, Mirrored(cluster), Elected(cluster)
        self.says.check()
        self.counts = Counts()
        self.conductor = Conductor(
            cluster.live, self.view, Journal(folder / "journal.sqlite"), SETTINGS, self.counts,
            clock=time.time_ns, dice=lambda: 0.5, switches=self.says, me="edge-a",
        )  # fmt: skip

    def seen(self) -> Seen:
        now = time.time_ns()
        found = self.view.inventory(now).nodes.values()
        beats = [
            Heartbeat(
                Resource("site-1", node.labels.get(SETTINGS.zone_label, ""), node.name), "alive", now, SECOND
            )
            for node in found
        ]
        wrong = {"inc-1": an_incident("inc-1", Resource("site-1", "a", "a-1"))}
        return Seen(now, fleet_view(beats, found, SETTINGS), wrong)

    def decision(self, name: str, verb: Verb = "cordon", undoes: str = "") -> Decision:
        node = self.cluster.live.node(name)
        assert node is not None
        place = Resource("site-1", node.labels[SETTINGS.zone_label], name)
        action = Action(verb, place, (), "its disk is failing", "disk_failing", "inc-1")
        number = f"dec-{verb}-{name}-{time.time_ns()}"
        return Decision(
            number, action, "allowed", "all", "", (), False, time.time_ns(), uid=node.uid, undoes=undoes
        )

    def carry_out(self, decision: Decision) -> Operation:
        """Until it is over and told."""
        self.conductor.take([decision])

        def over() -> Operation | None:
            due = self.conductor.work(self.seen())
            found = self.conductor.journal.operation(decision.id)
            return found if found and found.over and due > time.time_ns() else None

        done = wait(f"{decision.id} is over", over)
        assert done is not None
        return done


@pytest.fixture
def acting(control_plane: ControlPlane, nodes: Nodes, tmp_path: Path) -> Iterator[Callable[[], Acting]]:
    """Two nodes that opted in, and who may act on them."""
    account = control_plane.account(RBAC)
    file = control_plane.kubeconfig(account.name, account.token)
    settings = KubernetesSettings(
        kubeconfig=file, cluster="site-1", namespace="edgeobs", qps=200, stale_s=10, lease_s=4, renew_s=2.5,
        retry_s=0.2, timeout_s=1.4,
    )  # fmt: skip
    for name, zone in (("a-1", "a"), ("b-1", "b")):
        nodes.add(name, zone, {SETTINGS.opt_in: "enabled"})
    wait("the nodes are Ready", lambda: nodes.ready("a-1") and nodes.ready("b-1"))
    made: list[Cluster] = []

    def make() -> Acting:
        made.append(Cluster(settings))
        made[-1].start()
        acts = Acting(made[-1], tmp_path)
        wait("it leads and knows", lambda: not acts.says().leader and set(acts.seen().fleet.nodes))
        return acts

    yield make
    for cluster in made:
        cluster.stop()


def test_a_cordon_its_story_and_its_undo(acting: Callable[[], Acting], control_plane: ControlPlane) -> None:
    acts = acting()
    done = acts.carry_out(acts.decision("a-1"))
    assert done.state == "done"
    found = acts.cluster.live.node("a-1")
    assert found is not None
    assert found.unschedulable
    assert found.cordoned_by == marks.MANAGER
    assert marks.cordoned(found, "inc-1")
    wait("all is told", lambda: acts.conductor.work(acts.seen()) > time.time_ns())
    said = control_plane.kubectl("describe", "node", "a-1")
    assert "EdgeobsRemediation" in said
    assert "EdgeobsCordonVerifying" in said
    assert "edgeobs.io/remediation=inc-1:NoSchedule" in said
    assert acts.counts["edgeobs_events_total", "failed"] == 0
    back = acts.carry_out(acts.decision("a-1", "uncordon", done.id))
    assert back.state == "done"
    found = acts.cluster.live.node("a-1")
    assert found is not None
    assert not found.unschedulable
    assert marks.read(found) is None
    undone = acts.conductor.journal.operation(done.id)
    assert undone is not None
    assert undone.state == "undone"


def test_a_persons_cordon_after_ours_is_never_undone(
    acting: Callable[[], Acting], control_plane: ControlPlane
) -> None:
    acts = acting()
    done = acts.carry_out(acts.decision("a-1"))
    control_plane.kubectl("uncordon", "a-1")
    control_plane.kubectl("cordon", "a-1")
    back = acts.carry_out(acts.decision("a-1", "uncordon", done.id))
    found = acts.cluster.live.node("a-1")
    assert found is not None
    assert found.unschedulable
    assert "kubectl" in back.reason
    assert marks.read(found) is None


def test_a_persons_uncordon_stays_and_our_leftovers_go(
    acting: Callable[[], Acting], control_plane: ControlPlane
) -> None:
    acts = acting()
    done = acts.carry_out(acts.decision("a-1"))
    control_plane.kubectl("uncordon", "a-1")
    acts.carry_out(acts.decision("a-1", "uncordon", done.id))
    found = acts.cluster.live.node("a-1")
    assert found is not None
    assert not found.unschedulable
    assert not marks.ours(found)
    assert marks.read(found) is None


def test_a_persons_cordon_before_is_left_as_it_is(
    acting: Callable[[], Acting], control_plane: ControlPlane
) -> None:
    acts = acting()
    control_plane.kubectl("cordon", "b-1")
    wait("the mirror knows", lambda: acts.seen().fleet.nodes["site-1", "b-1"].cordoned)
    done = acts.carry_out(acts.decision("b-1"))
    assert (done.state, "cordoned already" in done.reason) == ("cancelled", True)
    found = acts.cluster.live.node("b-1")
    assert found is not None
    assert marks.read(found) is None


def test_a_node_made_anew_under_its_name_is_not_touched(
    acting: Callable[[], Acting], api: Api, nodes: Nodes
) -> None:
    acts = acting()
    decision = acts.decision("a-1")
    api("DELETE", "/api/v1/nodes/a-1")
    nodes.add("a-1", "a", {SETTINGS.opt_in: "enabled"})
    wait("it is Ready", lambda: nodes.ready("a-1"))
    done = acts.carry_out(decision)
    assert (done.state, "another node by now" in done.reason) == ("cancelled", True)
    found = acts.cluster.live.node("a-1")
    assert found is not None
    assert not found.unschedulable


def test_killed_after_the_patch_it_is_not_patched_again(
    acting: Callable[[], Acting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = acting()
    decision = acts.decision("a-1")
    with monkeypatch.context() as patched:
        patched.setattr(acts.conductor.journal, "answer", _killed)
        with pytest.raises(KeyboardInterrupt):
            acts.carry_out(decision)
    assert acts.conductor.journal.unanswered(decision.id)
    acts.conductor.journal.close()
    before = wait("Kubernetes has added its own taint", lambda: _tainted(acts, "a-1"))
    assert before is not None
    assert before.unschedulable
    again = Acting(acts.cluster, tmp_path)
    assert again.carry_out(replace(decision, reason="offered again")).state == "done"
    after = acts.cluster.live.node("a-1")
    assert after is not None
    assert (after.annotations, after.taints) == (before.annotations, before.taints)
    assert again.counts["edgeobs_api_calls_total", "patch", "200"] == 0


def _tainted(acts: Acting, name: str) -> Node | None:
    """A node that Kubernetes has tainted since it is cordoned, which takes a moment; None: not yet."""
    found = acts.cluster.live.node(name)
    keys = {taint.key for taint in found.taints} if found else set()
    return found if "node.kubernetes.io/unschedulable" in keys else None


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
