"""What people say with kubectl and over the API, on a real control plane and with the permissions shipped."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from edgeobs.cli import app
from edgeobs.control import Control, Elected, Mirrored
from edgeobs.kube.cluster import Cluster
from edgeobs.kube.resources import CONTROL
from edgeobs.kube.settings import KubernetesSettings
from edgeobs.objects import Ref
from edgeobs.people import People
from edgeobs.remediate import Settings
from edgeobs.remediate.words import Here, What, Word
from edgeobs.signals import SECOND
from tests.real.api import wait
from tests.real.control_plane import ControlPlane
from tests.real.nodes import Nodes
from tests.real.product import OPTED_IN, WIDE, product
from tests.real.site import Site

pytestmark = pytest.mark.real

RBAC = Path(__file__).parents[2] / "deploy/kubernetes/rbac.yaml"
SETTINGS = Settings()


class Replica:
    """What a core knows of people's words; time is real."""

    def __init__(self, settings: KubernetesSettings, folder: Path) -> None:
        self.cluster = Cluster(settings)
        says = Elected(self.cluster)
        says.check()
        self.control = Control(Mirrored(self.cluster), self.cluster.live, says)
        self.people = People(
            folder, SETTINGS, says, self.cluster.mirror.notes, self.cluster.live.call,
            Ref("ConfigMap", self.cluster.namespace, CONTROL),
        )  # fmt: skip
        self.people.open()
        self.cluster.start()
        wait("everything is listed", lambda: self.cluster.fresh)

    def say(self, what: What, incident: str = "") -> str:
        now = time.time_ns()
        until = now + 1800 * SECOND if what == "approve" else 0
        return self.people.say(Word(what, "ada", "because", now, incident, until_ns=until))

    def look(self, incident: str) -> dict[tuple[str, str], str]:
        nodes = self.cluster.mirror.inventory(time.time_ns()).nodes.values()
        self.people.look(nodes, {incident: Here(("", "", ""), 0)}, set())
        return dict(self.people().approved)


@pytest.fixture
def replica(control_plane: ControlPlane, nodes: Nodes, tmp_path: Path) -> Iterator[Callable[[str], Replica]]:
    """One of those that share a cluster of one node, with edgeobs' own permissions."""
    account = control_plane.account(RBAC)
    file = control_plane.kubeconfig(account.name, account.token)
    settings = KubernetesSettings(kubeconfig=file, cluster="site-1", namespace="edgeobs", qps=200, stale_s=10)
    nodes.add("a-1", "a")
    wait("the node is Ready", lambda: nodes.ready("a-1"))
    made: list[Replica] = []

    def make(name: str) -> Replica:
        made.append(Replica(settings, tmp_path / name))
        return made[-1]

    yield make
    for each in made:
        each.cluster.stop()
    control_plane.kubectl("delete", "configmap", CONTROL, "-n", "edgeobs", "--ignore-not-found")


def test_a_pause_reaches_every_replica_and_kubectl_resumes_it(
    replica: Callable[[str], Replica], control_plane: ControlPlane
) -> None:
    here, there = replica("a"), replica("b")
    assert here.say("pause") == ""
    wait(
        "the other replica knows", lambda: "paused by ada in the ConfigMap: because" in there.people().paused
    )
    assert here.say("pause") == "", "it is there already"
    assert there.say("resume") == ""
    wait("this one is resumed", lambda: here.people().paused == "" or "not lead" in here.people().paused)
    said = '{"data": {"paused": "true", "reason": "we change the switch"}}'
    control_plane.kubectl("patch", "configmap", CONTROL, "-n", "edgeobs", "--type=merge", "-p", said)
    for each in (here, there):
        wait("all know", lambda each=each: "we change the switch" in each.people().paused)  # type: ignore[misc]
    control_plane.kubectl("delete", "configmap", CONTROL, "-n", "edgeobs")
    wait("it is taken back", lambda: "in the ConfigMap" not in there.people().paused)


def test_words_on_incidents_reach_every_replica(replica: Callable[[str], Replica]) -> None:
    here, there = replica("a"), replica("b")
    assert here.say("veto", "inc-1") == ""
    assert there.say("approve", "inc-2") == ""
    wait("both know both", lambda: here.people()[1:3] == there.people()[1:3] and there.people().vetoed)
    assert (list(here.people().vetoed), list(here.people().approved)) == (["inc-1"], [("inc-2", "")])
    assert there.say("approve", "inc-1") == ""
    wait("it is taken back", lambda: not here.people().vetoed)


