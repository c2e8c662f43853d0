"""What is done alone, joined: asks the rules, writes down, has it done, watches whether it helps, tells."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue

from edgeobs.agent.alone.deeds import OVER, Deed, Result, State, Wish, busy
from edgeobs.agent.alone.journal import NAME, Clock, JournalError
from edgeobs.agent.alone.record import Record
from edgeobs.agent.alone.refusals import Refusals
from edgeobs.agent.alone.rules import Known, consider
from edgeobs.agent.alone.settings import Settings
from edgeobs.agent.alone.story import brief, told
from edgeobs.agent.alone.wishes import wishes
from edgeobs.remediate import Ledger
from edgeobs.remediate import Settings as GuardSettings
from edgeobs.remediate.ledger import SETTLE_NS
from edgeobs.remediate.verify import calm
from edgeobs.signals import SECOND, Counts, Decision, Incident, Resource
from edgeobs.uplink.pace import Silence

log = logging.getLogger("edgeobs.agent.alone")

_STEP_NS = 5 * SECOND  # our clock beside one that cannot be set
_RETRY_NS = 10 * SECOND  # until the disk is tried again
_TICK_NS = 60 * SECOND  # how often time is written down, while anything is to age

_UNKNOWN = "the agent ended between its intent and the result"
_UNSEEN = "the agent was restarted, and its incident is not there any more"


class Alone:
    """Called at every step by the agent's one thread; an action waits in a thread of its own.

    Parameters
    ----------
    folder
        Where its journal is.
    node
        This one.
    active, recent
        The incidents that are not over, and those that lately were.
    silence
        Whether the core answers.
    tell
        Tells the core of incidents; it has to tell `story` of each.
    do
        ``(kind, target) → Result``; never raises.
    problems
        What people are to know stands there under ``alone``.
    steady
        A clock that nobody can set, nanoseconds.
    run
        Has work done that waits.

    """

    def __init__(
        self,
        settings: Settings,
        guard: GuardSettings,
        folder: Path,
        node: Resource,
        active: Callable[[], Sequence[Incident]],
        recent: Callable[[], Sequence[Incident]],
        silence: Callable[[], Silence],
        tell: Callable[[Sequence[Incident], int], None],
        do: Callable[[str, str], Result],
        counts: Counts,
        problems: MutableMapping[str, str],
        steady: Callable[[], int] = time.monotonic_ns,
        run: Callable[[Callable[[], None]], None] = lambda work: threading.Thread(
            target=work, name="edgeobs-alone", daemon=True
        ).start(),
    ) -> None:
        self.settings, self.node, self.counts = settings, node, counts
        self.record = Record(folder / NAME)
        self._guard = guard
        self._active, self._recent, self._silence, self._tell = active, recent, silence, tell
        self._do, self._steady, self._run = do, steady, run
        self._problems = problems
        self._ledger = Ledger()
        self._now_ns = self._retry_ns = self._tick_ns = 0
        self._results: SimpleQueue[tuple[int, Result]] = SimpleQueue()
        self._answered = False  # whether the core ever did
        self._untold: set[int] = set()  # deeds whose state the core is to be told
        self._refusals = Refusals(counts)

    def open(self, now_ns: int) -> None:
        """Read what was spent, before anything is told; as `__call__` where that fails."""
        self._look(now_ns)
        self._guarded(self._writable)

    def __call__(self, now_ns: int) -> None:
        """Let time pass; at most one thing is begun. What is wrong is told, and nothing done."""
        self._guarded(lambda: self._step(now_ns))

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except JournalError as error:
            self._failed(str(error))
        except Exception as error:
            log.exception("nothing is done alone")
            self._failed(repr(error)[:200])

    def story(self, incident: Incident) -> Incident:
        """An incident with what was done for it. It is called with each that is told."""
        for deed in list(self.record.deeds.values()):
            if deed.incident.id == incident.id and deed.state not in OVER:
                self.record.put(replace(deed, incident=incident))
        return told(incident, self.record.deeds.values())

    def close(self) -> None:
        """Let go of the journal. What is under way is not known to us any more, and will be told so."""
        self.record.close()

    def _step(self, now_ns: int) -> None:
        self._look(now_ns)
        self._results_in()
        self._retell()
        if not self._writable():
            return
        incidents = {incident.id: incident for incident in self._active()}
        silence = self._silence()
        self._watch(incidents)
        self._retell()
        if silence.answers:
            self.record.answered()
            self._tick_ns = self._tick_ns if self._answered else 0
            self._answered = True
        self._forget(incidents)
        self.record.write()
        known = Known(
            self.settings, self._guard, self.node, silence, tuple(self.record.deeds.values()), self._ledger,
            self._answered, self._problems.get("alone", ""),
        )  # fmt: skip
        for wish in wishes(incidents.values(), self.settings):
            decision = consider(wish, known, now_ns)
            if decision.verdict == "allowed":
                self._begin(wish, decision)
                return
            self._refusals.say(wish, decision)

    def _look(self, now_ns: int) -> None:
        """The clock of budgets goes as one that nobody can set; a step of ours beside it holds everything."""
        steady_ns = self._steady()
        before_ns, gone_ns, settled_ns = self._ledger.last_ns, now_ns - self._now_ns, self._ledger.settled_ns
        self._ledger.look(steady_ns)
        if before_ns and abs(gone_ns - (steady_ns - before_ns)) > _STEP_NS:
            self._stepped()
        if self._ledger.settled_ns != settled_ns:
            self._tick_ns = 0  # a restart must know of it
        self._now_ns = now_ns

    def _stepped(self) -> None:
        self._ledger.settled_ns = self._ledger.steady_ns + SETTLE_NS

    def _writable(self) -> bool:
        """Whether what there is to put on record is; the disk is tried again now and then."""
        failing = "alone" in self._problems
        if failing and self._ledger.steady_ns < self._retry_ns:
            return False
        if not self.record.opened:
            self._read()
        self.record.write()
        if failing:
            self._write_time()
            del self._problems["alone"]
        return True

    def _read(self) -> None:
        """What was spent; an intent without a result is told, and not repeated."""
        deeds, clock = self.record.open()
        ledger, before_ns = self._ledger, max(clock.steady_ns - SECOND, 0)  # it begins at a second
        ledger.settled_ns += before_ns
        ledger.steady_ns += before_ns
        ledger.settled_ns = max(clock.settled_ns, ledger.settled_ns)
        if self._now_ns < clock.now_ns - _STEP_NS:
            self._stepped()
        self._answered = self._answered or bool(clock.answered)
        ledger.past = [deed.decision for deed in deeds]
        for deed in deeds:
            if deed.state == "intended":
                self._move(deed, "unknown", _UNKNOWN)

    def _results_in(self) -> None:
        try:
            number, result = self._results.get_nowait()
        except Empty:
            return
        self._move(self.record.deeds[number], result.state, result.text)

    def _watch(self, incidents: Mapping[str, Incident]) -> None:
        """Did it help? What is abnormal still, when its time is over, was not cured by it."""
        deed = busy(self.record.deeds.values())
        if deed is None or deed.state != "done":
            return
        incident = incidents.get(deed.incident.id)
        if incident is None:
            over = self._newest(deed).state == "resolved"
            self._move(deed, *(("helped", "") if over else ("unknown", _UNSEEN)))
        elif any(each.text == deed.evidence for each in incident.evidence) and calm(
            incident, (deed.evidence,)
        ):
            self._move(deed, "helped")
        elif self._ledger.steady_ns - deed.watched_ns >= self.settings.verify_s * SECOND:
            self._move(deed, "in_vain")

    def _forget(self, incidents: Mapping[str, Incident]) -> None:
        """Let go of what no rule looks back to and no incident is told with; write down how far time is."""
        self._ledger.forget(max(self.settings.per_s, self.settings.cooldown_s))
        for deed in list(self.record.deeds.values()):
            if not deed.unanswered and not self._counts(deed) and deed.incident.id not in incidents:
                self.record.forget(deed)
        holding = self._ledger.settled_ns > self._ledger.steady_ns
        if (self._ledger.past or holding or not self._tick_ns) and self._ledger.steady_ns >= self._tick_ns:
            self._write_time()

    def _write_time(self) -> None:
        self.record.tick(Clock(self._now_ns, self._ledger.steady_ns, self._ledger.settled_ns, self._answered))
        self._tick_ns = self._ledger.steady_ns + _TICK_NS

    def _counts(self, deed: Deed) -> bool:
        back_s = max(self.settings.per_s, self.settings.cooldown_s)
        return self._ledger.age(deed.decision) < back_s * SECOND

    def _begin(self, wish: Wish, decision: Decision) -> None:
        deed = self.record.begin(decision, wish.incident, wish.evidence.text)
        self._ledger.past.append(decision)
        log.warning("%s %s: %s", deed.kind, deed.target, decision.reason)
        try:
            self._run(lambda: self._results.put((deed.id, self._do(deed.kind, deed.target))))
        except RuntimeError as error:  # there are too many threads
            self._results.put((deed.id, Result("failed", f"it was not begun: {error}")))
        self._tell([wish.incident], self._now_ns)

    def _move(self, deed: Deed, state: State, text: str = "") -> None:
        """Another state: counted, logged; told soon, and on disk before anything else is begun."""
        watched_ns = self._ledger.steady_ns if state == "done" else deed.watched_ns
        moved = replace(deed, state=state, text=text, changed_ns=self._now_ns, watched_ns=watched_ns)
        self.counts["edgeobs_agent_actions_total", deed.kind, state] += 1
        log.warning("%s", brief(moved))
        self.record.put(moved)
        self._untold.add(moved.id)

    def _retell(self) -> None:
        while self._untold:
            self._tell([self._newest(self.record.deeds[self._untold.pop()])], self._now_ns)

    def _newest(self, deed: Deed) -> Incident:
        """Its incident as it is by now: a state that is over must not be taken back by what is told later."""
        others = (*self._recent(), *self._active())
        known = [deed.incident, *(each for each in others if each.id == deed.incident.id)]
        return max(known, key=lambda each: (each.state == "resolved", each.updated_ns))

    def _failed(self, why: str) -> None:
        if "alone" not in self._problems:
            log.warning("nothing is done alone: %s", why)
        self._problems["alone"] = f"nothing is done alone: {why}"
        self._retry_ns = self._ledger.steady_ns + _RETRY_NS
