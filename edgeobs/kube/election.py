"""Who may act: a Lease, held by client-go's rules (``leaderelection``), stricter where they are lax. Pure.

A holder's record counts from when *we* saw it change, on our own clock, so that wrong clocks elsewhere do not
matter. We may act (the `Fence`) until ``renew_s`` after the last request that renewed the Lease was *sent*;
another takes it no sooner than ``lease_s`` after it has *seen* that renewal.

client-go lets two lead at once where a person deletes the Lease or empties its holder: the old one believes
in its seat for a while yet. So a seat that came free in any way but by its time, or by a release that its
holder has marked, is taken at once but not acted from until ``lease_s`` have passed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from edgeobs.calls import Answer, Call
from edgeobs.objects import Ref

SECOND = 1_000_000_000
RELEASED = "edgeobs.io/released"
"""Annotation of a Lease whose holder has let go: ``<transitions>`` of the seat that it gave up."""

_LONGEST_S = 3600  # of somebody else's Lease: past it a record is taken for a mistake
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """Who we are, which Lease, and its times in seconds (see `KubernetesSettings`)."""

    identity: str  # of this process alone
    lease: Ref
    lease_s: int
    renew_s: float


class Record(NamedTuple):
    """What a Lease says."""

    holder: str
    transitions: int
    lease_s: int
    version: str
    renewed: str  # opaque here
    released: str
    acquired: str
    uid: str


class Fence(NamedTuple):
    """Leave to act, on our own clock: from ``from_ns`` until before ``until_ns``."""

    holder: str
    transitions: int
    from_ns: int
    until_ns: int

    def holds(self, now_ns: int, for_s: float = 0.0) -> bool:
        """Whether something that takes up to ``for_s`` may be begun now."""
        return self.from_ns <= now_ns and now_ns + int(for_s * SECOND) < self.until_ns

    def __str__(self) -> str:
        return f"{self.holder}/{self.transitions}"


@dataclass(frozen=True, slots=True)
class Seat:
    """What one elector knows."""

    record: Record | None = None
    seen_ns: int = 0  # when we first saw the record so
    looked: bool = False  # whether the record may be built upon; if not, look first
    claim_ns: int | None = None  # from when we may act, once we have it; None: we did not ask for it
    fence: Fence | None = None

    def waits(self, terms: Terms) -> bool:
        """Whether the Lease must be read before the next request: only its holder need not."""
        return not self.looked or self.record is None or self.record.holder != terms.identity


_NOBODY = Record("", -1, 0, "", "", "", "", "")


def read(found: Json | None) -> Record | None:
    """A Lease as JSON. What is missing or wrong reads as nobody's."""
    if found is None:
        return None
    meta, spec = found.get("metadata") or {}, found.get("spec") or {}
    return Record(
        holder=str(spec.get("holderIdentity") or ""),
        transitions=_number(spec.get("leaseTransitions"), 0),
        lease_s=_number(spec.get("leaseDurationSeconds"), 0),
        version=str(meta.get("resourceVersion") or ""),
        renewed=str(spec.get("renewTime") or ""),
        released=str((meta.get("annotations") or {}).get(RELEASED) or ""),
        acquired=str(spec.get("acquireTime") or ""),
        uid=str(meta.get("uid") or ""),
    )


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default


def seen(seat: Seat, found: Json | None, terms: Terms, now_ns: int) -> Seat:
    """What we know after a read that ended at ``now_ns``."""
    record = read(found)
    if record != seat.record or not seat.looked:
        seat = replace(seat, record=record, seen_ns=now_ns, looked=True)
    if record is None:
        return seat  # our fence runs out by itself, before another may act
    if record.holder != terms.identity:
        return replace(seat, fence=None, claim_ns=None)
    # Somebody else may have written our name there: then it did not come to us by its time.
    return seat if seat.claim_ns is not None else replace(seat, claim_ns=_later(now_ns, terms))


def ask(seat: Seat, terms: Terms, now_ns: int, wall_ns: int) -> tuple[Seat, Call | None]:
    """The request to send now, if any. ``wall_ns``: Unix time, which only people read."""
    record = seat.record
    if record is None:
        call = Call("create", terms.lease, _lease(terms, _NOBODY, wall_ns), says="create the Lease")
        return replace(seat, claim_ns=_later(now_ns, terms)), call
    if record.holder == terms.identity:
        body = _lease(terms, record, wall_ns)
        return seat, _update(terms, record, body, "renew")
    over = now_ns >= _free_ns(seat, terms)
    if record.holder and not over:
        return seat, None
    let_go = not record.holder and record.released == str(record.transitions)
    call = _update(terms, record, _lease(terms, record, wall_ns), "take")
    return replace(seat, claim_ns=now_ns if over or let_go else _later(now_ns, terms)), call


def _later(now_ns: int, terms: Terms) -> int:
    """From when we may act on a seat that did not come free by its time: any other's leave is over then."""
    return now_ns + terms.lease_s * SECOND


def _free_ns(seat: Seat, terms: Terms) -> int:
    """When the time of the record that we see is over; its holder's own lease time counts where longer."""
    theirs = seat.record.lease_s if seat.record and seat.record.lease_s <= _LONGEST_S else 0
    return seat.seen_ns + max(theirs, terms.lease_s) * SECOND


def told(seat: Seat, call: Call, answer: Answer, terms: Terms, sent_ns: int, now_ns: int) -> Seat:
    """What we know after the answer to a request; its times are when it was sent and when it was answered."""
    if not answer.ok or seat.claim_ns is None:
        # Another's, gone, refused or unknown. What leave to act there is runs out by itself.
        return replace(seat, looked=seat.looked and answer.status not in {404, 409})
    record = read({
        "spec": call.body["spec"],
        "metadata": {"resourceVersion": answer.version, "uid": call.ref.uid},
    })  # fmt: skip
    until_ns = sent_ns + int(terms.renew_s * SECOND)
    fence = Fence(terms.identity, record.transitions if record else 0, seat.claim_ns, until_ns)
    return replace(seat, record=record, seen_ns=now_ns, looked=bool(call.ref.uid), fence=fence)


def release(seat: Seat, terms: Terms, now_ns: int, wall_ns: int) -> tuple[Seat, Call | None]:
    """Stop acting, then let go, so that another need not wait; who may not act yet cannot vouch for that."""
    record, fence = seat.record, seat.fence
    without = replace(seat, fence=None)
    if fence is None or record is None or record.holder != terms.identity:
        return without, None
    spec = _lease(terms, record, wall_ns)["spec"] | {"holderIdentity": "", "leaseDurationSeconds": 1}
    marks = {RELEASED: str(record.transitions)} if now_ns >= fence.from_ns else {}
    body = {"metadata": {"annotations": marks}, "spec": spec}
    return without, _update(terms, record, body, "release")


def _update(terms: Terms, record: Record, body: Json, does: str) -> Call:
    """With the UID too: the API server creates a Lease that an update does not find, whatever its version."""
    lease = terms.lease._replace(uid=record.uid)
    return Call("update", lease, body, record.version, says=f"{does} the Lease")


def _lease(terms: Terms, record: Record, wall_ns: int) -> dict[str, Any]:
    now = datetime.fromtimestamp(wall_ns / SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    ours = record.holder == terms.identity
    spec = {
        "holderIdentity": terms.identity,
        "leaseDurationSeconds": terms.lease_s,
        "acquireTime": record.acquired if ours and record.acquired else now,
        "renewTime": now,
        "leaseTransitions": record.transitions if ours else record.transitions + 1,
    }
    return {"spec": spec}
