"""The demo: a real core, this machine, a simulated site, an agent, four faults; and whether it did right."""

import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

from edgeobs.demo.api import Api
from edgeobs.demo.burn import burn, hidden
from edgeobs.demo.children import Children
from edgeobs.demo.edge import AGENT, Edge
from edgeobs.demo.faults import Fault, Plan
from edgeobs.demo.feed import Feed
from edgeobs.demo.screen import Screen
from edgeobs.demo.setting import LOOPBACK, Ports, free, write_config
from edgeobs.demo.site import CLUSTER
from edgeobs.demo.verdict import Decided, Record, Seen, close, settled

if TYPE_CHECKING:
    from edgeobs.demo.witness import Witness

_START_S = 90.0  # the fast decoder may have to be compiled, once
_LOOK_S = 0.25
_UNDO_S = 60.0  # after a fault, until what was done because of it is taken back
_KEPT = 5000  # incidents, decisions, busy moments; more than the core lists, so that none seems new twice
_BUSY_PERCENT = 70  # of all processors; others use this machine too


class CoreError(RuntimeError):
    """The core is no more; the text says what it printed last."""


PLAN, PORTS = Plan(), Ports()
CORE = (sys.executable, "-m", "edgeobs", "serve")


def run(
    once: bool = False,
    kubeconfig: Path | None = None,
    *,
    seed: int = 7,
    plan: Plan = PLAN,
    ports: Ports = PORTS,
    core: Sequence[str] = CORE,
    agent: Sequence[str] = AGENT,
) -> int:
    """Show it. Returns the exit code.

    Parameters
    ----------
    once
        Headless: end after the faults, 0 only when all went right. Otherwise go on until Ctrl-C.
    kubeconfig
        Of a cluster with nodes named as the site's: actions are carried out on it. None: all is dry-run.
    seed
        Which simulated site.
    plan
        When what goes wrong.
    ports
        Where the core should listen; a busy one is replaced.
    core, agent
        The programs that are started with ``-c FILE``.

    """
    screen = Screen()
    with tempfile.TemporaryDirectory(prefix="edgeobs-demo-") as folder, _terminable():
        try:
            witness = _witness(kubeconfig)
        except ValueError as error:
            screen.line(str(error), "bold red")
            return 2
        show = Show(screen, Path(folder), witness, seed=seed, plan=plan, wanted=ports, core=core, agent=agent)
        try:
            show.begin()
            return show.judge() if once else show.go_on()
        except CoreError as error:
            screen.done()
            screen.line(str(error), "bold red")
            return 1
        except KeyboardInterrupt:
            screen.done()
            screen.line("stopping")
            return 130 if once else 0
        finally:
            show.end()


