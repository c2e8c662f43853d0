"""Carries operations out: one call at a time, each on record before it is made. Used by one thread alone.

What to do is decided by pure functions (`conduct`); here is only the order of things: read, decide, write
down, call, write down. There is no clock in here and no thread: both are given.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import structlog

from edgeobs.calls import Answer, Api, Call, Unreachable
from edgeobs.objects import Ref
from edgeobs.remediate import conduct, reading, story
from edgeobs.remediate.aside import Aside
from edgeobs.remediate.fleet import ClusterView
from edgeobs.remediate.journal import Journal, JournalError
from edgeobs.remediate.operation import Do, End, Facts, Operation, Switches, Told, Wait
from edgeobs.remediate.reading import Seen
from edgeobs.remediate.settings import Settings
from edgeobs.signals import SECOND, Counts, Decision

log = structlog.get_logger("edgeobs.actor")

__all__ = ["Conductor", "Seen"]

_FAR_NS = 3600 * SECOND
_WATCHED_NS = 2 * SECOND // 5  # for each that is only watched, until the next look: they leave requests over
_LONGEST_NS = 60 * SECOND  # until an operation is looked at again, whatever it waits for


@dataclass(slots=True)
class _Under:
    """An operation under way, and what need not outlive this process."""

    operation: Operation
    due_ns: int
    failures: int = 0  # calls in a row that were not done
    unread: int = 0  # reads in a row that failed
    told: dict[Ref, Told] = field(default_factory=dict)


class Conductor:
    """All operations that are not over.

    Parameters
    ----------
    api, view
        The cluster: live, and as a cache has it.
    journal
        Where everything is written down first. Its JournalError passes through: nothing was done then.
    switches
        Asked before every mutation, and once more just before the call.
    me
        The name of this replica.
    clock, dice
        Unix nanoseconds; a number in [0, 1).

    """

    def __init__(
        self,
        api: Api,
        view: ClusterView,
        journal: Journal,
        settings: Settings,
        counts: Counts,
        *,
        clock: Callable[[], int],
        dice: Callable[[], float],
        switches: Callable[[], Switches] = Switches,
        me: str = "edgeobs",
    ) -> None:
        self.api, self.view, self.journal, self.settings, self.counts = api, view, journal, settings, counts
        self.me, self._switches, self._clock, self._dice = me, switches, clock, dice
        self.news: deque[Operation] = deque()  # every change, in order; taken out by whoever listens
        self._under: dict[str, _Under] = {}
        self._worked_ns = 0
        self._aside = Aside(api, counts)
        self._resume()

    @property
    def busy(self) -> bool:
        """Whether anything is under way; may be asked from another thread."""
        return bool(self._under)

    @property
    def operations(self) -> list[Operation]:
        """All that are not over."""
        return [under.operation for under in self._under.values()]

    def take(self, decisions: Iterable[Decision]) -> None:
        """Take up allowed decisions that are on record: as intents, durable now. Those known already stay."""
        now = self._clock()
        new = [
            conduct.intended(decision, self.settings.deadline_s, now)
            for decision in decisions
            if decision.verdict == "allowed" and not decision.dry_run and not self.journal.known(decision.id)
        ]
        if not new:
            return
        self.journal.begin(new, now)
        for operation in new:
            self._under[operation.id] = _Under(operation, now)
            self.news.append(operation)

    def refuse(self, decision: Decision) -> None:
        """Let the cluster tell of an action that was held or denied."""
        self._aside.add(story.refused(decision, self.me, self._clock()))

    def work(self, seen: Seen) -> int:
        """Advance what is due first, or tell something; when there is something to do again, ns."""
        now = self._clock()
        if now < self._worked_ns:  # the clock was set back: nothing may wait for the time it had been
            for under in self._under.values():
                under.due_ns = now
        self._worked_ns = now
        due = min(
            (under for under in self._under.values() if under.due_ns <= now), key=_urgency, default=None
        )
        if due is not None:
            try:
                self._advance(due, seen)
            except (JournalError, MemoryError):
                raise
            except Exception as error:
                log.exception("operation_failed", operation=due.operation.id)
                self._fault(due, error)
        elif self._aside:
            self._aside.tell()
        if self._aside:
            return now
        return min((under.due_ns for under in self._under.values()), default=now + _FAR_NS)

    def _resume(self) -> None:
        """Take up what a process before us left: the cluster is read, nothing is replayed."""
        now = self._clock()
        self.news.extend(self.journal.standing())
        for operation in self.journal.unfinished():
            if self.journal.unanswered(operation.id):
                reason = "resumed; whether the last call was done is not on record: the cluster is read"
                operation = replace(operation, reason=reason, updated_ns=now)  # noqa: PLW2901
                self.journal.move(operation, now, "wait")
            self._under[operation.id] = _Under(operation, now)
            self.news.append(operation)

    def _advance(self, under: _Under, seen: Seen) -> None:
        operation = under.operation
        try:
            facts = reading.facts(
                self.api, self.view, operation, seen, under.told, self._switches(), self.settings, self.me,
                self._clock(),
            )  # fmt: skip
        except Unreachable as error:
            self._unreachable(under, str(error))
            return
        now, under.unread = self._clock(), 0
        said = conduct.next_of(operation, facts, now)
        after = conduct.moved(operation, said, facts, now)
        match said:
            case Do():
                self._call(under, after, said.call)
            case Wait():
                self._wait(under, after, said.until_ns)
            case End():
                self._move(under, after, _uid(facts, operation))

    def _call(self, under: _Under, after: Operation, call: Call) -> None:
        """On record, made, on record again. Where the second fails, the next look at the cluster tells."""
        number = self.journal.call(after, call, self._clock())
        begun = after.state != under.operation.state
        under.operation = after
        switches = self._switches()
        held = switches.leader or switches.paused or after.action.incident in switches.vetoed
        answer = Answer(409, "NotSent", f"not sent: {held}") if held else self.api.call(call)
        now = self._clock()
        self.counts["edgeobs_api_calls_total", call.verb, str(answer.status)] += 1
        under.failures = 0 if answer.ok else under.failures + 1
        said = conduct.told(call, answer, under.failures, now, self._dice())
        under.told[call.ref] = said
        # An answer about one object holds up that object alone; no answer, or none of use, all of it.
        under.due_ns = now if answer.ok or answer.status in {404, 429} else said.again_ns
        settled = conduct.answered(after, call, answer, now)
        under.operation = replace(settled, state=after.state)
        self.journal.answer(under.operation, number, answer, now)
        if settled.over:
            self._move(under, settled, call.ref.uid)
        elif begun or answer.ok:
            self._news(under.operation, call.ref.uid if call.ref.kind == "Node" else "")

    def _unreachable(self, under: _Under, reason: str) -> None:
        now = self._clock()
        under.unread += 1
        self.counts["edgeobs_api_calls_total", "read", "0"] += 1
        late = conduct.overdue(under.operation, now, reason)
        if late is not None:
            self._move(under, conduct.moved(under.operation, late, Facts(settings=self.settings), now), "")
            return
        again = conduct.told(_READ, Answer(0), under.unread, now, self._dice()).again_ns
        self._wait(under, replace(under.operation, reason=reason, updated_ns=now), again)

    def _wait(self, under: _Under, after: Operation, until_ns: int) -> None:
        now = self._clock()
        if under.operation.state == "verifying":
            until_ns = max(until_ns, now + _WATCHED_NS * sum(_watched(each) for each in self._under.values()))
        under.due_ns = min(max(until_ns, now + 1), now + _LONGEST_NS)
        if _words(after.reason) == _words(under.operation.reason) and after.memo == under.operation.memo:
            return
        self.journal.move(after, self._clock(), "wait")
        under.operation = after
        self._news(after, after.memo.get("uid", ""))

    def _move(self, under: _Under, after: Operation, uid: str) -> None:
        now = self._clock()
        self.journal.move(after, now)
        under.operation, under.due_ns, under.failures = after, now, 0
        self.counts["edgeobs_operations_total", after.action.verb, after.state] += 1
        if after.over:
            del self._under[after.id]
        self._news(after, uid)
        if after.over and after.memo.get("gone"):
            self._undone(after.undoes or after.id, after.reason, uid)

    def _fault(self, under: _Under, error: Exception) -> None:
        """A mistake of ours ends the operation that shows it, and no other."""
        reason = f"a fault of edgeobs itself: {error!r}"
        failed = replace(under.operation, state="failed", reason=reason, updated_ns=self._clock())
        self._move(under, failed, "")

    def _undone(self, name: str, reason: str, uid: str) -> None:
        """What was taken back, or went with its node, stands no longer."""
        now = self._clock()
        of = self.journal.operation(name)
        if of is None or not of.over or not of.standing:
            return
        undone = replace(of, state="undone", reason=reason, updated_ns=now)
        self.journal.move(undone, now)
        self.counts["edgeobs_operations_total", undone.action.verb, undone.state] += 1
        self._news(undone, uid)

    def _news(self, operation: Operation, uid: str) -> None:
        self.news.append(operation)
        self._aside.add(story.tell(operation, uid, self.me, self._clock()))


_READ = Call("patch", Ref("", "", ""))


def _urgency(under: _Under) -> tuple[bool, int]:
    """What is to be done goes before what is only watched."""
    return _watched(under), under.due_ns


def _watched(under: _Under) -> bool:
    return under.operation.state == "verifying"


def _uid(facts: Facts, operation: Operation) -> str:
    node = facts.nodes.get(operation.action.target.node)
    return node.uid if node else ""


def _words(reason: str) -> str:
    """A reason without its numbers: ``12 s`` and ``13 s`` are the same."""
    return re.sub(r"\d+", "#", reason)
