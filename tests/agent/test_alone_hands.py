"""What is really asked of systemctl and of a MetaServer, and what of their answers."""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edgeobs.agent.alone.hands import Hands
from edgeobs.agent.alone.pods import refusal
from edgeobs.remediate import Settings as GuardSettings

GUARD = GuardSettings()


def pod(name: str = "web-1", **change: Any) -> dict[str, Any]:
    """A Deployment's pod on edge-1 that opted in and is not Ready, as the API has it."""
    found: dict[str, Any] = {
        "metadata": {
            "namespace": "shop", "name": name, "uid": name, "labels": {GUARD.opt_in: "enabled"},
            "annotations": {},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "uid": "u", "controller": True}],
        },
        "spec": {"nodeName": "edge-1", "restartPolicy": "Always", "containers": [{"name": "c"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]},
    }  # fmt: skip
    for path, value in change.items():
        part, key = path.split("_", 1)
        found[part][key] = value
    return found


READY = [{"type": "Ready", "status": "True"}]
DAEMON = [{"kind": "DaemonSet", "name": "d", "uid": "d", "controller": True}]
FORBIDDEN = {
    "bound to edge-2": pod(spec_nodeName="edge-2"),
    "a static pod": pod(metadata_annotations={"kubernetes.io/config.mirror": "x"}),
    "the kubelet's own": pod(metadata_annotations={"kubernetes.io/config.source": "file"}),
    "a DaemonSet's": pod(metadata_ownerReferences=DAEMON),
    "critical": pod(spec_priorityClassName="system-node-critical"),
    "critical for": pod(spec_priority=2_000_001_000),
    "being deleted": pod(metadata_deletionTimestamp="2026-01-01T00:00:00Z"),
    "it is Pending": pod(status_phase="Pending"),
    "restartPolicy": pod(spec_restartPolicy="OnFailure"),
    "has not opted in": pod(metadata_labels={}),
    "no other Ready pod": pod(status_conditions=READY),
    "does not know it": pod("web-3"),
    "is not as Kubernetes has it": {"metadata": {"name": "web-1", "namespace": "shop"}, "spec": 7},
}


@pytest.mark.parametrize("why", FORBIDDEN)
def test_whose_restart_is_refused(why: str) -> None:
    assert why in refusal([FORBIDDEN[why]], "shop/web-1", "edge-1", GUARD)


def test_who_may_be_restarted() -> None:
    ready, twin = pod(status_conditions=READY), pod("web-2", status_conditions=READY)
    assert refusal([pod()], "shop/web-1", "edge-1", GUARD) == ""
    assert refusal([ready, twin], "shop/web-1", "edge-1", GUARD) == "", "another one serves"
    assert "no other" in refusal([ready, pod("web-2")], "shop/web-1", "edge-1", GUARD)


@pytest.mark.parametrize("target", ["shop/../x", "shop/a b", "shop", "/web", "shop/web/log", "SHOP/web-1"])
def test_a_name_that_a_workload_made_up_is_no_path(target: str) -> None:
    assert "is no namespace/pod" in refusal([pod()], target, "edge-1", GUARD)


