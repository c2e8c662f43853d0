"""A site, two replicas of edgeobs over it, and a referee that believes neither.

Every change is held to the truth. The replicas share nothing but the cluster: each has incidents, a journal,
a clock and a cache of its own.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgeobs.calls import Answer, Call
from edgeobs.objects import Budget, Inventory, Node, Pod, Ref, Requirement, Workload
from edgeobs.remediate import FleetView, MemoryCluster, Remediation, Settings, Switches, fleet_view, marks
from edgeobs.remediate.conductor import Conductor, Seen
from edgeobs.remediate.fleet import opted
from edgeobs.remediate.journal import Journal
from edgeobs.remediate.policies.ladder import Rung
from edgeobs.remediate.policies.playbook import Playbook
from edgeobs.remediate.windows import Window
from edgeobs.signals import SECOND, UNDOING, Action, Counts, Decision, Heartbeat, Incident, Resource, Verb
from tests.remediate.acting import Killed, an_incident
from tests.remediate.simulated_moves import Moving

START = 1_700_000_000 * SECOND
HOUR = 3600 * SECOND
VERBS: tuple[Verb, ...] = (
    "cordon", "taint", "reschedule", "drain", "release", "failover", "notify", "annotate", "playbook",
)  # fmt: skip
LADDER = (Rung(verb="cordon"), Rung(verb="reschedule", after_s=10), Rung(verb="drain", after_s=10))
BOOKS = {"book": Playbook(url="http://127.0.0.1:9/", alerts=("Down",))}
QUIET = Window(start="23:00", end="23:20", allow="outside")
SETTINGS = Settings(
    dry_run=False, live=VERBS, ladders={"ladder": LADDER}, playbooks=BOOKS, windows=(QUIET,),
    failover_ready_s=20.0, failback_after_s=60.0, nodes_per_zone=1, cluster_share=0.3, per_hour=8,
    cooldown_s=60.0, recheck_s=1.0, deadline_s=300.0, verify_s=30.0, undo_after_s=30.0, back_off_s=60.0,
    keep_free=0.0, approve=("drain",),
)  # fmt: skip
ZONES = "abc"
PLACES = [Resource("site", zone, f"{zone}{at}") for zone in ZONES for at in range(3)]
ROOM = {"cpu": 1000, "memory": 1 << 30, "pods": 12}


class Broken(AssertionError):
    """A promise that must always hold did not."""


@dataclass
class Truth:
    """The world as it is, whatever anybody believes."""

    settings: Settings = SETTINGS
    now_ns: int = START
    silent: set[str] = field(default_factory=set)  # nodes that send no telemetry
    dead: dict[str, int] = field(default_factory=dict)  # nodes whose kubelet is dead, and since when
    heard_ns: dict[str, int] = field(default_factory=dict)
    persons: set[str] = field(default_factory=set)  # UIDs of nodes that a person cordoned
    hands_off: set[tuple[str, str]] = field(default_factory=set)  # incident and node that a person took back
    paused: bool = False
    vetoed: set[str] = field(default_factory=set)
    approved: set[str] = field(default_factory=set)  # incidents, now
    allowed: set[str] = field(default_factory=set)  # that were approved at any time
    wishes: dict[str, str] = field(default_factory=dict)  # what is wrong → what is wanted for it
    leader: str = "one"
    led_since_ns: int = START
    cordons: list[int] = field(default_factory=list)  # when nodes were cordoned or tainted by us
    faults: list[str] = field(default_factory=list)  # what happens to the next calls
    broken: list[str] = field(
        default_factory=list
    )  # promises; who acts outlives any error, so it is not raised
    made: int = 0

    def __post_init__(self) -> None:
        self.cluster = MemoryCluster(self.settings, clock=lambda: self.now_ns)
        for place in PLACES:
            self.join(place)
        web, db = (Requirement("app", "In", ("web",)),), (Requirement("app", "In", ("db",)),)
        for name, selector in (("web", web), ("api", db)):
            labels = {selector[0].key: selector[0].values[0], self.settings.opt_in: "enabled"}
            self.cluster.put(
                Workload("ReplicaSet", "shop", name, f"rs-{name}", "", labels, selector=selector, replicas=4)
            )
        self.cluster.put_budget(Budget("shop", "web", web), 3)
        for at, place in enumerate(PLACES):
            daemon = Ref("DaemonSet", "kube-system", "log", "ds")
            self.cluster.put(
                Pod("kube-system", f"log-{at}", f"log-{at}", node=place.node, phase="Running", owner=daemon)
            )
        stateful = Ref("StatefulSet", "shop", "pg", "ss")
        labels = {self.settings.opt_in: "enabled"}
        self.cluster.put(
            Pod(
                "shop",
                "pg-0",
                "pg-0",
                node="a0",
                phase="Running",
                labels=labels,
                owner=stateful,
                claims=("data",),
            ),
            Pod("shop", "bare", "bare", node="b0", phase="Running", labels=labels),
        )
        self.moving = Moving(self.cluster, self.settings)
        self.settle()

    def join(self, place: Resource) -> None:
        """A node, new, or anew under an old name."""
        self.made += 1
        labels = {self.settings.zone_label: place.zone}
        notes = {self.settings.opt_in: "enabled"}
        uid = f"uid-{place.node}-{self.made}"
        self.cluster.put(
            Node(place.node, uid, "", labels, notes, ready="True", allocatable=ROOM, lease_ns=self.now_ns,
                 lease_seen_ns=self.now_ns, cluster="site")
        )  # fmt: skip
        self.heard_ns[place.node] = self.now_ns

    def passes(self, ns: int) -> None:
        """Kubelets renew their Leases, who speaks is heard, controllers do their work."""
        self.now_ns += ns
        for node in self.cluster.nodes():
            if node.name not in self.silent:
                self.heard_ns[node.name] = self.now_ns
            if node.name not in self.dead:
                now = self.now_ns
                self.cluster.put(replace(node, lease_ns=now, lease_seen_ns=now, ready="True"))
            elif self.now_ns - self.dead[node.name] > 40 * SECOND:
                self.cluster.put(replace(node, ready="Unknown"))
        self.settle()

    def settle(self) -> None:
        """Pods start with the labels of their set."""
        self.cluster.settle(self.dead)
        for pod in self.cluster.inventory(0).pods:
            if (
                pod.owner
                and pod.owner.kind in {"ReplicaSet", "Deployment"}
                and self.settings.opt_in not in pod.labels
            ):
                labels = {**pod.labels, self.settings.opt_in: "enabled"}
                self.cluster.put(replace(pod, labels=labels, requests={"cpu": 100}))
        self.moving.settle()

    def node(self, name: str) -> Node | None:
        return next((node for node in self.cluster.nodes() if node.name == name), None)

    def dark(self, zone: str) -> bool:
        """Whether half of a zone's nodes, or more, are silent by now."""
        names = [place.node for place in PLACES if place.zone == zone]
        silent = sum(self.now_ns - self.heard_ns[name] > 10 * SECOND for name in names)
        return silent > 0 and 2 * silent >= len(names)


