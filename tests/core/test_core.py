"""A whole core as its own process: from the socket to a decision, through a crash, a full disk, a flood."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE as CUMULATIVE

from benchmarks.serving import Core, core

CONFIG: dict[str, Any] = {
    "cluster": {"opted_in": True},
    "remediate": {"cluster_share": 1.0},
    "engine": {"snapshot_interval_s": 0.5},
}
PERIOD_S = 0.05
WARM = 50
WAIT_S = 20.0


class Disks:
    """Nodes with a disk each; those in ``failing`` answer slowly and with errors."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self.failing: set[int] = set()
        self.errors = np.zeros(nodes)
        self.random = np.random.default_rng(3)

    def request(self) -> bytes:
        request = ExportMetricsServiceRequest()
        now = time.time_ns()
        for node in range(self.nodes):
            bad = node in self.failing
            self.errors[node] += 50 if bad else float(self.random.random() < 0.1)
            resource = request.resource_metrics.add()
            place = {"k8s.node.name": f"n{node}", "topology.kubernetes.io/zone": f"z{node}"}
            for key, value in place.items():
                resource.resource.attributes.append(KeyValue(key=key, value=AnyValue(string_value=value)))
            metrics = resource.scope_metrics.add().metrics
            latency = metrics.add(name="system.linux.disk.latency", unit="s").gauge.data_points.add()
            latency.time_unix_nano = now
            latency.as_double = (0.5 if bad else 0.002) * self.random.normal(1, 0.05)
            errors = metrics.add(name="system.disk.errors").sum
            errors.aggregation_temporality, errors.is_monotonic = CUMULATIVE, True
            errors.data_points.add(time_unix_nano=now, as_double=self.errors[node])
        return request.SerializeToString()


def send(served: Core, body: bytes) -> httpx.Response:
    url = f"http://127.0.0.1:{served.http_port}/v1/metrics"
    return httpx.post(url, content=body, headers={"Content-Type": "application/x-protobuf"}, timeout=30)


def feed(served: Core, disks: Disks, until: Callable[[], object]) -> None:
    """Send at a steady pace until something holds; AssertionError after a deadline."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        began = time.monotonic()
        assert send(served, disks.request()).status_code == 200
        if until():
            return
        time.sleep(max(0.0, PERIOD_S - (time.monotonic() - began)))
    raise AssertionError("what was waited for did not happen")


def counted(times: int) -> Callable[[], bool]:
    steps = iter(range(times))
    return lambda: next(steps, None) is None


def allowed(served: Core) -> list[dict[str, Any]]:
    return [d for d in served.get("/api/v1/decisions?limit=1000") if d["verdict"] == "allowed"]


def wait(until: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not until():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_failing_disk_becomes_a_decision_that_survives_kill_9(tmp_path: Path) -> None:
    disks = Disks(6)
    with core(CONFIG, tmp_path) as served:
        feed(served, disks, counted(WARM))
        disks.failing = {4}
        feed(served, disks, lambda: allowed(served))
        incidents = served.get("/api/v1/incidents?state=active")
        (decision,) = allowed(served)
        assert decision["action"]["verb"] == "cordon"
        assert decision["action"]["target"]["node"] == "n4"
        assert decision["dry_run"]
        assert [i["place"]["node"] for i in incidents] == ["n4"]
        series = served.metric("edgeobs_series")
        saved = served.metric("edgeobs_snapshot_timestamp_seconds")
        wait(lambda: served.metric("edgeobs_snapshot_timestamp_seconds") > saved, "no snapshot was made")
        os.kill(served.pid, signal.SIGKILL)
    with core(CONFIG, tmp_path) as served:
        assert served.metric("edgeobs_series") == series
        assert [d["id"] for d in allowed(served)] == [decision["id"]]
        again = served.get("/api/v1/incidents?state=active")
        assert [(i["id"], i["place"]) for i in again] == [(i["id"], i["place"]) for i in incidents]
        feed(served, disks, counted(WARM))
        assert [d["id"] for d in allowed(served)] == [decision["id"]], "nothing is decided twice"
        assert [i["id"] for i in served.get("/api/v1/incidents?state=active")] == [incidents[0]["id"]]
        disks.failing = {4, 2}
        feed(served, disks, lambda: len(allowed(served)) == 2)
        assert {d["action"]["target"]["node"] for d in allowed(served)} == {"n4", "n2"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root: run the tests as root to include the full disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_neither_detection_nor_the_rest(small_disk: Path) -> None:
    disks = Disks(4)
    with core(CONFIG, small_disk) as served:
        feed(served, disks, counted(WARM))
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
        scored = served.metric("edgeobs_samples_scored_total")
        disks.failing = {1}
        feed(served, disks, lambda: served.get("/api/v1/incidents?state=active"))
        feed(served, disks, lambda: served.get("/api/v1/status")["notices"])
        assert served.metric("edgeobs_samples_scored_total") > scored
        assert served.metric("edgeobs_store_healthy") == 0
        assert any("full" in text for text in served.get("/api/v1/status")["notices"])
        feed(served, disks, lambda: served.get("/api/v1/decisions?limit=10"))
        assert not allowed(served), "what cannot be put on record may not be done"
        ballast.unlink()
        feed(served, disks, lambda: allowed(served))
        assert served.metric("edgeobs_store_healthy") == 1


def test_a_flood_of_new_series_is_refused_and_the_old_ones_go_on(tmp_path: Path) -> None:
    config = CONFIG | {"limits": {"max_series": 1000, "max_series_per_sender": 500}}
    disks = Disks(2)
    with core(config, tmp_path) as served:
        feed(served, disks, counted(3))
        before = served.metric("edgeobs_series")
        flood = ExportMetricsServiceRequest()
        points = flood.resource_metrics.add().scope_metrics.add().metrics.add(name="flood").gauge.data_points
        for number in range(100_000):
            point = points.add(time_unix_nano=time.time_ns(), as_double=1.0)
            point.attributes.append(KeyValue(key="id", value=AnyValue(string_value=str(number))))
        answer = send(served, flood.SerializeToString())
        assert answer.status_code == 200
        partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
        assert partial.rejected_data_points == 100_000 - (500 - before)
        assert "limit" in partial.error_message
        wait(lambda: served.metric("edgeobs_series") == 500, "the others are not counted")
        assert served.metric("edgeobs_points_rejected_total") == partial.rejected_data_points
        scored = served.metric("edgeobs_samples_scored_total")
        feed(served, disks, counted(3))
        assert served.metric("edgeobs_samples_scored_total") > scored


def test_sigterm_ends_it_within_its_time_and_saves(tmp_path: Path) -> None:
    disks = Disks(3)
    with core({"engine": {"snapshot_interval_s": 3600}}, tmp_path) as served:
        feed(served, disks, counted(5))
        series = served.metric("edgeobs_series")
        os.kill(served.pid, signal.SIGTERM)
        wait(lambda: not Path(f"/proc/{served.pid}/stat").exists() or _zombie(served.pid), "it did not end")
    with core({}, tmp_path) as served:
        assert served.metric("edgeobs_series") == series > 0


def _zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_a_busy_port_is_said_in_one_line(tmp_path: Path) -> None:
    with core({}, tmp_path) as served:
        file = tmp_path / "other.yaml"
        file.write_text(
            f"server: {{http_port: {served.http_port}}}\nengine: {{data_dir: {tmp_path}/other}}\n"
        )
        command = [sys.executable, "-m", "edgeobs", "serve", "-c", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"port {served.http_port}" in done.stderr
    assert "Traceback" not in done.stderr
