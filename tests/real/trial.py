"""One row of the fault matrix: nodes and pods, replicas of edgeobs before them, and a referee."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from edgeobs.actor import Actor
from edgeobs.control import Elected, Mirrored
from edgeobs.kube import trim
from edgeobs.kube.cluster import Cluster
from edgeobs.kube.pool import Pool
from edgeobs.kube.settings import KubernetesSettings
from edgeobs.objects import Node
from edgeobs.remediate import FleetView, Operation, Remediation, Settings, fleet_view
from edgeobs.remediate.journal import NAME, Journal
from edgeobs.remediate.policies.ladder import Rung, Step
from edgeobs.remediate.reading import Seen
from edgeobs.signals import (
    SECOND,
    UNDOING,
    Action,
    Counts,
    Decision,
    Evidence,
    Heartbeat,
    Incident,
    Resource,
    Verb,
)
from tests.real.api import Object, wait
from tests.real.control_plane import Account, ControlPlane
from tests.real.fault_proxy import FaultProxy
from tests.real.nodes import Nodes
from tests.real.referee import Referee

T = TypeVar("T")
CLUSTER = "site-1"
OPTED_IN = {"edgeobs.io/remediation": "enabled"}
SETTINGS = Settings(
    dry_run=False, live=("cordon", "drain", "release"), approve=(), nodes_per_zone=1, cluster_share=1.0,
    per_hour=1000, cooldown_s=0.0, recheck_s=0.0, verify_s=0.001, undo_after_s=0.0, back_off_s=0.0,
    lease_dead_s=2.0, alive_s=1.0, deadline_s=200.0, keep_free=0.0,
)  # fmt: skip
"""Nothing waits for long; the budgets that a row is about are its own."""


def asking(verb: Step) -> Settings:
    """By which a failing disk, and a silent node, ask for this at once."""
    ladder = (Rung(verb=verb),)
    return replace(SETTINGS, ladders={"disk_failing": ladder, "node_silent": ladder})


def kubernetes(file: Path, **changes: Any) -> KubernetesSettings:
    """As whom and how often; a dead leader's seat is taken after 3 s."""
    quick: dict[str, Any] = {
        "stale_s": 4.0, "lease_s": 3, "renew_s": 2.0, "retry_s": 0.2, "timeout_s": 0.9, "qps": 500.0,
    }  # fmt: skip
    return KubernetesSettings(kubeconfig=file, cluster=CLUSTER, namespace="edgeobs", **quick | changes)


def disk(name: str, node: Node) -> Incident:
    """Of a node whose disk is slow and answers with errors."""
    now = time.time_ns()
    errors, latency = (
        Evidence("series", each, each, (), "", now, now, 8.0, 0.5, 9.0, 0.0, 0.0, 1.0)
        for each in ("system_disk_errors", "system_disk_latency")
    )
    place = Resource(CLUSTER, node.labels.get(SETTINGS.zone_label, ""), node.name)
    return Incident(name, "node", place, "open", now, now, 0, 8.0, "its disk", (errors, latency))


