"""Whether a node is dead: who says so, and whether enough do. Pure.

A node that is merely cut off still runs its pods; to start them elsewhere as well is the worst that can be
done to a stateful workload. So silence alone proves nothing.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from edgeobs.objects import Node
from edgeobs.remediate.fleet import FleetView, NodeView
from edgeobs.remediate.settings import Settings
from edgeobs.signals import SECOND, Incident

CONFIRMED = "edgeobs.io/confirmed-dead"
"""Annotation by which a person says that this node is dead; its value is the node's uid."""

FENCED = "edgeobs.io/fenced"
"""The same by who fences: it is powered down, or its access to storage is revoked."""

Witness = Literal["lease", "telemetry", "neighbours", "alert", "person"]


class Scene(NamedTuple):
    """What witnesses see."""

    node: Node  # read just now
    held: Node | None  # the same node as the watched cache has it
    steady_ns: int  # the clock of that cache (`Inventory.steady_ns`)
    fleet: FleetView
    incident: Incident | None
    settings: Settings
    now_ns: int

    @property
    def view(self) -> NodeView | None:
        """The node as telemetry knows it."""
        return self.fleet.nodes.get((self.node.cluster, self.node.name))


class Said(NamedTuple):
    """``dead``: this witness takes it for dead."""

    dead: bool
    text: str


class Proof(NamedTuple):
    """What all witnesses say together."""

    dead: bool
    text: str


def proof(scene: Scene) -> Proof:
    """Dead when no Lease is renewed, nothing is heard, and a quorum of witnesses says so."""
    said = {name: ask(scene) for name, ask in WITNESSES.items()}
    for name in ("lease", "telemetry"):
        if not said[name].dead:
            return Proof(False, f"it is not dead: {said[name].text}")
    dead = [name for name in said if said[name].dead]
    told = "; ".join(each.text for each in said.values())
    most = scene.settings.release_quorum
    if len(dead) < most:
        return Proof(False, f"{len(dead)} witnesses of its death, the quorum is {most}: {told}")
    return Proof(True, f"{len(dead)} witnesses of its death ({', '.join(dead)}): {told}")


def _lease(scene: Scene) -> Said:
    """By when a renewal was *seen*, on one steady clock: neither the node's clock nor ours may be right."""
    node, held = scene.node, scene.held
    if held is None or held.uid != node.uid or not held.lease_seen_ns:
        unknown = not node.lease_ns and node.ready == "Unknown"
        return Said(unknown, f"no renewal of its Lease was ever seen, Ready is {node.ready}")
    if node.lease_ns != held.lease_ns:
        return Said(False, "its Lease was renewed just now")
    age = (scene.steady_ns - held.lease_seen_ns) / SECOND
    return Said(age >= scene.settings.lease_dead_s, f"its Lease was last renewed {age:.0f} s ago")


def _telemetry(scene: Scene) -> Said:
    view = scene.view
    if view is None or view.state in {"unheard", "retired"}:
        return Said(False, "it never sent telemetry, so its silence says nothing")
    age = (scene.now_ns - view.heard_ns) / SECOND
    silent = view.state == "silent" and not view.alive(scene.now_ns, int(scene.settings.alive_s * SECOND))
    return Said(silent, f"it was heard {age:.0f} s ago")


def _neighbours(scene: Scene) -> Said:
    """That its link is up: others of its zone are heard."""
    zone = scene.node.labels.get(scene.settings.zone_label, "")
    others = [each for each in scene.fleet.zone(scene.node.cluster, zone) if each.name != scene.node.name]
    window = int(scene.settings.alive_s * SECOND)
    heard = sum(each.alive(scene.now_ns, window) for each in others)
    enough = bool(zone) and heard > 0 and 2 * heard >= len(others)
    return Said(enough, f"{heard} of {len(others)} others in zone {zone or '(none)'} are heard")


def _alert(scene: Scene) -> Said:
    evidence = scene.incident.evidence if scene.incident else ()
    names = {each.name for each in evidence if each.source == "alert" and not each.calm}
    found = sorted(names & set(scene.settings.death_alerts))
    return Said(bool(found), f"alert {found[0]} fires" if found else "no alert of its death fires")


def _person(scene: Scene) -> Said:
    said = [key for key in (CONFIRMED, FENCED) if named(scene.node, key)]
    return Said(bool(said), f"{said[0]} names it" if said else "nobody confirmed it")


def named(node: Node, key: str) -> bool:
    """Whether an annotation names this very node, not an earlier one of the same name."""
    return bool(node.uid) and node.annotations.get(key) == node.uid


WITNESSES: dict[Witness, Callable[[Scene], Said]] = {
    "lease": _lease,
    "telemetry": _telemetry,
    "neighbours": _neighbours,
    "alert": _alert,
    "person": _person,
}
