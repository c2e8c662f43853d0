"""The API's answers, as its OpenAPI description tells them."""

from math import isfinite
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

from edgeobs.signals import HeartState, IncidentState, Verb, Verdict
from edgeobs.web.reader import State


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


Number = Annotated[float | None, BeforeValidator(_finite)]
Seconds = float | None


class Model(BaseModel):
    """Times (``…_s``) are Unix seconds and null when unknown, as is a number that is not finite."""

    model_config = ConfigDict(use_attribute_docstrings=True, frozen=True)


class Place(Model):
    """Where something is. Empty strings are unknown, or wider than that."""

    cluster: str
    zone: str
    node: str
    node_id: str
    """The node's id in this API; empty for a zone or cluster."""
    zone_id: str
    """The zone's id in this API."""


class Node(Model):
    """One node."""

    id: str
    """Cluster, zone and name, each percent-encoded, joined by slashes."""
    zone_id: str
    """The id of its zone."""
    name: str
    state: State
    """At a glance: silence before anomaly, anomaly before lateness."""
    heart: HeartState
    """What its heartbeat alone says."""
    score: Number
    """Surprise of its most surprising series now, in decades: −log₁₀ of the tail probability."""
    simulated: bool
    """Whether it is a simulated node and no real one."""
    series: int
    """Live series that it sends."""
    heard_s: Seconds
    """When it was last heard, on our clock."""
    incident_ids: tuple[str, ...]
    """Its incidents that are not resolved."""
    sends: tuple[str, ...]
    """Of ``metrics``, ``logs`` and ``spans`` what came within a day. Without metrics it has no heartbeat: it
    is ``alive`` while anything came within ten minutes, then ``retired``, and never missed."""


class Zone(Model):
    """One zone, without its nodes."""

    id: str
    """Cluster and zone, each percent-encoded, joined by a slash."""
    cluster: str
    name: str
    """Empty for the nodes that name no zone."""
    state: State
    """``silent`` only when all of it is; otherwise the worst of its nodes."""


class ZoneNodes(Zone):
    """One zone with its nodes."""

    nodes: tuple[Node, ...]


class Fleet(Model):
    """Every node that was heard of, by zone."""

    version: int
    """Grows with every change of anything published."""
    now_s: Seconds
    """When this was true."""
    zones: tuple[ZoneNodes, ...]


class Point(Model):
    """One sample of an evidence plot."""

    time_s: Seconds
    value: Number
    low: Number
    """Lower end of the expected range; null while it was unknown."""
    high: Number
    """Upper end of the expected range."""
    score: Number
    """Surprise in decades."""


class Part(Model):
    """What a series has to do with the score of its node as a whole."""

    series: str
    """As PromQL would select it, without the node."""
    share: float
    """Of the node's score, 0 to 1."""


class Evidence(Model):
    """One thing that speaks for an incident."""

    source: Literal["series", "joint", "absence", "alert", "sign"]
    """``joint``: a node as a whole, its series given one another. ``sign``: what logs tell in themselves."""
    text: str
    """A series as PromQL would select it; otherwise a sentence."""
    brief: str
    """The same in fewer words: a series by its name and telling labels."""
    name: str
    """The metric, the alert, or what is absent."""
    labels: dict[str, str]
    unit: str
    """UCUM, as OpenTelemetry sends it, per second (``By/s``) for counters; empty when none was sent."""
    onset_s: Seconds
    """When it began to be abnormal."""
    last_s: Seconds
    """When it was last abnormal."""
    score: Number
    """The highest surprise so far, in decades."""
    weight: Number
    """Its share of the incident's score, 0 to 1."""
    value: Number
    """At the highest score."""
    expected: Number
    """What was expected then."""
    low: Number
    """Lower end of the range expected then."""
    high: Number
    """Upper end of the range expected then."""
    calm: bool
    """Whether it has been normal again for a while."""
    why: str
    """What a series was unlike at its highest: level, drift, time of day, shape, flatline; empty: unknown."""
    parts: tuple[Part, ...]
    """Of a node as a whole: the series that have most to do with it, the largest share first."""
    points: tuple[Point, ...]
    """Recent samples, ascending in time, bounded."""
    kind: str
    """Of logs and spans: ``log rate``, ``log template never seen``, ``span duration``, …; empty: a metric."""
    whose: str
    """Of logs and spans: whose they are, and what of them."""
    pod: str
    """The pod it is of, where it is of one."""
    detail: str
    """Of logs: the template, with ``<*>`` for what varies."""
    query: str
    """Of logs: LogQL that selects its lines; `lines` has them where a Loki is configured."""
    traces: tuple[str, ...]
    """Of spans: ids of a few traces that it was surprised by."""


class Incident(Model):
    """Abnormal things that belong together, without their evidence."""

    id: str
    scope: Literal["node", "zone", "cluster"]
    place: Place
    state: IncidentState
    opened_s: Seconds
    updated_s: Seconds
    resolved_s: Seconds
    score: Number
    """Surprise of the strongest evidence, joined, in decades."""
    title: str
    """One line: what is abnormal and the likeliest cause."""
    evidence_count: int
    simulated: bool


class Suspect(Model):
    """What may have caused an incident."""

    kind: str
    """``pod``, ``workload``, ``node``, ``zone`` or ``link``."""
    name: str
    share: float
    """Of belief among those told, 0 to 1."""
    reason: str
    """Why, and how sure."""


class IncidentDetail(Incident):
    """An incident with its evidence, likeliest cause first."""

    suspects: tuple[Suspect, ...]
    """Likeliest first."""
    evidence: tuple[Evidence, ...]


