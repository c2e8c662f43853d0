"""The one thread that acts on the cluster. The engine's thread hands decisions over and never waits."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from edgeobs.calls import Api
from edgeobs.remediate import ClusterView, Settings
from edgeobs.remediate.conductor import Conductor
from edgeobs.remediate.journal import NAME, Journal, JournalError
from edgeobs.remediate.operation import Operation, Switches
from edgeobs.remediate.reading import Seen
from edgeobs.signals import SECOND, Counts, Decision

log = structlog.get_logger("edgeobs.actor")

RETRY_NS = 5 * SECOND
_LONGEST_NS = SECOND  # between two looks, whatever is due
_MAX_REFUSED = 200


class Actor:
    """Carries out allowed decisions that are on record, and tells what became of them.

    Parameters
    ----------
    api, view
        The cluster: live, and as a cache has it.
    folder
        Where the journal lives; made when missing.
    switches
        What people and the election say now; asked from the actor's thread.
    me
        The name of this replica.
    clock, dice
        Unix nanoseconds; a number in [0, 1).

    """

    def __init__(
        self,
        api: Api,
        view: ClusterView,
        folder: Path,
        settings: Settings,
        counts: Counts,
        *,
        switches: Callable[[], Switches] = Switches,
        me: str = "edgeobs",
        clock: Callable[[], int] = time.time_ns,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.problem = "the journal is not open yet"
        self.counts = counts
        self._api, self._view, self._folder, self._settings = api, view, folder, settings
        self.switches, self._me, self._clock, self._dice = switches, me, clock, dice
        self._conductor: Conductor | None = None
        self._offered: deque[Decision] = deque()
        self._refused: deque[Decision] = deque(maxlen=_MAX_REFUSED)
        self._news: deque[Operation] = deque()
        self._seen = Seen()
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="edgeobs-actor", daemon=True)

    # -- for the engine's thread; none of these waits

    def offer(self, decisions: Iterable[Decision], seen: Seen) -> None:
        """Allowed decisions that are on record, to be carried out; the others, to be told of."""
        self._seen = seen
        for decision in decisions:
            allowed = decision.verdict == "allowed"
            if not decision.dry_run:
                (self._offered if allowed else self._refused).append(decision)
        self._woken.set()

    def see(self, seen: Seen) -> None:
        """What telemetry says now."""
        self._seen = seen

    def news(self) -> list[Operation]:
        """Every change since the last call, in order."""
        taken = []
        while self._news:
            taken.append(self._news.popleft())
        return taken

    @property
    def busy(self) -> bool:
        """Whether there is anything under way, for which it must know what telemetry says."""
        return self._conductor is None or bool(self._offered) or self._conductor.busy

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 1.5) -> bool:
        """End the thread after the call it is in; False when that took longer. The rest is resumed later."""
        self._stopping = True
        self._woken.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- the actor's own thread, or a test's

    def work(self) -> int:
        """One thing that is due; when there is something to do again, Unix ns."""
        try:
            conductor = self._conductor or self._open()
            self._take(conductor)
            due = conductor.work(self._seen)
        except JournalError as error:
            self._failed(str(error))
            due = self._clock() + RETRY_NS
        if self._conductor is not None:
            self._news.extend(self._conductor.news)
            self._conductor.news.clear()
        return due

    def close(self) -> None:
        """Let go of the journal."""
        if self._conductor is not None:
            self._conductor.journal.close()
            self._conductor = None

    def _run(self) -> None:
        while not self._stopping:
            try:
                due = self.work()
            except Exception:  # the thread must outlive whatever one moment brings
                log.exception("actor_failed")
                due = self._clock() + RETRY_NS
            wait_ns = min(due - self._clock(), _LONGEST_NS)
            if wait_ns > 0 and self._woken.wait(wait_ns / SECOND):
                self._woken.clear()
        self.close()

    def _open(self) -> Conductor:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(str(error)) from error
        journal = Journal(self._folder / NAME, self._settings)
        self._conductor = Conductor(
            self._api, self._view, journal, self._settings, self.counts,
            clock=self._clock, dice=self._dice, switches=self.switches, me=self._me,
        )  # fmt: skip
        self.problem = ""
        return self._conductor

    def _take(self, conductor: Conductor) -> None:
        """Intents of all that is offered, on disk in one go; what cannot be written stays offered."""
        if self.problem:
            conductor.journal.probe()
            log.info("journal_recovered")
            self.problem = ""
        number = len(self._offered)
        if number:
            conductor.take([self._offered[n] for n in range(number)])
            for _ in range(number):
                self._offered.popleft()
        while self._refused:
            conductor.refuse(self._refused.popleft())

    def _failed(self, reason: str) -> None:
        self.counts["edgeobs_store_errors_total", "journal"] += 1
        if self.problem != reason:
            log.error("journal_failed", reason=reason)
        self.problem = reason
