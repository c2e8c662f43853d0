"""The nouns every stage shares: plain data, standard library and NumPy only.

Times are Unix nanoseconds (``int``; 0 means unknown) unless a name ends in another unit.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Int8s = NDArray[np.int8]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
UInt64s = NDArray[np.uint64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Labels = tuple[tuple[str, str], ...]
"""Sorted by name, no name twice."""

Counts = Counter[tuple[str, ...]]
"""What a stage counts: (metric name of the catalogue, label values in its order) → total since start."""

SECOND = 1_000_000_000
STALE_NAN = np.uint64(0x7FF0000000000002).view(np.float64)
"""Prometheus's stale marker; OTLP's "no recorded value" is carried as the same bits."""


_SENDERS_OWN = ("job", "instance", "otel_scope_name", "otel_scope_version")


class Kind(IntEnum):
    """What a value of a series means, and so what becomes of it in `features`."""

    GAUGE = 0  # a level
    COUNTER = 1  # cumulative and monotonic: becomes a rate
    DELTA = 2  # the increase since the last sample: becomes a rate
    UPDOWN = 3  # cumulative, not monotonic: a level
    UPDOWN_DELTA = 4  # the change since the last sample, either way: becomes a rate
    HISTOGRAM = 5  # cumulative buckets
    HISTOGRAM_DELTA = 6  # buckets since the last sample
    SUMMARY = 7  # quantiles as the sender estimated them, with cumulative count and sum


class Resource(NamedTuple):
    """Where a series comes from. Empty strings are unknown."""

    cluster: str = ""
    zone: str = ""
    node: str = ""
    namespace: str = ""
    workload: str = ""
    pod: str = ""

    def place(self) -> "Resource":
        """The node alone, without what runs on it."""
        return Resource(self.cluster, self.zone, self.node)


NOWHERE = Resource()
"""A place of which nothing is known."""


class Source(NamedTuple):
    """A sender's resource, whole: two that differ in any attribute are two."""

    attributes: Labels
    resource: Resource

    def service(self) -> str:
        """``service.name``; empty where there is none."""
        return next((value for key, value in self.attributes if key == "service.name"), "")

    def whose(self) -> Labels:
        """What tells, in the labels of a series of logs or spans, whose they are within a node."""
        _, _, _, namespace, workload, pod = self.resource
        pairs = ("namespace", namespace), ("pod", pod), ("service", self.service()), ("workload", workload)
        return tuple((name, value) for name, value in pairs if value)


class Identity(NamedTuple):
    """What makes a series itself. Tuples all the way down: hashed and compared in C."""

    source: Source
    name: str  # as Prometheus spells it, with unit and _total
    labels: Labels  # the point's attributes and the scope, as Prometheus maps them
    kind: Kind
    unit: str = ""

    def text(self) -> str:
        """``name{label="value"}``, as PromQL would select it, without the resource."""
        inside = ",".join(f'{k}="{v}"' for k, v in self.labels)
        return f"{self.name}{{{inside}}}" if inside else self.name


@dataclass(frozen=True, slots=True)
class Principal:
    """Who speaks: what a bearer token, a client certificate or loopback stands for."""

    id: int  # small and dense; 0 is loopback without a token
    name: str
    nodes: frozenset[str] | None  # node names it may speak for; None is any
    max_series: int


Admit = Callable[[Principal, Identity, int], int]
"""(who speaks, which series, our time) → its id in the series table, or a negative refusal."""


@dataclass(frozen=True, slots=True)
class Distributions:
    """m histogram or summary points; row i owns ``edge[first[i]:first[i+1]]`` and the same of ``weight``.

    For histograms ``edge`` is a bucket's upper bound (+Inf last, ascending) and ``weight`` the count in that
    bucket alone; for summaries a quantile in [0, 1] and its value. ``total`` is NaN where no sum was sent.
    """

    series: Int32s
    time_ns: Int64s
    start_ns: Int64s
    count: Floats
    total: Floats
    first: Int64s
    edge: Floats
    weight: Floats

    @staticmethod
    def none() -> "Distributions":
        """No rows."""
        i, f = np.zeros(0, np.int64), np.zeros(0)
        return Distributions(np.zeros(0, np.int32), i, i, f, f, np.zeros(1, np.int64), f, f)