def silence(name: str, node: Node) -> Incident:
    """Of a node that has not been heard for a minute; to be told anew all along."""
    now = time.time_ns()
    gone = Evidence("absence", "silent", "node", (), "", now - 60 * SECOND, now, 8.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    place = Resource(CLUSTER, node.labels.get(SETTINGS.zone_label, ""), node.name)
    return Incident(name, "node", place, "open", now - 60 * SECOND, now, 0, 8.0, "silent", (gone,))


def errors(name: str, place: Resource) -> Incident:
    """Of a disk that answers with errors, and is fast: no policy asks for anything."""
    now = time.time_ns()
    found = Evidence(
        "series", "system_disk_errors", "system_disk_errors", (), "", now, now, 8.0, 1.0, 9.0, 0.0, 0.0, 1.0
    )
    return Incident(name, "node", place, "open", now, now, 0, 8.0, "its disk", (found,))


def decision(node: Node, verb: Verb, name: str, incident: str, undoes: str = "") -> Decision:
    """An allowed one, as the guard would have it."""
    place = Resource(CLUSTER, node.labels.get(SETTINGS.zone_label, ""), node.name)
    action = Action(verb, place, (), "its disk is failing", "disk_failing", incident)
    now = time.time_ns()
    return Decision(
        name, action, "allowed", "all", "", (), False, now, recorded_ns=now, uid=node.uid, undoes=undoes
    )


class Replica:
    """edgeobs from an incident to the API server, in the thread that calls `step`.

    Parameters
    ----------
    settings, folder, file
        What it may do; where its journal is; its kubeconfig.
    silent
        Nodes that send nothing now; shared with whoever silences them.

    """

    def __init__(
        self, settings: Settings, folder: Path, file: Path, silent: set[str], **changes: Any
    ) -> None:
        self.settings, self.folder, self.silent = settings, folder, silent
        self.cluster = Cluster(kubernetes(file, **changes))
        self.view, self.says, self.me = Mirrored(self.cluster), Elected(self.cluster), folder.name
        self.counts = Counts()
        self.incidents: dict[str, Incident] = {}
        self.decided: list[Decision] = []
        self.operations: dict[str, Operation] = {}
        self._changed: list[Incident] = []
        self.says.check()
        self.cluster.start()
        self.open()

    def open(self) -> None:
        """A process that starts: what is in the journal is all it knows."""
        self.remediation = Remediation(self.settings, self.counts)
        self.actor = Actor(
            self.cluster.live, self.view, self.folder, self.settings, self.counts, switches=self.says,
            me=self.me, clock=time.time_ns, dice=lambda: 0.0,
        )  # fmt: skip

    def close(self) -> None:
        """A regular end."""
        self.actor.close()
        self.cluster.stop()

    def leads(self, nodes: Iterable[str] = ()) -> bool:
        """Whether it may act, and knows these nodes."""
        held = self.says()
        known = self.cluster.mirror.inventory(time.time_ns()).nodes
        return not (held.leader or held.paused) and self.cluster.fresh and known.keys() >= set(nodes)

    def node(self, name: str) -> Node:
        """As the API server has it."""
        found = self.cluster.live.node(name)
        assert found is not None
        return found

    def opens(self, incident: Incident) -> Incident:
        """Something is wrong from now on."""
        self.incidents[incident.id] = incident
        self._changed.append(incident)
        return incident

    def resolves(self, name: str) -> None:
        """It is over."""
        now = time.time_ns()
        over = replace(self.incidents.pop(name), state="resolved", resolved_ns=now)
        self._changed.append(over)

    def offer(self, decision: Decision) -> None:
        """A decision that is on record already, as after a restart, whose incident goes on."""
        action = decision.action
        if action.verb not in UNDOING:
            self.incidents.setdefault(action.incident, errors(action.incident, action.target))
        self.decided.append(decision)
        self.actor.offer([decision], self.seen())

    def fleet(self) -> FleetView:
        """What telemetry and the cluster together say."""
        now = time.time_ns()
        found, said = self.view.inventory(now).nodes.values(), self.says()
        beats = [self._beat(node, now) for node in found]
        return fleet_view(
            beats, found, self.settings, age_ns=self.view.age_ns(), stale_ns=self.view.stale_ns,
            leader=said.leader, paused=said.paused,
        )  # fmt: skip

    def seen(self) -> Seen:
        """The same, as the actor is told."""
        return Seen(time.time_ns(), self.fleet(), self.incidents)

    def step(self) -> None:
        """What the engine does at a tick, and one thing that the actor does."""
        now = time.time_ns()
        self.incidents = {name: _told_anew(each, now) for name, each in self.incidents.items()}
        changed, self._changed = self._changed, []
        made = self.remediation.step(lambda: list(self.incidents.values()), changed, self.fleet, now)
        self.decided += made
        self.actor.offer(made, self.seen())
        self.actor.work()
        for operation in self.actor.news():
            self.remediation.told(operation)
            self.operations[operation.id] = operation

    def until(self, what: str, look: Callable[[], T], within_s: float = 20.0) -> T:
        """Step until it is so; TimeoutError with what became of every operation."""

        def looked() -> T:
            self.step()
            return look()

        try:
            return wait(what, looked, within_s, 0.005)
        except TimeoutError as error:
            said = [each.text() for each in self.operations.values()]
            said += [each.text() for each in self.decided[-5:]]
            raise TimeoutError("\n".join([str(error), *said, str(self.says())])) from None

    def rests(self) -> None:
        """Step until nothing is under way."""
        self.until("nothing is under way", lambda: not self.actor.busy)

    def of(self, node: str, verb: Verb | None = None) -> Operation | None:
        """The newest operation on a node."""
        found = [
            each
            for each in self.operations.values()
            if each.action.target.node == node and verb in (None, each.action.verb)
        ]
        return max(found, key=lambda each: each.begun_ns, default=None)

    def ended(self, node: str, verb: Verb | None = None, state: str = "") -> Callable[[], Operation | None]:
        """Whether that is over, and all that is to be told of it is told."""

        def look() -> Operation | None:
            found = self.of(node, verb)
            return found if found and found.over and state in ("", found.state) else None

        return look

    def waits(self, node: str, reason: str) -> Callable[[], Operation | None]:
        """Whether the newest operation on a node is not over, for this reason."""

        def look() -> Operation | None:
            found = self.journal_of(node)
            return found if found and not found.over and reason in found.reason else None

        return look

    def journal_of(self, node: str) -> Operation | None:
        """The newest operation on a node, as it is on disk."""
        if not (self.folder / NAME).exists():
            return None
        journal = Journal(self.folder / NAME, self.settings, read_only=True)
        try:
            return next((each for each in journal.recent() if each.action.target.node == node), None)
        finally:
            journal.close()

    def _beat(self, node: Node, now: int) -> Heartbeat:
        place = Resource(CLUSTER, node.labels.get(self.settings.zone_label, ""), node.name)
        if node.name in self.silent:
            return Heartbeat(place, "silent", now - 60 * SECOND, SECOND)
        return Heartbeat(place, "alive", now, SECOND)


def _told_anew(incident: Incident, now: int) -> Incident:
    return replace(incident, evidence=tuple(replace(each, last_ns=now) for each in incident.evidence))


@dataclass
class Trial:
    """What a row has at hand."""

    plane: ControlPlane
    account: Account
    proxy: FaultProxy
    nodes: Nodes
    namespace: str
    folder: Path
    referee: Referee
    silent: set[str] = field(default_factory=set)
    replicas: list[Replica] = field(default_factory=list)

    def replica(self, settings: Settings = SETTINGS, name: str = "edge-a", **changes: Any) -> Replica:
        """One that leads and knows all nodes, through the fault proxy."""
        made = self.candidate(settings, name, **changes)
        names = [each["metadata"]["name"] for each in self.plane.api.items("/api/v1/nodes")]
        wait(f"{name} leads and knows", lambda: made.leads(names))
        return made

    def candidate(
        self, settings: Settings = SETTINGS, name: str = "edge-a", server: str = "", **changes: Any
    ) -> Replica:
        """One that may not lead yet."""
        server = server or self.proxy.server
        file = self.plane.kubeconfig(self.account.name, self.account.token, server)
        self.referee.settings = settings
        made = Replica(settings, self.folder / name, file, self.silent, **changes)
        self.replicas.append(made)
        self.referee.journals.add(made.folder / NAME)
        self.referee.decided.append(made.decided)
        return made

    def fleet(self, zones: Mapping[str, int]) -> list[str]:
        """Nodes that opted in."""
        return self.nodes.fleet(zones, labels=OPTED_IN)

    def pair(self, pods: int = 3, name: str = "a", **spec: Any) -> tuple[str, str]:
        """A node with pods of a workload, and one in another zone where they may go."""
        here, there = f"{name}-1", f"{name}x-1"
        only = {"pool": name}
        self.nodes.add(here, name, OPTED_IN | only)
        taint = {"key": "edgeobs.test/last", "effect": "PreferNoSchedule"}
        self.nodes.add(there, f"{name}x", OPTED_IN | only, taints=[taint])
        self.nodes.wait_ready([here, there])
        self.plane.api.apply(workload(name, self.namespace, pods, nodeSelector=only, **spec))
        wait(f"{pods} pods run on {here}", lambda: len(self.running(here)) == pods)
        return here, there

    def running(self, node: str) -> list[str]:
        """Names of the pods on a node that run and are not on their way."""
        found = self.plane.api.items(
            f"/api/v1/namespaces/{self.namespace}/pods", fieldSelector=f"spec.nodeName={node}"
        )
        return [
            each["metadata"]["name"]
            for each in found
            if each["status"].get("phase") == "Running" and "deletionTimestamp" not in each["metadata"]
        ]

    def node(self, name: str) -> Object:
        """As the API server has it."""
        return self.plane.api("GET", f"/api/v1/nodes/{name}")

    def plain(self, name: str) -> Node:
        """The same, cut to what edgeobs uses."""
        return trim.node(self.node(name), Pool(100))

    def cordoned(self, name: str) -> bool:
        """Whoever did."""
        return bool(self.node(name)["spec"].get("unschedulable"))

    def close(self) -> None:
        """End all that was started."""
        for each in self.replicas:
            each.close()


def workload(name: str, namespace: str, replicas: int, **spec: Any) -> Object:
    """A Deployment whose pods opted in, and hold nothing."""
    labels = {"app": name}
    pod = {"containers": [{"name": "main", "image": "main"}], "terminationGracePeriodSeconds": 1, **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": OPTED_IN},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels | OPTED_IN}, "spec": pod},
        },
    }
