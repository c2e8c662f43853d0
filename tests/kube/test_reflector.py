"""The reflector against a server that fails: it ends true to it, and says how old it may be."""

import asyncio
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest

from edgeobs.kube import reflector as module
from edgeobs.kube.clock import Pulse, boot_ns
from edgeobs.kube.connection import Pace
from edgeobs.kube.mirror import NEVER_NS, Mirror
from edgeobs.kube.pool import Pool
from edgeobs.kube.reflector import PAGE, Reflector
from edgeobs.kube.resources import WATCHED
from tests.kube.fake_api import FakeApi, send, status

NODES = "/api/v1/nodes"


class Running:
    """A reflector of nodes at work, and its mirror."""

    def __init__(self, fake: FakeApi, monkeypatch: pytest.MonkeyPatch, rotate_s: float = 30.0) -> None:
        monkeypatch.setattr("edgeobs.kube.watching.FIRST_S", 0.05)
        self.fake, self.rotate_s = fake, rotate_s
        self.watched = next(each for each in WATCHED if each.kind == "Node")
        self.mirror = Mirror([self.watched])
        self.pulse: Pulse | None = None

    async def run(self, check: Callable[[], Any]) -> None:
        async with httpx.AsyncClient(base_url=self.fake.url, timeout=5) as http:
            self.pulse = Pulse()
            reflector = Reflector(
                http, self.watched, self.mirror, Pool(), Pace(1000), self.rotate_s, 5.0, self.pulse
            )
            tasks = [asyncio.create_task(reflector.run()), asyncio.create_task(self.pulse.run())]
            try:
                await asyncio.to_thread(check)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def follow(self, check: Callable[[], Any]) -> None:
        asyncio.run(self.run(check))

    def names(self) -> set[str]:
        return set(self.mirror.inventory(0).nodes)

    def until(self, holds: Callable[[], Any], what: str) -> None:
        wait(lambda: holds() and self.mirror.age_ns() < NEVER_NS, what)


def wait(holds: Callable[[], Any], what: str) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, f"never: {what}"
        time.sleep(0.01)


@pytest.fixture
def running(fake: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Running:
    return Running(fake, monkeypatch)


def node(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"u-{name}", "resourceVersion": str(version)}}


def test_it_lists_in_pages_and_follows_every_change(running: Running, fake: FakeApi) -> None:
    for number in range(PAGE + 10):
        fake.put(NODES, f"n{number}")

    def check() -> None:
        running.until(lambda: len(running.names()) == PAGE + 10, "all pages are in")
        fake.put(NODES, "new")
        fake.delete(NODES, "n0")
        running.until(lambda: "new" in running.names() and "n0" not in running.names(), "changes are in")
        assert [given.get("continue") for _, given in fake.asked(limit=str(PAGE))] == [None, str(PAGE)]
        (_, given), *_ = fake.asked(watch="1")
        assert given["allowWatchBookmarks"] == "true"
        assert given["resourceVersion"] == str(10 + PAGE + 10)

    running.follow(check)


@pytest.mark.parametrize(
    "fault",
    [
        status(500, "InternalError"), status(503, "ServiceUnavailable"), status(429, "TooManyRequests"),
        status(410, "Expired"), (200, {}, b"no JSON"), (200, {}, {"items": [{"metadata": {}}]}),
        (502, {}, b"<html>"), (200, {}, {"items": 7}), (302, {"Location": "http://127.0.0.1:9/"}, b""),
    ],
)  # fmt: skip
def test_a_list_that_fails_is_asked_for_again(running: Running, fake: FakeApi, fault: Any) -> None:
    fake.put(NODES, "a")
    fake.lists.extend([fault, fault])
    running.follow(lambda: running.until(lambda: running.names() == {"a"}, "the list is in"))
    assert len(fake.asked(limit=str(PAGE))) == 3


def test_a_list_that_is_lost_between_two_pages_begins_anew(running: Running, fake: FakeApi) -> None:
    for number in range(PAGE + 1):
        fake.put(NODES, f"n{number}")
    fake.lists.extend([None, status(410, "Expired")])
    running.follow(lambda: running.until(lambda: len(running.names()) == PAGE + 1, "all is in"))
    assert [given.get("continue") for _, given in fake.asked(limit=str(PAGE))] == [
        None, str(PAGE), None, str(PAGE),
    ]  # fmt: skip


def closes(_: BaseHTTPRequestHandler) -> None:
    """In the middle of the stream."""
    raise ConnectionResetError


def ends(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"0\r\n\r\n")


def cut_line(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b'{"type":"ADDED","object":{"meta')
    ends(handler)


def nonsense(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b"nonsense\n")


def unknown_object(handler: BaseHTTPRequestHandler) -> None:
    send(handler, {"type": "ADDED", "object": {"metadata": {"uid": "7"}}})


def error_410(handler: BaseHTTPRequestHandler) -> None:
    send(handler, {"type": "ERROR", "object": status(410, "Expired", "too old resource version")[2]})


def error_500(handler: BaseHTTPRequestHandler) -> None:
    send(handler, {"type": "ERROR", "object": status(500, "InternalError")[2]})


