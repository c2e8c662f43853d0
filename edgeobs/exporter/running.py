"""What an exporter does once it runs: answers, pushes, stands beside other workers, ends."""

import atexit
import os
import signal
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import Metric

from edgeobs.exporter.telling import warn
from edgeobs.exporter.workers import Workers

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from edgeobs.exporter.exporter import Exporter
    from edgeobs.exporter.push import Pusher


class Running:
    """The effects of one exporter.

    Alone it does at once what it is asked; of several workers the leader does.
    """

    def __init__(self, exporter: "Exporter", folder: Path | str | None) -> None:
        self._exporter = exporter
        self._duties: list[Callable[[], None]] = []  # what the leader does
        self._begun_duties: set[int] = set()  # of these, by this process
        self._workers: Workers | None = None
        self._started = threading.Lock()
        self._server: WSGIServer | None = None
        self._pusher: Pusher | None = None
        self._begun = self._closed = False
        self._told = ""
        self._stop = threading.Event()
        self.exposed = exporter.registry
        if folder is not None:
            self._workers = Workers(Path(folder), exporter, self._beat)
            self.exposed = CollectorRegistry(support_collectors_without_names=True)
            self.exposed.register(_Everyone(self._workers, exporter))

    def start(self) -> None:
        """Begin, once: take a place beside other workers, and be told when the process forks or ends."""
        with self._started:
            if self._begun:
                return
            if self._workers is not None:
                self._workers.start()
            self._begun = True
        atexit.register(self.close)
        _AT_FORK.add(self)

    def publish(self) -> None:
        """Have other workers know what this one has counted, now rather than at the next beat."""
        if self._workers is not None and self._begun and not self._closed:
            self._workers.publish()

    def serve(self, port: int, address: str) -> None:
        """Answer scrapes, as soon as this process leads."""

        def begin() -> None:
            self._server, _ = start_http_server(port, address, self.exposed)

        self._do(begin)

    def push(self, endpoint: str, settings: dict[str, Any]) -> None:
        """Push, as soon as this process leads."""
        from edgeobs.exporter.push import Pusher, Told, configured  # noqa: PLC0415  only who pushes pays for it

        wanted, told, exporter = configured(endpoint, settings), Told(), self._exporter
        for each in told.all:
            exporter.add_own(each)

        def begin() -> None:
            self._pusher = Pusher(exporter.service, wanted, self.exposed, exporter.declared, told).start()

        self._do(begin)

    def _do(self, begin: Callable[[], None]) -> None:
        if self._workers is None:
            begin()
            self.start()
            return
        self._duties.append(begin)
        self.start()

    def _beat(self) -> None:
        """Begin what a leader does; what fails (the port is still another's) is tried again."""
        for number, begin in enumerate(self._duties):
            if number in self._begun_duties or self._closed:
                continue
            try:
                begin()
                self._begun_duties.add(number)
            except OSError as error:
                if str(error) != self._told:
                    self._told = str(error)
                    warn("%s: will be tried again: %s", self._exporter.service, error)

    def before_fork(self) -> None:
        """Note what was counted so far."""
        if self._workers is not None and not self._closed:
            self._workers.before_fork()

    def after_fork(self) -> None:
        """Go on, in the process that forked."""
        if self._workers is not None:
            self._workers.after_fork()

    def forked(self) -> None:
        """Go on in a process that was forked off: without threads, and beside its parent."""
        for sources in self._exporter.sources:
            sources.forked()
        if self._server is not None:  # the parent's; a copy would keep the port when the parent has ended
            self._server.socket.close()
            self._server = None
        self._pusher, self._begun_duties = None, set()
        if self._workers is None or self._closed:
            return
        try:
            self._workers.forked()
        except OSError as error:
            warn("%s: counts for itself alone: %s", self._exporter.service, error)

    def wait(self) -> None:
        """Wait for SIGTERM, SIGINT or `close`, then close."""
        before = {
            number: signal.signal(number, lambda *_: self._stop.set())
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            self._stop.wait()
            self.close()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self, within_s: float = 5.0) -> None:
        """End everything, once."""
        if self._closed:
            return
        self._closed = True
        self._stop.set()
        if self._pusher is not None:
            self._pusher.stop(within_s)
        if self._workers is not None:
            self._workers.stop()  # writes down the last of what is inside; after it nothing is read
        for sources in self._exporter.sources:
            sources.stop()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        _AT_FORK.discard(self)
        atexit.unregister(self.close)


class _Everyone:
    """All workers' metrics, and what is outside of them, as one collector."""

    def __init__(self, workers: Workers, exporter: "Exporter") -> None:
        self._workers, self._exporter = workers, exporter

    def collect(self) -> list[Metric]:
        return [*self._workers.collect(), *self._exporter.outside()]


# Python has no way to take a fork hook back: so there is one, for those that still run.
_AT_FORK: weakref.WeakSet[Running] = weakref.WeakSet()


def _before_fork() -> None:
    for running in list(_AT_FORK):
        running.before_fork()


def _after_fork() -> None:
    for running in list(_AT_FORK):
        running.after_fork()


def _forked() -> None:
    for running in list(_AT_FORK):
        running.forked()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_forked)