class Show:
    """One run of the demo, from `begin` to `end`."""

    def __init__(
        self,
        screen: Screen,
        folder: Path,
        witness: "Witness | None",
        *,
        seed: int,
        plan: Plan,
        wanted: Ports,
        core: Sequence[str],
        agent: Sequence[str],
    ) -> None:
        self.screen, self.plan, self.witness = screen, plan, witness
        self.began = time.time()
        self.children = Children(folder)
        ports, lines = free(wanted)
        for line in lines:
            screen.line(line)
        config = write_config(folder, ports, witness.kubeconfig if witness else None)
        self.core = [*core, "-c", str(config)]
        self.page = f"http://{LOOPBACK}:{ports.web}/"
        self.otlp = f"http://{LOOPBACK}:{ports.http}"
        self.api = Api(self.page)
        self.edge = Edge(folder, plan.cut_node, ports.http, self.page, agent)
        self.feed = Feed(seed, self.otlp, self.edge)
        self.node = socket.gethostname()
        self.faults: tuple[Fault, ...] = ()
        self.incidents: dict[str, Seen] = {}
        self.decisions: dict[str, Decided] = {}
        self._announced: set[Fault] = set()
        self._busy_s: deque[float] = deque(maxlen=_KEPT)
        self._noisy = False

    def begin(self) -> None:
        """Start everything, and let it warm up."""
        self.children.start("core", self.core)
        self._until_ready()
        self.screen.line(f"page: {self.page}   API: {self.page}openapi.json   OTLP/HTTP: {self.otlp}")
        self.screen.line(f"senders: this machine ({self.node}) and 30 simulated nodes in zones a, b and c")
        self.screen.line(f"{self.edge.node} has an agent of its own: {self.edge.url}/-/healthy")
        self.screen.line("stop with Ctrl-C")
        here = [
            "--url",
            f"{self.otlp}/v1/metrics",
            "--node",
            self.node,
            "--zone",
            "here",
            "--cluster",
            CLUSTER,
        ]
        self.children.start("node", [sys.executable, "-m", "edgeobs.node", *here])
        self.edge.start(self.children)
        self.feed.start()
        started, available = time.monotonic(), list[int]()
        while (warm := time.monotonic() - started) < self.plan.warm_s:
            self.screen.progress("warm-up", warm, self.plan.warm_s)
            self._look()
            available.append(psutil.virtual_memory().available)
        self.screen.done()
        looks = len(available)  # the first half has what the demo itself takes to start
        self._noisy = len(self._busy_s) > looks / 2 or hidden(available[looks // 2 :])
        self.faults = self.plan.faults(time.time(), self.node)
        self.feed.afflict(self.faults)

    def judge(self) -> int:
        """Wait until every fault was answered or its time is over; say how it went."""
        last = max(fault.start_s for fault in self.faults)
        most = max(fault.end_s for fault in self.faults) + (_UNDO_S if self.witness else 0.0)
        while time.time() < most:
            self._look()
            undone = self.edge.settled() and (self.witness is None or self.witness.settled(self.faults))
            if time.time() > last + self.plan.watch_s and undone and all(map(self._settled, self.faults)):
                break
        return 1 if self._tell() else 0

    def go_on(self) -> int:
        """Show what happens until Ctrl-C; the table once, when the faults are over."""
        over = max(fault.end_s for fault in self.faults) + (_UNDO_S if self.witness else self.plan.watch_s)
        while True:
            self._look()
            if time.time() > over:
                self._tell()
                self.screen.line(f"the site goes on; look at {self.page}, or stop with Ctrl-C")
                over = float("inf")

    def end(self) -> None:
        """End every thread and process; within 2 s."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        self.children.stop(within_s=1.2)
        self.feed.stop()
        self.edge.close()
        self.api.close()
        if self.witness is not None:
            self.witness.close()

    def _until_ready(self) -> None:
        started = time.monotonic()
        while not self.api.ready():
            self._check_core()
            if (waited := time.monotonic() - started) > _START_S:
                raise CoreError(f"the core was not ready within {_START_S:.0f} s{self._last_words()}")
            self.screen.progress("starting the core", waited, _START_S)
            time.sleep(_LOOK_S)
        self.screen.done()

    def _look(self) -> None:
        """One look at everything: faults that are due, the core's health, what is new."""
        if psutil.cpu_percent(interval=_LOOK_S) > _BUSY_PERCENT:
            self._busy_s.append(time.time())
        self._check_core()
        for fault in self.faults:
            if fault.on(time.time()) and fault not in self._announced:
                self._announced.add(fault)
                self.screen.event(self._at(), "FAULT", fault.text(), "bold cyan")
                if fault.kind == "burn":
                    burn(self.children, fault.end_s - time.time())
        news = self.edge.look(self.faults, time.time())
        if self.witness is not None:
            news += self.witness.look(time.time())
        for word, text in news:
            self.screen.event(self._at(), word, text, "bold green")
        try:
            self._news()
        except httpx.HTTPError as error:
            self._check_core()
            self.screen.event(self._at(), "API", f"{type(error).__name__}: {error}")

    def _news(self) -> None:
        for incident in self.api.incidents():
            known = self.incidents.get(incident.id)
            self.incidents[incident.id] = incident
            if known is None:
                self.screen.incident(self._at(), incident, self.api.evidence(incident.id))
            elif known.resolved_s is None and incident.resolved_s is not None:
                self.screen.event(self._at(), "resolved", incident.title, "dim")
        new = [each for each in self.api.decisions() if each.id not in self.decisions]
        self.decisions.update({each.id: each for each in new})
        self.screen.decisions(self._at(), new)
        while len(self.incidents) > _KEPT:
            del self.incidents[next(iter(self.incidents))]
        while len(self.decisions) > _KEPT:
            del self.decisions[next(iter(self.decisions))]

    def _settled(self, fault: Fault) -> bool:
        return settled(fault, self._record())

    def _tell(self) -> bool:
        """The closing table, and with a cluster what was done to it; whether anything was not right."""
        closing, wrong = close(self._record()), self.edge.story.problems
        if self.witness is not None:
            wrong += self.witness.problems(self.faults)
            self.screen.done_to(self.witness.touched.values(), self.faults)
        self.screen.closing(closing, self.edge.story.text(self.edge.node), wrong)
        return bool(closing.problems or wrong)

    def _record(self) -> Record:
        seen, decided = list(self.incidents.values()), list(self.decisions.values())
        live = self.witness is not None
        return Record(self.faults, seen, decided, tuple(self._busy_s), self._noisy, live)

    def _check_core(self) -> None:
        code = self.children.ended("core")
        if code is not None:
            raise CoreError(f"the core ended with exit code {code}{self._last_words()}")

    def _last_words(self) -> str:
        lines = self.children.last_lines("core")
        return "; the last it said:\n" + "\n".join(f"  {line}" for line in lines)

    def _at(self) -> float:
        return time.time() - self.began


def _witness(kubeconfig: Path | None) -> "Witness | None":
    if kubeconfig is None:
        return None
    from edgeobs.demo.witness import Witness  # noqa: PLC0415  an extra

    return Witness(kubeconfig)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does; afterwards both mean what they did before."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
