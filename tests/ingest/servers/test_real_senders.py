"""Senders as people run them: OpenTelemetry's SDK, Prometheus, Alertmanager."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from edgeobs.ingest.alertmanager_webhook import parse as parse_webhook
from edgeobs.ingest.body import plain
from edgeobs.ingest.decoders import Decoders
from edgeobs.ingest.delivery import Delivery, Overloaded, Receipt, Unavailable
from edgeobs.ingest.intern import Interner
from edgeobs.ingest.settings import Settings, Token
from edgeobs.series import SeriesTable

Wait = Callable[[Callable[[], Any]], Any]


def wait(until: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What ``until`` returns once it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := until():
            return found
        time.sleep(0.05)
    raise AssertionError("did not happen in time")


@contextmanager
def measuring(exporter: MetricExporter) -> Iterator[MeterProvider]:
    """A provider with every kind of instrument, each with one measurement."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    exponential = View(instrument_name="app.exponential", aggregation=ExponentialBucketHistogramAggregation())
    resource = Resource({"host.name": "edge-1", "service.name": "app"})
    provider = MeterProvider([reader], resource, views=[exponential])
    meter = provider.get_meter("app", "1.0")

    def observe(_: CallbackOptions) -> list[Observation]:
        return [Observation(7, {"cpu": "0"})]

    meter.create_counter("app.counter", "By").add(3, {"k": "v"})
    meter.create_up_down_counter("app.updown").add(-2)
    meter.create_histogram("app.histogram", "s").record(0.25)
    meter.create_histogram("app.exponential", "s").record(0.5)
    meter.create_gauge("app.gauge").set(1.5)
    meter.create_observable_counter("app.observable.counter", [observe])
    meter.create_observable_up_down_counter("app.observable.updown", [observe])
    meter.create_observable_gauge("app.observable.gauge", [observe])
    try:
        yield provider
    finally:
        provider.shutdown()


