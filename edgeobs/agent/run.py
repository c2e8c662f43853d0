"""The agent's process: what it is made of, in a straight line, and the loop that steps it."""

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeobs.agent.agent import Agent
from edgeobs.agent.exposed import text
from edgeobs.agent.inlet import Inlet
from edgeobs.agent.lean import settle
from edgeobs.agent.listen import Listener
from edgeobs.agent.reading import Readings
from edgeobs.agent.scraper import Scraper
from edgeobs.agent.settings import AgentSettings
from edgeobs.agent.telling import Telling
from edgeobs.compose import build
from edgeobs.ingest.allocator import keep_freed
from edgeobs.ingest.auth import Auth
from edgeobs.keep import Keeper
from edgeobs.node.collect import Collector
from edgeobs.node.settings import Settings as NodeSettings
from edgeobs.settings import Config
from edgeobs.signals import SECOND, Counts
from edgeobs.uplink.queue import Queue
from edgeobs.uplink.send import Sender

if TYPE_CHECKING:
    from edgeobs.agent.alone.alone import Alone

log = logging.getLogger("edgeobs.agent")

_SETTLED = frozenset({16, 128, 1024})  # steps after which what was done for the first time is over
_LOOK = 60  # steps between two looks at whether there is much to settle anew
_GREW = 1.1  # the table by a tenth
_KEPT_FREE = 256 << 10  # bytes of freed memory that the process keeps: what a step frees the next one uses


@dataclass(frozen=True, slots=True)
class Process:
    """Everything that runs."""

    agent: Agent
    listener: Listener
    scrapers: tuple[Scraper, ...]
    sender: Sender | None
    alone: "Alone | None" = None

    def start(self) -> None:
        """Restore, then begin to listen, to scrape and to send."""
        self.agent.open()
        self.listener.start()
        for scraper in self.scrapers:
            scraper.start()
        if self.sender is not None:
            self.sender.start()

    def stop(self) -> None:
        """End cleanly: what waits is processed, what was learned is saved, what is to be told is queued."""
        self.listener.stop()
        for scraper in self.scrapers:
            scraper.stop()
        if self.sender is not None:
            self.sender.stop()
        self.agent.close()
        if self.alone is not None:
            self.alone.close()


def build_process(config: Config, settings: AgentSettings) -> Process:
    """Wire it; nothing runs yet. Raises OSError, ValueError and QueueError for what cannot be."""
    core = build(config)
    auth = Auth(config.server, config.limits)
    collector = Collector(
        NodeSettings(
            interval_s=settings.interval_s, node=settings.node, zone=settings.zone, cluster=settings.cluster
        )
    )
    readings = Readings(collector.resource, "edgeobs.node", collector.start_ns, core.interner, auth.loopback)
    folder = config.engine.data_dir
    folder.mkdir(parents=True, exist_ok=True)
    sent = Counts()  # of the sender's thread
    queue = sender = None
    if settings.uplink.url:
        queue = Queue(folder / "uplink.sqlite", int(settings.uplink.queue_mib * (1 << 20)), core.counts)
        sender = Sender(queue, readings.source.resource.node, settings.uplink, sent)
    telling = Telling(core.pipeline.table, settings, queue, dict(readings.source.attributes), core.counts)
    keeper = Keeper(
        folder, config.incidents, [auth.loopback.name, *(p.name for p in auth.principals)],
        int(config.engine.snapshot_interval_s * SECOND), core.counts,
    )  # fmt: skip
    inlet = Inlet(config.server.queue_bytes)
    scrapers = tuple(Scraper(target) for target in settings.targets)
    agent = Agent(
        config, core, keeper, auth.loopback, readings, collector.readings if settings.read_node else None,
        scrapers, inlet, telling,
    )  # fmt: skip
    listener_counts = Counts()
    look = _look(agent, sender, (core.counts, sent, listener_counts))
    sock = _listening(config.server.host, config.server.http_port)
    listener = Listener(sock, inlet.submit, auth, config.server, listener_counts, look)
    return Process(agent, listener, scrapers, sender, _alone(config, settings, agent, sender, readings))


def _alone(
    config: Config, settings: AgentSettings, agent: Agent, sender: Sender | None, readings: Readings
) -> "Alone | None":
    """What acts while the core does not answer; by default nothing does, and nothing of it is imported."""
    if not settings.alone.enabled or sender is None:
        return None
    from edgeobs.agent.alone.wiring import wired  # noqa: PLC0415  most agents do without

    return wired(config, settings.alone, agent, sender, readings.source.resource.place())


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=64)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from None


def run(config: Config, settings: AgentSettings, stop: threading.Event | None = None) -> None:
    """Run the agent until SIGTERM or SIGINT, or ``stop``. Raises as `build_process` does."""
    keep_freed(mmap_above=_KEPT_FREE, keep=_KEPT_FREE)
    process = build_process(config, settings)
    stop = stop or _signalled()
    process.start()
    log.info("ready: listening on %s:%d", config.server.host, process.listener.port)
    loop(process, settings.interval_s, stop)
    log.info("stopping")
    process.stop()


def loop(process: Process, interval_s: float, stop: threading.Event) -> None:
    """Step every interval; a step that took too long is not made up for."""
    due = time.monotonic()
    steps = settled = 0
    table = process.agent.core.pipeline.table
    while True:
        try:
            process.agent.step()
        except Exception:  # the loop must outlive whatever one moment brings
            log.exception("a step failed")
        if process.sender is not None:
            process.sender.notify()
        steps += 1
        if steps in _SETTLED or (steps % _LOOK == 0 and len(table) > _GREW * settled):
            settled = len(table)
            settle()
        due = max(due + interval_s, time.monotonic())
        if stop.wait(due - time.monotonic()):
            return


def _signalled() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _look(agent: Agent, sender: Sender | None, counts: tuple[Counts, ...]) -> dict[str, Callable[[], str]]:
    """What people and probes may ask on the agent's port."""

    def metrics() -> str:
        total: dict[tuple[str, ...], float] = {}
        for each in counts:
            for key, number in dict(each).items():
                total[key] = total.get(key, 0) + number
        total["edgeobs_series",] = len(agent.core.pipeline.table)
        queue = agent.telling.queue
        if queue is not None:
            total["edgeobs_uplink_queue_bytes",] = queue.bytes
            total |= {("edgeobs_uplink_waiting", kind): n for kind, n in queue.waiting().items()}
        return text(total)

    def health() -> str:
        told = {**agent.problems, "store": agent.keeper.problem, "queue": agent.telling.problem}
        told |= {"uplink": sender.problem if sender else "", "snapshot": agent.keeper.snapshot_problem}
        return "".join(f"{what}: {why}\n" for what, why in told.items() if why) or "ok\n"

    return {"/metrics": metrics, "/-/healthy": health}
