"""Last byte of the request that carries the evidence → decision recorded, while the core is at half load."""

import threading
import time

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE as CUMULATIVE
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from benchmarks.ingest import POINTS_EACH, SENDERS, SERIES
from benchmarks.load import Sending, templates
from benchmarks.measure import Measure
from benchmarks.serving import Connection, Core, core

HALF_LOAD = 1_000_000  # samples a second: half of what a core should score (`socket_to_score`)
PERIOD_S = 0.05  # between two requests of the disks that fail
CONFIG = {
    # Every node may be acted upon: what is measured is the way to a decision, not how seldom there is one.
    "cluster": {"opted_in": True},
    "remediate": {"nodes_per_zone": 1_000_000, "cluster_share": 1.0, "per_hour": 1_000_000, "cooldown_s": 0},
    "incidents": {"max_active": 100_000},
}
NAMES = {"latency": "system.linux.disk.latency", "errors": "system.disk.errors", "queue": "system.disk.queue"}


def run(quick: bool) -> list[Measure]:
    """One disk after another fails, each on a node of its own, beside 100,000 other series."""
    nodes = 100 if quick else 190
    with core(CONFIG) as served:
        bodies = templates(SERIES, POINTS_EACH)
        sending = Sending(served, [bodies[n::SENDERS] for n in range(SENDERS)])
        sending.rounds(3)
        background = _Background(sending)
        background.thread.start()
        try:
            idle = _fail(served, nodes)
        finally:
            background.over.set()
            background.thread.join()
        latency = _latencies(served)
    if len(latency) < nodes // 2:
        raise RuntimeError(f"only {len(latency)} decisions for {nodes} failing disks")
    load = f"{background.rate():,.0f} samples/s of {SERIES:,} series; {len(latency)} decisions"
    values = {
        "decision_p50_ms": float(np.percentile(latency, 50)),
        "decision_p99_ms": float(np.percentile(latency, 99)),
        "decision_max_ms": float(latency.max()),
    }
    reference = f"a request without evidence, its answer: p50 {idle:.3g} ms; load {load}"
    return [Measure(name, value, "ms", reference, value / idle) for name, value in values.items()]


class _Background:
    """The other series, at half load, until told to stop."""

    def __init__(self, sending: Sending) -> None:
        self.sending = sending
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self._sent = self._took = 0.0

    def rate(self) -> float:
        """Samples a second that were really sent."""
        return self._sent / self._took

    def _run(self) -> None:
        began = time.perf_counter()
        while not self.over.is_set():
            self.sending.rounds(1, self._pause)
        self._took = time.perf_counter() - began

    def _pause(self) -> float:
        """How long to wait so that all bodies so far keep to the pace."""
        self._sent += POINTS_EACH
        if not hasattr(self, "_began"):
            self._began = time.perf_counter()
        return self._began + self._sent / HALF_LOAD - time.perf_counter()


def _fail(served: Core, nodes: int) -> float:
    """Send the nodes' disks, healthy first, then failing one by one; the healthy median answer time, ms."""
    connection = Connection(served.http_port)
    random = np.random.default_rng(1)
    errors = np.zeros(nodes)
    healthy: list[float] = []
    warm = 60
    for step in range(warm + nodes + 40):
        began = time.perf_counter()
        failing = np.arange(nodes) < step - warm
        errors += np.where(failing, 50.0, random.random(nodes) < 0.1)
        values = {
            "latency": np.where(failing, 0.5, 0.002) * random.normal(1.0, 0.05, nodes),
            "errors": errors,
            "queue": np.where(failing, 30.0, 1.0) + random.normal(0.0, 0.1, nodes),
        }
        body = _request(values, time.time_ns())
        sent = time.perf_counter()
        status = connection.post("/v1/metrics", body, "Content-Type: application/x-protobuf\r\n")
        if status != 200:
            raise RuntimeError(f"status {status}")
        if 20 < step <= warm:
            healthy.append(time.perf_counter() - sent)
        time.sleep(max(0.0, PERIOD_S - (time.perf_counter() - began)))
    connection.close()
    return 1000 * float(np.median(healthy))


def _request(values: dict[str, "np.ndarray[tuple[int], np.dtype[np.float64]]"], now_ns: int) -> bytes:
    request = ExportMetricsServiceRequest()
    for node in range(len(values["errors"])):
        resource = request.resource_metrics.add()
        for key, value in (
            ("k8s.node.name", f"disk-{node}"),
            ("topology.kubernetes.io/zone", f"site-{node}"),
        ):
            resource.resource.attributes.append(KeyValue(key=key, value=AnyValue(string_value=value)))
        metrics = resource.scope_metrics.add().metrics
        for what, column in values.items():
            metrics.append(_metric(what, float(column[node]), now_ns))
    return request.SerializeToString()


def _metric(what: str, value: float, now_ns: int) -> Metric:
    metric = Metric(name=NAMES[what])
    if what == "errors":
        metric.sum.aggregation_temporality, metric.sum.is_monotonic = CUMULATIVE, True
    points = metric.sum.data_points if what == "errors" else metric.gauge.data_points
    points.add(time_unix_nano=now_ns, as_double=value)
    return metric


def _latencies(served: Core) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Of every decision that was allowed, ms."""
    decisions = served.get("/api/v1/decisions?limit=1000")
    return np.array([d["latency_ms"] for d in decisions if d["verdict"] == "allowed" and d["latency_ms"]])
