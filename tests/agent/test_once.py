"""Each parcel is taken once and in order, whatever is lost, repeated, or killed on either side."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.ingest.auth import Auth
from edgeobs.ingest.delivery import Delivery, Forbidden, Receipt, Unavailable
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.settings import Limits
from edgeobs.ingest.settings import Settings as ServerSettings
from edgeobs.signals import SECOND, Counts, Principal
from edgeobs.uplink import Settings
from edgeobs.uplink.inbox import Inbox
from edgeobs.uplink.letters import incidents, of_incident, packed
from edgeobs.uplink.parcel import KIND, PARCEL, Label, Letter, read_kind, read_label
from edgeobs.uplink.queue import Queue
from edgeobs.uplink.receive import Receiver
from edgeobs.uplink.send import Answer, Sender
from tests.agent.things import T0, make_incident, make_window

ANYBODY = Principal(0, "loopback", None, 1000)
QUEUE = "0" * 32
SETTINGS = Settings(url="http://core", first_pause_s=0.1, longest_pause_s=0.1, spread_s=0, rate_kib_per_s=1e6)
RESOURCE = {"k8s.node.name": "edge-1"}

Fault = Literal["none", "request_lost", "answer_lost", "core_dies_first", "core_dies_between", "agent_dies"]


class Dead(Exception):
    """kill -9: nothing after it happens in this process."""


@dataclass
class World:
    """An agent's queue and sender, and a core, each of which can be killed and started anew."""

    folder: Path
    counts: Counts = field(default_factory=Counts)
    engine: list[bytes] = field(default_factory=list)  # what the engine was given, in order
    alerts: list[bytes] = field(default_factory=list)
    fault: Fault = "none"
    now_s: float = 0.0

    def __post_init__(self) -> None:
        self.start_agent()
        self.start_core()

    def start_agent(self) -> None:
        self.queue = Queue(self.folder / "queue.sqlite", 1 << 20, self.counts)
        self.sender = Sender(
            self.queue, "edge-1", SETTINGS, self.counts, self.post, lambda: self.now_s, lambda: 0.5
        )

    def start_core(self) -> None:
        self.inbox = Inbox(self.folder / "inbox.sqlite", self.counts)
        server = ServerSettings()
        self.receiver = Receiver(
            self.submit, Auth(server, Limits()), server, self.inbox, self.counts, clock=lambda: T0 + SECOND
        )

    async def submit(self, delivery: Delivery) -> Receipt:
        if self.fault == "core_dies_first":
            raise Dead
        (self.alerts if delivery.format == "alertmanager" else self.engine).append(bytes(delivery.body))
        if self.fault == "core_dies_between":
            raise Dead
        return Receipt(1)

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if self.fault == "request_lost":
            return Answer(0)
        label = read_label(headers[PARCEL])
        kind = read_kind(headers[KIND], label.lane)
        assert path == ("/v1/logs" if kind == "incident" else "/v1/metrics")
        try:
            last = asyncio.run(self.receiver.take(ANYBODY, label, kind, body))
        except Dead:
            self.inbox.close()
            self.start_core()
            return Answer(0)
        if self.fault == "answer_lost":
            return Answer(0)
        if self.fault == "agent_dies":
            raise Dead
        return Answer(200, str(last))

    def step(self, fault: Fault) -> None:
        self.fault = fault
        self.now_s += 1.0
        try:
            self.sender.step()
        except Dead:
            self.queue.close()
            self.start_agent()

    def drain(self) -> None:
        while any(self.queue.waiting().values()):
            self.step("none")

    def close(self) -> None:
        self.queue.close()
        self.inbox.close()


def summary(number: int) -> Letter:
    return Letter("summary", T0, packed(b"%d" % number))


FAULTS = st.sampled_from(
    ["none", "request_lost", "answer_lost", "core_dies_first", "core_dies_between", "agent_dies"]
)


