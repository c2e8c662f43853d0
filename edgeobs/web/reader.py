"""What the page reads: immutable values that the engine publishes, a whole new one at every change."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan
from typing import Literal, NamedTuple, Protocol

from edgeobs.signals import Decision, HeartState, Incident, Resource

State = Literal["ok", "learning", "late", "retired", "abnormal", "silent"]
"""Of a node or zone at a glance, least to most worrying (`WORRY` has the order)."""

WORRY: dict[State, int] = {"ok": 0, "retired": 1, "learning": 2, "late": 3, "abnormal": 4, "silent": 5}


class Node(NamedTuple):
    """One node as the fleet view shows it."""

    place: Resource
    state: State
    heart: HeartState
    score: float  # decades, the strongest of its series now; NaN while it is learning
    simulated: bool
    series: int
    heard_ns: int
    incident_ids: tuple[str, ...]  # open or ongoing, of the node itself


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone with its nodes, in order of name. Nodes that name no zone share the zone ``""``."""

    name: str
    cluster: str
    state: State
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How edgeobs itself is."""

    version: str
    uptime_s: float
    series: int
    series_limit: int
    samples_scored: int  # since start
    samples_per_s: float = nan  # over the last few seconds
    lag_s: float = nan  # how long the last finished request had waited and worked
    queue_bytes: int = 0
    queue_limit_bytes: int = 0
    store_healthy: bool = True
    decoder: str = ""
    warm: str = ""  # what is not yet warm, for people; empty when everything is
    paused: bool = False
    dry_run: bool = True
    open_score: float = nan  # decades at which an incident opens: the line in the score plots
    notices: tuple[str, ...] = ()  # what an operator should know: "the disk is full: …"
    receivers: tuple[tuple[str, str], ...] = ()  # protocol → address: what an empty page tells senders


@dataclass(frozen=True, slots=True)
class Published:
    """Everything the page shows, as it was at one moment. ``version`` grows with every change."""

    version: int
    now_ns: int
    fleet: tuple[Zone, ...]
    incidents: tuple[Incident, ...]  # newest first, bounded
    decisions: tuple[Decision, ...]  # newest first, bounded
    status: Status


class Reader(Protocol):
    """What the web needs of the engine. All are called from the event loop and must return at once."""

    def published(self) -> Published:
        """The newest values."""
        ...

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """The exposition of edgeobs' own metrics and its content type, chosen by an Accept header."""
        ...

    def ready(self) -> tuple[bool, dict[str, str]]:
        """Whether requests would be served, and for every check ``"ok"`` or what is wrong."""
        ...


def node_state(heart: HeartState, has_incident: bool) -> State:
    """A node's state: silence before anomaly, anomaly before lateness."""
    if heart == "silent":
        return "silent"
    if has_incident:
        return "abnormal"
    plain: dict[HeartState, State] = {
        "young": "learning",
        "alive": "ok",
        "late": "late",
        "retired": "retired",
    }
    return plain[heart]


def zone_state(nodes: Iterable[Node]) -> State:
    """A zone's state: ``silent`` only when all of it is, otherwise the worst of its nodes."""
    states = {node.state for node in nodes if node.state != "retired"}
    if not states:
        return "retired"
    if states == {"silent"}:
        return "silent"
    worst = max(states, key=WORRY.__getitem__)
    return "abnormal" if worst == "silent" else worst
