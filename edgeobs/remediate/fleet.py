"""What the guard knows of the world at one moment: plain data, built anew for every look. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from edgeobs.objects import Inventory, Node, Truth
from edgeobs.remediate.marks import VETO, Marks, acted_ns, read
from edgeobs.remediate.settings import Settings
from edgeobs.signals import Heartbeat, HeartState, Resource

Place = tuple[str, str]
"""(cluster, zone) or (cluster, node)."""


class ClusterView(Protocol):
    """A cluster as a cache has it; safe to ask from any thread."""

    stale_ns: int
    """Nothing is decided or done on what is older than this."""

    def inventory(self, now_ns: int) -> Inventory:
        """Everything that is kept of it; each node has the name that its cluster has in telemetry."""
        ...

    def age_ns(self) -> int:
        """How long ago the oldest part of it was surely true; 0: it is the truth itself."""
        ...


class NodeView(NamedTuple):
    """A node as telemetry and the cluster together know it."""

    cluster: str
    name: str
    listed: bool  # the cluster has it
    zone: str  # as the cluster's label names it; empty: not labelled
    telemetry_zone: str
    opted_in: bool
    cordoned: bool
    state: HeartState | Literal["unheard"]
    heard_ns: int
    uid: str = ""
    ready: Truth = "True"  # as the cluster says; anything but "True" is not ready
    marks: Marks | None = None  # ours, whichever replica put them
    acted_ns: int = 0  # when any replica last acted on it, as the node has it; 0: never
    veto: str = ""  # the annotation by which a person forbids: an incident, or ``*``

    @property
    def silent(self) -> bool:
        """Nothing is heard, or not in time; also of a node that opted in and never spoke."""
        return self.state in {"silent", "late"} or (self.state == "unheard" and self.opted_in)

    @property
    def counts(self) -> bool:
        """Whether its silence or speech says anything about its zone."""
        return self.state not in {"retired", "unheard"} or self.silent

    def alive(self, now_ns: int, window_ns: int) -> bool:
        """Whether it still sends."""
        return self.state in {"young", "alive", "late"} or now_ns - self.heard_ns < window_ns


class ZoneView(NamedTuple):
    """How much of a zone is silent."""

    silent: int
    nodes: int

    def dark(self, share: float) -> bool:
        """Whether so much is silent that it is not about single nodes."""
        return self.nodes > 0 and self.silent >= share * self.nodes and self.silent > 0


class Tally(NamedTuple):
    """Of many nodes what budgets count."""

    size: int  # listed, and there: not long gone, never heard, or heard hardly once
    busy: frozenset[str]  # cordoned by anybody, or marked by any replica
    unready: frozenset[str]  # listed, and not ready
    acted: tuple[NodeView, ...]  # on which any replica acted at any time


@dataclass(frozen=True, slots=True)
class FleetView:
    """Nodes by (cluster, name), zones by (cluster, zone)."""

    nodes: dict[Place, NodeView]
    zones: dict[Place, ZoneView]
    journal: str = ""  # why decisions cannot be made durable; empty while they can
    age_ns: int = 0  # of the view of the cluster
    stale_ns: int = 0  # nothing is decided on what is older
    leader: str = ""  # why we do not act for the cluster; empty: we do
    vetoed: Mapping[str, str] = field(default_factory=dict)  # incident → who, and why
    approved: Mapping[tuple[str, str], str] = field(default_factory=dict)  # as of `operation.Switches`
    paused: str = ""  # why everything is held, besides the setting

    # Made once: every rule on every action asks.
    _members: dict[Place, list[NodeView]] = field(init=False, default_factory=dict, compare=False)  # by zone
    _clusters: dict[str, list[NodeView]] = field(init=False, default_factory=dict, compare=False)

    _dark: dict[float, int] = field(init=False, default_factory=dict, compare=False)
    _tallies: dict[Place, Tally] = field(init=False, default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        for node in self.nodes.values():
            self._members.setdefault((node.cluster, node.zone or node.telemetry_zone), []).append(node)
            self._clusters.setdefault(node.cluster, []).append(node)

    def dark(self, share: float) -> int:
        """How many zones are dark."""
        if share not in self._dark:
            self._dark[share] = sum(zone.dark(share) for zone in self.zones.values())
        return self._dark[share]

    def zone(self, cluster: str, zone: str) -> list[NodeView]:
        """The nodes of a zone: as the cluster labels them, else as they say themselves."""
        return self._members.get((cluster, zone), [])

    def cluster(self, cluster: str) -> list[NodeView]:
        """The nodes of a cluster."""
        return self._clusters.get(cluster, [])

    def tally(self, cluster: str, zone: str | None = None) -> Tally:
        """What budgets count of a zone, or of a cluster."""
        key = cluster, "\0" if zone is None else zone
        if key not in self._tallies:
            self._tallies[key] = _tally(self.cluster(cluster) if zone is None else self.zone(cluster, zone))
        return self._tallies[key]

    def targets(self, target: Resource) -> list[NodeView]:
        """The nodes that an action is about: one, a zone's, or all; empty when nothing is known of it."""
        if target.node:
            node = self.nodes.get((target.cluster, target.node))
            return [node] if node is not None else []
        return self.zone(target.cluster, target.zone) if target.zone else self.cluster(target.cluster)


def fleet_view(
    beats: Iterable[Heartbeat],
    cluster: Iterable[Node],
    settings: Settings,
    journal: str = "",
    **said: Any,
) -> FleetView:
    """Join what is heard with what the cluster lists; ``said`` are the other fields of a `FleetView`."""
    listed = {(node.cluster, node.name): node for node in cluster}
    heard = {(beat.place.cluster, beat.place.node): beat for beat in beats}
    nodes = {
        key: _view(key, listed.get(key), heard.get(key), settings) for key in listed.keys() | heard.keys()
    }
    return FleetView(nodes, _zones(nodes.values()), journal, **said)


def opted(node: Node, settings: Settings) -> bool:
    """Whether a node has opted in, by label or annotation."""
    key = settings.opt_in
    return "enabled" in (node.labels.get(key), node.annotations.get(key))


def _view(key: Place, node: Node | None, beat: Heartbeat | None, settings: Settings) -> NodeView:
    return NodeView(
        cluster=key[0],
        name=key[1],
        listed=node is not None,
        zone=node.labels.get(settings.zone_label, "") if node else "",
        telemetry_zone=beat.place.zone if beat else "",
        opted_in=node is not None and opted(node, settings),
        cordoned=node is not None and node.unschedulable,
        state=beat.state if beat else "unheard",
        heard_ns=beat.heard_ns if beat else 0,
        uid=node.uid if node else "",
        ready=node.ready if node else "Unknown",
        marks=read(node) if node else None,
        acted_ns=acted_ns(node) if node else 0,
        veto=node.annotations.get(VETO, "") if node else "",
    )


def _tally(nodes: Collection[NodeView]) -> Tally:
    listed = [node for node in nodes if node.listed]
    return Tally(
        sum(node.counts and node.state != "young" for node in listed),
        frozenset(node.name for node in nodes if node.cordoned or node.marks),
        frozenset(node.name for node in listed if node.ready != "True"),
        tuple(node for node in nodes if node.acted_ns),
    )


def _zones(nodes: Iterable[NodeView]) -> dict[Place, ZoneView]:
    zones: dict[Place, ZoneView] = {}
    for node in nodes:
        if node.counts:
            key = node.cluster, node.zone or node.telemetry_zone
            silent, known = zones.get(key, (0, 0))
            zones[key] = ZoneView(silent + node.silent, known + 1)
    return zones
