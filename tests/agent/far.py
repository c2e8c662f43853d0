"""Two programs for the test of a cut: a node in simulated time, and a core, with a real network between.

``python -m tests.agent.far node FOLDER URL [alone]`` takes lines on stdin: ``run STEPS FAULTY`` lets so many
steps of `STEP_S` seconds pass, ``waiting`` asks what is queued; each is answered by one line of JSON. With
``alone`` it may restart `UNIT` while it is cut off.

``python -m tests.agent.far core FOLDER HOST PORT`` serves until it is killed. What its pipeline made of what
came is appended to ``FOLDER/log.jsonl``; its clock is the text in ``FOLDER/now``.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from edgeobs.agent.agent import Agent
from edgeobs.agent.alone.alone import Alone
from edgeobs.agent.alone.hands import Hands
from edgeobs.agent.alone.settings import Settings as AloneSettings
from edgeobs.agent.alone.settings import Unit
from edgeobs.agent.inlet import Inlet
from edgeobs.agent.reading import Readings
from edgeobs.agent.settings import AgentSettings
from edgeobs.agent.telling import Telling
from edgeobs.compose import build
from edgeobs.config import parse
from edgeobs.ingest import alertmanager_webhook
from edgeobs.ingest.auth import Auth
from edgeobs.ingest.decoders import Decoders
from edgeobs.ingest.delivery import Delivery, Receipt
from edgeobs.ingest.serve import HttpServer, listen
from edgeobs.ingest.server import ingest_app
from edgeobs.ingest.settings import Limits, Token
from edgeobs.ingest.settings import Settings as ServerSettings
from edgeobs.keep import Keeper
from edgeobs.node.readings import Reading
from edgeobs.settings import Config
from edgeobs.signals import SECOND, Counts, Points, Principal, Resource
from edgeobs.uplink import Settings as UplinkSettings
from edgeobs.uplink.inbox import Inbox
from edgeobs.uplink.queue import Queue
from edgeobs.uplink.receive import Receiver
from edgeobs.uplink.send import Sender

START_NS = 1_700_000_100 * SECOND
STEP_S = 30
SERIES, FAULTY = 12, 4
NODE = "edge-1"
UNIT = "thing.service"
ALONE = AloneSettings(
    enabled=True, after_s=1, most=2, cooldown_s=60, verify_s=3600, score=6.0,
    units=(Unit(unit=UNIT, high=("thing_?",)),),
)  # fmt: skip
CONFIG = """
detect: {compiled: false}
limits: {max_series: 256, max_series_per_sender: 256}
incidents: {history_mib: 1}
features: {too_old_s: 1000000}
engine: {tick_s: 10, snapshot_interval_s: 600}
"""


class Simulated:
    """A node whose clock is a number of steps, kept on disk: it goes on after kill -9."""

    def __init__(self, folder: Path, url: str, *, alone: bool = False) -> None:
        self._clock = folder / "steps"
        self.steps = int(self._clock.read_text() or 0) if self._clock.exists() else 0
        self.faulty = False
        self._random = np.random.default_rng(3 + self.steps)
        config = parse(CONFIG)
        core = build(config)
        me = Principal(0, "loopback", None, 256)
        uplink = UplinkSettings(
            url=url, token_file=str(folder / "token"), timeout_s=0.5, first_pause_s=0.05, longest_pause_s=0.2,
            spread_s=0.3, rate_kib_per_s=6,
        )  # fmt: skip
        self.queue = Queue(folder / "queue.sqlite", 1 << 20, core.counts)
        self.sender = Sender(self.queue, NODE, uplink, Counts())
        resource = {"k8s.node.name": NODE}
        settings = AgentSettings(uplink=uplink)
        telling = Telling(core.pipeline.table, settings, self.queue, resource, core.counts)
        keeper = Keeper(folder, config.incidents, ["loopback"], 600 * SECOND, core.counts)
        readings = Readings(resource, "", 0, core.interner, me)
        self.agent = Agent(
            config, core, keeper, me, readings, self.read, [], Inlet(1 << 20), telling, self.now_ns
        )
        self.alone: Alone | None = None
        if alone:
            self.act_alone(folder, config)
        self.agent.open()
        self.sender.start()

    def act_alone(self, folder: Path, config: Config) -> None:
        """With real hands, and time that is simulated."""
        agent, found = self.agent, self.agent.core.pipeline.incidents
        hands = Hands(NODE, ALONE.timeout_s, "", config.remediate)
        self.alone = Alone(
            ALONE, config.remediate, folder, Resource("", "", NODE), found.active, found.recent,
            self.sender.silence, agent.telling.news, hands.do, agent.counts, agent.problems, self.now_ns,
        )  # fmt: skip
        agent.telling.story, agent.alone = self.alone.story, self.alone
        self.alone.open(self.now_ns())

    def now_ns(self) -> int:
        return START_NS + self.steps * STEP_S * SECOND

    def read(self) -> list[Reading]:
        value = self._random.normal(50.0, 5.0, SERIES)
        value[:FAULTY] += 200.0 if self.faulty else 0.0
        return [Reading(f"thing_{n}", "gauge", "", v) for n, v in enumerate(value.tolist())]

    def run(self, steps: int, faulty: bool) -> dict[str, Any]:
        self.faulty = faulty
        for _ in range(steps):
            self.steps += 1
            self._clock.write_text(str(self.steps))
            self.agent.step()
            self.sender.notify()
        pipeline = self.agent.core.pipeline
        found = {i.id: i for i in (*pipeline.incidents.recent(), *pipeline.incidents.active())}
        return {
            "now_ns": self.now_ns(),
            "incidents": {i: [each.state, len(each.evidence)] for i, each in found.items()},
        }

    def waiting(self) -> dict[str, Any]:
        deeds = self.alone.record.deeds.values() if self.alone else ()
        return {
            "waiting": self.queue.waiting(),
            "up": self.sender.link.up,
            "silent_s": self.sender.silence().for_s,
            "deeds": [deed.state for deed in deeds],
        }


def node(folder: Path, url: str, alone: bool) -> None:
    """Do what stdin says."""
    simulated = Simulated(folder, url, alone=alone)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        what, *arguments = line.split()
        answer = (
            simulated.run(int(arguments[0]), arguments[1] == "1") if what == "run" else simulated.waiting()
        )
        print(json.dumps(answer), flush=True)


class Far:
    """A core's pipeline, fed by the receiver."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.core = build(parse(CONFIG))
        self._decoders = Decoders(self.core.interner, fast=False)
        self._log = (folder / "log.jsonl").open("a", encoding="utf-8")

    def now_ns(self) -> int:
        return int((self.folder / "now").read_text())

    def say(self, **what: object) -> None:
        self._log.write(json.dumps(what) + "\n")
        self._log.flush()

    async def submit(self, delivery: Delivery) -> Receipt:
        now, pipeline = self.now_ns(), self.core.pipeline
        late = self.core.counts[("edgeobs_points_late_total",)]
        if delivery.format == "alertmanager":
            alerts, _ = alertmanager_webhook.parse(delivery.body, delivery.principal)
            self.say(alerts=[alert.fingerprint for alert in alerts])
            outputs = pipeline.step(Points.none(), now, now, alerts)
        else:
            body = bytes(delivery.body)
            points = self._decoders.decode("otlp_proto", body, delivery.principal, now)
            rows = zip(points.series.tolist(), points.time_ns.tolist(), strict=True)
            self.say(points=[[pipeline.table[number].name, time_ns] for number, time_ns in rows])
            outputs = pipeline.step(points, now, now)
            self.say(scored=outputs.scored, late=self.core.counts[("edgeobs_points_late_total",)] - late)
        for incident in outputs.incidents:
            self.say(opened=[each.source for each in incident.evidence])
        return Receipt(1)


def routes(far: Far, folder: Path) -> Iterator[Any]:
    """The endpoints, for the node that has the token."""
    server = ServerSettings(tokens=(Token(name=NODE, token_file=str(folder / "token"), nodes=(NODE,)),))
    auth, counts = Auth(server, Limits()), Counts()
    app = ingest_app(far.submit, auth, server, counts)
    inbox = Inbox(folder / "inbox.sqlite", counts)
    receiver = Receiver(far.submit, auth, server, inbox, counts, clock=far.now_ns)
    app.router.routes.extend(receiver.routes())
    yield app
    yield server


async def core(folder: Path, host: str, port: int) -> None:
    """Serve until killed."""
    app, server = routes(Far(folder), folder)
    await HttpServer(app, listen(host, port), server, Counts()).start()
    print(json.dumps({"ready": True}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for answers
    if sys.argv[1] == "node":
        node(Path(sys.argv[2]), sys.argv[3], sys.argv[4:] == ["alone"])
    else:
        asyncio.run(core(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
