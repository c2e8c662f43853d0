"""The fault matrix: Alertmanager's webhooks, to the whole product. First lines of docstrings are rows."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from benchmarks.serving import Core
from edgeobs.remediate.journal import NAME, Journal
from tests.real.api import wait
from tests.real.product import WIDE, product
from tests.real.site import Site
from tests.real.trial import Trial

pytestmark = pytest.mark.real

QUICK = {"lease_s": 3, "renew_s": 2.0, "retry_s": 0.2, "timeout_s": 0.9, "stale_s": 10}
HELD = {"hold_s": 1.0}
NOW = datetime.now(UTC)


class Hook:
    """Somebody's playbook: how often it was run."""

    def __init__(self) -> None:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                hook.runs += 1
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
                """Stay quiet."""

        self.runs = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def hook() -> Iterator[Hook]:
    """One that listens."""
    made = Hook()
    yield made
    made.server.shutdown()
    made.server.server_close()


def alert(status: str, ago_s: float) -> dict[str, Any]:
    """Of an episode that began so long ago."""
    began = NOW - timedelta(seconds=ago_s)
    ends = began + timedelta(seconds=10) if status == "resolved" else datetime.min.replace(tzinfo=UTC)
    labels = {"alertname": "DiskFull", "node": "a-1", "zone": "a"}
    return {
        "status": status, "labels": labels, "annotations": {"summary": "its disk is full"},
        "startsAt": began.isoformat(), "endsAt": ends.isoformat(), "fingerprint": "f1",
    }  # fmt: skip


def send(core: Core, *alerts: dict[str, Any], times: int = 1) -> None:
    """One message, as often as asked for at the same time."""
    url = f"http://127.0.0.1:{core.http_port}/api/v1/alerts/webhook"
    message = {"version": "4", "alerts": list(alerts)}
    with ThreadPoolExecutor(times) as pool:
        for answer in pool.map(lambda _: httpx.post(url, json=message, trust_env=False), range(times)):
            assert answer.is_success, answer.text


def test_webhooks(trial: Trial, hook: Hook) -> None:
    """Alertmanager's webhooks twice, late, in another order, and again after kill -9"""
    names = trial.fleet({"a": 2, "b": 2})
    remediate = WIDE | {
        "dry_run": False, "live": ["playbook"], "verify_s": 1.0,
        "playbooks": {"clean": {"url": hook.url, "alerts": ["DiskFull"]}},
    }  # fmt: skip
    path = trial.folder / "data" / NAME
    trial.referee.journals.add(path)
    zones = {name: name[0] for name in names}
    with product(trial.account, remediate, trial.folder, QUICK, HELD) as core:
        with Site(core.http_port, zones) as site:
            site.warm(8)
            send(core, alert("firing", 60), alert("firing", 60), times=5)
            wait("its playbook was run", lambda: hook.runs)
            send(core, alert("resolved", 600), times=2)  # of an episode before, late
            send(core, alert("firing", 600))  # and its beginning after its end
            send(core, alert("firing", 60), times=3)
            wait("it is over", lambda: _over(trial, 1))
        os.kill(core.pid, signal.SIGKILL)
    with (
        product(trial.account, remediate, trial.folder, QUICK, HELD) as core,
        Site(core.http_port, zones) as site,
    ):
        site.warm(8)
        send(core, alert("firing", 60), alert("resolved", 600), times=3)
        send(core, alert("resolved", 60))
        send(core, alert("firing", 60))  # its beginning once more, after its end
        wait("its incident is over", lambda: _resolved(core))
    assert hook.runs == 1
    assert _over(trial, 1)


def _resolved(core: Core) -> bool:
    """Whether every incident that an alert began is over; there is one."""
    found = core.get("/api/v1/incidents")
    states = [each["state"] for each in found if "disk is full" in json.dumps(each)]
    assert len(states) == 1
    return bool(states == ["resolved"])


def _over(trial: Trial, number: int) -> bool:
    """Whether there were so many operations, and all are over."""
    journal = Journal(trial.folder / "data" / NAME, read_only=True)
    found = journal.recent()
    journal.close()
    assert len(found) <= number
    return len(found) == number and all(each.over for each in found)
