"""A cluster in memory with a conductor over it, and whatever may go wrong between the two."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgeobs.calls import Answer, Call
from edgeobs.objects import Node
from edgeobs.remediate import FleetView, MemoryCluster, Operation, Settings, Switches, fleet_view
from edgeobs.remediate.conductor import Conductor
from edgeobs.remediate.journal import NAME, Entry, Journal, JournalError
from edgeobs.remediate.reading import Seen
from edgeobs.signals import SECOND, Action, Counts, Decision, Evidence, Heartbeat, Incident, Resource, Verb

START = 1_700_000_000 * SECOND
LIVE: tuple[Verb, ...] = ("cordon", "taint", "drain", "reschedule", "release")
SETTINGS = Settings(dry_run=False, live=LIVE, cluster_share=1.0, approve=())


class Killed(BaseException):
    """kill -9: nothing after it happens in this process."""


@dataclass
class Api:
    """The cluster behind a network that may do anything."""

    cluster: MemoryCluster
    calls: list[Call] = field(default_factory=list)
    before: Callable[[Call], Answer | None] = lambda _: None  # an answer instead of the call
    after: Callable[[Call, Answer], Answer] = lambda _, answer: answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cluster, name)

    def call(self, call: Call) -> Answer:
        if call.ref.kind != "Event" and not call.subresource:
            self.calls.append(call)
            instead = self.before(call)
            return instead if instead is not None else self.after(call, self.cluster.call(call))
        return self.cluster.call(call)


@dataclass
class World:
    """Six nodes in three zones, all opted in; one incident on each that is decided about."""

    folder: Path
    settings: Settings = SETTINGS
    now_ns: int = START
    silent: set[str] = field(default_factory=set)
    switches: Switches = field(default_factory=Switches)
    incidents: dict[str, Incident] = field(default_factory=dict)
    news: list[Operation] = field(default_factory=list)
    me: str = "edge-a"

    def __post_init__(self) -> None:
        self.cluster = MemoryCluster(self.settings, clock=lambda: self.now_ns)
        self.places = [Resource("site", zone, f"{zone}{n}") for zone in "abc" for n in range(2)]
        for place in self.places:
            labels, notes = {self.settings.zone_label: place.zone}, {self.settings.opt_in: "enabled"}
            uid = f"uid-{place.node}"
            self.cluster.put(Node(place.node, uid, "", labels, notes, ready="True", cluster="site"))
        self.api = Api(self.cluster)
        self.counts = Counts()
        self.conductor = self.opened()

    def opened(self, name: str = NAME, me: str = "") -> Conductor:
        """A process that starts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return Conductor(
            self.api, self.cluster, Journal(self.folder / name, self.settings), self.settings, self.counts,
            clock=lambda: self.now_ns, dice=lambda: 0.5, switches=lambda: self.switches, me=me or self.me,
        )  # fmt: skip

    def restart(self) -> None:
        """After kill -9; what is in the files is all there is."""
        self.conductor.journal.close()
        self.conductor = self.opened()

    def fleet(self) -> FleetView:
        beats = [
            Heartbeat(place, "silent", self.now_ns - 100 * SECOND, SECOND)
            if place.node in self.silent
            else Heartbeat(place, "alive", self.now_ns, SECOND)
            for place in self.places
        ]
        return fleet_view(beats, self.cluster.nodes(), self.settings)

    def seen(self) -> Seen:
        return Seen(self.now_ns, self.fleet(), self.incidents)

    def decision(self, node: str = "a0", verb: Verb = "cordon", **changes: Any) -> Decision:
        place = next(place for place in self.places if place.node == node)
        incident = changes.pop("incident", f"inc-{node}")
        self.incidents.setdefault(incident, an_incident(incident, place))
        action = Action(verb, place, (), "its disk is failing", "disk_failing", incident)
        made = Decision(
            f"dec-{verb}-{node}", action, "allowed", "all", "", (), False, self.now_ns,
            recorded_ns=self.now_ns, uid=f"uid-{node}",
        )  # fmt: skip
        return replace(made, **changes)

    def take(self, *decisions: Decision) -> None:
        self.conductor.take(decisions)
        self.hear()

    def go(self, *decisions: Decision) -> None:
        self.take(*decisions)
        self.run()

    def fill(self) -> None:
        """Leave no room in the journal for anything at all."""
        journal = self.conductor.journal
        with suppress(JournalError):
            while True:
                journal.move(self.conductor.operations[0], self.now_ns, "wait")

    def hear(self) -> None:
        self.news.extend(self.conductor.news)
        self.conductor.news.clear()

    def run(self, seconds: float = 0.0) -> None:
        """Work until nothing is due any more within so long; time passes only by waiting."""
        until = self.now_ns + int(seconds * SECOND)
        for _ in range(10_000):
            due = self.conductor.work(self.seen())
            self.hear()
            if due > until:
                break
            self.now_ns = max(self.now_ns, due)
        else:
            raise AssertionError("it never comes to rest")
        self.now_ns = max(self.now_ns, until)

    def node(self, name: str = "a0") -> Node:
        found = self.cluster.node(name)
        assert found is not None
        return found

    def kubectl(self, name: str = "a0", **changes: Any) -> None:
        """What a person does; of cordons the API knows who set them last."""
        node = self.node(name)
        if changes.get("unschedulable", node.unschedulable) != node.unschedulable:
            changes["cordoned_by"] = "kubectl-cordon"
        self.cluster.put(replace(node, **changes))

    def operation(self, name: str = "dec-cordon-a0") -> Operation:
        found = self.conductor.journal.operation(name)
        assert found is not None
        return found

    def story(self, name: str = "dec-cordon-a0") -> list[Entry]:
        return self.conductor.journal.story(name)

    def kinds(self, name: str = "dec-cordon-a0") -> list[str]:
        return [entry.kind for entry in self.story(name)]


def an_incident(name: str, place: Resource, *, calm: bool = False) -> Incident:
    errors = Evidence(
        "series", "system_disk_errors", "system_disk_errors", (), "", START, START, 8.0, 1.0, 9.0, 0.0, 0.0,
        1.0, calm=calm,
    )  # fmt: skip
    return Incident(name, "node", place, "open", START, START, 0, 8.0, "its disk", (errors,))
