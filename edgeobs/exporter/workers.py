"""One service in several processes: each tells its own in a shared folder, whoever is asked tells all."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import Metric

from edgeobs.exporter.merge import Snapshot, merged, since, snapshot
from edgeobs.exporter.metrics import CAP
from edgeobs.exporter.share import PATIENCE_S, Share
from edgeobs.exporter.telling import warn

if TYPE_CHECKING:
    from edgeobs.exporter.exporter import Exporter

BEAT_S = 1.0
"""How often a worker writes down what it has counted: what a kill -9 may lose, and how old others' are."""

REST, LONGEST_S = 50.0, 30.0
"""It rests so many times as long as writing took the processor, but no longer than that."""


class Workers:
    """This process among the others.

    What a scrape shows is written down first. So nothing that was shown is lost when a worker is killed, and
    no sum ever goes back.

    Parameters
    ----------
    folder
        Shared by the processes of one service, and nobody else.
    exporter
        What this process has to tell, how gauges are joined, how many label sets are kept.
    beat
        Called every `BEAT_S` by the worker that leads, first when it begins to.

    """

    def __init__(self, folder: Path, exporter: "Exporter", beat: Callable[[], None]) -> None:
        self._folder, self._exporter, self._beat = folder, exporter, beat
        self._fork: Snapshot | None = None  # what this process had from its parent
        self._point: Snapshot | None = None  # what a child will have from this one
        self._writing = threading.Lock()
        self._held = False  # for a fork
        self._share: Share | None = None
        self._failed = ""
        self._pid = 0

    def start(self) -> None:
        """Take a place; raises OSError with the folder's name when there is none."""
        self._share = Share(self._folder, self._exporter.caps, CAP)
        self._pid = os.getpid()
        self._stopping = threading.Event()
        self.publish()
        if self._share.lead():
            self._beat()
        self._thread = threading.Thread(target=self._run, name="exporter-workers", daemon=True)
        self._thread.start()

    def publish(self) -> Snapshot:
        """Write down what this process has counted; what cannot be written is told all the same."""
        share = self._share
        if share is None:
            raise RuntimeError(f"{self._folder}: not started")
        with self._writing:
            own = self._exporter.own()
            whole = snapshot(share.identity, share.slot, time.time(), own, self._exporter.across)
            told = since(whole, self._fork)
            try:
                share.write(told)
                self._failed = ""
            except OSError as error:
                if str(error) != self._failed:
                    self._failed = str(error)
                    warn("%s: killed now, this worker's counts would be lost: %s", self._folder, error)
        return told

    def collect(self) -> list[Metric]:
        """What all workers have to tell, as one; of a process that has no place (any more), its own."""
        share = self._share
        if share is None:
            return self._exporter.own()
        own = self.publish()
        others, ended = share.others()
        return merged([own, *others], ended)

    def before_fork(self) -> None:
        """Keep what was counted up to now: a child has it too, and must not tell it again.

        Until `after_fork` nothing is collected here: a child would find a metric's lock taken, for ever.
        """
        self._held = self._writing.acquire(timeout=PATIENCE_S)
        if self._share is not None:
            self._point = snapshot("fork", -1, 0.0, self._exporter.copied(), {})

    def after_fork(self) -> None:
        """Go on, in the process that forked."""
        if self._held:
            self._held = False
            self._writing.release()

    def forked(self) -> None:
        """Take a place of its own in a process that was forked off."""
        if self._share is None:
            return
        self._share.leave()  # closes the copies of the parent's locks, which the parent still holds
        self._share = None
        self._fork, self._point = self._point, None
        self._writing, self._held = threading.Lock(), False
        self.start()

    def stop(self) -> None:
        """Write down the last of it and leave."""
        if self._share is None or self._pid != os.getpid():
            return
        self._stopping.set()
        self._thread.join(BEAT_S)
        self.publish()
        self._share.leave()
        self._share = None

    def _run(self) -> None:
        stopping, share = self._stopping, self._share
        due = 0.0
        while share is not None and not stopping.wait(BEAT_S):
            try:
                if time.monotonic() >= due:
                    before = time.thread_time()
                    self.publish()
                    due = time.monotonic() + min(REST * (time.thread_time() - before), LONGEST_S) - BEAT_S
                with self._writing:  # no fork in the middle of it, or the child would have a copy of the lock
                    leads = share.lead()
                if leads:
                    self._beat()
            except Exception as error:  # noqa: BLE001  what fails now is no reason to be silent later
                warn("%s: %s: %s", self._folder, type(error).__name__, error)