@settings(max_examples=60)
@given(st.lists(st.one_of(st.sampled_from(["summary", "incident", "window"]), FAULTS), max_size=30))
def test_whatever_dies_or_is_lost_each_is_taken_once_and_in_order(story: list[str]) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        put = {"summary": 0, "incident": 0, "window": 0}
        between = 0
        for number, what in enumerate(story):
            if what == "summary":
                world.queue.put([summary(number)], T0)
            elif what == "window":
                world.queue.put([Letter("window", T0 + number, make_window(T0 + number))], T0)
            elif what == "incident":
                world.queue.put([of_incident(make_incident(number), RESOURCE)], T0)
            else:
                before = len(world.engine)
                world.step(what)  # type: ignore[arg-type]
                between += what == "core_dies_between" and len(world.engine) > before
            if what in put:
                put[what] += 1
        world.drain()
        engine = [int(body) for body in world.engine]
        assert len(set(engine)) == put["summary"]
        assert engine == sorted(engine), "in order, and what is repeated follows itself at once"
        assert len(engine) == put["summary"] + between, "none twice but after a death in the middle of it"
        taken = world.inbox.incidents()
        assert sorted(i.opened_ns for i in taken) == [T0] * put["incident"]
        assert len(world.inbox.windows("edge-1", 0, 1 << 62)) == put["window"]
        assert all(world.counts["edgeobs_uplink_taken_total", kind] == put[kind] for kind in put)
        assert ("edgeobs_uplink_missing_total",) not in world.counts
        world.close()


def test_nothing_of_an_incident_is_lost_on_the_way() -> None:
    incident = make_incident(points=200)
    letter = of_incident(incident, RESOURCE)
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.queue.put([letter], T0)
        world.drain()
        assert world.inbox.incidents() == [incident]
        world.close()


