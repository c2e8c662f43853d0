"""Failover: bring up elsewhere, wait until that is Ready, turn the traffic, then drain the origin. Pure.

Every stage looks at the cluster: what is done already is passed over, so a crash in between costs nothing.
Nothing is taken away at the origin before the destination serves.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from edgeobs.objects import Node, Workload
from edgeobs.remediate import moves
from edgeobs.remediate.fit import fit
from edgeobs.remediate.marks import INCIDENT
from edgeobs.remediate.moves import Origin
from edgeobs.remediate.operation import Do, End, Facts, Memo, Next, Operation, Reads, Wait
from edgeobs.remediate.procedures.cordon import gone
from edgeobs.signals import SECOND

One = Callable[[Operation, Facts, Origin, int], Next | None]
"""What comes next for one workload; None: it is through."""

LOOK_NS = SECOND
_THERE = Node("")  # of a zone: no one node is asked for


class Move(NamedTuple):
    """One workload on its way. Memo keys by `Origin.key`: ``at``, ``wanted``, ``since``."""

    operation: Operation
    facts: Facts
    origin: Origin
    source: Workload
    target: Workload
    wanted: int  # replicas
    now_ns: int

    @property
    def memo(self) -> Memo:
        """Of the operation."""
        return self.operation.memo

    def notes(self, **more: str) -> dict[str, str]:
        """Annotations that say for what it is done."""
        return moves.ours(self.operation.action.incident, self.operation.id, **more)


def reads(operation: Operation) -> Reads:
    """The workloads that move, where they go, and the Services that follow."""
    found = [Origin.read(each) for each in operation.memo.get("origins", ())]
    tried = [each.destination(at) for each in found for at in range(len(each.to))]
    services = tuple(each.service_ref for each in found if each.service)
    node = operation.action.target.node
    return Reads(
        nodes=(node,) if node else (), workloads=(*(each.ref for each in found), *tried), objects=services
    )


def failover(operation: Operation, facts: Facts, now_ns: int) -> Next:
    """One workload after the other."""
    node = operation.action.target.node
    if operation.state == "intended" and facts.nodes.get(node, _THERE) is None:
        return gone(operation)
    if "origins" not in operation.memo:
        return _found(operation, facts, now_ns)
    said = one_by_one(operation, facts, now_ns, _one)
    if said is not None:
        return said
    names = [Origin.read(each).key for each in operation.memo["origins"]]
    return End("verifying", f"failed over: {', '.join(names)}")


def one_by_one(operation: Operation, facts: Facts, now_ns: int, one: One) -> Next | None:
    """What comes next for the first workload that is not through yet; None: all are."""
    for each in operation.memo["origins"]:
        said = one(operation, facts, Origin.read(each), now_ns)
        if said is not None:
            return said
    return None


def _found(operation: Operation, facts: Facts, now_ns: int) -> Next:
    target, label = operation.action.target, facts.settings.zone_label
    every = facts.inventory.nodes.items()
    nodes = (
        [target.node] if target.node else [n for n, node in every if node.labels.get(label) == target.zone]
    )
    found = moves.origins(facts.inventory, nodes, facts.settings)
    if not found:
        return End("cancelled", "nothing that runs there opted in to a failover")
    services = Counter(each.service_ref for each in found if each.service)
    shared = [each.key for each in found if services[each.service_ref] > 1]
    if shared:
        return End(
            "cancelled", f"they share a Service, which can be turned to one alone: {', '.join(shared)}"
        )
    memo = {**operation.memo, "origins": [each.memo() for each in found]}
    return Wait(now_ns, f"{len(found)} workloads are to fail over", memo)


def _one(operation: Operation, facts: Facts, origin: Origin, now_ns: int) -> Next | None:
    source = facts.workloads.get(origin.ref)
    if source is None:  # gone: there is nothing to fail over any more
        return None
    if not moves.opted(source, facts.settings):
        return _interfered(operation, f"{origin.key} has not opted in any more")
    at = operation.memo.get(f"at:{origin.key}", 0)
    if at >= len(origin.to):
        tried = ", ".join(origin.to) or "none is named"
        return End("failed", f"{origin.key} cannot be brought up elsewhere: {tried}")
    target = facts.workloads.get(origin.destination(at))
    if target is None:
        return _next_destination(operation, origin, at, f"there is no Deployment {origin.to[at]}", now_ns)
    wanted = operation.memo.get(f"wanted:{origin.key}", source.replicas)
    if not wanted:  # it serves nothing, or was drained already
        return None
    move = Move(operation, facts, origin, source, target, wanted, now_ns)
    return _bring_up(move, at) or _turn(move) or _drain(move)


def _interfered(operation: Operation, person: str) -> End:
    """Whoever did it knows better; what was done already comes back once its incident is long over."""
    return End("cancelled", person, {**operation.memo, "person": person})


def _next_destination(operation: Operation, origin: Origin, at: int, why: str, now_ns: int) -> Wait:
    memo = {**operation.memo, f"at:{origin.key}": at + 1}
    memo.pop(f"since:{origin.key}", None)
    return Wait(now_ns, f"{origin.key}: {why}", memo)


def _bring_up(move: Move, at: int) -> Next | None:
    """Scaled up where it fits, and Ready; else back to what it was, and the next destination."""
    origin, target, facts = move.origin, move.target, move.facts
    held = target.annotations.get(moves.FROM)
    if move.memo.get(f"given_up:{origin.key}") == at:
        return _give_up(move, at, "it was given up")
    if held not in (None, origin.ref.name):
        return _next_destination(move.operation, origin, at, f"{target.name} serves for {held}", move.now_ns)
    if target.replicas >= move.wanted:
        return _ready(move, at)
    ours = held and target.annotations.get(INCIDENT) == move.operation.action.incident
    if ours and (person := moves.rescaled(target)):
        return _interfered(move.operation, person)
    missing = move.wanted - target.replicas
    proof = fit(
        moves.copies(target, missing), facts.inventory, keep_free=facts.settings.keep_free, beside=True
    )
    if target.template is None or not proof.whole:
        why = proof.reason() if target.template else "its template cannot be read"
        return _next_destination(move.operation, origin, at, f"{target.name}: {why}", move.now_ns)
    before, wanted = str(target.replicas), str(move.wanted)
    notes = move.notes(**{moves.FROM: origin.ref.name, moves.BEFORE: before, moves.SET: wanted})
    says = f"bring up {move.wanted} of {target.name} for {origin.ref.name}"
    memo = {
        **move.memo,
        "marked": True,
        f"wanted:{origin.key}": move.wanted,
        f"since:{origin.key}": move.now_ns,
    }
    return Do(moves.scale(target, move.wanted, notes, says), memo)


def _ready(move: Move, at: int) -> Next | None:
    origin, target = move.origin, move.target
    if target.ready_replicas >= move.wanted:
        return None
    since = move.memo.get(f"since:{origin.key}", move.operation.begun_ns)
    waited = (move.now_ns - since) / SECOND
    told = f"{target.ready_replicas} of {move.wanted} of {target.name} are Ready"
    if waited < move.facts.settings.failover_ready_s:
        return Wait(move.now_ns + LOOK_NS, told, {**move.memo, f"since:{origin.key}": since})
    return _give_up(move, at, f"{told} after {waited:.0f} s")


def _give_up(move: Move, at: int, why: str) -> Next:
    """A destination that did not work is made what it was; only then the next one is tried."""
    origin, target = move.origin, move.target
    before = target.annotations.get(moves.BEFORE, "")
    if target.annotations.get(moves.FROM) != origin.ref.name or not before.isdecimal():
        return _next_destination(move.operation, origin, at, f"{target.name}: {why}", move.now_ns)
    memo = {**move.memo, f"given_up:{origin.key}": at}
    if person := moves.rescaled(target):
        return Do(moves.note(target, moves.CLEAN, f"give up {target.name}: {why}; {person}"), memo)
    return Do(moves.scale(target, int(before), moves.CLEAN, f"give up {target.name}: {why}"), memo)


def _turn(move: Move) -> Next | None:
    """The Service selects the destination's pods."""
    if not move.origin.service:
        return None
    service = move.facts.objects.get(move.origin.service_ref)
    if service is None:
        return End("failed", f"there is no Service {move.origin.service} to turn to {move.target.name}")
    wanted, now = moves.labels_of(move.target), moves.selecting(service)
    if now == wanted:
        return None
    if stop := _not_to_turn(move, moves.annotations(service).get(INCIDENT), now):
        return stop
    notes = move.notes(**{moves.SELECTOR: moves.before(now)})
    says = f"turn service {move.origin.service} to {move.target.name}"
    return Do(moves.turn(service, wanted, notes, says))


def _not_to_turn(move: Move, turned_for: str | None, now: dict[str, str]) -> End | None:
    """Why a Service is left as it is: somebody turned it, or it never served what fails over."""
    service = f"service {move.origin.service}"
    if turned_for == move.operation.action.incident:
        return _interfered(move.operation, f"{service} was turned by somebody else")
    if turned_for:
        return End("failed", f"{service} is turned already, for {turned_for}")
    if not now.items() <= moves.told_by(move.source).items():
        return End("failed", f"{service} does not select {move.origin.ref.name}: it is left as it is")
    return None


def _drain(move: Move) -> Next | None:
    """The origin to zero: its pods end with their grace, as soon as their node can be told."""
    if move.source.replicas == 0:
        return None
    notes: dict[str, Any] = move.notes(
        **{moves.OVER_TO: move.target.name, moves.BEFORE: str(move.source.replicas)}
    )
    says = f"drain {move.origin.ref.name}: {move.target.name} serves in its place"
    return Do(moves.scale(move.source, 0, notes, says), {**move.memo, "marked": True})