@dataclass(frozen=True, slots=True)
class Points:
    """What a decoder makes of one request: n scalar points as they were sent, in the sender's order.

    ``rejected`` maps a reason (``limit``, ``forbidden``, ``invalid``) to the points left out of every column.
    """

    series: Int32s
    time_ns: Int64s
    start_ns: Int64s
    value: Floats
    distributions: Distributions = field(default_factory=Distributions.none)
    rejected: dict[str, int] = field(default_factory=dict)
    exemplars: int = 0  # sent along; counted and let go

    @staticmethod
    def none() -> "Points":
        """Nothing was sent: a step that only lets time pass."""
        i = np.zeros(0, np.int64)
        return Points(np.zeros(0, np.int32), i, i, np.zeros(0))


SEVERITIES = ("", "trace", "debug", "info", "warn", "error", "fatal")
"""Bands of severity, by number; the first is not known. OpenTelemetry's 1 … 24 are four to a band."""


@dataclass(frozen=True, slots=True)
class LogBatch:
    """n log records of one request, in the sender's order.

    ``text[first[i]:first[i + 1]]`` is the body of record i: valid UTF-8, cut to a bound. ``sources`` are what
    the rows speak of, each once, and of each only what says where and whose it is.
    """

    principal: Principal
    sources: tuple[Source, ...]
    source: Int32s  # into ``sources``
    time_ns: Int64s  # when it happened, or was seen; 0: neither was said
    severity: Int8s  # into `SEVERITIES`
    text: bytes
    first: Int64s  # n + 1
    trace: UInt64s  # (n, 2), high and low half of the trace id; zeros: none
    rejected: dict[str, int] = field(default_factory=dict)  # reason → records left out, as of `Points`


@dataclass(frozen=True, slots=True)
class SpanBatch:
    """n spans of one request, in the sender's order; ``sources`` and ``names`` hold each of theirs once."""

    principal: Principal
    sources: tuple[Source, ...]
    names: tuple[str, ...]
    source: Int32s  # into ``sources``
    name: Int32s  # into ``names``: the operation
    peer: Int32s  # into ``names``: who is called, where attributes tell (peer.service, …); −1: unknown
    kind: Int8s  # as OTLP: 0 unknown, 1 internal, 2 server, 3 client, 4 producer, 5 consumer
    failed: Bools
    start_ns: Int64s  # 0: unknown
    end_ns: Int64s  # may lie before the start: nothing is settled here
    trace: UInt64s  # (n, 2), high and low half
    span: UInt64s
    parent: UInt64s  # 0: none
    rejected: dict[str, int] = field(default_factory=dict)  # reason → spans left out, as of `Points`


class Sign(NamedTuple):
    """What a stage found surprising in itself and no series tells, such as a log template never seen."""

    kind: str  # of evidence: "log template never seen"
    source: Source
    text: str  # for people, one line, bounded; the same for the same thing: evidence is known by it
    labels: Labels  # machine-readable: template, severity, …
    time_ns: int  # of what was found
    score: float  # decades, calibrated: 10^-score false ones are promised a look at the source
    interval_s: float  # usual seconds between looks
    value: float = float("nan")
    traces: tuple[str, ...] = ()  # trace ids, hex, a few


class Told(NamedTuple):
    """What a stage of logs or spans has to say of evidence, for people."""

    detail: str = ""  # the template, with <*> for what varies
    query: str = ""  # LogQL that selects its lines
    traces: tuple[str, ...] = ()  # ids, hex


class Edge(NamedTuple):
    """Who calls whom, of late. ``caller`` is empty where requests come from outside."""

    caller: str  # service, or what else is known
    callee: str
    rate: float  # calls a second
    error_ratio: float  # [0, 1]
    p50_s: float
    p99_s: float
    series: tuple[int, ...]  # ids of the edge's series: their scores mark it
    traces: tuple[str, ...] = ()  # exemplar trace ids, hex


