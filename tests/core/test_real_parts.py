"""A whole core between real programs: Prometheus, Alertmanager, OpenTelemetry's SDK, and a bearer token."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client.openmetrics import parser as openmetrics

from benchmarks.serving import Core, core, free_port
from edgeobs import snapshot
from edgeobs.detect.sample import SHORT_MEAN
from edgeobs.signals import Identity
from tests.waiting import wait

Run = Callable[..., Path]


def needs(program: str, package: str) -> pytest.MarkDecorator:
    reason = f"needs {program} (apt-get install {package})"
    return pytest.mark.skipif(shutil.which(program) is None, reason=reason)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Start a program; ended with the test. Returns its log."""
    with ExitStack() as stack:

        def begin(*command: str) -> Path:
            path = tmp_path / f"{Path(command[0]).name}.log"
            log = stack.enter_context(path.open("wb"))
            process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
            stack.callback(process.wait, 10)
            stack.callback(process.kill)
            return path

        yield begin


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Core, int, Path]]:
    """A core for tests that leave it as it is; its gRPC port; its folder."""
    folder, grpc = tmp_path_factory.mktemp("core"), free_port()
    config = {"server": {"grpc_port": grpc}, "engine": {"snapshot_interval_s": 0.2}}
    with core(config, folder) as served:
        yield served, grpc, folder