def test_an_older_state_that_comes_late_does_not_undo_a_newer(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.sqlite", Counts())
    newer, older = make_incident(at_ns=T0 + SECOND, state="resolved"), make_incident(at_ns=T0)
    inbox.take(Label("edge-1", QUEUE, "first", 1), "incident", T0, [newer])
    inbox.take(Label("edge-1", QUEUE, "first", 2), "incident", T0, [older])
    assert inbox.incidents() == [newer]
    inbox.close()


def test_what_the_queue_had_to_drop_is_counted_at_the_core(tmp_path: Path) -> None:
    counts = Counts()
    inbox = Inbox(tmp_path / "inbox.sqlite", counts)
    for sequence in (1, 2, 6, 5, 7):
        inbox.take(Label("edge-1", QUEUE, "rest", sequence), "summary", T0)
    assert counts[("edgeobs_uplink_missing_total",)] == 3
    assert counts["edgeobs_uplink_known_total", "summary"] == 1
    (heard,) = inbox.heard()
    assert (heard.node, heard.last, heard.missing) == ("edge-1", 7, 3)
    inbox.close()


def test_a_queue_that_was_made_anew_begins_at_one_and_is_heard(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.sqlite", Counts())
    inbox.take(Label("edge-1", QUEUE, "rest", 500), "summary", T0)
    for disk in range(1, 9):
        label = Label("edge-1", f"{disk:032x}", "rest", 1)
        assert inbox.take(label, "summary", T0 + disk).standing == "new"
    assert inbox.last(Label("edge-1", f"{8:032x}", "rest", 1)) == 1
    assert inbox.last(Label("edge-1", QUEUE, "rest", 1)) == 0, "queues of long ago are forgotten"
    inbox.close()


def test_an_old_copy_of_a_queue_takes_another_name_and_loses_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.queue.put([summary(1), summary(2)], T0)
    copy = tmp_path / "copy.sqlite"
    world.queue._db.execute("VACUUM INTO ?", (str(copy),))
    world.queue.put([summary(3), summary(4)], T0)
    world.drain()
    world.queue.close()
    copy.replace(tmp_path / "queue.sqlite")
    for beside in ("queue.sqlite-wal", "queue.sqlite-shm"):
        (tmp_path / beside).unlink(missing_ok=True)
    world.start_agent()
    world.queue.put([summary(5)], T0)
    world.drain()
    assert [int(body) for body in world.engine][:4] == [1, 2, 3, 4]
    assert 5 in {int(body) for body in world.engine}, "its sequence 3 is not what the core knows as 3"
    world.close()


def test_a_parcel_that_the_core_can_never_read_does_not_hold_up_the_others(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.queue.put([Letter("summary", T0, b"no gzip"), summary(2)], T0)

    def post(path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            return world.post(path, headers, body)
        except Malformed:
            return Answer(400)

    world.sender._post = post
    world.drain()
    assert world.engine == [b"2"]
    assert world.counts["edgeobs_uplink_refused_total", "summary"] == 1
    world.close()


def test_late_incidents_are_kept_and_nothing_acts_on_them(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.queue.put([of_incident(make_incident(1, at_ns=T0 - 3600 * SECOND), RESOURCE)], T0)
    world.queue.put([of_incident(make_incident(2, "resolved", T0 - 3600 * SECOND), RESOURCE)], T0)
    world.queue.put([of_incident(make_incident(3, at_ns=T0), RESOURCE)], T0)
    world.drain()
    assert {i.id for i in world.inbox.incidents()} == {"inc-1", "inc-2", "inc-3"}
    told = b" ".join(world.alerts)
    assert b"inc-1" not in told
    assert b"inc-2" in told, "an end is always told"
    assert b"inc-3" in told
    world.close()


def test_a_sender_speaks_for_its_own_nodes_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    other = Principal(1, "edge-2", frozenset({"edge-2"}), 10)
    with pytest.raises(Forbidden):
        asyncio.run(world.receiver.take(other, Label("edge-1", QUEUE, "rest", 1), "summary", packed(b"1")))
    mine = of_incident(make_incident(1), RESOURCE)
    with pytest.raises(Malformed, match="edge-1"):
        asyncio.run(world.receiver.take(other, Label("edge-2", QUEUE, "first", 1), "incident", mine.body))
    assert world.inbox.heard() == []
    world.close()


def test_the_same_parcel_twice_at_once_is_taken_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    label = Label("edge-1", QUEUE, "rest", 1)

    async def both() -> list[int]:
        takes = [world.receiver.take(ANYBODY, label, "summary", packed(b"1")) for _ in range(4)]
        return await asyncio.gather(*takes)

    assert asyncio.run(both()) == [1] * 4
    assert world.engine == [b"1"]
    world.close()


def test_an_inbox_that_cannot_write_makes_the_node_come_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.inbox.close()
    with pytest.raises(Unavailable):
        asyncio.run(world.receiver.take(ANYBODY, Label("edge-1", QUEUE, "rest", 1), "summary", packed(b"1")))
    world.queue.close()


@given(st.text(max_size=60))
def test_a_label_of_any_text_is_read_or_refused_by_name(text: str) -> None:
    try:
        label = read_label(text)
    except ValueError:
        with pytest.raises(ValueError, match="edgeobs-parcel: expected"):
            read_label(text)
    else:
        assert read_label(label.text()) == label


@given(st.text(min_size=1, max_size=60).filter(lambda t: t.isprintable()), st.integers(1, 1 << 62))
def test_a_label_reads_back_the_same(node: str, sequence: int) -> None:
    label = Label(node, QUEUE, "rest", sequence)
    assert read_label(label.text()) == label
    assert label.text().isascii(), "it is an HTTP header"


@given(st.binary(max_size=200))
def test_bytes_that_are_no_logs_request_are_refused(body: bytes) -> None:
    with suppress(ValueError):  # and nothing else
        assert incidents(body) == []


def test_bounds_of_the_inbox_hold_and_the_oldest_go(tmp_path: Path) -> None:
    counts = Counts()
    inbox = Inbox(tmp_path / "inbox.sqlite", counts, keep_incidents=5, keep_windows_bytes=1000)
    for n in range(1, 31):
        done = make_incident(n, "resolved", T0 + n)
        inbox.take(Label("edge-1", QUEUE, "first", n), "incident", T0, [done])
        inbox.take(Label("edge-1", QUEUE, "rest", n), "window", T0, window=(T0 + n, T0 + n, bytes(100)))
    inbox.prune()
    assert [i.id for i in inbox.incidents()] == [f"inc-{n}" for n in range(30, 25, -1)]
    assert len(inbox.windows("edge-1", 0, 1 << 62)) == 10
    assert counts["edgeobs_uplink_forgotten_total", "window"] == 20
    inbox.close()


def test_a_way_that_cannot_be_taken_is_said_and_is_no_end(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite", 1 << 20, Counts())
    queue.put([summary(1)], T0)
    for way, said in (
        (Settings(url="http://127.0.0.1:1/x", timeout_s=5), "refused"),
        (Settings(url="http://127.0.0.1:1/x", token_file=str(tmp_path / "none")), "No such file"),
        (Settings(url="https://127.0.0.1:1/x", ca_file=str(tmp_path / "none")), "No such file"),
        (Settings(url="http://127.0.0.1:port/x"), "port"),
    ):
        sender = Sender(queue, "edge-1", way, Counts())
        sender.step()
        assert said in sender.problem
        assert not sender.link.up
        assert queue.waiting()["summary"] == 1
    queue.close()
