"""A plain HTTP client sees each fault of the proxy as it would see it of a network or an API server."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.real.api import Api, Object, wait
from tests.real.control_plane import ControlPlane
from tests.real.fault_proxy import (
    Answer,
    Duplicate,
    FaultProxy,
    Late,
    Lost,
    Seen,
    Slow,
    anything,
    reads,
    watches,
    writes,
)

pytestmark = pytest.mark.real


@pytest.fixture
def client(control_plane: ControlPlane, proxy: FaultProxy) -> Iterator[httpx.Client]:
    """The harness's client, through the proxy."""
    with Api(proxy.server, control_plane.certificate, control_plane.token) as own:
        yield own.http


@pytest.fixture
def maps(namespace: str) -> str:
    """Where a test's objects are."""
    return f"/api/v1/namespaces/{namespace}/configmaps"


class Watching:
    """A watch's events, read one at a time."""

    def __init__(self, answer: httpx.Response) -> None:
        self.lines = answer.iter_lines()

    def __next__(self) -> Object:
        event: Object = json.loads(next(self.lines))
        return event

    def names(self, count: int) -> list[str]:
        """Of the objects of the next events."""
        return [next(self)["object"]["metadata"]["name"] for _ in range(count)]


@contextmanager
def watching(client: httpx.Client, path: str) -> Iterator[Watching]:
    version = client.get(path).json()["metadata"]["resourceVersion"]
    query = {"watch": "true", "resourceVersion": version, "labelSelector": "mine"}
    with client.stream("GET", path, params=query) as answer:
        assert answer.status_code == 200
        yield Watching(answer)


def make(api: Api, maps: str, *names: str) -> None:
    for name in names:
        body = {"metadata": {"name": name, "labels": {"mine": "yes"}}}
        api("POST", maps, body)


def test_without_faults_it_is_not_noticed(
    control_plane: ControlPlane, proxy: FaultProxy, client: httpx.Client, api: Api, maps: str
) -> None:
    with watching(client, maps) as watch:
        made = client.post(maps, json={"metadata": {"name": "one", "labels": {"mine": "yes"}}})
        assert made.status_code == 201
        assert next(watch)["type"] == "ADDED"
        assert client.delete(f"{maps}/one").status_code == 200
        assert next(watch)["type"] == "DELETED"
    assert client.get(f"{maps}/one").status_code == 404
    assert client.get(maps, headers={"authorization": "Bearer wrong"}).status_code == 401
    direct = api("GET", "/version")
    assert client.get("/version").json() == direct
    config = control_plane.kubeconfig("harness", server=proxy.server)
    assert "gitVersion" in control_plane.kubectl("version", "-o", "json", kubeconfig=config)
    assert Seen("GET", f"{maps}/one", 404) in proxy.seen


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (401, "Unauthorized"),
        (410, "Expired"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
    ],
)
def test_an_answer_in_the_servers_place(
    proxy: FaultProxy, client: httpx.Client, maps: str, code: int, reason: str
) -> None:
    with proxy.fault(Answer(code, retry_after_s=3), reads, times=2):
        answers = [client.get(maps) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [code, code, 200]
        assert answers[0].headers["retry-after"] == "3"
        status = answers[0].json()
        assert (status["kind"], status["reason"], status["code"]) == ("Status", reason, code)
        assert client.delete(f"{maps}/none").status_code == 404
    assert client.get(maps).status_code == 200


def test_writes_alone_are_refused(proxy: FaultProxy, client: httpx.Client, api: Api, maps: str) -> None:
    with proxy.fault(Answer(503), writes):
        refused = client.post(maps, json={"metadata": {"name": "one"}})
        assert refused.status_code == 503
        assert client.get(maps).status_code == 200
    assert "one" not in {each["metadata"]["name"] for each in api.items(maps)}


def test_slow(proxy: FaultProxy, client: httpx.Client, maps: str) -> None:
    with proxy.fault(Slow(30.0), anything, times=1), pytest.raises(httpx.ReadTimeout):
        client.get(maps, timeout=0.2)
    with proxy.fault(Slow(0.2)):
        began = time.monotonic()
        assert client.get(maps).status_code == 200
        assert time.monotonic() - began >= 0.2


def test_a_lost_answer_leaves_what_was_done(
    proxy: FaultProxy, client: httpx.Client, api: Api, maps: str
) -> None:
    with proxy.fault(Lost(), writes), pytest.raises(httpx.RemoteProtocolError):
        client.post(maps, json={"metadata": {"name": "one"}})
    assert "one" in {each["metadata"]["name"] for each in api.items(maps)}


def test_cut_and_restored(proxy: FaultProxy, client: httpx.Client, maps: str) -> None:
    with watching(client, maps) as watch:
        proxy.cut()
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            next(watch)
    with pytest.raises(httpx.ConnectError):
        client.get(maps)
    proxy.restore()
    assert client.get(maps).status_code == 200


def test_frozen_and_thawed(proxy: FaultProxy, client: httpx.Client, api: Api, maps: str) -> None:
    with watching(client, maps) as watch:
        proxy.freeze()
        make(api, maps, "one")
        with pytest.raises(httpx.TimeoutException):
            client.get(maps, timeout=0.2)
        proxy.thaw()
        assert watch.names(1) == ["one"]
    assert client.get(maps).status_code == 200


@pytest.mark.parametrize("ending", ["closed", "gone", "cut"])
def test_watches_end(proxy: FaultProxy, client: httpx.Client, api: Api, maps: str, ending: Any) -> None:
    with watching(client, maps) as watch:
        make(api, maps, "one")
        assert watch.names(1) == ["one"]
        assert proxy.end_watches(ending) == 1
        if ending == "gone":
            event = next(watch)
            assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
        with pytest.raises(httpx.RemoteProtocolError if ending == "cut" else StopIteration):
            next(watch)
    wait("it is closed", lambda: proxy.open_watches() == 0)


def test_a_watch_is_refused_as_gone(proxy: FaultProxy, client: httpx.Client, maps: str) -> None:
    with proxy.fault(Answer(410), watches):
        assert client.get(maps, params={"watch": "1"}).json()["reason"] == "Expired"
        assert client.get(maps).status_code == 200


def test_events_come_twice(proxy: FaultProxy, client: httpx.Client, api: Api, maps: str) -> None:
    with watching(client, maps) as watch:
        with proxy.fault(Duplicate()):
            make(api, maps, "one", "two")
            assert watch.names(4) == ["one", "one", "two", "two"]
        make(api, maps, "three", "four")
        assert watch.names(2) == ["three", "four"]


def test_events_come_late(proxy: FaultProxy, client: httpx.Client, api: Api, maps: str) -> None:
    with watching(client, maps) as watch:
        with proxy.fault(Late()):
            make(api, maps, "one", "two", "three", "four", "five")
            assert watch.names(4) == ["two", "one", "four", "three"]
            wait("the last has come, and waits for another", proxy.holds)
        proxy.end_watches()
        assert watch.names(1) == ["five"]
