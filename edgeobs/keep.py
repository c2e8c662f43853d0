"""What survives a crash: incidents and decisions at once, what was learned every few seconds."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog

from edgeobs import snapshot
from edgeobs.feedback_log import Listener
from edgeobs.incidents import Settings
from edgeobs.incidents.store import Store, StoreError
from edgeobs.ingest.allocator import give_back
from edgeobs.ingest.delivery import Unavailable
from edgeobs.pipeline import Outputs, Pipeline
from edgeobs.remediate import Operation, dry, outcome
from edgeobs.signals import SECOND, Counts, Decision, ExternalAlert, Incident, Outcome

log = structlog.get_logger("edgeobs.keep")

RETRY_NS = 5 * SECOND
_KEPT = 1000  # decisions in memory, and of each kind while the store fails
_ERRORS = "edgeobs_store_errors_total"


class Keeper:
    """The store, the snapshot and the log of operators' words of one core. Used by the engine's thread alone.

    While the disk fails nothing stops: incidents wait in memory, bounded, decisions that would act are denied
    (an act that is not on record may not happen), and ``problem`` says so.

    Parameters
    ----------
    folder
        Where they live; made when missing.
    settings
        How much the store keeps.
    principals
        Names of the senders by id: a snapshot's owners are found again by name.
    interval_ns
        Time between two snapshots.

    """

    def __init__(
        self, folder: Path, settings: Settings, principals: Sequence[str], interval_ns: int, counts: Counts
    ) -> None:
        self.folder, self.principals, self.counts = folder, list(principals), counts
        self.problem = "the store is not open yet"
        self.snapshot_problem = ""
        self.snapshot_ns = 0
        self.decisions: deque[Decision] = deque(maxlen=_KEPT)  # as recorded, oldest first
        self._settings, self._interval_ns = settings, interval_ns
        self._store: Store | None = None
        self._tried_ns = 0
        self._due_ns = 0
        self._incidents: dict[str, Incident] = {}  # what the store has yet to take
        self._unsaved: deque[Decision] = deque(maxlen=_KEPT)
        self._outcomes: deque[Outcome] = deque(maxlen=_KEPT)
        self._writer: threading.Thread | None = None
        self._listener = Listener(folder, counts)

    @property
    def healthy(self) -> bool:
        """Whether incidents and decisions can be written."""
        return not self.problem

    @property
    def opened(self) -> bool:
        """Whether what the store kept was restored."""
        return self._store is not None

    @property
    def snapshot_path(self) -> Path:
        """The file with what was learned."""
        return self.folder / snapshot.NAME

    def open(self, pipeline: Pipeline, now_ns: int) -> None:
        """Restore what was learned and what was decided into a pipeline that has seen nothing yet."""
        self._due_ns = now_ns + self._interval_ns
        self._restore(pipeline)
        self._listen(pipeline, now_ns)
        self._open_store(pipeline, now_ns)

    def take(self, alerts: Sequence[ExternalAlert]) -> list[ExternalAlert]:
        """Those not seen before, durable now. Raises Unavailable when they cannot be made so."""
        try:
            if self._store is None:
                raise StoreError(self.problem)
            new = self._store.take_alerts(alerts)
        except StoreError as error:
            self._failed(error)
            raise Unavailable(f"alerts cannot be kept: {error}") from error
        self._works()
        return new

    def commit(self, pipeline: Pipeline, outputs: Outputs, clock: Callable[[], int]) -> list[Decision]:
        """Make a step's outcome durable: an act is on record before it happens.

        Returns the decisions as they stand: recorded, and so to be carried out, or denied because they could
        not be.
        """
        for incident in outputs.incidents:
            self._hold(incident)
        saved = self._save(outputs.decisions)
        now = clock()
        if saved:
            stand = [replace(decision, recorded_ns=now) for decision in outputs.decisions]
            trials = [each for each in stand if each.verdict == "allowed" and each.dry_run]
            self._outcomes.extend(dry(decision, now) for decision in trials)
        else:
            why = f"it cannot be put on record: {self.problem}"
            stand = [pipeline.remediation.revoke(decision, why) for decision in outputs.decisions]
            self._unsaved.extend(stand)
        self.decisions.extend(stand)
        return stand

    def told(self, operation: Operation) -> None:
        """What has become of an operation; on record with the next write."""
        if operation.over or operation.state == "verifying":
            self._outcomes.append(outcome(operation))

    def tick(self, pipeline: Pipeline, now_ns: int) -> None:
        """Let time pass: write what waits, complete plots, look at the store again, snapshot when due."""
        if self._store is None and now_ns - self._tried_ns >= RETRY_NS:
            self._open_store(pipeline, now_ns)
        for incident in pipeline.incidents.fill(now_ns):
            self._hold(incident)
        waiting = self._incidents or self._unsaved or self._outcomes or self.problem
        if waiting and (self.healthy or now_ns - self._tried_ns >= RETRY_NS):
            self._tried_ns = now_ns
            self._save(())
        pipeline.journal = self.problem
        self._listen(pipeline, now_ns)
        if now_ns >= self._due_ns and (self._writer is None or not self._writer.is_alive()):
            self._due_ns = now_ns + self._interval_ns
            self._snapshot(pipeline, now_ns, wait=False)

    def close(self, pipeline: Pipeline, now_ns: int) -> None:
        """Write all there is and let go of the files."""
        self._save(())
        if self._writer is not None:
            self._writer.join()
        self._snapshot(pipeline, now_ns, wait=True)
        if self._store is not None:
            self._store.close()

    def _listen(self, pipeline: Pipeline, now_ns: int) -> None:
        """Take up what operators said of alarms, when there is anything new."""
        said = self._listener.look(now_ns)
        if said is not None:
            pipeline.detection.feedback.hear(said)

    def _hold(self, incident: Incident) -> None:
        self._incidents[incident.id] = incident
        while len(self._incidents) > _KEPT:
            del self._incidents[next(iter(self._incidents))]

    def _save(self, decisions: Sequence[Decision]) -> bool:
        try:
            if self._store is None:
                raise StoreError(self.problem)
            if self.problem:
                self._store.probe()  # there may be nothing to write
            self._store.save(self._incidents.values(), [*self._unsaved, *decisions], list(self._outcomes))
        except StoreError as error:
            self._failed(error)
            return False
        self._incidents.clear()
        self._unsaved.clear()
        self._outcomes.clear()
        self._works()
        return True

    def _works(self) -> None:
        if self.problem:
            log.info("store_recovered")
        self.problem = ""

    def _failed(self, error: StoreError) -> None:
        self.counts[_ERRORS, "store"] += 1
        if self.problem != str(error):
            log.error("store_failed", reason=str(error))
        self.problem = str(error)

    def _open_store(self, pipeline: Pipeline, now_ns: int) -> None:
        self._tried_ns = now_ns
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            store = Store(self.folder / "edgeobs.sqlite", self._settings)
            decisions = store.decisions(_KEPT)
            pipeline.restore_history(store.incidents(), store.ledger(), store.alerts(), now_ns)
        except (StoreError, OSError) as error:
            self._failed(error if isinstance(error, StoreError) else StoreError(str(error)))
            return
        self._store, self.problem = store, ""
        pipeline.journal = ""
        self.decisions = deque([*decisions, *self.decisions], maxlen=_KEPT)

    def _restore(self, pipeline: Pipeline) -> None:
        try:
            table, names, stages = snapshot.read(self.snapshot_path)
            owners = [self.principals.index(n) if n in self.principals else 0 for n in names]
            pipeline.restore_state(table, owners, stages)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            with suppress(OSError):  # the next one would take its place, and another version may read it
                self.snapshot_path.replace(self.snapshot_path.with_suffix(".refused"))
            self.snapshot_problem = f"starts with nothing learned: {error}"
            self.counts[_ERRORS, "snapshot"] += 1
            log.error("snapshot_refused", reason=str(error))
        else:
            log.info("restored", series=len(pipeline.table))

    def _snapshot(self, pipeline: Pipeline, now_ns: int, *, wait: bool) -> None:
        """Copy on this thread, encode and write on another: the pipeline is held up for the copy alone."""
        copied = [(pipeline.table.state(), pipeline.state())]

        def write() -> None:
            table, stages = copied.pop()
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                snapshot.write(self.snapshot_path, table, self.principals, stages)
            except OSError as error:
                self.counts[_ERRORS, "snapshot"] += 1
                self.snapshot_problem = f"what is learned cannot be saved: {error}"
                log.error("snapshot_failed", reason=str(error))
            else:
                self.snapshot_ns, self.snapshot_problem = now_ns, ""
            del table, stages
            give_back()

        self._writer = threading.Thread(target=write, name="edgeobs-snapshot", daemon=True)
        self._writer.start()
        if wait:
            self._writer.join()
