"""An action under way, and what a procedure says comes next: plain data. No clock, no I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from edgeobs.calls import Answer, Call
from edgeobs.objects import Claim, Inventory, Node, Pod, Ref, Workload
from edgeobs.remediate.fleet import FleetView
from edgeobs.remediate.settings import Settings
from edgeobs.signals import SECOND, Action, Incident

State = Literal["intended", "working", "verifying", "done", "failed", "cancelled", "undone"]
"""``intended``: on record, nothing done yet; ``working``: a call was made, or may have been; ``verifying``:
complete, and it is watched whether it helps; the others are final."""

OVER: frozenset[State] = frozenset({"done", "failed", "cancelled", "undone"})

STALE_NS = 10 * SECOND
"""A view of telemetry older than this is none."""

Memo = Mapping[str, Any]
"""What a resumed operation must know, as JSON has it. Keys that the frame itself uses:

- ``uid``: of the target node when it was decided; another one cancels
- ``marked``: our marks were put on the target, or may have been
- ``seen``: they were read back: if they are gone, somebody else took them away
- ``person``: what a person did in between, for people; nothing more is done then
- ``gone``: nothing of what it did, or of an uncordon: of what it undoes, is on the cluster any more
- ``helped``: true or false, once that was seen
- ``score``, ``evidence``: of the incident when the action was complete, decades; what was abnormal then
- ``verify_ns``: until when it is watched
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One allowed decision being carried out. A new value replaces the old one; ``id`` stays."""

    id: str  # of the decision
    action: Action
    state: State = "intended"
    memo: Memo = field(default_factory=dict)
    begun_ns: int  # when it was decided
    updated_ns: int
    deadline_ns: int  # no mutation after it
    undoes: str = ""  # the operation whose marks this one takes back
    reason: str = ""  # of the state, for people

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in OVER

    @property
    def standing(self) -> bool:
        """Whether marks of it are on the cluster, as far as is known."""
        return bool(self.memo.get("marked")) and self.state != "undone"

    def text(self) -> str:
        """``cordon edge-7: verifying: cordoned``."""
        target = self.action.target.node or f"zone {self.action.target.zone}"
        return f"{self.action.verb} {target}: {self.state}{f': {self.reason}' if self.reason else ''}"


class Reads(NamedTuple):
    """What must be read live, just before a procedure is asked."""

    nodes: tuple[str, ...] = ()
    pods_of: tuple[str, ...] = ()  # all pods bound to these nodes
    pods: tuple[Ref, ...] = ()
    workloads: tuple[Ref, ...] = ()
    claims: tuple[Ref, ...] = ()
    objects: tuple[Ref, ...] = ()  # raw: ConfigMaps, Services


class Switches(NamedTuple):
    """What people and the election say at this moment; empty strings forbid nothing."""

    paused: str = ""  # why everything is held
    vetoed: Mapping[str, str] = {}  # incident → who, and why
    approved: Mapping[tuple[str, str], str] = {}  # (incident, verb, empty: any) → who, and why
    leader: str = ""  # why we may not act for the cluster: not the leader, or no longer surely
    led_since_ns: int = 0  # since when we lead; what is read before that may be another's unfinished work


class Told(NamedTuple):
    """What the API said last to a call on an object, in this process."""

    answer: Answer
    at_ns: int
    again_ns: int  # not before this time again (Retry-After, or our back-off)
    call: Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The world as a procedure sees it. All but ``inventory`` and ``fleet`` was read just now."""

    nodes: Mapping[str, Node | None] = field(default_factory=dict)
    pods_of: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict)
    pods: Mapping[Ref, Pod | None] = field(default_factory=dict)
    workloads: Mapping[Ref, Workload | None] = field(default_factory=dict)
    claims: Mapping[Ref, Claim | None] = field(default_factory=dict)
    objects: Mapping[Ref, Mapping[str, Any] | None] = field(default_factory=dict)
    inventory: Inventory = field(default_factory=Inventory)  # the mirror, as old as ``mirror_age_ns``
    mirror_age_ns: int = 0
    mirror_stale_ns: int = 0
    fleet: FleetView = field(default_factory=lambda: FleetView({}, {}))
    fleet_age_ns: int = 0  # of what telemetry says in ``fleet``
    incident: Incident | None = None  # None: resolved, or long gone
    incidents: Mapping[str, Incident] = field(default_factory=dict)  # all that are not over
    switches: Switches = field(default_factory=Switches)
    settings: Settings = field(default_factory=Settings)
    me: str = "edgeobs"  # which replica this is
    told: Mapping[Ref, Told] = field(default_factory=dict)  # last answers to this operation's calls

    def again_ns(self, ref: Ref) -> int:
        """When a call on an object may be tried again; 0: at once."""
        said = self.told.get(ref)
        return said.again_ns if said and not said.answer.ok else 0


@dataclass(frozen=True, slots=True)
class Do:
    """Make this one call; then everything is read again and the procedure asked again."""

    call: Call
    memo: Memo | None = None  # on record before the call; None: as it is
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until then."""

    until_ns: int
    reason: str  # on record when it changes
    memo: Memo | None = None


@dataclass(frozen=True, slots=True)
class End:
    """``verifying``: complete, watch whether it helps. The others end the operation."""

    state: State
    reason: str
    memo: Memo | None = None


Next = Do | Wait | End


class Procedure(NamedTuple):
    """How one verb is carried out. Both functions are pure.

    ``step`` is a reconciler: it compares what is with what is to be, and names the next single call. It is
    asked anew after every call, failure and restart, and must answer the same for the same facts.
    """

    reads: Callable[[Operation], Reads]
    step: Callable[[Operation, Facts, int], Next]
    takes: bool = True  # whether it takes something away from the cluster: budgets are asked once more


def target_node(operation: Operation) -> Reads:
    """The node that the action names."""
    return Reads(nodes=(operation.action.target.node,))


def with_pods(operation: Operation) -> Reads:
    """The node that the action names, and the pods bound to it."""
    node = operation.action.target.node
    return Reads(nodes=(node,), pods_of=(node,))
