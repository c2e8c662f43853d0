"""What the page reads: immutable values that the engine publishes, a whole new one at every change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal, NamedTuple, Protocol

from edgeobs.signals import Decision, HeartState, Incident, Resource, Verb
from edgeobs.told import Ended, Late, Peak

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
    sends: tuple[str, ...] = ("metrics",)  # of metrics, logs, spans; without metrics it has no heartbeat


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
    paused: str = ""  # why everything is held, and who said so; empty: it is not
    approve: tuple[Verb, ...] = ()  # verbs that wait for a person's approval
    dry_run: bool = True
    open_score: float = nan  # decades at which an incident opens: the line in the score plots
    notices: tuple[str, ...] = ()  # what an operator should know: "the disk is full: …"
    receivers: tuple[tuple[str, str], ...] = ()  # protocol → address: what an empty page tells senders


class Operation(NamedTuple):
    """An allowed decision being carried out, or that was."""

    id: str  # of the decision
    verb: Verb
    place: Resource
    state: Literal["intended", "working", "verifying", "done", "failed", "cancelled", "undone"]
    reason: str  # of the state, for people
    incident: str
    begun_ns: int
    updated_ns: int
    deadline_ns: int
    undoes: str = ""  # the operation whose marks it takes back
    helped: bool | None = None  # None: not known yet
    standing: bool = False  # whether marks of it are on the cluster


class Call(NamedTuple):
    """Who calls whom, of late."""

    caller: str
    callee: str
    rate: float  # calls a second
    error_ratio: float  # [0, 1]
    p50_s: float  # NaN: not known
    p99_s: float
    score: float  # decades, the most surprising of its series
    anomalous: bool
    traces: tuple[str, ...] = ()  # ids, hex


class Hint(NamedTuple):
    """A trace worth keeping."""

    trace: str  # id, 32 hex digits
    reason: str  # "slow", "failed", "new edge"
    what: str  # for people: of what
    service: str
    operation: str  # empty: of a service or an edge
    time_ns: int  # end of the interval it was seen in
    score: float  # decades of that interval; 0: of a new edge


class Step(NamedTuple):
    """One line of what was done, as the journal has it."""

    at_ns: int
    kind: Literal["intent", "call", "answer", "wait", "state"]
    text: str


class Said(NamedTuple):
    """A person's word in force."""

    what: Literal["pause", "approve", "veto"]
    by: str
    why: str
    at_ns: int
    incident: str = ""
    verb: str = ""  # what is approved; empty: whatever the incident asks for
    until_ns: int = 0  # 0: as long as the incident lasts, or until resumed


class Explained(NamedTuple):
    """What would be done about a node now, and what every rule says of it."""

    facts: tuple[tuple[str, str], ...]  # what is known of the node, for people
    proposed: tuple[Decision, ...]  # what policies propose for its incidents now
    verbs: tuple[Decision, ...]  # of every other verb, were it proposed


class Line(NamedTuple):
    """A line of a log."""

    time_ns: int
    text: str


class Refused(Exception):
    """Why what was asked for is not done."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Desk(Protocol):
    """Where people speak and ask. Called from threads that may wait; all raise Refused."""

    def say(
        self, what: Literal["pause", "resume", "approve", "veto"], by: str, why: str, incident: str, verb: str
    ) -> str:
        """Put a word in force, durable; what else there is to know about it."""
        ...

    def steps(self, operation: str) -> list[Step]:
        """All that was done of an operation, in order."""
        ...

    def explain(self, node: str, cluster: str | None) -> Explained:
        """What would be done about a node now; ``cluster`` None: whichever has it."""
        ...


class Archive(Protocol):
    """Where lines of logs are kept. Called from threads that may wait; raises Refused."""

    def lines(self, query: str, start_ns: int, end_ns: int) -> Sequence[Line]:
        """What a query in LogQL selects of a time, newest first, bounded."""
        ...


class NodesTold(Protocol):
    """What nodes' agents told. Called from threads that may wait; raises Refused."""

    def late(
        self, node: str | None, ended: Ended | None, limit: int, offset: int
    ) -> tuple[int, Sequence[Late], Mapping[str, int]]:
        """How many there are, some of them without plots, the newest by delivery first; and of each node."""
        ...

    def late_one(self, node: str, incident: str) -> tuple[Late, Sequence[Peak]] | None:
        """One with plots, and what summaries say of its time, the most surprising first; None: not known."""
        ...


@dataclass(frozen=True, slots=True)
class Published:
    """Everything the page shows, as it was at one moment. ``version`` grows with every change."""

    version: int
    now_ns: int
    fleet: tuple[Zone, ...]
    incidents: tuple[Incident, ...]  # newest first, bounded
    decisions: tuple[Decision, ...]  # newest first, bounded
    status: Status
    operations: tuple[Operation, ...] = ()  # newest first, bounded
    words: tuple[Said, ...] = ()  # in force, of incidents
    calls: tuple[Call, ...] = ()  # the most surprising first, bounded
    hints: tuple[Hint, ...] = ()  # of the last ten minutes, newest first, bounded


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