def counted(served: Core, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    text = httpx.get(f"http://127.0.0.1:{served.web_port}/metrics").text
    lines = [line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
    asked = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(each in line for each in asked))


def nodes(served: Core) -> dict[str, dict[str, Any]]:
    fleet = served.get("/api/v1/fleet")
    return {node["name"]: node for zone in fleet["zones"] for node in zone["nodes"]}


# -- Prometheus


@pytest.mark.real
@needs("prometheus", "prometheus")
def test_prometheus_writes_to_a_core_and_scrapes_it(
    shared: tuple[Core, int, Path], run: Run, tmp_path: Path
) -> None:
    served, _, _ = shared
    port = free_port()
    base = f"http://127.0.0.1:{port}/api/v1"
    jobs = {"self": f"localhost:{port}", "edgeobs": f"127.0.0.1:{served.web_port}"}
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [target]}]} for name, target in jobs.items()
        ],
        "remote_write": [{"url": f"http://127.0.0.1:{served.http_port}/api/v1/write"}],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    run(
        "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    )  # fmt: skip
    series = wait(lambda: nodes(served).get("localhost", {}).get("series", 0), "its series never appeared")
    assert series > 100, "it tells a few hundred series of itself"

    def result() -> Any:
        found = httpx.get(f"{base}/query", params={"query": "edgeobs_samples_scored_total > 0"}).json()
        return found["data"]["result"]

    (row,) = wait(result, "nothing scored could be queried")
    assert row["metric"]["job"] == "edgeobs"
    targets = httpx.get(f"{base}/targets").json()["data"]["activeTargets"]
    assert {t["labels"]["job"] for t in targets} == jobs.keys()
    assert {(t["health"], t["lastError"]) for t in targets} == {("up", "")}
    types = httpx.get(f"{base}/metadata").json()["data"]
    assert types["edgeobs_step_duration_seconds"][0]["type"] == "histogram"
    assert counted(served, "edgeobs_points_rejected_total") == 0


@pytest.mark.real
@needs("promtool", "prometheus")
def test_promtool_finds_nothing_to_say_of_a_live_cores_metrics(shared: tuple[Core, int, Path]) -> None:
    served, _, _ = shared
    flush(HttpExporter(f"http://127.0.0.1:{served.http_port}/v1/metrics"), "promtool")
    url = f"http://127.0.0.1:{served.web_port}/metrics"
    plain = httpx.get(url, headers={"Accept": "text/plain"})
    assert plain.headers["content-type"].startswith("text/plain")
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=plain.content, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    opened = httpx.get(url, headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    parse: Callable[[str], Iterator[Any]] = openmetrics.text_string_to_metric_families
    families = {family.name: family for family in parse(opened.text)}
    assert families["edgeobs_samples_scored"].type == "counter"
    assert families["edgeobs_samples_scored"].samples[0].value > 0


# -- OpenTelemetry


def flush(exporter: MetricExporter, node: str) -> None:
    """Send one measurement of several instruments, as a program with the SDK would."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    resource = Resource({"host.name": node, "service.name": "app"})
    provider = MeterProvider([reader], resource)
    meter = provider.get_meter("app")
    meter.create_gauge("app.level").set(1.5)
    meter.create_counter("app.bytes", "By").add(3)
    histogram = meter.create_histogram(
        "app.latency", "s", explicit_bucket_boundaries_advisory=[0.25, 0.5, 1.0]
    )
    for value in (0.1, 0.3, 0.8):
        histogram.record(value)
    try:
        assert provider.force_flush()
    finally:
        provider.shutdown()


def saved(served: Core, folder: Path, node: str) -> dict[str, tuple[float, float]]:
    """Of a node's series, once they are saved: the last value as sent, and the mean of what was scored."""
    since = served.metric("edgeobs_snapshot_timestamp_seconds")
    wait(lambda: served.metric("edgeobs_snapshot_timestamp_seconds") > since + 0.3, "no snapshot was made")
    table, _, stages = snapshot.read(folder / "data" / "learned.snapshot")
    sent = np.ascontiguousarray(stages["features"]["rows"][:, 2]).view(np.float64)
    mean = stages["detect.series"]["reals"][:, SHORT_MEAN]

    def of(number: int, identity: Identity) -> tuple[str, tuple[float, float]]:
        scored = float(mean[number]) if number < len(mean) else 0.0
        return identity.name, (float(sent[number]), scored)

    mine = ((n, i) for n, i in enumerate(table.identities) if i and i.source.resource.node == node)
    return dict(of(number, identity) for number, identity in mine)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_sdks_series_arrive_with_their_values(shared: tuple[Core, int, Path], protocol: str) -> None:
    served, grpc, folder = shared
    node = f"sdk-{protocol}"
    flush(
        HttpExporter(f"http://127.0.0.1:{served.http_port}/v1/metrics", timeout=10)
        if protocol == "http"
        else GrpcExporter(f"http://127.0.0.1:{grpc}", insecure=True, timeout=10),
        node,
    )
    wait(lambda: node in nodes(served), "its node never appeared")
    found = saved(served, folder, node)
    assert found["app_level"] == (1.5, 1.5)
    assert found["app_bytes_total"][0] == 3.0
    assert found["app_bytes_total"][1] > 0, "a rate since the start time that was sent along"
    assert found["app_latency_seconds:mean"][1] == pytest.approx(0.4)
    assert found["app_latency_seconds:rate"][1] > 0
    assert found["app_latency_seconds:p50"][1] == pytest.approx(0.375), "half way through the middle bucket"
    assert nodes(served)[node]["series"] == len(found)


# -- a token


def request(*names: str) -> bytes:
    """One gauge of each node."""
    body = ExportMetricsServiceRequest()
    for name in names:
        resource = body.resource_metrics.add()
        resource.resource.attributes.add(key="k8s.node.name").value.string_value = name
        metric = resource.scope_metrics.add().metrics.add(name="load")
        metric.gauge.data_points.add(time_unix_nano=time.time_ns(), as_double=1.0)
    return body.SerializeToString()


def test_a_token_speaks_for_its_own_node_alone(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-secret-of-n1\n")
    token = {"name": "n1", "token_file": str(tmp_path / "token"), "nodes": ["n1"]}
    with core({"server": {"tokens": [token]}}, tmp_path) as served:

        def post(secret: str | None) -> httpx.Response:
            headers = {"Content-Type": "application/x-protobuf"}
            headers |= {"Authorization": f"Bearer {secret}"} if secret else {}
            url = f"http://127.0.0.1:{served.http_port}/v1/metrics"
            return httpx.post(url, content=request("n1", "n2", "n2"), headers=headers)

        assert [post(secret).status_code for secret in ("another", None)] == [401, 401]
        assert served.metric("edgeobs_points_received_total") == 0
        answer = post("a-secret-of-n1")
        assert answer.status_code == 200
        partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
        assert partial.rejected_data_points == 2
        assert "may not speak for" in partial.error_message
        assert list(wait(lambda: nodes(served), "its node never appeared")) == ["n1"]
        assert counted(served, "edgeobs_points_rejected_total", reason="forbidden") == 2
        assert served.metric("edgeobs_series") == 1


# -- Alertmanager


def alertmanager(run: Run, folder: Path, webhook_port: int) -> str:
    """Start one that repeats itself to a core's webhook every second; its base URL."""
    port = free_port()
    webhook = {"url": f"http://127.0.0.1:{webhook_port}/api/v1/alerts/webhook"}
    route = {"receiver": "edgeobs", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s"}
    config = {"route": route, "receivers": [{"name": "edgeobs", "webhook_configs": [webhook]}]}
    (folder / "alertmanager.yml").write_text(json.dumps(config))
    run(
        "prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=alertmanager",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    wait(lambda: httpx.get(f"{url}/-/ready").is_success, "Alertmanager did not start")
    return url


def ours(url: str) -> list[dict[str, Any]]:
    """The alerts a core has raised that are active now."""
    found = httpx.get(f"{url}/api/v2/alerts", params={"filter": 'alertname="EdgeobsIncident"'}).json()
    return [alert for alert in found if datetime.fromisoformat(alert["endsAt"]) > datetime.now(UTC)]


def active(served: Core) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = served.get("/api/v1/incidents?state=active")
    return found


def heard(served: Core) -> float:
    return counted(served, "edgeobs_requests_total", protocol="alertmanager", code="200")


@pytest.mark.real
@needs("prometheus-alertmanager", "prometheus-alertmanager")
def test_an_alert_counts_once_however_often_it_is_told_and_through_kill_9(run: Run, tmp_path: Path) -> None:
    http = free_port()
    url = alertmanager(run, tmp_path, http)
    config: dict[str, Any] = {
        "server": {"http_port": http},
        "alertmanager": {"urls": [url], "refresh_s": 0.5, "lifetime_s": 60},
        "incidents": {"ongoing_s": 3600},  # no change of its own while it lasts
    }
    labels = {"alertname": "DiskFull", "instance": "edge-17:9100", "zone": "b"}
    alert = {"labels": labels, "annotations": {"summary": "nearly full"}}

    def evidence(served: Core, incident: str) -> list[tuple[str, str]]:
        return [(e["source"], e["text"]) for e in served.get(f"/api/v1/incidents/{incident}")["evidence"]]

    with core(config, tmp_path) as served:
        httpx.post(f"{url}/api/v2/alerts", json=[alert]).raise_for_status()
        (incident,) = wait(lambda: active(served), "no incident of the alert")
        assert incident["place"]["node"] == "edge-17"
        assert evidence(served, incident["id"]) == [("alert", "nearly full")]
        (raised,) = wait(lambda: ours(url), "the incident was not raised there")
        assert raised["labels"]["incident"] == incident["id"]
        wait(lambda: served.metric("edgeobs_evidence_dropped_total"), "our own alert never came back to us")
        told, calls = served.metric("edgeobs_external_alerts_total"), heard(served)
        wait(lambda: heard(served) >= calls + 2, "it was not repeated")
        assert served.metric("edgeobs_external_alerts_total") == told
        assert [each["id"] for each in active(served)] == [incident["id"]]
        assert evidence(served, incident["id"]) == [("alert", "nearly full")]
        os.kill(served.pid, signal.SIGKILL)
    with core(config, tmp_path) as served:
        again = datetime.now(UTC)
        wait(lambda: heard(served) >= 2, "it was not repeated to the core that came back")
        assert served.metric("edgeobs_external_alerts_total") == 0, "nothing of it was news"
        assert [each["id"] for each in active(served)] == [incident["id"]]
        assert evidence(served, incident["id"]) == [("alert", "nearly full")]
        wait(lambda: datetime.fromisoformat(ours(url)[0]["updatedAt"]) > again, "its alert was not refreshed")
        now = datetime.now(UTC).isoformat()
        httpx.post(f"{url}/api/v2/alerts", json=[alert | {"endsAt": now}]).raise_for_status()
        wait(lambda: not active(served), "the end of the alert did not end the incident")
        wait(lambda: not ours(url), "what was raised before the crash was not resolved")


class Disk:
    """Two nodes with a disk each; one fails when told so."""

    def __init__(self) -> None:
        self.bad = False
        self.random = np.random.default_rng(11)

    def request(self) -> bytes:
        body = ExportMetricsServiceRequest()
        for name in ("n0", "n1"):
            bad = self.bad and name == "n0"
            resource = body.resource_metrics.add()
            resource.resource.attributes.add(key="k8s.node.name").value.string_value = name
            metrics = resource.scope_metrics.add().metrics
            now = time.time_ns()
            latency = (0.5 if bad else 0.002) * self.random.normal(1, 0.05)
            metrics.add(name="disk.latency").gauge.data_points.add(time_unix_nano=now, as_double=latency)
            errors = self.random.normal(50 if bad else 1, 0.05)
            metrics.add(name="disk.errors").gauge.data_points.add(time_unix_nano=now, as_double=errors)
        return body.SerializeToString()


@pytest.mark.real
@needs("prometheus-alertmanager", "prometheus-alertmanager")
def test_an_incident_is_raised_and_resolved_after_calm(run: Run, tmp_path: Path) -> None:
    url = alertmanager(run, tmp_path, free_port())
    config: dict[str, Any] = {
        "alertmanager": {"urls": [url], "refresh_s": 0.5, "lifetime_s": 60},
        "incidents": {"hold_s": 1.5},
    }
    disk = Disk()
    with core(config, tmp_path) as served:
        kind = {"Content-Type": "application/x-protobuf"}
        with httpx.Client(base_url=f"http://127.0.0.1:{served.http_port}", headers=kind) as client:

            def feeding(until: Callable[[], Any]) -> Callable[[], Any]:
                def feed() -> Any:
                    client.post("/v1/metrics", content=disk.request()).raise_for_status()
                    return until()

                return feed

            warm = iter(range(50))
            wait(feeding(lambda: next(warm, None) is None), "it did not warm up")
            assert not ours(url)
            disk.bad = True
            (raised,) = wait(feeding(lambda: ours(url)), "nothing was raised")
            (incident,) = wait(feeding(lambda: active(served)), "it was not published")
            assert raised["labels"]["incident"] == incident["id"]
            assert raised["labels"]["node"] == "n0"
            disk.bad = False
            wait(feeding(lambda: not ours(url)), "it was not resolved")
            assert served.get(f"/api/v1/incidents/{incident['id']}")["state"] == "resolved"
