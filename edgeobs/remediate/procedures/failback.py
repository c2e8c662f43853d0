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
from edgeobs.remediate.procedures.failover import one_by_one
from edgeobs.signals import SECOND

KIND = "Deployment"


def failback(operation: Operation, facts: Facts, now_ns: int) -> Next:
    """One workload after the other."""
    if "origins" not in operation.memo:
        return _found(operation, facts, now_ns)
    said = one_by_one(operation, facts, now_ns, _one)
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
    if f"left:{origin.key}" in operation.memo:
        return _tidy(operation, facts, origin, source)
    person = _interfered(operation, facts, origin, source)
    if person:
        text = f"{person}: it is left as it is"
        return Wait(now_ns, text, {**operation.memo, f"left:{origin.key}": text})
    if source.annotations.get(INCIDENT) != operation.action.incident:  # it was not drained, or serves again
        return _turn(operation, facts, origin) or _lower(operation, facts, origin)
    return (
        _raise(operation, facts, origin, source, int(source.annotations[moves.BEFORE]), now_ns)
        or _turn(operation, facts, origin)
        or _lower(operation, facts, origin)
        or Do(moves.note(source, moves.CLEAN, f"{origin.key} serves again: take our notes off it"))
    )


def _interfered(operation: Operation, facts: Facts, origin: Origin, source: Workload) -> str:
    """What somebody did since: then all of it stays as it is; empty: nothing."""
    if not moves.opted(source, facts.settings):
        return f"{origin.key} has not opted in any more"
    target, service = _target(operation, facts, origin), _service(operation, facts, origin)
    if source.annotations.get(INCIDENT) == operation.action.incident:
        before = source.annotations.get(moves.BEFORE, "")
        raised = bool(operation.memo.get(f"raised:{origin.key}"))
        fine = before.isdecimal() and (not source.replicas or (raised and source.replicas >= int(before)))
        if not fine:
            return f"{origin.key} was scaled to {source.replicas} by somebody else"
    any_service = facts.objects.get(origin.service_ref) if origin.service else None
    if any_service is None or target is None:
        return ""
    # Ours must be as we turned it; one that is not ours any more must not need what is to be lowered.
    theirs = (moves.selecting(any_service) == moves.labels_of(target)) == (service is None)
    return f"service {origin.service} was turned by somebody else" if theirs else ""


def _tidy(operation: Operation, facts: Facts, origin: Origin, source: Workload) -> Next | None:
    """Our notes off what is left as it is; nothing at all off what has opted out."""
    if not moves.opted(source, facts.settings):
        return None
    says = operation.memo[f"left:{origin.key}"]
    for each in (source, _target(operation, facts, origin)):
        if each is not None and each.annotations.get(INCIDENT) == operation.action.incident:
            return Do(moves.note(each, moves.CLEAN, f"take our notes off {each.name}: {says}"))
    service = _service(operation, facts, origin)
    if service is None:
        return None
    return Do(
        moves.turn(service, moves.selecting(service), moves.CLEAN, f"take our notes off a service: {says}")
    )


def _target(operation: Operation, facts: Facts, origin: Origin) -> Workload | None:
    """The destination, while it is ours."""
    target = facts.workloads.get(Ref(KIND, origin.ref.namespace, origin.to[0]))
    ours = target is not None and target.annotations.get(INCIDENT) == operation.action.incident
    return target if ours else None


def _service(operation: Operation, facts: Facts, origin: Origin) -> Mapping[str, Any] | None:
    """The Service, while it is ours."""
    service = facts.objects.get(origin.service_ref) if origin.service else None
    ours = service is not None and moves.annotations(service).get(INCIDENT) == operation.action.incident
    return service if ours else None


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
    service = _service(operation, facts, origin)
    if service is None:
        return None
    before = moves.read_before(moves.annotations(service).get(moves.SELECTOR, ""))
    if before is None:
        return None
    return Do(moves.turn(service, before, moves.CLEAN, f"turn service {origin.service} back to {origin.key}"))


def _lower(operation: Operation, facts: Facts, origin: Origin) -> Next | None:
    target = _target(operation, facts, origin)
    if target is None:
        return None
    before, person = target.annotations.get(moves.BEFORE, ""), moves.rescaled(target)
    says = f"{origin.key} serves again: {target.name} back to what it was"
    if not before.isdecimal() or person:
        memo = {**operation.memo, **({f"left:{target.name}": person} if person else {})}
        return Do(moves.note(target, moves.CLEAN, person or says), memo)
    return Do(moves.scale(target, int(before), moves.CLEAN, says))