class Action(Model):
    """What a policy would do."""

    verb: Verb
    target: Place
    patch: dict[str, str]
    """JSON path → value, as the Kubernetes API would be sent it."""
    reason: str
    policy: str
    incident_id: str


class Check(Model):
    """What one rule of the guard said."""

    rule: str
    verdict: Verdict
    reason: str


class Decision(Model):
    """What the guard made of an action."""

    id: str
    text: str
    """One line: ``would cordon …``, ``held: …`` or ``denied: …``."""
    verdict: Verdict
    rule: str
    """The rule that decided; ``all`` when every one allowed."""
    reason: str
    dry_run: bool
    """Whether nothing is done even when allowed."""
    decided_s: Seconds
    latency_ms: float | None
    """From the last byte of the request that carried the evidence until the decision was on record,
    milliseconds; null when it was recorded by an earlier process, or is not on record."""
    action: Action
    checks: tuple[Check, ...]


class Operation(Model):
    """An allowed decision being carried out, or that was."""

    id: str
    """Of the decision."""
    text: str
    """One line: ``cordon edge-7: verifying: cordoned``."""
    verb: Verb
    target: Place
    state: Literal["intended", "working", "verifying", "done", "failed", "cancelled", "undone"]
    """``verifying``: complete, and it is watched whether it helps; the last four are final."""
    reason: str
    incident_id: str
    begun_s: Seconds
    updated_s: Seconds
    deadline_s: Seconds
    """Nothing is done for it after this."""
    undoes: str
    """The operation whose marks it takes back; empty: none."""
    helped: bool | None
    """Whether it helped; null: not known."""
    standing: bool
    """Whether marks of it are on the cluster."""


class Step(Model):
    """One line of the journal."""

    at_s: Seconds
    kind: Literal["intent", "call", "answer", "wait", "state"]
    """A ``call`` is on record before it is made, its ``answer`` after."""
    text: str


class Story(Model):
    """What was done, step by step."""

    steps: tuple[Step, ...]


class Word(Model):
    """What a person said of an incident and is in force."""

    what: Literal["approve", "veto"]
    by: str
    why: str
    at_s: Seconds
    until_s: Seconds
    """When an approval no longer counts; null: it lasts as long as the incident."""
    incident_id: str
    verb: str
    """What is approved; empty: whatever the incident asks for."""


class Why(BaseModel):
    """The reason that goes on record with a word."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    why: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
    """For those who look later."""


class Approval(Why):
    """The same, and of what."""

    verb: Verb | None = None
    """The action that is approved; null: whatever the incident asks for."""


class Control(Model):
    """What people said, and whether they may say anything here."""

    changeable: bool
    """Whether words are taken: only where the page has a token."""
    how: str
    """How to let people speak here; empty where they may."""
    paused: str
    """Why everything is held; empty: it is not."""
    approve: tuple[Verb, ...]
    """Actions that wait for an approval."""
    words: tuple[Word, ...]


class Heard(Model):
    """A word that is in force now."""

    by: str
    """Who is taken to have said it: the user name of HTTP basic authentication."""
    note: str
    """What else there is to know, such as that it could not be written down; empty: nothing."""


class Explanation(Model):
    """What would be done about a node now, and what every rule of the guard says of it."""

    facts: dict[str, str]
    """What is known of the node."""
    proposed: tuple[Decision, ...]
    """What policies propose for its incidents now, as it would be decided now."""
    verbs: tuple[Decision, ...]
    """Every other action, as it would be decided were it proposed."""


class Receiver(Model):
    """An address that senders may send to."""

    protocol: str
    address: str


class Status(Model):
    """How edgeobs itself is."""

    version: str
    """Of the program."""
    uptime_s: float
    """Seconds since start."""
    series: int
    """Live series."""
    series_limit: int
    """Series that may live at once."""
    samples_scored: int
    """Samples scored since start."""
    samples_per_s: Number
    """Samples scored per second, of late."""
    lag_s: Number
    """Seconds that the last finished request had waited and worked."""
    queue_bytes: int
    """Bytes of requests that wait for the pipeline."""
    queue_limit_bytes: int
    """Bytes that may wait before senders are told to come back; 0 when unknown."""
    store_healthy: bool
    """Whether incidents and decisions can be written."""
    decoder: str
    """How requests are decoded: ``numba`` (fast) or ``upb``."""
    warm: str
    """What is still warming up; empty when nothing is."""
    paused: str
    """Why every action is paused, and who said so; empty: nothing is."""
    approve: tuple[Verb, ...]
    """Actions that wait for a person's approval."""
    dry_run: bool
    """Whether actions are only decided, never done."""
    open_score: Number
    """Score at which an incident opens, in decades."""
    notices: tuple[str, ...]
    """What an operator should know."""
    receivers: tuple[Receiver, ...]


class Readiness(Model):
    """Whether requests would be served."""

    ready: bool
    checks: dict[str, str]
    """Check → ``ok`` or what is wrong."""


class Liveness(Model):
    """The process lives and its event loop turns."""

    status: Literal["ok"] = "ok"


class Problem(Model):
    """Why a request was refused."""

    detail: str


class Change(Model):
    """One message of the stream. The first of a connection holds everything, later ones what changed."""

    version: int
    now_s: Seconds
    set: dict[
        Literal["status", "zones", "nodes", "incidents", "decisions", "operations", "words"],
        dict[str, object],
    ]
    """Section → id → the new value, as the other routes answer it (the status has the id ``""``)."""
    gone: dict[Literal["zones", "nodes", "incidents", "decisions", "operations", "words"], tuple[str, ...]]
    """Section → ids that are no more."""
