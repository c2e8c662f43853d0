"""Who judges a row of the fault matrix: by what the API server saw and what is on disk."""

import json
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import httpx

from edgeobs.kube import trim
from edgeobs.kube.pool import Pool
from edgeobs.objects import Node
from edgeobs.remediate import Settings, marks
from edgeobs.remediate.guards.budgets import most_of
from edgeobs.remediate.journal import Journal
from edgeobs.remediate.operation import Operation
from edgeobs.signals import Decision
from tests.real.api import Object, wait
from tests.real.control_plane import ControlPlane

LOOKS = {"get", "list", "watch"}
CHANGED = {"nodes", "pods", "pods/eviction"}
_POOL = Pool(4096)


class Act(NamedTuple):
    """A change to the cluster that was answered well."""

    verb: str
    what: str  # nodes, pods/eviction, pods, …
    name: str


class Verdict(NamedTuple):
    """What went wrong, each as a line; all are to be empty."""

    violations: list[str]
    lost: list[str]
    doubles: list[str]


class Referee:
    """Sees every version of every node, and every change that edgeobs made, for as long as a ``with``.

    Attributes
    ----------
    settings
        The budgets that hold.
    journals, decided
        Files of the replicas' journals; what was decided, list by list.

    """

    def __init__(self, plane: ControlPlane, user: str) -> None:
        self.settings = Settings()
        self.journals = set[Path]()
        self.decided = list[Sequence[Decision]]()
        self.violations: list[str] = []
        self.marked = 0  # how often a node was newly marked by us
        self.versions: dict[str, list[Node]] = {}  # of each node, in order
        self._plane, self._user, self._nodes = plane, user, dict[str, Node]()
        self._audit = plane.folder / "audit.log"
        self._read = self._audit.stat().st_size if self._audit.exists() else 0
        self._acts: list[Act] = []
        found = plane.api("GET", "/api/v1/nodes")
        for each in found["items"]:
            self._see("ADDED", each)
        self._version = found["metadata"]["resourceVersion"]
        self._thread = threading.Thread(target=self._run, name="referee", daemon=True)
        self._over = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._plane.api("POST", "/api/v1/nodes", {"metadata": {"name": "referee"}})  # wakes the watch
        self._plane.api.delete("/api/v1/nodes/referee")
        self._thread.join(10)

    def acts(self) -> list[Act]:
        """Changes of nodes and pods that were made since the row began; what is only told is none."""
        if self._audit.exists():
            with self._audit.open("rb") as log:
                log.seek(self._read)
                whole, _, _ = log.read().rpartition(b"\n")  # its last line may be on its way
            self._read += len(whole) + bool(whole)
            found = (_act(json.loads(line), self._user) for line in whole.splitlines())
            self._acts += [act for act in found if act is not None]
        return list(self._acts)

    def verdict(self) -> Verdict:
        """Once all that happened was seen."""
        wait("the referee has seen all", self._seen_all)
        operations, stories = self._operations()
        return Verdict(
            list(self.violations) + self._rate(),
            self._lost(operations),
            self._doubles(operations, stories),
        )

    def _lost(self, operations: dict[str, Operation]) -> list[str]:
        """Allowed and not on record, or on record and given up in the middle."""
        allowed = [each for made in self.decided for each in made if each.verdict == "allowed"]
        gone = [each.text() for each in allowed if not each.dry_run and each.id not in operations]
        left = [each.text() for each in operations.values() if not each.over]
        return gone + left

    def _doubles(self, operations: dict[str, Operation], called: Counter[str]) -> list[str]:
        """A node changed more often than there were operations that did; a pod taken off twice."""
        acts = Counter(self.acts())
        most = Counter(each.action.target.node for each in operations.values() if called[each.id])
        found = [
            f"{act.name} was patched {number} times for {most[act.name]} operations"
            for act, number in acts.items()
            if act.what == "nodes" and number > most[act.name]
        ]
        pods = Counter(act.name for act in acts.elements() if act.what != "nodes")
        return found + [f"{name} was removed {number} times" for name, number in pods.items() if number > 1]

    def _operations(self) -> tuple[dict[str, Operation], Counter[str]]:
        """All, and how many calls about nodes there were in each."""
        found: dict[str, Operation] = {}
        calls: Counter[str] = Counter()
        for path in (each for each in self.journals if each.exists()):
            journal = Journal(path, self.settings, read_only=True)
            for operation in journal.recent(10_000):
                found[operation.id] = operation
                story = journal.story(operation.id)
                calls[operation.id] += sum(
                    each.kind == "call" and each.body["ref"][0] == "Node" for each in story
                )
            journal.close()
        return found, calls

    def _rate(self) -> list[str]:
        most = self.settings.per_hour
        over = most is not None and self.marked > most
        return [f"{self.marked} nodes were acted upon in an hour, the budget is {most}"] if over else []

    def _seen_all(self) -> bool:
        now = {
            each["metadata"]["name"]: each["metadata"]["resourceVersion"]
            for each in self._plane.api.items("/api/v1/nodes")
        }
        return now == {name: node.version for name, node in self._nodes.items()}

    def _run(self) -> None:
        query = {"watch": "1", "resourceVersion": self._version, "timeoutSeconds": "3600"}
        try:
            with self._plane.api.http.stream("GET", "/api/v1/nodes", params=query, timeout=None) as answer:
                for line in answer.iter_lines():
                    if self._over:
                        return
                    event = json.loads(line)
                    self._see(event["type"], event["object"])
        except httpx.TransportError:  # the control plane ends
            return

    def _see(self, kind: str, found: Object) -> None:
        node = trim.node(found, _POOL)
        before = self._nodes.get(node.name)
        if kind == "DELETED":
            self._nodes.pop(node.name, None)
            return
        self._nodes[node.name] = node
        self.versions.setdefault(node.name, []).append(node)
        new = before is None or before.uid != node.uid or marks.read(before) is None
        if new and marks.read(node) is not None:
            self.marked += 1
            self._count(node)

    def _count(self, node: Node) -> None:
        """The budgets, at the moment at which one more node is ours."""
        zone_of, settings = self.settings.zone_label, self.settings
        busy = [each for each in self._nodes.values() if each.unschedulable or marks.read(each)]
        zone = node.labels.get(zone_of, "")
        ask = (
            (
                f"of zone {zone}",
                sum(each.labels.get(zone_of) == zone for each in busy),
                settings.nodes_per_zone,
            ),
            ("of the cluster", len(busy), most_of(settings.cluster_share or 0.0, len(self._nodes))),
        )
        self.violations += [
            f"{node.name}: {number} nodes {what} are marked or cordoned, the budget is {most}"
            for what, number, most in ask
            if most is None or number > most
        ]


def _act(event: Object, user: str) -> Act | None:
    """What an entry of the audit log says that this user has changed."""
    of = event.get("objectRef", {})
    what = "/".join(part for part in (of.get("resource", ""), of.get("subresource", "")) if part)
    good = 200 <= event.get("responseStatus", {}).get("code", 0) < 300
    ours = event["user"]["username"] == user and event["verb"] not in LOOKS and what in CHANGED
    return Act(event["verb"], what, of.get("name", "")) if good and ours else None