class Referee:
    """The API as one replica sees it. What is done is held to the truth, and may go wrong on its way."""

    def __init__(self, truth: Truth, who: str) -> None:
        self.truth, self.who = truth, who

    def __getattr__(self, name: str) -> Any:
        return getattr(self.truth.cluster, name)

    def call(self, call: Call) -> Answer:
        truth = self.truth
        if call.ref.kind == "Event" or call.subresource:
            return truth.cluster.call(call)
        fault = truth.faults.pop(0) if truth.faults else ""
        if fault == "killed before":
            raise Killed
        if fault.isdecimal():
            return Answer(int(fault), "Fault", "so it goes", retry_after_s=2.0 if fault == "429" else 0.0)
        before, service = truth.cluster.inventory(truth.now_ns), truth.moving.service()
        answer = truth.moving.run(call) if call.verb == "run" else truth.cluster.call(call)
        if answer.ok:
            self.judge(call, before, service)
        if fault == "killed after":
            raise Killed
        return Answer(0, "Timeout", "no answer") if fault == "lost" else answer

    def raw(self, ref: Ref) -> dict[str, Any] | None:
        moving = self.truth.moving
        return moving.ran(ref.name) if ref.kind == "Playbook" else moving.cluster.raw(ref)

    def judge(self, call: Call, before: Inventory, service: Mapping[str, Any]) -> None:
        truth = self.truth
        self.holds(not truth.paused, "it was paused", call)
        self.holds(truth.leader == self.who, f"{truth.leader or 'nobody'} leads", call)
        if call.ref.kind == "Node":
            self.judge_node(call, before.nodes[call.ref.name])
        elif call.ref.kind != "Pod":
            why = truth.moving.judge(call, before, service, truth.now_ns)
            self.holds(not why, why, call)
        else:
            pod = next(pod for pod in before.pods if pod.ref[:3] == call.ref[:3])
            self.judge_pod(call, pod, before)

    def judge_node(self, call: Call, before: Node) -> None:
        truth = self.truth
        after = truth.node(before.name)
        assert after is not None
        self.holds(after.labels == before.labels, "labels are none of its business", call)
        theirs = {t for t in before.taints if t.key not in marks.OURS and t != marks.OUT_OF_SERVICE}
        self.holds(theirs <= set(after.taints), "a taint of somebody else was taken away", call)
        self.holds(opted(before, truth.settings), "the node has not opted in", call)
        if before.unschedulable and not after.unschedulable:
            self.holds(before.uid not in truth.persons, "a person's cordon was undone", call)
        found = marks.read(after)
        if found is not None and marks.read(before) is None:
            self.judge_taking(call, before, found.incident)

    def judge_taking(self, call: Call, before: Node, incident: str) -> None:
        """A node is taken out of service, more or less."""
        truth, settings = self.truth, self.truth.settings
        zone = before.labels[settings.zone_label]
        self.holds(not truth.dark(zone), f"zone {zone} was dark", call)
        self.holds(incident not in truth.vetoed, "it was vetoed", call)
        waits = truth.wishes.get(incident.rpartition("-")[0]) == "drain" and incident not in truth.allowed
        self.holds(not waits, "nobody approved it", call)
        self.holds(incident not in truth.moving.over_ns, "its incident was over", call)
        self.holds((incident, before.uid) not in truth.hands_off, "a person had taken it back", call)
        busy = [node for node in truth.cluster.nodes() if node.unschedulable or marks.read(node)]
        there = [node.name for node in busy if node.labels.get(settings.zone_label) == zone]
        self.holds(len(there) <= (settings.nodes_per_zone or 0), f"{there} of one zone at once", call)
        self.holds(len(busy) <= 3, f"{len(busy)} of {len(PLACES)} nodes at once", call)
        truth.cordons.append(truth.now_ns)
        # An hour less the ten minutes by which two clocks may differ.
        lately = sum(truth.now_ns - at < HOUR - 600 * SECOND for at in truth.cordons)
        self.holds(lately <= (settings.per_hour or 0), f"{lately} within an hour", call)

    def judge_pod(self, call: Call, pod: Pod, before: Inventory) -> None:
        truth = self.truth
        self.holds(call.ref.uid == pod.uid, "whichever pod has this name", call)
        owner = pod.owner
        kept = pod.mirror or owner is None or owner.kind == "DaemonSet" or pod.empty_dir
        self.holds(not kept, f"{pod.name} must not be removed", call)
        self.holds(pod.labels.get(truth.settings.opt_in) == "enabled", f"{pod.name} has not opted in", call)
        if call.verb == "delete":
            quiet = truth.now_ns - truth.heard_ns[pod.node]
            self.holds(quiet > 5 * SECOND, f"{pod.node} was heard {quiet // SECOND} s ago", call)
            self.holds(pod.node in truth.dead, f"the kubelet of {pod.node} is alive", call)
            self.holds(owner is not None and owner.kind == "ReplicaSet", f"{pod.name} has state", call)
            return
        self.holds(call.verb == "evict", f"{call.verb} of a pod", call)
        room = any(
            node.ready == "True"
            and not node.unschedulable
            and _free(node, before) >= pod.requests.get("cpu", 0)
            for node in before.nodes.values()
            if node.name != pod.node
        )
        self.holds(room, f"{pod.name} fits nowhere else", call)

    def holds(self, fine: bool, why: str, call: Call) -> None:
        if not fine:
            self.truth.broken.append(f"{self.who}: {call.says or call}: {why}")