def test_annotations_approve_and_are_taken_back(
    replica: Callable[[str], Replica], control_plane: ControlPlane
) -> None:
    here = replica("a")
    control_plane.kubectl("annotate", "node", "a-1", "edgeobs.io/approve=inc-1", "edgeobs.io/veto=inc-2")
    wait("it is heard", lambda: ("inc-1", "") in here.look("inc-1"))
    node = here.cluster.live.node("a-1")
    assert node is not None
    assert node.annotations["edgeobs.io/veto"] == "inc-2"
    assert here.look("inc-1")[("inc-1", "")].startswith("approved by an annotation of node a-1")
    control_plane.kubectl("annotate", "node", "a-1", "edgeobs.io/approve-")
    wait("it is taken back", lambda: not here.look("inc-1"))


def test_without_permission_for_the_config_map_nothing_counts_as_known(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    poorer = tmp_path / "rbac.yaml"
    text = RBAC.read_text()
    poorer.write_text(text.replace("resourceNames: [edgeobs-control]", "resourceNames: [another]"))
    account = control_plane.account(poorer)
    file = control_plane.kubeconfig(account.name, account.token)
    cluster = Cluster(KubernetesSettings(kubeconfig=file, namespace="edgeobs", qps=200, stale_s=10))
    cluster.start()
    try:
        wait("the refusal is seen", lambda: "403" in cluster.mirror.problems().get("ConfigMap", ""))
        assert not cluster.fresh
        assert cluster.mirror.age_ns() > 365 * 86_400 * SECOND
    finally:
        cluster.stop()
        control_plane.account(RBAC)  # others use the same roles


def test_the_product_waits_for_a_word_and_obeys_it(
    control_plane: ControlPlane, nodes: Nodes, tmp_path: Path
) -> None:
    """Two disks fail: one cordon is approved by the command line, one vetoed by kubectl."""
    token = tmp_path / "token"
    token.write_text("a token of the tests' own")
    zones = {"k-1": "k", "k-2": "k", "l-1": "l", "l-2": "l"}
    for name, zone in zones.items():
        nodes.add(name, zone, OPTED_IN)
    wait("the nodes are Ready", lambda: all(nodes.ready(name) for name in zones))
    live = {"dry_run": False, "live": ["cordon"], **WIDE, "approve": ["cordon"]}
    quick = {"stale_s": 10, "lease_s": 4, "renew_s": 2.5, "retry_s": 0.3, "timeout_s": 1.4, "qps": 200}
    account = control_plane.account(RBAC)
    with (
        product(account, live, tmp_path, quick, web={"token_file": str(token)}) as served,
        Site(served.http_port, zones, 0.1) as site,
    ):
        page = f"http://127.0.0.1:{served.web_port}"

        def held() -> dict[str, str]:
            """Node → the incident for which its cordon waits for a person."""
            told = httpx.get(f"{page}/api/v1/decisions", auth=("ada", token.read_text())).json()
            acts = [each["action"] for each in told if each["rule"] == "approved"]
            return {act["target"]["node"]: act["incident_id"] for act in acts}

        def say(*words: str) -> Result:
            return CliRunner().invoke(app, [*words, "--server", page, "--token-file", str(token)])

        site.warm()
        site.fail("k-1", "l-1")
        wait("both wait for a person", lambda: {"k-1", "l-1"} <= held().keys(), 60)
        incidents = held()
        control_plane.kubectl("annotate", "node", "l-1", f"edgeobs.io/veto={incidents['l-1']}")
        approved = say(
            "approve", incidents["k-1"], "--why", "its disk is to be swapped", "--action", "cordon"
        )
        assert approved.exit_code == 0, approved.stderr
        wait("it is cordoned", lambda: _unschedulable(control_plane, "k-1"), 30)
        assert say("approve", incidents["l-1"], "--why", "as well").exit_code == 0
        told = say("explain", "node/l-1")
        assert "denied by vetoed: vetoed by an annotation of l-1" in told.stdout
        assert not _unschedulable(control_plane, "l-1")
        said = control_plane.kubectl("get", "configmap", CONTROL, "-n", "edgeobs", "-o", "json")
        assert f"approve.{incidents['k-1']}.cordon" in said
        assert "its disk is to be swapped" in said
        for done in (say("pause", "--why", "we change the switch"), say("resume", "--why", "it is changed")):
            assert (done.exit_code, done.stderr) == (0, ""), "and it is told when it is so"
    control_plane.kubectl("delete", "configmap", CONTROL, "-n", "edgeobs", "--ignore-not-found")


def _unschedulable(plane: ControlPlane, name: str) -> bool:
    return bool(plane.api("GET", f"/api/v1/nodes/{name}")["spec"].get("unschedulable"))