def kinds(delivery: Delivery) -> dict[str, str]:
    """Metric name → kind."""
    request = ExportMetricsServiceRequest.FromString(bytes(plain(delivery, Settings())))
    return {
        metric.name: str(metric.WhichOneof("data"))
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


EVERY_KIND = {
    "app.counter": "sum",
    "app.updown": "sum",
    "app.histogram": "histogram",
    "app.exponential": "exponential_histogram",
    "app.gauge": "gauge",
    "app.observable.counter": "sum",
    "app.observable.updown": "sum",
    "app.observable.gauge": "gauge",
}


def http_exporter(edge: Any, **more: Any) -> HttpExporter:
    return HttpExporter(f"http://127.0.0.1:{edge.http_port}/v1/metrics", timeout=10, **more)


def grpc_exporter(edge: Any, **more: Any) -> GrpcExporter:
    return GrpcExporter(f"http://127.0.0.1:{edge.grpc_port}", insecure=True, timeout=10, **more)


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_sdk_over_http(edge: Any, compression: Compression) -> None:
    with measuring(http_exporter(edge, compression=compression)) as provider:
        assert provider.force_flush()
        assert kinds(edge.deliveries[0]) == EVERY_KIND
    assert edge.deliveries[0].encoding == ("gzip" if compression is Compression.Gzip else "identity")
    assert set(edge.requests("otlp_http")) == {"200"}


@pytest.mark.parametrize("gzip", [False, True])
def test_sdk_over_grpc(edge: Any, gzip: bool) -> None:
    import grpc

    compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
    with measuring(grpc_exporter(edge, compression=compression)) as provider:
        assert provider.force_flush()
        assert kinds(edge.deliveries[0]) == EVERY_KIND
    assert edge.deliveries[0].encoding == ("gzip" if gzip else "identity")
    assert set(edge.requests("otlp_grpc")) == {"OK"}


@pytest.mark.parametrize("exporter", [http_exporter, grpc_exporter])
@pytest.mark.parametrize("error", [Overloaded(1), Unavailable("starting", 1)])
def test_sdk_tries_again_until_it_is_taken(edge: Any, exporter: Any, error: Exception) -> None:
    def second_time(_: Delivery) -> Receipt:
        if len(edge.deliveries) < 2:
            raise error
        return Receipt(1)

    edge.outcome = second_time
    with measuring(exporter(edge)) as provider:
        assert provider.force_flush(20_000)
        assert len(edge.deliveries) == 2
        assert edge.deliveries[0].body == edge.deliveries[1].body


def test_sdk_with_a_token(start: Any, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("right")
    edge = start(tokens=(Token(name="a", token_file=str(secret), nodes=("edge-1",)),))
    for exporter in (http_exporter, grpc_exporter):
        with measuring(exporter(edge, headers={"authorization": "Bearer wrong"})) as provider:
            provider.force_flush()
            assert edge.deliveries == []
    for exporter in (http_exporter, grpc_exporter):
        with measuring(exporter(edge, headers={"authorization": "Bearer right"})) as provider:
            provider.force_flush()
    assert {d.principal.name for d in edge.deliveries} == {"a"}


@pytest.mark.parametrize("exporter", [http_exporter, grpc_exporter])
def test_sdk_that_speaks_for_anothers_node(start: Any, tmp_path: Path, exporter: Any) -> None:
    secret = tmp_path / "token"
    secret.write_text("right")
    edge = start(tokens=(Token(name="a", token_file=str(secret), nodes=("edge-2",)),))
    rejected: list[dict[str, int]] = []

    def outcome(delivery: Delivery) -> Receipt:
        rejected.append(decoded(delivery)[1])
        return Receipt(0, rejected[-1])

    edge.outcome = outcome
    with measuring(exporter(edge, headers={"authorization": "Bearer right"})) as provider:
        assert provider.force_flush()  # taken, as partial success has it: nothing is sent again
    assert rejected[0].keys() == {"forbidden"}
    assert rejected[0]["forbidden"] >= len(EVERY_KIND)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
    return port


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Start a program in a folder of its own; ended with the test."""
    with ExitStack() as stack:

        def begin(*command: str) -> None:
            log = stack.enter_context((tmp_path / f"{Path(command[0]).name}.log").open("wb"))
            process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
            stack.callback(process.wait, 10)
            stack.callback(process.kill)

        yield begin


def needs(program: str, package: str) -> pytest.MarkDecorator:
    reason = f"needs {program} (apt-get install {package})"
    return pytest.mark.skipif(shutil.which(program) is None, reason=reason)


def decoded(delivery: Delivery) -> tuple[set[str], dict[str, int]]:
    """The series' names of a delivery, and what was rejected of it."""
    table = SeriesTable(10_000)
    decoders = Decoders(Interner(table), fast=False)
    form: Any = delivery.format
    points = decoders.decode(form, bytes(plain(delivery, Settings())), delivery.principal, 1)
    return {identity.name for identity in table.ids()}, points.rejected


@pytest.mark.real
@needs("prometheus", "prometheus")
def test_prometheus_writes_and_comes_back_after_overload(edge: Any, run: Any, tmp_path: Path) -> None:
    def third_time(_: Delivery) -> Receipt:
        if len(edge.deliveries) < 3:
            raise Overloaded(1)
        return Receipt(1)

    edge.outcome = third_time
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "self", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
        "remote_write": [{"url": f"http://127.0.0.1:{edge.http_port}/api/v1/write"}],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    run(
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    wait(lambda: edge.requests("remote_write").get("204"))
    assert edge.requests("remote_write")["503"] == 2
    assert edge.deliveries[0].body == edge.deliveries[1].body == edge.deliveries[2].body
    assert {(d.format, d.encoding) for d in list(edge.deliveries)} == {("remote_write_1", "snappy")}
    names = {"prometheus_build_info", "up", "scrape_duration_seconds", "process_cpu_seconds_total"}
    wait(lambda: set().union(*(decoded(d)[0] for d in list(edge.deliveries))) >= names)


@pytest.mark.real
@needs("prometheus-alertmanager", "prometheus-alertmanager")
def test_alertmanager_calls_until_it_is_taken(edge: Any, run: Any, tmp_path: Path) -> None:
    def second_time(delivery: Delivery) -> Receipt:
        if len(edge.deliveries) < 2:
            raise Unavailable("the store is full")
        return Receipt(len(parse_webhook(plain(delivery, Settings()), delivery.principal)[0]))

    edge.outcome = second_time
    port = free_port()
    webhook = {"url": f"http://127.0.0.1:{edge.http_port}/api/v1/alerts/webhook"}
    config = {
        "route": {"receiver": "edgeobs", "group_wait": "0s", "group_interval": "1s"},
        "receivers": [{"name": "edgeobs", "webhook_configs": [webhook]}],
    }
    (tmp_path / "alertmanager.yml").write_text(json.dumps(config))
    run(
        "prometheus-alertmanager",
        "--config.file=alertmanager.yml",
        "--storage.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    )
    alert = {
        "labels": {"alertname": "DiskFull", "zone": "b", "instance": "edge-17:9100"},
        "annotations": {"summary": "nearly full"},
    }
    wait(lambda: sent(port, alert))
    wait(lambda: edge.requests("alertmanager").get("200"))
    assert edge.requests("alertmanager")["503"] == 1
    (found,), _ = parse_webhook(edge.deliveries[-1].body, edge.deliveries[-1].principal)
    assert (found.status, found.name, found.summary) == ("firing", "DiskFull", "nearly full")
    assert (found.place.zone, found.place.node, found.ends_ns) == ("b", "edge-17", 0)


def sent(port: int, alert: dict[str, Any]) -> bool:
    try:
        return httpx.post(f"http://127.0.0.1:{port}/api/v2/alerts", json=[alert]).status_code == 200
    except httpx.TransportError:
        return False
