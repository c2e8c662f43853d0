"""A running core: what it says of itself after one real request, in metrics, logs and traces."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from edgeobs.node.collect import Collector
from edgeobs.node.settings import Settings


class Traces(BaseHTTPRequestHandler):
    """Takes spans and keeps their names."""

    names: list[str]

    def do_POST(self) -> None:
        request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        spans = [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
        self.names.extend(span.name for span in spans)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Stay quiet."""


class Core:
    """A core in a process of its own, and the lines that it logged."""

    def __init__(self, folder: Path, traces: int) -> None:
        config = folder / "edgeobs.yaml"
        config.write_text(
            "server: {http_port: 0, grpc_port: null}\nweb: {port: 0}\n"
            f"engine: {{data_dir: {folder}/data}}\n"
            f"telemetry: {{traces_endpoint: 'http://127.0.0.1:{traces}', traces_ratio: 1.0}}\n"
        )
        command = [sys.executable, "-m", "edgeobs", "serve", "-c", str(config)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines: list[dict[str, Any]] = []
        self.ready = self._ready()

    def _ready(self) -> dict[str, Any]:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] == "ready":
                return self.lines[-1]
        raise AssertionError(f"it ended before it was ready: {self.lines}")

    def get(self, path: str) -> str:
        return httpx.get(self.ready["page"] + path, timeout=10).text

    def send(self, body: bytes) -> None:
        headers = {"Content-Type": "application/x-protobuf"}
        answer = httpx.post(self.ready["otlp_http"], content=body, headers=headers, timeout=100)
        assert answer.status_code == 200, (
            answer.text
        )  # the first may have waited for the decoders' compilation

    def samples(self) -> dict[tuple[str, ...], float]:
        """The metrics page: by name and label values."""
        page = self.get("metrics")
        return {
            (s.name, *sorted(s.labels.values())): s.value
            for f in text_string_to_metric_families(page)
            for s in f.samples
        }

    def end(self) -> int:
        """Ask it to end; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        _, rest = self.process.communicate(timeout=20)
        self.lines += [json.loads(line) for line in rest.splitlines()]
        return self.process.returncode


@pytest.fixture
def traces() -> Iterator[int]:
    Traces.names = []
    with HTTPServer(("127.0.0.1", 0), Traces) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def core(tmp_path: Path, traces: int) -> Iterator[Core]:
    running = Core(tmp_path, traces)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.communicate()


def test_one_request_is_seen_in_metrics_logs_and_traces(core: Core) -> None:
    core.send(Collector(Settings(node="edge-1", zone="a")).collect(time.time_ns()))
    deadline = time.monotonic() + 10
    while (samples := core.samples())["edgeobs_step_duration_seconds_count",] < 1:
        assert time.monotonic() < deadline, "the request was answered and never counted"
    assert samples["edgeobs_requests_total", "200", "otlp_http"] == 1
    assert samples["edgeobs_points_received_total", "otlp_proto"] > 50
    assert samples["edgeobs_store_healthy",] == 1
    assert samples["process_resident_memory_bytes",] > 1e7
    assert core.end() == 0
    assert [line["event"] for line in core.lines][-1] == "stopped"
    assert all({"timestamp", "level", "logger", "event"} <= set(line) for line in core.lines)
    assert Traces.names, "a request was traced by a ratio of 1, and no span arrived"


def test_promtool_accepts_the_page_of_a_running_core(core: Core, program: Callable[[str, str], str]) -> None:
    command = [program("promtool", "prometheus"), "check", "metrics"]
    done = subprocess.run(command, input=core.get("metrics"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
