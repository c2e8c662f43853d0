"""Playbooks are really run: over HTTP, and as a process."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from edgeobs.calls import Call
from edgeobs.hooks import Hooks
from edgeobs.objects import Node, Ref
from edgeobs.remediate import MemoryCluster, Settings
from edgeobs.remediate.policies.playbook import Playbook

RUN = Call("run", Ref("Playbook", "", "dec-1"), {"playbook": "fix", "incident": "inc-1"})


class Listener(BaseHTTPRequestHandler):
    """Answers as the path says, and keeps what came."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.heard.append((dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(int(self.path[1:]))
        self.end_headers()
        self.wfile.write(b"cycled")

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Any]:
    made: Any = HTTPServer(("127.0.0.1", 0), Listener)
    made.heard = []
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def result(book: Playbook) -> dict[str, Any]:
    """What a playbook came to."""
    cluster = MemoryCluster(Settings())
    cluster.put(Node("edge-7", "u"))
    hooks = Hooks(cluster, {"fix": book})
    assert hooks.raw(RUN.ref) is None
    assert hooks.call(RUN).status == 202
    assert hooks.call(RUN).status == 202  # asked twice, run once
    hooks._runs["dec-1"].exception(timeout=60)
    assert hooks.node("edge-7") is not None
    state = hooks.raw(RUN.ref)
    assert state is not None
    return state


def test_a_hook_is_posted_once_with_its_key_and_token(server: Any, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("very-secret\n")
    url = f"http://127.0.0.1:{server.server_port}"
    said = result(Playbook(url=f"{url}/200", token_file=token))
    assert said == {"done": True, "status": 200, "text": "cycled"}
    ((headers, body),) = server.heard
    assert (headers["Idempotency-Key"], headers["Authorization"]) == ("dec-1", "Bearer very-secret")
    assert body["incident"] == "inc-1"
    assert result(Playbook(url=f"{url}/503"))["status"] == 503


def test_a_hook_that_nobody_answers_is_no_answer() -> None:
    said = result(Playbook(url="http://127.0.0.1:1/", timeout_s=5))
    assert (said["done"], said["status"]) == (True, 0)
    assert said["text"]


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "books.py").write_text(
        "import time\n"
        "def fix(said): return 'fixed ' + said['incident']\n"
        "def fails(said): raise ValueError('no modem')\n"
        "def hangs(said): time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("functions")
def test_a_function_runs_in_a_process_of_its_own() -> None:
    book = Playbook(function="books:fix")
    assert result(book) == {"done": True, "status": 200, "text": "fixed inc-1"}
    failed = result(replace(book, function="books:fails"))
    assert failed["status"] == 500
    assert failed["text"].endswith("ValueError: no modem")
    assert result(replace(book, function="books:none"))["status"] == 500
    ended = result(replace(book, function="books:hangs", timeout_s=0.5))
    assert (ended["status"], ended["text"]) == (504, "ended after 0.5 s")


def test_a_playbook_that_is_not_there_is_not_found() -> None:
    hooks = Hooks(MemoryCluster(Settings()), {})
    assert hooks.call(RUN).status == 404