@pytest.mark.parametrize(
    ("fault", "lists"),
    [
        (closes, 1), (ends, 1), (cut_line, 1), (nonsense, 1), (unknown_object, 1), (error_500, 1),
        (error_410, 2),
        (status(410, "Expired"), 2), (status(400, "BadRequest"), 2), (status(503, "ServiceUnavailable"), 1),
        (status(504, "Timeout", causes=[{"reason": "ResourceVersionTooLarge"}]), 2),
    ],
)  # fmt: skip
def test_a_watch_that_fails_goes_on_where_it_was_or_is_listed_anew(
    running: Running, fake: FakeApi, fault: Any, lists: int
) -> None:
    fake.put(NODES, "a")
    fake.watches.append(fault)

    def check() -> None:
        running.until(lambda: len(fake.asked(watch="1")) >= 2, "a second watch")
        fake.put(NODES, "b")
        running.until(lambda: running.names() == {"a", "b"}, "what came later is in")

    running.follow(check)
    assert len(fake.asked(limit=str(PAGE))) == lists
    assert [given["resourceVersion"] for _, given in fake.asked(watch="1")][:2] == ["11", "11"]


def test_what_was_deleted_while_nothing_could_be_heard_is_gone_after_the_next_list(
    running: Running, fake: FakeApi
) -> None:
    fake.put(NODES, "a")
    fake.put(NODES, "b")
    fake.watches.append(closes)
    fake.watches.append(status(503, "ServiceUnavailable"))

    def check() -> None:
        running.until(lambda: running.names() == {"a", "b"}, "both are in")
        fake.delete(NODES, "a")
        fake.forget()
        running.until(lambda: running.names() == {"b"}, "the deleted one is gone")

    running.follow(check)


def test_late_and_duplicate_events_change_nothing(running: Running, fake: FakeApi) -> None:
    def repeats(handler: BaseHTTPRequestHandler) -> None:
        for kind, name, version in [
            ("MODIFIED", "a", 20), ("MODIFIED", "a", 15), ("ADDED", "b", 21), ("DELETED", "b", 22),
            ("ADDED", "b", 21), ("MODIFIED", "a", 20), ("MODIFIED", "a", 23),
        ]:  # fmt: skip
            send(handler, {"type": kind, "object": node(name, version)})
        send(handler, b"")
        time.sleep(0.2)
        raise ConnectionResetError

    fake.put(NODES, "a")
    fake.watches.append(repeats)

    def check() -> None:
        running.until(lambda: running.mirror.shelves()["Node"][3] == 7, "seven events came")
        found = running.mirror.inventory(0).nodes
        assert {name: each.version for name, each in found.items()} == {"a": "23"}
        assert running.mirror.shelves()["Node"][4] == 3, "three of them told nothing new"

    running.follow(check)


def test_a_connection_that_is_half_open_is_left(fake: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GRACE_S", 0.2)
    hung = threading.Event()
    running = Running(fake, monkeypatch, rotate_s=1.0)
    fake.put(NODES, "a")
    fake.watches.append(lambda _: hung.wait(30))

    def check() -> None:
        wait(lambda: "silent" in running.mirror.problems().get("Node", ""), "the silence is noticed")
        running.until(lambda: len(fake.asked(watch="1")) >= 2, "another watch")
        fake.put(NODES, "b")
        running.until(lambda: running.names() == {"a", "b"}, "what came later is in")
        hung.set()

    running.follow(check)


def test_a_server_without_bookmarks_is_confirmed_by_lists(
    fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.bookmarks = False
    running = Running(fake, monkeypatch, rotate_s=1.2)
    fake.put(NODES, "a")
    running.follow(lambda: running.until(lambda: len(fake.asked(limit=str(PAGE))) >= 3, "three lists"))


def test_a_quiet_watch_is_confirmed_by_bookmarks_and_opened_anew(
    fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running(fake, monkeypatch, rotate_s=1.2)
    fake.put(NODES, "a")
    running.follow(lambda: running.until(lambda: len(fake.asked(watch="1")) >= 3, "three watches"))
    assert len(fake.asked(limit=str(PAGE))) == 1


def test_what_a_stream_held_while_we_stood_still_is_not_taken_as_new(
    running: Running, fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.put(NODES, "a")

    def check() -> None:
        running.until(lambda: fake.asked(watch="1"), "a watch")
        assert running.pulse
        monkeypatch.setattr(running.pulse, "_gaps", 1)
        fake.put(NODES, "b")
        wait(lambda: len(fake.asked(watch="1")) >= 2, "the watch is left for another")
        running.until(lambda: running.names() == {"a", "b"}, "nothing is lost by that")

    running.follow(check)


def test_a_pulse_notices_that_the_clock_went_on_without_it() -> None:
    now = 0
    pulse = Pulse(lambda: now)
    assert pulse.gaps == 0
    now = 6_000_000_000
    assert pulse.gaps == 1


def test_a_refusal_is_named_and_the_age_grows(running: Running, fake: FakeApi) -> None:
    refusal = status(403, "Forbidden", 'nodes is forbidden: User "x" cannot list resource "nodes"')
    fake.lists.extend([refusal] * 50)

    def check() -> None:
        wait(
            lambda: 'cannot list resource "nodes"' in running.mirror.problems().get("Node", ""), "it is named"
        )
        assert running.mirror.age_ns() == NEVER_NS

    running.follow(check)


def test_the_pace_lets_a_few_come_at_once_and_then_one_at_a_time() -> None:
    now = 10**12
    pace = Pace(10, lambda: now)
    assert [pace.reserve() for _ in range(20)] == [0.0] * 20
    assert [round(pace.reserve(), 3) for _ in range(3)] == [0.1, 0.2, 0.3]
    now += 300_000_000
    assert round(pace.reserve(), 3) == 0.1


def test_the_clock_does_not_go_back() -> None:
    first = boot_ns()
    assert boot_ns() >= first
