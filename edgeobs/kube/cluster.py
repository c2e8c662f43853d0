"""A real cluster as the rest of edgeobs sees it: `mirror`, `live`, `elector`, started and stopped as one."""

import asyncio
import contextlib
import threading
from functools import partial

import structlog

from edgeobs.kube import checks, trim
from edgeobs.kube.clock import Pulse
from edgeobs.kube.connection import Pace, async_client, client
from edgeobs.kube.credentials import Credentials, load
from edgeobs.kube.elector import Elector, terms
from edgeobs.kube.live import Live
from edgeobs.kube.mirror import Mirror
from edgeobs.kube.pool import Pool
from edgeobs.kube.reflector import Reflector
from edgeobs.kube.resources import CONTROL, METASERVER, WATCHED, Watched, control
from edgeobs.kube.settings import KubernetesSettings

log = structlog.get_logger("edgeobs.kube")

_AGAIN_S = 30.0  # until the watches are begun anew after a fault of our own
_PAGE_TIMEOUTS = 6  # a page of a list may take so many times as long as a call


class Cluster:
    """Everything that talks to one API server. Raises CredentialsError.

    Parameters
    ----------
    settings
        Which, as whom, how often.
    credentials
        Instead of those that the settings name.

    """

    def __init__(self, settings: KubernetesSettings, credentials: Credentials | None = None) -> None:
        self.settings = settings
        self.credentials = credentials or load(settings)
        self.namespace = settings.namespace or self.credentials.namespace
        self._reading = bool(settings.metaserver_url)
        self._watched = [_of(each, settings.cluster) for each in (METASERVER if self._reading else WATCHED)]
        self._pace = Pace(settings.qps)
        self._http = client(self.credentials, settings.timeout_s)
        if not self._reading:
            self._watched.append(control(self.namespace, CONTROL))
        self.mirror = Mirror(self._watched)
        self.live = Live(
            self._http, settings.timeout_s, self._pace, settings.cluster, read_only=self._reading
        )
        unpaced = Live(self._http, settings.timeout_s, read_only=self._reading)
        self.elector = Elector(unpaced, terms(settings, self.namespace), settings.retry_s)
        self._thread = threading.Thread(target=self._run, name="watches", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._stopping = threading.Event()

    @property
    def fresh(self) -> bool:
        """Whether the mirror may be decided upon."""
        return self.mirror.age_ns() <= self.settings.stale_s * 1e9

    def problems(self) -> list[str]:
        """What the API server lacks, or that it cannot be asked; where there is one, nothing may be done."""
        if self._reading:
            return [f"{self.credentials.source} is only read: nothing can be done through it"]
        return checks.check(self.live)

    def start(self) -> None:
        """Begin to watch and, but for a MetaServer, to stand for election."""
        self._thread.start()
        if not self._reading:
            self.elector.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Let go of the Lease and of every connection."""
        self.elector.stop(timeout_s)
        self._stopping.set()
        with contextlib.suppress(RuntimeError):  # the loop may have ended already
            if self._loop is not None and self._main is not None:
                self._loop.call_soon_threadsafe(self._main.cancel)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        self._http.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with asyncio.Runner() as runner:
                    self._loop = runner.get_loop()
                    runner.run(self._watch())
            except asyncio.CancelledError:
                return
            except Exception:
                log.exception("watches_failed", again_s=_AGAIN_S)
            self._stopping.wait(_AGAIN_S)

    async def _watch(self) -> None:
        self._main = asyncio.current_task()
        pulse, pool = Pulse(), Pool()
        timeout_s = self.settings.timeout_s
        async with async_client(self.credentials, timeout_s) as http, asyncio.TaskGroup() as group:
            group.create_task(pulse.run())
            for watched in self._watched:
                reflector = Reflector(
                    http, watched, self.mirror, pool, self._pace, self.settings.stale_s / 2,
                    _PAGE_TIMEOUTS * timeout_s, pulse,
                )  # fmt: skip
                group.create_task(reflector.run())


def _of(watched: Watched, cluster: str) -> Watched:
    """Nodes are told which cluster they belong to."""
    if watched.kind != "Node":
        return watched
    return watched._replace(trim=partial(trim.node, cluster=cluster))