class Meta:
    """Answers as a MetaServer does; what it was asked is on a list."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.pods: list[Any] = [pod()]
        self.answer: tuple[int, bytes] = 200, b'{"logMessages": ["restarted"]}'
        meta = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply(200, json.dumps({"items": meta.pods}).encode())

            def do_POST(self) -> None:
                self.reply(*meta.answer)

            def reply(self, status: int, body: bytes) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                meta.asked.append((self.command, self.path, sent))
                if not status:
                    return  # the connection ends without an answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        self.hands = Hands("edge-1", 10.0, f"http://127.0.0.1:{self.server.server_port}", GUARD)


@pytest.fixture
def meta() -> Iterator[Meta]:
    found = Meta()
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_a_pod_is_looked_at_and_then_restarted_where_it_is(meta: Meta) -> None:
    assert meta.hands.do("restart_pod", "shop/web-1") == ("done", "")
    assert meta.asked == [
        ("GET", "/api/v1/namespaces/shop/pods", b""),
        ("POST", "/api/v1/namespaces/shop/pods/restart", b'["web-1"]'),
    ]


def test_what_forbids_it_is_said_and_nothing_is_asked_for(meta: Meta) -> None:
    meta.pods = [FORBIDDEN["a DaemonSet's"]]
    assert meta.hands.do("restart_pod", "shop/web-1") == ("refused", "it is a DaemonSet's")
    assert [method for method, *_ in meta.asked] == ["GET"]


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ((200, b'{"errMessages": ["no such container"]}'), "failed"),
        ((200, b'{"ErrMessages": null, "LogMessages": []}'), "done"),
        ((404, b"no such path"), "failed"),
        ((200, b"<html>"), "unknown"),
        ((200, b"[]"), "unknown"),
        ((0, b""), "unknown"),
    ],
)
def test_what_a_metaserver_answers(meta: Meta, answer: tuple[int, bytes], state: str) -> None:
    meta.answer = answer
    assert meta.hands.do("restart_pod", "shop/web-1").state == state


def test_once_the_core_is_back_nothing_is_restarted(meta: Meta) -> None:
    hands = replace(meta.hands, still=lambda: False)
    assert hands.do("restart_pod", "shop/web-1") == ("refused", "the core is back")
    assert [method for method, *_ in meta.asked] == ["GET"]


def test_a_metaserver_that_knows_no_pods_has_done_nothing(meta: Meta) -> None:
    meta.pods = None  # type: ignore[assignment]  # as Go writes an empty list
    assert meta.hands.do("restart_pod", "shop/web-1").state == "refused"
    assert [method for method, *_ in meta.asked] == ["GET"]


def test_a_metaserver_that_drips_has_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                for _ in range(1000):
                    connection.sendall(b" ")
                    threading.Event().wait(0.02)

        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        found = Hands("edge-1", 0.3, url, GUARD).do("restart_pod", "shop/web-1")
        thread.join(30)
    assert (found.state, "TimeoutError" in found.text) == ("failed", True)


def test_a_metaserver_that_is_not_there_has_done_nothing() -> None:
    found = Hands("edge-1", 5.0, "http://127.0.0.1:1", GUARD).do("restart_pod", "shop/web-1")
    assert found.state == "failed"
    assert "Refused" in found.text


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a program of that name; what it was asked is in the file that comes back."""

    def make(then: str) -> Path:
        program, asked = tmp_path / "systemctl", tmp_path / "asked"
        program.write_text(f'#!/bin/sh\necho "$0 $@" > {asked}\n{then}\n', encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return asked

    return make


def test_a_unit_is_restarted_by_its_name_and_nothing_else(systemctl: Callable[[str], Path]) -> None:
    asked = systemctl("exit 0")
    assert Hands("edge-1", 30.0, "", GUARD).do("restart_unit", "a b;id.service") == ("done", "")
    assert asked.read_text().endswith("systemctl --no-ask-password restart a b;id.service\n"), "no shell"


def test_how_systemctl_ended_is_told(systemctl: Callable[[str], Path]) -> None:
    systemctl("echo 'Unit k3s.service not found.' >&2; exit 5")
    found = Hands("edge-1", 30.0, "", GUARD).do("restart_unit", "k3s.service")
    assert found == ("failed", "systemctl ended with status 5: Unit k3s.service not found.")
    systemctl("exec sleep 60")
    assert Hands("edge-1", 0.2, "", GUARD).do("restart_unit", "k3s.service").state == "unknown"


def test_where_there_is_no_systemctl_nothing_was_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Hands("edge-1", 30.0, "", GUARD).do("restart_unit", "k3s.service").state == "failed"


def test_an_action_that_there_is_not_is_refused() -> None:
    assert Hands("edge-1", 30.0, "", GUARD).do("reboot", "edge-1").state == "refused"


def test_the_real_systemctl_says_what_a_unit_is_not() -> None:
    if shutil.which("systemctl") is None:
        pytest.skip("no systemctl: it comes with systemd")
    found = Hands("edge-1", 30.0, "", GUARD).do("restart_unit", "edgeobs-test-that-is-not.service")
    running = subprocess.run(
        ["systemctl", "is-system-running"], check=False, capture_output=True, text=True, timeout=30
    ).stdout.strip()
    assert found.state == "failed"
    assert ("not booted with systemd" in found.text or "Host is down" in found.text) == (running == "offline")
