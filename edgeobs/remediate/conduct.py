"""One operation at one moment: what comes next, and what it is afterwards. Pure."""

from dataclasses import replace

from edgeobs.calls import Answer, Call
from edgeobs.remediate.operation import (
    Do,
    End,
    Facts,
    Next,
    Operation,
    Procedure,
    Reads,
    Told,
    Wait,
    target_node,
)
from edgeobs.remediate.procedures import PROCEDURES
from edgeobs.remediate.recheck import recheck
from edgeobs.remediate.verify import evidence, verify
from edgeobs.signals import SECOND, Decision, Outcome

REFUSED = frozenset({400, 405, 413, 415, 422})
"""Statuses to which the same call would be answered the same: the API, or an admission rule, refuses it."""

_LONGEST_S = 30.0
_REPEAT_NS = SECOND


def intended(decision: Decision, deadline_s: float, now_ns: int) -> Operation:
    """The operation of an allowed decision."""
    return Operation(
        id=decision.id, action=decision.action, memo={"uid": decision.uid}, begun_ns=decision.decided_ns,
        updated_ns=now_ns, deadline_ns=decision.decided_ns + int(deadline_s * SECOND), undoes=decision.undoes,
        reason="decided",
    )  # fmt: skip


def reads(operation: Operation) -> Reads:
    """What must be read before it is asked what comes next."""
    procedure = PROCEDURES.get(operation.action.verb)
    if procedure is None:
        return Reads()
    if operation.state == "verifying":
        return target_node(operation) if operation.action.target.node else Reads()
    return procedure.reads(operation)


def next_of(operation: Operation, facts: Facts, now_ns: int) -> Next:
    """What comes next. A call is only ever named after it was checked again."""
    if operation.state == "verifying":
        return verify(operation, facts, now_ns)
    verb = operation.action.verb
    procedure = PROCEDURES.get(verb)
    if procedure is None:
        return End("failed", f"there is no procedure for {verb}")
    said = procedure.step(operation, facts, now_ns)
    if isinstance(said, End):
        return said
    late = overdue(operation, now_ns, said.reason if isinstance(said, Wait) else operation.reason)
    if late:
        return late
    if isinstance(said, Wait):
        return replace(said, until_ns=min(said.until_ns, operation.deadline_ns))
    return _checked(operation, procedure, facts, said, now_ns)


def _checked(operation: Operation, procedure: Procedure, facts: Facts, said: Do, now_ns: int) -> Next:
    if said.call.verb in {"evict", "delete"} and not said.call.ref.uid:
        return End("failed", f"{said.call.ref} would be removed whichever it is by now: its UID is not known")
    return recheck(operation, procedure, facts, said, now_ns) or _repeated(said, facts, now_ns) or said


def overdue(operation: Operation, now_ns: int, reason: str) -> End | None:
    """Its end, once its deadline has passed."""
    if now_ns < operation.deadline_ns or operation.state == "verifying":
        return None
    if operation.state == "intended":
        return End("cancelled", f"not begun by its deadline: {reason}")
    return End("failed", f"not complete by its deadline: {reason}")


def _repeated(do: Do, facts: Facts, now_ns: int) -> Wait | None:
    """The same call again though it was answered well: what it does may not show at once."""
    last = facts.told.get(do.call.ref)
    if last is None or not last.answer.ok or not same(last.call, do.call):
        return None
    again = last.at_ns + _REPEAT_NS
    return (
        Wait(again, f"{do.call.says or do.call.ref}: done, and not to be seen yet")
        if again > now_ns
        else None
    )


def same(one: Call, other: Call) -> bool:
    """Whether two calls ask for the same, whatever version they expect."""
    return replace(one, version="", says="") == replace(other, version="", says="")


def moved(operation: Operation, said: Next, facts: Facts, now_ns: int) -> Operation:
    """The operation with what was said of it."""
    memo = operation.memo if said.memo is None else said.memo
    if isinstance(said, Do):
        reason = said.reason or said.call.says or operation.reason
        return replace(operation, state="working", memo=memo, reason=reason, updated_ns=now_ns)
    if isinstance(said, Wait):
        return replace(operation, memo=memo, reason=said.reason, updated_ns=now_ns)
    if said.state == "verifying":
        score = facts.incident.score if facts.incident else 0.0
        until = now_ns + int(facts.settings.verify_s * SECOND)
        memo = {**memo, "score": score, "verify_ns": until, "evidence": evidence(facts.incident)}
    return replace(operation, state=said.state, memo=memo, reason=said.reason, updated_ns=now_ns)


def told(call: Call, answer: Answer, failures: int, now_ns: int, dice: float) -> Told:
    """When a call may be made again, by its answer.

    Parameters
    ----------
    failures
        Answers in a row, this one included, that were not good.
    dice
        In [0, 1): many that wait shall not come back together.

    """
    if answer.ok:
        return Told(answer, now_ns, 0, call)
    least = {409: 0.05, 404: 0.05, 429: max(answer.retry_after_s, 1.0)}.get(answer.status, 1.0)
    longest = max(_LONGEST_S, answer.retry_after_s)
    grown = least if answer.retry_after_s else min(least * 2.0 ** min(failures - 1, 20), longest)
    wait_s = min(max(grown, answer.retry_after_s), longest) * (1.0 + dice)
    return Told(answer, now_ns, now_ns + int(wait_s * SECOND), call)


def answered(operation: Operation, call: Call, answer: Answer, now_ns: int) -> Operation:
    """The operation after an answer."""
    what = call.says or f"{call.verb} {call.ref}"
    if answer.ok:
        return replace(operation, reason=what, updated_ns=now_ns)
    if answer.status in REFUSED:
        reason = f"{what}: refused ({answer.status} {answer.reason}): {answer.text}"
        return replace(operation, state="failed", reason=reason, updated_ns=now_ns)
    said = "no answer" if answer.unknown else f"{answer.status} {answer.reason}".strip()
    reason = f"{what}: {said}{f': {answer.text}' if answer.text else ''}"
    return replace(operation, reason=reason[:1000], updated_ns=now_ns)


def outcome(operation: Operation) -> Outcome:
    """What has come of a decision so far."""
    done = operation.state in {"verifying", "done", "undone"}
    return Outcome(operation.id, done, f"{operation.state}: {operation.reason}", operation.updated_ns)


def dry(decision: Decision, now_ns: int) -> Outcome:
    """What came of a decision that is dry: nothing."""
    action = decision.action
    patch = ", ".join(f"{path} = {value}" for path, value in action.patch)
    answer = f"dry-run: would have patched {action.target.node or action.target.zone}: {patch}"
    return Outcome(decision.id, False, answer, now_ns)
