"""A canned site (three simulated zones, one real machine, four incidents), and a server that shows it."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import exp, nan, sin

import pytest
import uvicorn
from playwright.sync_api import Browser, sync_playwright

from edgeobs.signals import (
    SECOND,
    Action,
    Check,
    Decision,
    Evidence,
    HeartState,
    Incident,
    Labels,
    Point,
    Resource,
    Verdict,
)
from edgeobs.told import Ended, Late, Peak
from edgeobs.web import (
    Archive,
    Call,
    Desk,
    Node,
    NodesTold,
    Operation,
    Published,
    Said,
    Settings,
    Status,
    Zone,
    node_state,
    zone_state,
)
from edgeobs.web.api import web_app
from tests.web.browsing import CHROMIUM, FLAGS

NOW_NS = time.time_ns()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The real one, with nothing open."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


class Canned:
    """A Reader whose values a test sets."""

    def __init__(self) -> None:
        self.now = rich()
        self.checks = {"engine": "ok", "store": "ok"}

    def published(self) -> Published:
        return self.now

    def metrics(self, accept: str) -> tuple[bytes, str]:
        if "openmetrics" in accept:
            return b"# EOF\n", "application/openmetrics-text; version=1.0.0; charset=utf-8"
        return b"", "text/plain; version=0.0.4; charset=utf-8"

    def ready(self) -> tuple[bool, dict[str, str]]:
        return all(each == "ok" for each in self.checks.values()), self.checks

    def publish(self, **changes: object) -> None:
        """Publish anew, with changes, as the engine would."""
        self.now = replace(self.now, version=self.now.version + 1, now_ns=time.time_ns(), **changes)  # type: ignore[arg-type]  # the names are checked by replace


def ago(seconds: float) -> int:
    return NOW_NS - int(seconds * SECOND)


def place(zone: str, name: str = "") -> Resource:
    return Resource(cluster="west", zone=zone, node=name)


def series(
    name: str,
    labels: Labels,
    unit: str,
    calm: float,
    burst: float,
    *,
    weight: float,
    onset: float = 95,
    score: float = 9.4,
) -> Evidence:
    """A metric that left its range ``onset`` seconds ago."""
    points = []
    for i in range(180):
        age = 180 - i
        base = calm * (1 + 0.06 * sin(i / 7) + 0.04 * sin(i * 1.7))
        wide = calm * 0.17
        grown = burst * (1 - exp(-(onset - age) / 12)) if age < onset else 0.0
        known = i > 20
        points.append(
            Point(
                time_ns=ago(age),
                value=base + grown,
                low=calm * 0.98 - wide if known else nan,
                high=calm * 1.02 + wide if known else nan,
                score=min(score, 12 * grown / (burst or 1)) if grown else abs(sin(i * 1.3)),
            )
        )
    inside = ",".join(f'{k}="{v}"' for k, v in labels)
    peak = max(points, key=lambda p: p.score)
    text = f"{name}{{{inside}}}" if labels else name
    return Evidence(
        "series",
        text,
        name,
        labels,
        unit,
        ago(onset),
        ago(1),
        score,
        weight,
        peak.value,
        calm,
        peak.low,
        peak.high,
        tuple(points),
    )


def absence(text: str, weight: float) -> Evidence:
    return Evidence("absence", text, "zone", (), "", ago(40), ago(1), 8.0, weight, nan, nan, nan, nan)


def decision(
    key: str, incident: Incident, node: str, verdict: Verdict, *, rule: str, reason: str, why: str
) -> Decision:
    target = place(incident.place.zone, node)
    action = Action("cordon", target, (("/spec/unschedulable", "true"),), why, "disk", incident.id)
    checks = [Check(name, "allowed", text) for name, text in CHECKS if name != rule]
    if verdict != "allowed":
        checks.insert(3, Check(rule, verdict, reason))
    return Decision(key, action, verdict, rule, reason, tuple(checks), True, incident.opened_ns + 300_000_000)


CHECKS = (
    ("paused", "nothing is paused"),
    ("opted-in", "the node carries edgeobs.io/remediate=true"),
    ("self-doubt", "3 of 4 zones speak"),
    ("zone-hold", "9 of 10 nodes of the zone speak"),
    ("alive", "cordoning does not need the node to be dead"),
    ("zone-budget", "0 of 1 nodes of the zone in flight"),
    ("cluster-budget", "0 of 3 nodes of the cluster in flight"),
    ("rate", "1 of 6 actions this hour"),
)


def incidents() -> tuple[Incident, ...]:
    disk_labels, cpu_labels = (("device", "mmcblk0"),), (("cpu", "all"), ("mode", "user"))
    used = (("state", "used"),)
    disk = Incident(
        "01-disk", "node", place("c", "edge-27"), "ongoing", ago(92), ago(1), 0, 9.4,
        "edge-27: disk latency 14 times as high as expected, then errors and queue", (
            series("node_disk_io_time_seconds_total:rate", disk_labels, "s/s", 0.021, 0.9, weight=0.46),
            series("node_disk_read_errors_total:rate", disk_labels, "{errors}/s", 0.4, 6.2,
                   weight=0.31, onset=80, score=8.8),
            series("node_disk_queue_length", disk_labels, "1", 1.2, 22, weight=0.23, onset=70, score=7.1),
        ), True)  # fmt: skip
    dark = Incident(
        "02-dark", "zone", place("b"), "open", ago(38), ago(1), 0, 8.0,
        "zone b: all 10 nodes went silent at once",
        (absence("10 of 10 nodes silent since the same second", 1.0),), True)  # fmt: skip
    burn = Incident(
        "03-burn", "node", place("workshop", "workbench"), "ongoing", ago(64), ago(1), 0, 7.7,
        "workbench: CPU and memory far above what is usual here", (
            series("system_cpu_usage_ratio", cpu_labels, "1", 0.11, 0.82, weight=0.55, onset=64, score=7.7),
            series("system_memory_usage_bytes", used, "By", 2.1e9, 1.9e9, weight=0.33, onset=58, score=6.0),
            series("system_psi_cpu_stall:rate", (), "s/s", 0.004, 0.31, weight=0.12, onset=60, score=5.2),
        ))  # fmt: skip
    old = replace(
        series(
            "network_retransmissions:rate",
            (("device", "eth0"),),
            "{packets}/s",
            0.9,
            30,
            weight=1.0,
            onset=150,
        ),
        calm=True,
    )
    past = Incident(
        "00-net", "node", place("a", "edge-04"), "resolved", ago(2400), ago(2000), ago(2000), 5.1,
        "edge-04: retransmissions on eth0", (old,), True)  # fmt: skip
    return dark, burn, disk, past


def decisions(all_incidents: tuple[Incident, ...]) -> tuple[Decision, ...]:
    dark, burn, disk, past = all_incidents
    silent = "the node has been silent for 30 s"
    hold = "all of zone b is silent: the link is likelier than 10 nodes"
    unwilling, fails = (
        "the node does not carry edgeobs.io/remediate=true",
        "its disk is failing: latency ×14, errors",
    )
    held = [
        decision(f"d-b{i}", dark, f"edge-{10 + i}", "held", rule="zone-hold", reason=hold, why=silent)
        for i in range(10)
    ]
    mine = decision(
        "d-2", burn, "workbench", "denied", rule="opted-in", reason=unwilling, why="CPU is saturated"
    )
    fine = decision("d-3", disk, "edge-27", "allowed", rule="all", reason="every check allowed it", why=fails)
    spent = "6 of 6 actions this hour"
    gone = decision(
        "d-0", past, "edge-04", "denied", rule="rate", reason=spent, why="its network is degraded"
    )
    return (*held, mine, fine, gone)


def beat(zone: str, name: str) -> HeartState:
    odd: dict[str, HeartState] = {"edge-08": "late", "edge-09": "young"}
    return "silent" if zone == "b" else odd.get(name, "alive")


def fleet(all_incidents: tuple[Incident, ...], per_zone: int = 10) -> tuple[Zone, ...]:
    active = {each.place.node: each for each in all_incidents if each.state != "resolved" and each.place.node}
    zones = []
    for z, zone in enumerate("abc"):
        nodes = []
        for i in range(per_zone):
            name = f"edge-{z * per_zone + i:02}"
            of_it = active.get(name)
            heart = beat(zone, name)
            state = node_state(heart, of_it is not None)
            ids = (of_it.id,) if of_it else ()
            score = of_it.score if of_it else nan if heart == "young" else 0.6 + (i % 3) / 2
            heard = ago(38 if heart == "silent" else 4 if heart == "late" else 0.4)
            nodes.append(Node(place(zone, name), state, heart, score, True, 48, heard, ids))
        zones.append(Zone(zone, "west", zone_state(nodes), tuple(nodes)))
    mine = Node(place("workshop", "workbench"), "abnormal", "alive", 7.7, False, 212, ago(0.3), ("03-burn",))
    return (*zones, Zone("workshop", "west", "abnormal", (mine,)))


STATUS = Status(
    version="0.1.0",
    uptime_s=754.0,
    series=1652,
    series_limit=200_000,
    samples_scored=1_204_533,
    samples_per_s=1668.4,
    lag_s=0.0031,
    queue_bytes=18_211,
    queue_limit_bytes=64 << 20,
    decoder="numba",
    open_score=4.0,
    receivers=(("OTLP/HTTP", "http://127.0.0.1:4318"), ("OTLP/gRPC", "127.0.0.1:4317"),
               ("remote write", "http://127.0.0.1:4318/api/v1/write")),
)  # fmt: skip


def rich() -> Published:
    all_incidents = incidents()
    return Published(1, NOW_NS, fleet(all_incidents), all_incidents, decisions(all_incidents), STATUS)


def empty() -> Published:
    return Published(1, NOW_NS, (), (), (), replace(STATUS, series=0, samples_scored=0, samples_per_s=0.0))


def acted() -> Published:
    """The rich site with actions switched on: one is being watched, and people have spoken."""
    site = rich()
    disk = next(each for each in site.incidents if each.id == "01-disk")
    fine = next(each for each in site.decisions if each.id == "d-3")
    drain = replace(
        fine, id="d-4", verdict="held", rule="approved", dry_run=False,
        action=replace(fine.action, verb="drain"), reason="drain waits for a person: edgeobs approve 01-disk",
    )  # fmt: skip
    done = Operation(
        "d-3", "cordon", fine.action.target, "verifying", "cordoned", disk.id, ago(60), ago(50), ago(-500),
        standing=True,
    )  # fmt: skip
    said = (
        Said("veto", "bob", "we are at it", ago(30), "03-burn"),
        Said("approve", "ada", "go on", ago(20), "01-disk", "drain", ago(-1780)),
    )
    decisions = tuple(replace(each, dry_run=False) for each in site.decisions)
    status = replace(site.status, dry_run=False, approve=("drain", "release", "failover"))
    return replace(site, decisions=(drain, *decisions), status=status, operations=(done,), words=said)


@pytest.fixture
def spoken() -> Published:
    """A site where something was done and said."""
    return acted()


@pytest.fixture
def canned() -> Canned:
    """A reader with a rich site; a test may set its ``now`` or ``publish``."""
    return Canned()


@pytest.fixture
def nothing() -> Published:
    """What is published before anyone sends."""
    return empty()


@pytest.fixture
def large() -> Published:
    """A thousand nodes."""
    all_incidents = incidents()
    return replace(rich(), fleet=fleet(all_incidents, 333))


def traced() -> Published:
    """The rich site with logs and spans: one edge is surprising, and so are a pod's errors."""
    site = rich()
    disk = next(each for each in site.incidents if each.id == "01-disk")
    whose = Resource("west", "c", "edge-27", "shop", "till", "till-7c9f-x2")
    labels = (("operation", "POST /pay"), ("pod", whose.pod), ("service", "till"))
    slow = replace(
        series("span_duration_seconds:p99", labels, "s", 0.08, 2.4, weight=0.3, onset=88, score=8.1),
        kind="span duration", resource=whose, traces=("4bf92f3577b34da6a3ce929d0e0e4736",),
    )  # fmt: skip
    new = Evidence(
        "sign", "till: never logged before: write to <*> failed: <*>", "log template never seen",
        (("severity", "error"), ("template", "9a3f"), ("pod", whose.pod)), "", ago(85), ago(80), 6.2, 0.2,
        nan, nan, nan, nan, kind="log template never seen", resource=whose, detail="write to <*> failed: <*>",
        query='{k8s_namespace_name="shop"} |~ "write to"',
    )  # fmt: skip
    others = tuple(each for each in site.incidents if each is not disk)
    disk = replace(disk, evidence=(slow, new, *disk.evidence))
    names = ("outside", "web"), ("web", "till"), ("web", "search"), ("till", "payments"), ("till", "redis"), \
        ("payments", "postgres"), ("search", "postgres"), ("payments", "till")  # fmt: skip
    odd = ("till", "payments")
    calls = tuple(
        Call(*pair, 40 / i, 0.31 if pair == odd else 0.002, 0.012, 2.1, 7.3 * (pair == odd), pair == odd)
        for i, pair in enumerate(names, 1)
    )  # fmt: skip
    return replace(site, incidents=(disk, *others), calls=tuple(sorted(calls, key=lambda c: -c.score)))


