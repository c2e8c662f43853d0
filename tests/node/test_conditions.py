"""Verdicts as conditions, and their way to an API server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.node.conditions import Condition, due, known, patch, updated
from edgeobs.node.health import Verdict
from edgeobs.node.node_object import Access, NodeObject, in_pod
from tests.waiting import wait

BAD, GOOD, DARK = (
    Verdict("True", "Full", "it is"),
    Verdict("False", "Room", "it is not"),
    Verdict("Unknown", "?", ""),
)
VERDICTS = st.dictionaries(st.sampled_from("ABC"), st.sampled_from([BAD, GOOD, DARK]))


def test_a_transition_is_a_change_of_status() -> None:
    first = updated({}, {"A": BAD}, 1000.9)
    assert first == {"A": Condition("True", "Full", "it is", 1000, 1000)}
    reworded = updated(first, {"A": BAD._replace(message="it is fuller")}, 1010)
    assert reworded["A"][2:] == ("it is fuller", 1000, 1010)
    assert updated(reworded, {"A": GOOD}, 1020)["A"].transition_s == 1020


def test_what_was_never_known_is_not_written_but_what_was_becomes_unknown() -> None:
    assert updated({}, {"A": DARK}, 1000) == {}
    before = updated({}, {"A": GOOD}, 1000)
    assert updated(before, {"A": DARK}, 1010)["A"].status == "Unknown"


def test_only_what_changed_is_written_until_the_heartbeat() -> None:
    written = updated({}, {"A": GOOD, "B": GOOD}, 1000)
    assert due({}, written, 300) == written
    later = updated(written, {"A": GOOD, "B": BAD}, 1100)
    assert due(written, later, 300).keys() == {"B"}
    assert due(written, updated(written, {"A": GOOD, "B": GOOD}, 1299), 300) == {}
    assert due(written, updated(written, {"A": GOOD, "B": GOOD}, 1300), 300).keys() == {"A", "B"}


@given(st.lists(st.tuples(VERDICTS, st.integers(0, 400)), max_size=12))
def test_what_was_written_is_read_again_as_it_was(rounds: list[tuple[dict[str, Verdict], int]]) -> None:
    """A restart at any point goes on as if nothing had happened."""
    written: dict[str, Condition] = {}
    now = 1_700_000_000
    for verdicts, passed in rounds:
        now += passed
        again = known(patch(written), "ABC")
        assert again == written
        wanted = updated(again, verdicts, now)
        for kind, condition in wanted.items():
            before = written.get(kind)
            same = before is not None and before.status == condition.status
            assert condition.transition_s == (before.transition_s if same and before else now)
        written = {**written, **due(written, wanted, 300)}


def test_conditions_of_others_and_broken_ones_are_passed_over() -> None:
    at = "2026-01-02T03:04:05Z"
    whole = {"type": "A", "status": "True", "lastTransitionTime": at, "lastHeartbeatTime": at}
    others = [
        {"type": "Ready"},
        {"type": "B", "status": "True"},
        {},
        whole | {"type": "C", "lastHeartbeatTime": 5},
    ]
    assert known({"status": {"conditions": [*others, whole]}}, "ABC").keys() == {"A"}
    assert known({}, "ABC") == {}


class ApiServer:
    """As much of one as a node's status needs."""

    def __init__(self) -> None:
        self.node: dict[str, Any] = {"status": {"conditions": []}}
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        self.fail = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(None)

            def do_PATCH(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _answer(self, body: Any) -> None:
                server.calls.append((self.command, self.path, dict(self.headers), body))
                failing = server.fail > 0
                server.fail -= failing
                text = json.dumps({"message": "not now"} if failing else server.node).encode()
                self.send_response(503 if failing else 200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def server() -> Iterator[ApiServer]:
    made = ApiServer()
    yield made
    made.http.shutdown()
    made.http.server_close()


def test_the_node_is_read_first_and_then_told_what_changed(server: ApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    server.node["status"] = patch({"A": Condition("True", "Full", "it is", 500, 500)})["status"]
    node = NodeObject(Access(url=server.url, token_file=str(token)), "edge 1", 300).start()
    try:
        node.put({"A": BAD, "B": GOOD}, 600.0)
        wait(lambda: node.counts["written"] == 1, "written")
        node.put({"A": GOOD, "B": GOOD}, 700.0)
        wait(lambda: node.counts["written"] == 2, "written again")
    finally:
        node.stop(10)
    (read, *_), (_, path, headers, first), (_, _, _, second) = server.calls
    assert (read, path) == ("GET", "/api/v1/nodes/edge%201/status?fieldManager=edgeobs-node")
    assert headers["Content-Type"] == "application/strategic-merge-patch+json"
    assert headers["Authorization"] == "Bearer s3cret"
    assert [each["type"] for each in first["status"]["conditions"]] == [
        "B"
    ]  # A was there already, and so it is
    (changed,) = second["status"]["conditions"]
    assert (changed["type"], changed["status"], changed["lastTransitionTime"]) == (
        "A",
        "False",
        "1970-01-01T00:11:40Z",
    )


def test_what_fails_is_tried_again_with_the_newest(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeobs.node.node_object._FIRST_PAUSE_S", 0.01)
    server.fail = 3
    node = NodeObject(Access(url=server.url), "edge-1", 300).start()
    try:
        node.put({"A": BAD}, 600.0)
        wait(lambda: node.counts["written"] == 1, "written in the end")
    finally:
        node.stop(10)
    assert node.counts["failed"] == 3
    assert "HTTP 503" in node.last_error
    assert server.calls[-1][3]["status"]["conditions"][0]["status"] == "True"


def test_the_credentials_of_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert in_pod() is None
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    found = in_pod()
    assert found is not None
    assert (found.url, found.token_file[-6:]) == ("https://[fd00::1]:6443", "/token")