@dataclass(frozen=True, slots=True)
class Closed:
    """What a stage of logs or spans makes of intervals that are over: samples of its series, and signs."""

    points: Points
    signs: tuple[Sign, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """n feature samples, finite, per series in ascending time; a series may occur more than once."""

    series: Int32s
    time_ns: Int64s
    value: Floats
    late: Bools  # its time is long past on our clock: scored, never acted upon
    restarted: Int32s = field(default_factory=lambda: np.zeros(0, np.int32))  # series that tell a new start

    @staticmethod
    def none() -> "Batch":
        """No samples."""
        return Batch(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_))


@dataclass(frozen=True, slots=True)
class Scores:
    """For each sample of a Batch: surprise in decades, and what was expected.

    ``score`` is −log₁₀ of the tail probability under what the series had shown before, in [0, 20]; 0 while
    the series is too young. ``spread`` > 0 is one standard deviation; it and ``expected`` are NaN until then.
    """

    score: Floats
    expected: Floats
    spread: Floats
    view: Int8s = field(default_factory=lambda: np.zeros(0, np.int8))
    """Which view was the most surprised, numbered as in `VIEWS`; empty: the detector has one."""
    interval_s: Floats = field(default_factory=lambda: np.zeros(0))
    """Usual seconds between samples of the series; empty: unknown, and taken for 1."""


VIEWS = ("", "level", "drift", "time of day", "shape", "flatline")
"""What a series can be unlike, by number; the first is no view in particular."""


class Joint(NamedTuple):
    """How surprising a node is as a whole: its series given one another."""

    place: Resource
    time_ns: int
    score: float  # decades
    raw: float  # 1 is what is usual once in a hundred ticks
    interval_s: float  # usual seconds between samples of its series
    parts: tuple[tuple[str, float], ...]  # series text → share of the score, the largest first


HeartState = Literal["young", "alive", "late", "silent", "retired"]


class Heartbeat(NamedTuple):
    """When a node was last heard, on our own clock."""

    place: Resource
    state: HeartState
    heard_ns: int
    interval_ns: int  # how often it usually speaks


class Absence(NamedTuple):
    """Something that should speak and does not. ``scope`` says what is missing."""

    scope: Literal["exporter", "node", "zone", "cluster"]
    place: Resource  # node empty for a zone, zone empty too for a cluster
    since_ns: int
    detail: str  # for people: "28 of 30 nodes silent", "hwmon (12 series) of a node that otherwise speaks"


class ExternalAlert(NamedTuple):
    """An alert that Alertmanager told us of (webhook v4)."""

    fingerprint: str
    status: Literal["firing", "resolved"]
    place: Resource
    name: str
    summary: str
    starts_ns: int
    ends_ns: int  # 0 while firing
    labels: Labels = ()  # all but its name, sorted, bounded


