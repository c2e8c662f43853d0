"""The in-memory twin of a Kubernetes cluster: nodes with labels, annotations, taints and cordons."""

from collections.abc import Iterable
from dataclasses import replace

from edgeobs.objects import Node, Taint
from edgeobs.remediate.settings import Settings
from edgeobs.signals import Decision, Heartbeat, Outcome, Resource

_INCIDENT = "edgeobs.io/incident"
_MAX_DONE = 10_000


class MemoryCluster:
    """Answers as the API would, without one.

    Parameters
    ----------
    settings
        Which label and annotation matter.
    limit
        Nodes it learns at most.

    """

    def __init__(self, settings: Settings, limit: int = 10_000) -> None:
        self._settings, self._limit = settings, limit
        self._nodes: dict[tuple[str, str], Node] = {}
        self._done: dict[str, Outcome] = {}

    def nodes(self) -> list[Node]:
        """All nodes as they are now."""
        return list(self._nodes.values())

    def put(self, node: Node) -> None:
        """Add or replace a node, as a person with kubectl would."""
        known = self._nodes.get((node.cluster, node.name))
        version = str(int(known.version) + 1) if known else node.version
        self._nodes[node.cluster, node.name] = replace(node, version=version)

    def learn(self, beats: Iterable[Heartbeat], *, opted_in: bool = False) -> None:
        """List the nodes that are heard, labelled with the zone they name; for a demo without a cluster."""
        for beat in beats:
            if beat.state == "retired":
                continue
            place = beat.place
            key = place.cluster, place.node
            if key in self._nodes or len(self._nodes) >= self._limit:
                continue
            labels = {self._settings.zone_label: place.zone} if place.zone else {}
            annotations = {self._settings.opt_in: "enabled"} if opted_in else {}
            uid = f"memory-{len(self._nodes)}"
            self._nodes[key] = Node(
                place.node, uid, "1", labels, annotations, ready="True", cluster=place.cluster
            )

    def forget(self, places: Iterable[Resource]) -> None:
        """Nodes that are long gone."""
        for place in places:
            self._nodes.pop((place.cluster, place.node), None)

    def apply(self, decision: Decision, now_ns: int) -> Outcome:
        """Carry out an allowed decision, once: a second time answers as the first."""
        known = self._done.get(decision.id)
        if known is not None:
            return known
        done, answer = self._apply(decision)
        outcome = Outcome(decision.id, done, answer, now_ns)
        if len(self._done) >= _MAX_DONE:
            del self._done[next(iter(self._done))]
        self._done[decision.id] = outcome
        return outcome

    def _apply(self, decision: Decision) -> tuple[bool, str]:
        action = decision.action
        if decision.verdict != "allowed":
            return False, f"not allowed: {decision.rule}"
        patch = ", ".join(f"{path} = {value}" for path, value in action.patch)
        if decision.dry_run:
            return False, f"dry-run: would have patched {action.target.node or action.target.zone}: {patch}"
        node = self._nodes.get((action.target.cluster, action.target.node))
        if node is None:
            return False, f"no node {action.target.node!r}"
        if node.annotations.get(self._settings.opt_in) != "enabled":
            return False, f"{node.name} has not opted in any more"
        if action.verb == "cordon" and node.unschedulable:
            return False, f"{node.name} is cordoned already; it is left as it is"
        self.put(_patched(node, action.patch, action.incident))
        return True, f"patched {node.name}: {patch}"


def _patched(node: Node, patch: Iterable[tuple[str, str]], incident: str) -> Node:
    annotations = {**node.annotations, _INCIDENT: incident}
    taints, unschedulable = node.taints, node.unschedulable
    for path, value in patch:
        if path == "/spec/unschedulable":
            unschedulable = value == "true"
        elif path == "/spec/taints/-" and value not in map(str, taints):
            taints = (*taints, Taint(value.partition("=")[0], "", "NoSchedule"))
    return replace(node, annotations=annotations, taints=taints, unschedulable=unschedulable)
