"""The routes: what they answer, to whom, and how live pages are told of changes."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from edgeobs.signals import HeartState, Resource
from edgeobs.web import Node, Published, Settings, Status, Zone, node_state, protect, zone_state
from edgeobs.web.answers import node_id
from edgeobs.web.api import web_app
from edgeobs.web.protect import SPOKEN, host_name, is_loopback, read_token
from edgeobs.web.view import change, view


class Canned(Protocol):
    now: Published
    checks: dict[str, str]

    def published(self) -> Published: ...
    def metrics(self, accept: str) -> tuple[bytes, str]: ...
    def ready(self) -> tuple[bool, dict[str, str]]: ...
    def publish(self, **changes: object) -> None: ...


Serve = Callable[..., AbstractContextManager[str]]
STATUS = Status(version="0", uptime_s=0.0, series=0, series_limit=1, samples_scored=0)


def ask(
    reader: Canned,
    path: str,
    *,
    method: str = "GET",
    settings: Settings | None = None,
    client: str = "127.0.0.1",
    **headers: str,
) -> httpx.Response:
    """One request, straight into the application."""

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(web_app(reader, settings), client=(client, 9))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await http.request(method, path, headers=named)

    return asyncio.run(go())


def test_fleet_has_every_node_with_its_state(canned: Canned) -> None:
    zones = ask(canned, "/api/v1/fleet").json()["zones"]
    assert {zone["name"]: (zone["state"], len(zone["nodes"])) for zone in zones} == {
        "a": ("late", 10),
        "b": ("silent", 10),
        "c": ("abnormal", 10),
        "workshop": ("abnormal", 1),
    }
    young = next(node for node in zones[0]["nodes"] if node["name"] == "edge-09")
    assert young["score"] is None  # NaN
    assert young["id"] == "west/a/edge-09"


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["02-dark", "03-burn", "01-disk", "00-net"]),
        ("?state=active", ["02-dark", "03-burn", "01-disk"]),
        ("?state=resolved", ["00-net"]),
        ("?state=ongoing&limit=1", ["03-burn"]),
    ],
)
def test_incidents_by_state_and_limit(canned: Canned, query: str, ids: list[str]) -> None:
    assert [each["id"] for each in ask(canned, f"/api/v1/incidents{query}").json()] == ids


@pytest.mark.parametrize("query", ["?state=lost", "?limit=0", "?limit=1001", "?limit=x"])
def test_bad_query_is_refused(canned: Canned, query: str) -> None:
    assert ask(canned, f"/api/v1/incidents{query}").status_code == 422


def test_one_incident_has_its_evidence_and_points(canned: Canned) -> None:
    answer = ask(canned, "/api/v1/incidents/01-disk").json()
    first = answer["evidence"][0]
    assert first["name"] == "node_disk_io_time_seconds_total:rate"
    assert first["labels"] == {"device": "mmcblk0"}
    assert first["points"][0]["low"] is None  # nothing was expected yet
    assert first["points"][-1]["value"] > first["points"][-1]["high"]
    assert [p["time_s"] for p in first["points"]] == sorted(p["time_s"] for p in first["points"])
    assert ask(canned, "/api/v1/incidents/none").status_code == 404


def test_decisions_have_text_and_every_check(canned: Canned) -> None:
    answer = ask(canned, "/api/v1/decisions?limit=11").json()
    assert len(answer) == 11
    assert answer[0]["text"].startswith("held: cordon edge-10: all of zone b is silent")
    assert [c["verdict"] for c in answer[0]["checks"]].count("held") == 1


def test_status(canned: Canned) -> None:
    answer = ask(canned, "/api/v1/status").json()
    assert answer["receivers"][0] == {"protocol": "OTLP/HTTP", "address": "http://127.0.0.1:4318"}
    assert answer["dry_run"] is True


def test_health_readiness_and_metrics(canned: Canned) -> None:
    assert ask(canned, "/healthz").json() == {"status": "ok"}
    assert ask(canned, "/readyz").status_code == 200
    canned.checks["store"] = "the disk is full"
    answer = ask(canned, "/readyz")
    assert (answer.status_code, answer.json()["checks"]["store"]) == (503, "the disk is full")
    plain = ask(canned, "/metrics", accept="text/plain")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    modern = ask(canned, "/metrics", accept="application/openmetrics-text")
    assert modern.content == b"# EOF\n"
    assert modern.headers["vary"] == "Accept"


def test_what_has_not_changed_is_not_sent_again(canned: Canned) -> None:
    for path in ("/", "/static/app.js", "/api/v1/decisions", "/openapi.json"):
        tag = ask(canned, path).headers["etag"]
        assert ask(canned, path, if_none_match=f'"x", W/{tag}').status_code == 304
        assert ask(canned, path, if_none_match='"x"').status_code == 200


def test_nothing_can_be_written(canned: Canned) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = ask(canned, "/api/v1/fleet", method=method)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_head_is_get_without_a_body(canned: Canned) -> None:
    answer = ask(canned, "/api/v1/fleet", method="HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 1000


def test_browsers_are_told_to_run_nothing_foreign(canned: Canned) -> None:
    for path in ("/", "/api/v1/fleet", "/missing", "/static/../api.py"):
        headers = ask(canned, path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    page = ask(canned, "/").text
    assert not re.search(r"<style|\sstyle=|<script(?![^>]*src=)|\son[a-z]+=", page)
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page)


def test_only_package_files_are_served(canned: Canned) -> None:
    for path in ("/static/reader.py", "/static/%2e%2e/api.py", "/static/", "/static/x"):
        assert ask(canned, path).status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9464", 200),
        ("127.0.0.1", 200),
        ("[::1]:9464", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
        ("pi.lan", 200),
    ],
)
def test_a_foreign_name_is_not_served(canned: Canned, host: str, status: int) -> None:
    settings = Settings(allowed_hosts=("Pi.lan",))
    assert ask(canned, "/api/v1/fleet", settings=settings, host=host).status_code == status


def test_without_a_token_only_this_machine_is_served(canned: Canned) -> None:
    assert ask(canned, "/", client="192.0.2.7").status_code == 403
    assert ask(canned, "/metrics", client="192.0.2.7").status_code == 403
    assert ask(canned, "/healthz", client="192.0.2.7").status_code == 200
    assert ask(canned, "/", client="::ffff:127.0.0.1").status_code == 200


def test_with_a_token_everyone_gives_it(canned: Canned, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("0123456789abcdef-secret\n")
    settings = Settings(token_file=file)

    def status(authorization: str) -> int:
        headers = {"authorization": authorization} if authorization else {}
        return ask(canned, "/api/v1/fleet", settings=settings, client="192.0.2.7", **headers).status_code

    assert status("Bearer 0123456789abcdef-secret") == 200
    assert status("Basic YW55OjAxMjM0NTY3ODlhYmNkZWYtc2VjcmV0") == 200
    assert [status(bad) for bad in ("", "Bearer ", "Bearer x", "Basic %%%", "Basic YTpi", "Digest x")] == [
        401
    ] * 6
    assert ask(canned, "/", settings=settings).status_code == 401  # loopback too


def test_a_token_file_without_a_token_is_an_error(canned: Canned, tmp_path: Path) -> None:
    for content in (b"", b"short\n", b"\xff" * 20):
        (tmp_path / "token").write_bytes(content)
        with pytest.raises(ValueError, match="token"):
            web_app(canned, Settings(token_file=tmp_path / "token"))
    with pytest.raises(ValueError, match="nowhere"):
        read_token(tmp_path / "nowhere")


@given(st.text())
def test_headers_never_crash_the_guard(text: str) -> None:
    assert all(isinstance(each, str) for each in protect.given(text))
    assert all(isinstance(each, str) for each in protect.given(f"basic {text}"))
    latin = text.encode("latin-1", "replace").decode("latin-1")
    assert protect.forged(Headers({"host": latin, "origin": latin, "content-length": latin}))
    assert isinstance(is_loopback(host_name(text)), bool)


def test_openapi_describes_what_is_answered(canned: Canned) -> None:
    api = ask(canned, "/openapi.json").json()
    assert {
        "/api/v1/fleet",
        "/api/v1/incidents/{incident_id}",
        "/api/v1/stream",
        "/readyz",
        "/metrics",
    } <= set(api["paths"])
    assert all(path[verb]["description"] for path in api["paths"].values() for verb in path)
    changes = {name for name, path in api["paths"].items() if set(path) != {"get"}}
    assert changes == {
        *(f"/api/v1/remediation/{word}" for word in ("pause", "resume")),
        *(f"/api/v1/incidents/{{incident_id}}/{word}" for word in ("approve", "veto")),
    }
    assert all(SPOKEN.fullmatch(name.replace("{incident_id}", "inc-1")) for name in changes)
    assert "decades" in api["components"]["schemas"]["Node"]["properties"]["score"]["description"]
    for path in ("/docs", "/redoc"):  # they would load their scripts from elsewhere
        assert ask(canned, path).status_code == 404


# --- what a live page is told


def applied(shown: dict[str, dict[str, Any]], told: str) -> dict[str, dict[str, Any]]:
    """What a page shows after a change, as store.js applies it."""
    message = json.loads(told)
    after = {name: dict(items) for name, items in shown.items()}
    for name, ids in message["gone"].items():
        for each in ids:
            del after[name][each]
    for name, items in message["set"].items():
        after.setdefault(name, {}).update(items)
    return {name: items for name, items in after.items() if items}


HEARTS: list[HeartState] = ["alive", "late", "silent"]
names = st.text(max_size=6)
places = st.builds(Resource, cluster=names, zone=names, node=names)


@st.composite
def sites(draw: st.DrawFn) -> tuple[Zone, ...]:
    found = draw(st.dictionaries(places, st.tuples(st.floats(), st.sampled_from(HEARTS))))
    zones: dict[tuple[str, str], list[Node]] = {}
    for place, (score, heart) in found.items():
        node = Node(place, node_state(heart, False), heart, score, False, 1, 5, ())
        zones.setdefault((place.cluster, place.zone), []).append(node)
    return tuple(
        Zone(zone, cluster, zone_state(nodes), tuple(nodes)) for (cluster, zone), nodes in zones.items()
    )


@given(st.lists(sites(), min_size=1, max_size=4), st.data())
def test_changes_add_up_to_the_whole(steps: list[tuple[Zone, ...]], data: st.DataObject) -> None:
    published = Published(1, 1, (), (), (), STATUS)
    shown: dict[str, dict[str, Any]] = {}
    before = None
    for version, zones in enumerate(steps, 2):
        published = replace(published, version=version, fleet=zones)
        after = view(published, data.draw(st.sampled_from([before, None])))  # reused JSON or made anew
        shown = applied(shown, change(before, after))
        assert shown == applied({}, change(None, after))
        before = after


def test_only_what_changed_is_told(canned: Canned) -> None:
    first = view(canned.now, None)
    zones = list(canned.now.fleet)
    nodes = list(zones[0].nodes)
    nodes[0] = nodes[0]._replace(state="abnormal")
    nodes[1] = nodes[1]._replace(
        heard_ns=nodes[1].heard_ns + 10**9, score=nodes[1].score + 0.01
    )  # says nothing
    zones[0] = replace(zones[0], nodes=tuple(nodes))
    second = view(replace(canned.now, version=2, fleet=tuple(zones)), first)
    message = json.loads(change(first, second))
    assert list(message["set"]) == ["nodes"]
    assert list(message["set"]["nodes"]) == [node_id(nodes[0].place)]
    assert message["gone"] == {}


@given(st.lists(places, unique=True))
def test_ids_of_nodes_are_unique_and_safe_in_addresses(several: list[Resource]) -> None:
    ids = [node_id(place) for place in several]
    assert len(set(ids)) == len({(p.cluster, p.zone, p.node) for p in several})
    assert all(re.fullmatch(r"[A-Za-z0-9_.~%-]*(/[A-Za-z0-9_.~%-]*){2}", each) for each in ids)


# --- over a socket


def events(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def test_a_stream_tells_all_then_changes_and_ends_with_the_server(canned: Canned, serve: Serve) -> None:
    with httpx.Client() as http, serve(canned) as url, http.stream("GET", f"{url}/api/v1/stream") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        told = events(response)
        name, everything = next(told)
        assert (name, len(everything["set"]["nodes"])) == ("all", 31)
        canned.publish(incidents=canned.now.incidents[1:])
        name, less = next(each for each in told if each[0] != "beat")
        assert (name, less["gone"]) == ("change", {"incidents": ["02-dark"]})
        assert next(told)[0] == "beat"


def test_more_live_pages_than_allowed_are_told_to_come_back(canned: Canned, serve: Serve) -> None:
    settings = Settings(max_streams=1, stream_interval_s=0.02, heartbeat_s=0.05)
    with httpx.Client() as http, serve(canned, settings) as url:
        with http.stream("GET", f"{url}/api/v1/stream") as response:
            next(events(response))
            refused = http.get(f"{url}/api/v1/stream")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:  # the place is free again once the first has gone
            with http.stream("GET", f"{url}/api/v1/stream") as again:
                if again.status_code == 200:
                    return
        pytest.fail("the place of a page that went away was not given to another")


def test_a_page_that_takes_nothing_is_cut_off(large: Published, canned: Canned, serve: Serve) -> None:
    settings = Settings(max_streams=1, stream_interval_s=0.01, stall_s=0.3)
    canned.now = large
    with serve(canned, settings) as url, httpx.Client() as http:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                fleet = canned.now.fleet
                canned.publish(fleet=() if fleet else large.fleet)  # a megabyte at every other change
                with http.stream("GET", f"{url}/api/v1/stream") as other:
                    if other.status_code == 200:
                        return
                time.sleep(0.02)
        pytest.fail("a page that takes nothing kept its place")


def test_head_of_the_stream_ends(canned: Canned, serve: Serve) -> None:
    with serve(canned) as url:
        assert httpx.head(f"{url}/api/v1/stream", timeout=5).status_code == 200