@pytest.fixture
def seen() -> Published:
    """A site with logs and spans."""
    return traced()


class Record:
    """What agents told: 23 of edge-27 and one of edge-04, of which no end was told."""

    def __init__(self) -> None:
        disk = next(each for each in incidents() if each.id == "01-disk")
        late = replace(
            disk.evidence[0], points=(*disk.evidence[0].points, Point(ago(-5), 0.8, nan, nan, nan))
        )
        sign = Evidence(
            "sign", "till: never logged before: <*>", "log template never seen", (), "", ago(85), ago(80),
            6.2, 0.2, nan, nan, nan, nan, kind="log template never seen", detail="<*>", query='{a="b"}',
        )  # fmt: skip
        disk = replace(disk, state="resolved", resolved_ns=ago(30), evidence=(late, sign, *disk.evidence[1:]))
        self.all = [
            Late("edge-27", replace(disk, id=f"l-{n:02}", opened_ns=ago(900 + n)), ago(10 + n))
            for n in range(23)
        ]
        open_still = replace(
            disk, id="l-00", place=place("a", "edge-04"), state="ongoing", resolved_ns=0,
            title="edge-04: <b>its link</b> loses packets",
        )  # fmt: skip
        self.all.insert(1, Late("edge-04", open_still, ago(10.5)))
        first = disk.evidence[0]
        self.peaks = [
            Peak(first.name, first.labels, "s/s", ago(400), ago(100), 300, 0.4, 0.97, 9.9),
            Peak("node_load1", (), "1", ago(400), ago(100), 300, 2.4, 17, 4.1),
        ]

    def late(
        self, node: str | None, ended: Ended | None, limit: int, offset: int
    ) -> tuple[int, Sequence[Late], Mapping[str, int]]:
        found = [
            each
            for each in self.all
            if node in (None, each.node)
            and ended in (None, "resolved" if each.incident.resolved_ns else "unknown")
        ]
        return len(found), found[offset : offset + limit], {"edge-27": 23, "edge-04": 1}

    def late_one(self, node: str, incident: str) -> tuple[Late, Sequence[Peak]] | None:
        return next(((e, self.peaks) for e in self.all if (e.node, e.incident.id) == (node, incident)), None)


@pytest.fixture
def record() -> Record:
    """What agents raised while they were cut off."""
    return Record()


@contextlib.contextmanager
def served(
    reader: Canned,
    settings: Settings | None = None,
    port: int = 0,
    desk: Desk | None = None,
    archive: Archive | None = None,
    told: NodesTold | None = None,
) -> Iterator[str]:
    """Serve a reader on a free port of loopback, or the given one; yields the address. Ends within 2 s."""
    stop = threading.Event()
    settings = settings or Settings(stream_interval_s=0.05, heartbeat_s=0.3)
    app = web_app(reader, settings, stop.is_set, desk, archive, told)
    listener = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        server.should_exit = True
        thread.join(2)
        listener.close()
        assert not thread.is_alive(), "the server did not end within 2 s"


Serve = Callable[..., contextlib.AbstractContextManager[str]]


@pytest.fixture
def serve() -> Serve:
    """A context manager that serves a reader and yields its address."""
    return served
