"""Failback: the origin serves again, then the destination is what it was. Pure.

Found by what a failover wrote on the objects, so any replica can do it; what a person changed since is left.
"""

from collections.abc import Mapping
from typing import Any

from edgeobs.objects import Ref, Workload
from edgeobs.remediate import moves
from edgeobs.remediate.fit import fit
from edgeobs.remediate.marks import INCIDENT
from edgeobs.remediate.moves import Origin
from edgeobs.remediate.operation import Do, End, Facts, Next, Operation, Wait
from edgeobs.signals import SECOND

KIND = "Deployment"


def failback(operation: Operation, facts: Facts, now_ns: int) -> Next:
    """One workload after the other."""
    if "origins" not in operation.memo:
        return _found(operation, facts, now_ns)
    for each in operation.memo["origins"]:
        said = _one(operation, facts, Origin.read(each), now_ns)
        if said is not None:
            return said
    left = [text for key, text in operation.memo.items() if key.startswith("left:")]
    return End("done", "; ".join(left) or "all serve where they did before", {**operation.memo, "gone": True})


def _found(operation: Operation, facts: Facts, now_ns: int) -> Next:
    incident = operation.action.incident
    ours = [each for each in facts.inventory.workloads if each.annotations.get(INCIDENT) == incident]
    by_name = {(each.namespace, each.name): each for each in facts.inventory.workloads if each.kind == KIND}
    found = {each.ref: each.annotations[moves.OVER_TO] for each in ours if moves.OVER_TO in each.annotations}
    for each in ours:  # brought up for an origin that was never drained
        source = by_name.get((each.namespace, each.annotations.get(moves.FROM, "")))
        if source is not None:
            found.setdefault(source.ref, each.name)
    origins = [moves.origin(by_name[ref.namespace, ref.name])._replace(to=(to,)) for ref, to in found.items()]
    memo = {**operation.memo, "origins": sorted(each.memo() for each in origins)}
    return Wait(now_ns, f"{len(found)} workloads are to fail back", memo)


def _one(operation: Operation, facts: Facts, origin: Origin, now_ns: int) -> Next | None:
    source = facts.workloads.get(origin.ref)
    if source is None:
        return None
    if source.annotations.get(INCIDENT) != operation.action.incident:  # it was not drained, or serves again
        if f"left:{origin.key}" in operation.memo:
            return None
        return _turn(operation, facts, origin) or _lower(operation, facts, origin)
    raised = bool(operation.memo.get(f"raised:{origin.key}"))
    before = source.annotations.get(moves.BEFORE, "")
    if not before.isdecimal() or (source.replicas and not raised):
        text = f"{origin.key} was scaled to {source.replicas} by somebody else: it is left as it is"
        memo = {**operation.memo, f"left:{origin.key}": text}
        return Do(moves.note(source, moves.CLEAN, f"take our notes off {origin.key}: {text}"), memo)
    return (
        _raise(operation, facts, origin, source, int(before), now_ns)
        or _turn(operation, facts, origin)
        or _lower(operation, facts, origin)
        or Do(moves.note(source, moves.CLEAN, f"{origin.key} serves again: take our notes off it"))
    )


def _raise(
    operation: Operation, facts: Facts, origin: Origin, source: Workload, wanted: int, now_ns: int
) -> Next | None:
    if source.replicas < wanted:
        proof = fit(
            moves.copies(source, wanted), facts.inventory, keep_free=facts.settings.keep_free, beside=True
        )
        if not proof.whole:
            return Wait(now_ns + 10 * SECOND, f"{origin.key} does not fit where it was: {proof.reason()}")
        says = f"bring up {wanted} of {origin.ref.name} again"
        notes = dict(source.annotations)
        memo = {**operation.memo, f"raised:{origin.key}": True}
        return Do(moves.scale(source, wanted, {INCIDENT: notes[INCIDENT]}, says), memo)
    if source.ready_replicas < wanted:
        return Wait(now_ns + SECOND, f"{source.ready_replicas} of {wanted} of {origin.key} are Ready")
    return None


def _turn(operation: Operation, facts: Facts, origin: Origin) -> Next | None:
    service = facts.objects.get(origin.service_ref) if origin.service else None
    if service is None or not _is_ours(service, operation):
        return None
    before = moves.read_before(moves.annotations(service).get(moves.SELECTOR, ""))
    if before is None:
        return None
    return Do(moves.turn(service, before, moves.CLEAN, f"turn service {origin.service} back to {origin.key}"))


def _is_ours(service: Mapping[str, Any], operation: Operation) -> bool:
    return moves.annotations(service).get(INCIDENT) == operation.action.incident


def _lower(operation: Operation, facts: Facts, origin: Origin) -> Next | None:
    target = facts.workloads.get(Ref(KIND, origin.ref.namespace, origin.to[0]))
    if target is None or target.annotations.get(INCIDENT) != operation.action.incident:
        return None
    before = target.annotations.get(moves.BEFORE, "")
    says = f"{origin.key} serves again: {target.name} back to what it was"
    if not before.isdecimal():
        return Do(moves.note(target, moves.CLEAN, says))
    return Do(moves.scale(target, int(before), moves.CLEAN, says))