class Point(NamedTuple):
    """One sample of an evidence plot; ``low`` and ``high`` bound the expected range, NaN while unknown."""

    time_ns: int
    value: float
    low: float
    high: float
    score: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that speaks for an incident."""

    source: Literal["series", "joint", "absence", "alert", "sign"]
    text: str  # series: Identity.text(); otherwise a sentence
    name: str  # metric, alert name, scope of the absence, kind of the sign; "node" for a node as a whole
    labels: Labels
    unit: str
    onset_ns: int
    last_ns: int
    score: float  # the highest so far, decades
    weight: float  # share of the incident's score, in [0, 1]
    value: float  # at the highest score; NaN for an absence or alert
    expected: float
    low: float
    high: float
    points: tuple[Point, ...] = ()  # bounded, ascending
    calm: bool = False  # has not been abnormal for the hold time
    why: str = ""  # of a series: which of `VIEWS` was the most surprised at the highest score
    parts: tuple[tuple[str, float], ...] = ()  # of a node as a whole: series text → share of its score
    kind: str = ""  # of logs and spans: "log rate", "span duration", … (`incidents.kinds`); empty: a metric
    resource: Resource = NOWHERE  # whose it is, down to the pod; empty: of the node itself, or not known
    detail: str = ""  # of logs: the template, with <*> for what varies
    query: str = ""  # of logs: LogQL that selects its lines
    traces: tuple[str, ...] = ()  # of spans: ids, hex, of a few traces that it was surprised by

    def brief(self) -> str:
        """For a line of text: a series by its name and telling labels, ``system_disk_errors (sda)``."""
        if self.source != "series":
            return self.text
        if self.kind:
            return f"{self.kind} of {self.whose()}"
        telling = ", ".join(value for key, value in self.labels if key not in _SENDERS_OWN)
        # "edge-17: " in an incident of several nodes; a nameless series has nothing to cut at
        before = self.text.partition(self.name)[0] if self.name else ""
        return f"{before}{self.name} ({telling})" if telling else f"{before}{self.name}"

    def whose(self) -> str:
        """``shop/till-7: GET /cart``: whose logs or spans, and what of them; for people."""
        labels, place = dict(self.labels), self.resource
        who = place.pod or place.workload or labels.get("service", "") or place.node
        who = f"{place.namespace}/{who}" if place.namespace else who
        called = labels.get("callee", "") and f"{labels.get('caller') or 'outside'} → {labels['callee']}"
        what = called or labels.get("operation", "") or self.detail or labels.get("severity", "")
        return f"{who}: {what}" if what else who


class Suspect(NamedTuple):
    """What may have caused an incident."""

    kind: str  # pod, workload, node, zone, link
    name: str  # for people: "node edge-3", "the link from cart to checkout"
    place: Resource  # of a link: who calls
    share: float  # of belief among those told, in [0, 1]
    reason: str  # why, and how sure, for people


IncidentState = Literal["open", "ongoing", "resolved"]


@dataclass(frozen=True, slots=True)
class Incident:
    """Scores that belong together. A new value replaces the old one; ``id`` stays."""

    id: str
    scope: Literal["node", "zone", "cluster"]
    place: Resource
    state: IncidentState
    opened_ns: int
    updated_ns: int
    resolved_ns: int
    score: float  # decades, the strongest evidence joined
    title: str  # one line: what is abnormal, and the likeliest cause
    evidence: tuple[Evidence, ...]  # likeliest cause first
    simulated: bool = False
    suspects: tuple[Suspect, ...] = ()  # likeliest first


Verb = Literal[
    "notify", "annotate", "playbook", "cordon", "uncordon", "taint", "reschedule", "drain", "release",
    "failover", "failback",
]  # fmt: skip
UNDOING: frozenset[Verb] = frozenset({"uncordon", "failback"})
"""Verbs that take back what another did."""

TELLING: frozenset[Verb] = frozenset({"notify", "annotate"})
"""Verbs that tell people something and take nothing from anybody."""

Verdict = Literal["allowed", "held", "denied"]


@dataclass(frozen=True, slots=True)
class Action:
    """What a policy would do: nothing has been done yet."""

    verb: Verb
    target: Resource
    patch: tuple[tuple[str, str], ...]  # JSON path → value, what the Kubernetes API would be sent
    reason: str
    policy: str
    incident: str


class Check(NamedTuple):
    """What one rule of the guard said."""

    rule: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the guard made of an action, always with the reason."""

    id: str
    action: Action
    verdict: Verdict
    rule: str  # the rule that decided; "all" when every one allowed
    reason: str
    checks: tuple[Check, ...]
    dry_run: bool
    decided_ns: int
    evidence_ns: int = 0  # when the last byte of the request that carried the evidence had arrived
    recorded_ns: int = 0  # when it was durable; 0 until then
    steady_ns: int = 0  # when it was decided on the clock of budgets (`remediate.Ledger`); 0 is unknown
    uid: str = ""  # of the target node, as the cluster listed it then; empty: it is no single node
    undoes: str = ""  # of an uncordon: the decision whose marks are taken back

    def text(self) -> str:
        """``would cordon edge-17: …``, ``held: …``, ``denied: …``."""
        target = self.action.target.node or f"zone {self.action.target.zone}"
        if self.verdict != "allowed":
            return f"{self.verdict}: {self.action.verb} {target}: {self.reason}"
        would = "would " if self.dry_run else ""
        return f"{would}{self.action.verb} {target}: {self.action.reason}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the cluster answered to an allowed decision; ``done`` is false in dry-run and on failure."""

    decision: str
    done: bool
    answer: str
    at_ns: int
