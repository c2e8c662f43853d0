"""What may be asked of the Kubernetes API, as data: a call can be journalled and compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from edgeobs.objects import Claim, Node, Pod, Ref, Workload

Json = Mapping[str, Any]
CallVerb = Literal["patch", "create", "delete", "evict", "update", "run"]


@dataclass(frozen=True, slots=True)
class Call:
    """One mutation.

    ``version`` and ``ref.uid``, where given, are preconditions: the server refuses with 409 when the object
    is another by now. ``patch`` is a JSON merge patch (RFC 7386) under our own field manager, or, where
    ``strategic``, a strategic merge patch, for lists with keys such as a status' conditions; ``evict`` is
    the Eviction API (policy/v1) with ``preconditions.uid``; ``update`` replaces the whole object;
    ``run`` starts a user's playbook.
    """

    verb: CallVerb
    ref: Ref
    body: Json = field(default_factory=dict)
    version: str = ""
    subresource: str = ""  # status, scale, eviction
    strategic: bool = False
    says: str = ""  # for people: "cordon edge-7"


class Answer(NamedTuple):
    """What came back. ``status`` 0: nothing did, and whether it was done is unknown."""

    status: int
    reason: str = ""  # Kubernetes' own: NotFound, Conflict, TooManyRequests, …
    text: str = ""
    retry_after_s: float = 0.0
    version: str = ""  # resourceVersion afterwards

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return 200 <= self.status < 300

    @property
    def unknown(self) -> bool:
        """Whether it may have been done or not: read again before anything else."""
        return self.status == 0


class Unreachable(RuntimeError):
    """The API cannot be read now, or does not let us; the message says which."""


class Api(Protocol):
    """A cluster that can be read live and changed. Reads raise Unreachable; `call` never raises."""

    def node(self, name: str) -> Node | None:
        """A node with its Lease, read now; None when there is none."""

    def pods_of(self, node: str) -> list[Pod]:
        """All pods bound to a node, read now."""

    def pod(self, namespace: str, name: str) -> Pod | None:
        """A pod, read now."""

    def workload(self, ref: Ref) -> Workload | None:
        """A workload, read now."""

    def claim(self, namespace: str, name: str) -> Claim | None:
        """A claim, read now."""

    def raw(self, ref: Ref) -> dict[str, Any] | None:
        """Any object as the API has it, read now: a ConfigMap, a Service, a Lease."""

    def call(self, call: Call) -> Answer:
        """Carry out one mutation, once; it is never repeated in here."""