def _free(node: Node, world: Inventory) -> int:
    used = sum(pod.requests.get("cpu", 0) for pod in world.pods if pod.node == node.name and not pod.over)
    return node.allocatable["cpu"] - used


@dataclass
class Cache:
    """The cluster as a replica holds it: as it is, or as it was when its watch fell silent."""

    truth: Truth
    held: Inventory | None = None
    since_ns: int = 0
    stale_ns: int = 15 * SECOND

    def freeze(self) -> None:
        if self.held is None:
            self.held, self.since_ns = self._now(), self.truth.now_ns

    def thaw(self) -> None:
        self.held = None

    def nodes(self) -> list[Node]:
        return list((self.held or self._now()).nodes.values())

    def inventory(self, now_ns: int) -> Inventory:
        return replace(self.held or self._now(), read_ns=now_ns - self.age_ns())

    def age_ns(self) -> int:
        return self.truth.now_ns - self.since_ns if self.held else 0

    def _now(self) -> Inventory:
        return replace(self.truth.cluster.inventory(self.truth.now_ns), steady_ns=self.truth.now_ns)


class Replica:
    """One process: remediation and conductor, with a file that outlives it."""

    def __init__(self, truth: Truth, name: str, folder: Path, wish: Callable[[str], str]) -> None:
        self.truth, self.name, self.folder, self.wish = truth, name, folder, wish
        self.cache = Cache(truth)
        self.skew_ns = 0
        self.rows: list[Decision] = []
        self.incidents: dict[str, Incident] = {}
        self.told: list[Incident] = []  # that changed since the last step
        self.last_ns = 0
        self.kills = 0
        self.begin()

    @property
    def now_ns(self) -> int:
        return self.truth.now_ns + self.skew_ns

    def begin(self) -> None:
        """Start, with what the files hold."""
        settings = self.truth.settings
        journal = Journal(self.folder / f"{self.name}.sqlite", settings)
        self.conductor = Conductor(
            Referee(self.truth, self.name), self.cache, journal, settings, Counts(), me=self.name,
            clock=lambda: self.now_ns, dice=lambda: 0.5, switches=self.switches,
        )  # fmt: skip
        self.conductor.journal._db.execute("PRAGMA synchronous = OFF")  # the power stays on
        self.remediation = Remediation(settings, Counts(), {"wish": self.wishes, "ladder": self.climbs})
        active = list(self.incidents.values())
        self.remediation.restore(
            self.rows, active, self.now_ns, self.last_ns, max((d.steady_ns for d in self.rows), default=0)
        )
        in_flight = {decision.id for decision in self.remediation.guard.ledger.allowed.values()}
        self.conductor.take([decision for decision in self.rows if decision.id in in_flight])

    def killed(self) -> None:
        """kill -9, and another start."""
        self.kills += 1
        self.conductor.journal.close()
        self.begin()

    def wishes(self, incident: Incident, now_ns: int) -> list[Action]:  # noqa: ARG002  a policy
        verb: Any = self.wish(incident.id)
        patch = (("playbook", "book"),) if verb == "playbook" else ()
        made = Action(verb, incident.place, patch, "so be it", "wish", incident.id)
        return [] if verb == "ladder" else [made]

    def climbs(self, incident: Incident, now_ns: int) -> list[Action]:  # noqa: ARG002  a policy
        found = self.wish(incident.id) == "ladder"
        return [Action("cordon", incident.place, (), "step by step", "ladder", incident.id)] if found else []

    def switches(self) -> Switches:
        truth = self.truth
        leader = "" if truth.leader == self.name else "another leads"
        vetoed: Mapping[str, str] = dict.fromkeys(truth.vetoed, "a person")
        since = truth.led_since_ns + self.skew_ns
        return Switches(
            "a person paused it" if truth.paused else "",
            vetoed,
            leader=leader,
            led_since_ns=since,
            approved={(name, ""): "a person" for name in truth.approved},
        )

    def fleet(self) -> FleetView:
        truth, said = self.truth, self.switches()
        beats = []
        for place in PLACES:
            quiet = truth.now_ns - truth.heard_ns[place.node]
            state: Any = "alive" if quiet < 3 * SECOND else "late" if quiet <= 10 * SECOND else "silent"
            beats.append(Heartbeat(place, state, self.now_ns - quiet, SECOND))
        return fleet_view(
            beats, self.cache.nodes(), truth.settings, age_ns=self.cache.age_ns(), leader=said.leader,
            stale_ns=self.cache.stale_ns, vetoed=said.vetoed, paused=said.paused, approved=said.approved,
        )  # fmt: skip

    def opens(self, name: str, place: Resource) -> None:
        self.incidents[name] = replace(an_incident(name, place), opened_ns=self.now_ns)
        self.told.append(self.incidents[name])

    def resolves(self, name: str) -> None:
        if name in self.incidents:
            incident = self.incidents.pop(name)
            self.truth.moving.over_ns.setdefault(name, self.truth.now_ns)
            self.told.append(replace(incident, state="resolved", resolved_ns=self.now_ns))

    def step(self) -> None:
        """One tick: hear what was done, decide, put on record, act."""
        try:
            self._step()
        except Killed:
            self.killed()
        faults = [o.reason for o in self.remediation.operations.values() if "a fault of edgeobs" in o.reason]
        if self.truth.broken or faults:
            raise Broken("; ".join(self.truth.broken + faults))

    def _step(self) -> None:
        for operation in self.conductor.news:
            self.remediation.told(operation)
        self.conductor.news.clear()
        told, self.told = self.told, []
        active = list(self.incidents.values())
        made = self.remediation.step(lambda: active, told, self.fleet, self.now_ns)
        self.last_ns = self.now_ns
        made = [replace(decision, recorded_ns=self.now_ns) for decision in made]
        self.rows.extend(made)
        if "killed between" in self.truth.faults and made:
            self.truth.faults.remove("killed between")
            raise Killed
        self.conductor.take(made)
        seen = Seen(self.now_ns, self.fleet(), dict(self.incidents))
        for _ in range(200):
            due = self.conductor.work(seen)
            if self.truth.broken:
                raise Broken("; ".join(self.truth.broken))
            if due > self.now_ns:
                return
        raise Broken(f"{self.name} never comes to rest: {self.conductor.operations}")

    def lost(self) -> list[str]:
        """Allowed decisions of which the journal knows nothing; an undo is proposed anew instead."""
        journal = self.conductor.journal
        return [
            f"{d.id}: {d.action.verb} {d.action.incident} at {d.decided_ns}"
            for d in self.rows
            if d.verdict == "allowed" and not d.dry_run and d.action.verb not in UNDOING
            if not journal.known(d.id)
        ]

    def close(self) -> None:
        with suppress(Exception):
            self.conductor.journal.close()
