"""An agent's pipeline in simulated time: how many bytes it tells the core, and whether all evidence is there.

``python -m benchmarks.edge_hour SERIES SECONDS`` prints JSON. Sources are columns; what is told goes through
the real queue into a real inbox of the core.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgeobs.agent.encode import window
from edgeobs.agent.recent import Samples
from edgeobs.agent.settings import AgentSettings
from edgeobs.agent.telling import Telling
from edgeobs.compose import build
from edgeobs.config import load
from edgeobs.ingest.auth import Auth
from edgeobs.ingest.delivery import Delivery, Receipt
from edgeobs.ingest.settings import Limits
from edgeobs.ingest.settings import Settings as ServerSettings
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Counts, Identity, Incident, Kind, Points, Principal, Resource, Source
from edgeobs.uplink import Settings as UplinkSettings
from edgeobs.uplink.inbox import Inbox
from edgeobs.uplink.letters import packed
from edgeobs.uplink.parcel import KIND, PARCEL, read_kind, read_label
from edgeobs.uplink.queue import Queue
from edgeobs.uplink.receive import Receiver
from edgeobs.uplink.send import Answer, Sender

PROFILE = Path(__file__).parent.parent / "deploy" / "agent.yaml"
START = 1_700_000_000 * SECOND
SERIES = 10_000  # that the pipeline's own cost is given for
FAULTY = 6
"""Series that go wrong for a minute, every ten minutes."""


class _Core(NamedTuple):
    receiver: Receiver
    engine: list[int]  # bytes of summaries, as it was given them

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What HTTP would carry."""
        assert path.startswith("/v1/")
        label = read_label(headers[PARCEL])
        kind = read_kind(headers[KIND], label.lane)
        last = asyncio.run(self.receiver.take(Principal(0, "edge-1", None, 1), label, kind, body))
        return Answer(200, str(last))


def run(series: int, seconds: int) -> dict[str, object]:
    """Bytes told, beside those of every sample in the same protocol and compressed as well."""
    with tempfile.TemporaryDirectory() as folder:
        return _run(Path(folder), series, seconds)


def _run(folder: Path, series: int, seconds: int) -> dict[str, object]:
    counts = Counts()
    core = build(load(PROFILE))
    table = core.pipeline.table
    _name(core.pipeline.table, series)
    queue = Queue(folder / "queue.sqlite", 64 << 20, counts)
    up = UplinkSettings(url="http://core")
    telling = Telling(table, AgentSettings(uplink=up), queue, {"k8s.node.name": "edge-1"}, counts)
    core.pipeline.observer = telling.observe
    inbox = Inbox(folder / "inbox.sqlite", Counts())
    engine: list[int] = []

    async def submit(delivery: Delivery) -> Receipt:
        engine.append(len(delivery.body))
        return Receipt(1)

    server = ServerSettings()
    now = [START]
    receiver = Receiver(submit, Auth(server, Limits()), server, inbox, Counts(), clock=lambda: now[0])
    sender = Sender(
        queue, "edge-1", up, counts, _Core(receiver, engine).post, lambda: now[0] / SECOND, lambda: 0.5
    )
    spent = 0.0
    random = np.random.default_rng(11)
    ids, total = np.arange(series, dtype=np.int32), np.zeros(series)
    raw, last = 0, dict[str, Incident]()
    for second in range(seconds):
        now[0] = START + second * SECOND
        value = random.normal(50.0, 5.0, series)
        if second % 600 >= 540:
            value[1 : 2 * FAULTY : 2] += 200.0
        total[::2] += value[::2]
        value[::2] = total[::2]
        points = Points(ids, np.full(series, now[0]), np.zeros(series, np.int64), value)
        if second % 60 == 30:
            raw += 60 * len(packed(window(table, Samples(ids, points.time_ns, value), ())))
        before = time.process_time()
        outputs = core.pipeline.step(points, now[0])
        spent += time.process_time() - before
        telling.news(outputs.incidents, now[0])
        telling.tick(now[0])
        last |= {incident.id: incident for incident in outputs.incidents}
        while sender.step() == 0.0:
            pass
    telling.tick(now[0] + 3600 * SECOND)
    now[0] += 3600 * SECOND
    while sender.step() == 0.0:
        pass
    sent = counts[("edgeobs_uplink_sent_bytes_total",)]
    kept = {incident.id: incident for incident in inbox.incidents(10_000)}
    return {
        "core_percent": 100.0 * spent / seconds * (SERIES / series),
        "kept_percent": 100.0 * (1.0 - sent / raw),
        "sent": sent,
        "raw": raw,
        "parcels": {k[1]: v for k, v in counts.items() if k[0] == "edgeobs_uplink_sent_total"},
        "incidents": len(last),
        "whole": sum(_same(kept.get(i), incident) for i, incident in last.items()),
        "engine_requests": len(engine),
        "put_off": counts[("edgeobs_agent_summaries_put_off_total",)],
    }


def _same(kept: Incident | None, told: Incident) -> bool:
    """Whether the core has the incident with every sample of its evidence (a NaN is not itself)."""
    return repr(kept) == repr(told)


def _name(table: SeriesTable, series: int) -> None:
    source = Source(
        (("host.name", "edge-1"), ("k8s.node.name", "edge-1")), Resource("site", "zone-a", "edge-1")
    )
    for number in range(series):
        kind = Kind.GAUGE if number % 2 else Kind.COUNTER
        identity = Identity(source, f"metric_{number // 10}", (("item", str(number % 10)),), kind)
        table.intern(identity, 0, START)


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
