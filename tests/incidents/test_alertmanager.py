"""Alerts: the payload, and two real replicas that are told, told again in time, and told when it is over."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from edgeobs.incidents import AlertmanagerSettings
from edgeobs.incidents.alertmanager import AlertSender
from edgeobs.incidents.alerts import alert, rfc3339
from edgeobs.signals import SECOND, Action, Counts, Decision, Evidence, Incident, Resource

PLACE = Resource("site", "a", "a1")
NOW = 1_700_000_000 * SECOND + 250_000_000
DECISION = Decision(
    "dec-1", Action("cordon", PLACE, (), "errors", "disk_failing", "inc-1"), "allowed", "all", "errors",
    (), True, NOW,
)  # fmt: skip


def incident(now_ns: int = NOW, **changes: Any) -> Incident:
    evidence = Evidence(
        "series", "disk_latency", "disk_latency", (), "s", now_ns, now_ns, 9.0, 1.0, 0.4, 0.1, 0.05, 0.15
    )
    made = Incident("inc-1", "node", PLACE, "open", now_ns, now_ns, 0, 9.0, "disk of a1", (evidence,))
    return replace(made, **changes)


def test_payload_of_an_open_incident() -> None:
    body = alert(incident(), [DECISION], NOW, 180, "http://page:8080/")
    assert body == {
        "labels": {
            "alertname": "EdgeobsIncident", "incident": "inc-1", "scope": "node", "severity": "warning",
            "cluster": "site", "zone": "a", "node": "a1",
        },
        "annotations": {
            "summary": "disk of a1",
            "evidence": "disk_latency = 400 ms (9.0 decades)",
            "decision": "would cordon a1: errors",
        },
        "startsAt": "2023-11-14T22:13:20.250Z",
        "endsAt": "2023-11-14T22:16:20.250Z",
        "generatorURL": "http://page:8080/incidents/inc-1",
    }  # fmt: skip


def test_labels_stay_while_everything_else_changes() -> None:
    later = incident(title="other", evidence=(), state="ongoing", score=20.0)
    before, after = alert(incident(), [], NOW, 180), alert(later, [DECISION], NOW + SECOND, 180)
    assert before["labels"] == after["labels"]
    assert before["startsAt"] == after["startsAt"]


def test_a_resolved_incident_ends_when_it_was_resolved() -> None:
    done = incident(state="resolved", resolved_ns=NOW + 5 * SECOND)
    assert alert(done, [], NOW + 60 * SECOND, 180)["endsAt"] == rfc3339(NOW + 5 * SECOND)


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[list[str]]:
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        pytest.skip("needs Alertmanager: apt-get install prometheus-alertmanager")
    config = tmp_path / "alertmanager.yml"
    config.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    urls = []
    with ExitStack() as stack:
        for i in range(2):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                address = f"127.0.0.1:{probe.getsockname()[1]}"
            process = subprocess.Popen(
                [
                    program, f"--config.file={config}", f"--storage.path={tmp_path / str(i)}",
                    f"--web.listen-address={address}", "--cluster.listen-address=",
                ],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            stack.callback(process.wait)
            stack.callback(process.kill)
            urls.append(f"http://{address}")
        for url in urls:
            until(partial(ready, url))
        yield urls


def until(holds: Callable[[], Any], seconds: float = 30) -> Any:
    """Ask again until it holds."""
    end = time.monotonic() + seconds
    while True:
        try:
            if found := holds():
                return found
        except httpx.HTTPError:
            pass
        assert time.monotonic() < end, "in vain"
        time.sleep(0.05)


def ready(url: str) -> bool:
    return httpx.get(f"{url}/-/ready").is_success


def told_nothing(url: str) -> bool:
    return not told(url)


def told_of_decision(url: str) -> dict[str, Any] | None:
    (body,) = told(url)
    assert body["labels"]["incident"] == "inc-1"
    return body if body["annotations"].get("decision") == DECISION.text() else None


def told_to_end_after(url: str, moment: datetime) -> bool:
    return ends(told(url)[0]) > moment


def told(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{url}/api/v2/alerts", params={"active": "true"}).json()
    return found


@pytest.mark.real
def test_every_replica_is_told_refreshed_and_told_the_end(replicas: list[str]) -> None:
    counts = Counts()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        settings = AlertmanagerSettings(
            urls=(dead, *replicas), refresh_s=0.5, lifetime_s=60, timeout_s=2, retry_s=0.05
        )
        asyncio.run(fires_refreshes_resolves(AlertSender(settings, counts), replicas))
    assert counts["edgeobs_alerts_sent_total", "ok"] >= 8
    assert counts["edgeobs_alerts_sent_total", "error"] >= 1


async def fires_refreshes_resolves(sender: AlertSender, replicas: list[str]) -> None:
    running = asyncio.create_task(sender.run())
    opened = incident(time.time_ns())
    sender.offer([opened])
    for url in replicas:
        assert await asyncio.to_thread(until, partial(told, url))
    sender.offer([], [DECISION])
    for url in replicas:
        decided = await asyncio.to_thread(until, partial(told_of_decision, url))
        await asyncio.to_thread(until, partial(told_to_end_after, url, ends(decided)))
    sender.offer([replace(opened, state="resolved", resolved_ns=time.time_ns())])
    for url in replicas:
        await asyncio.to_thread(until, partial(told_nothing, url))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def ends(body: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(body["endsAt"])


def test_the_queue_is_bounded_and_what_was_left_out_counted() -> None:
    counts = Counts()
    sender = AlertSender(AlertmanagerSettings(urls=("http://127.0.0.1:1",), queue=3), counts)
    sender.offer([incident(id=f"inc-{i}") for i in range(5)])
    assert counts["edgeobs_alerts_sent_total", "dropped"] == 2
