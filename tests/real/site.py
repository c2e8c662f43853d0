"""A site that sends OTLP over a socket: nodes whose disks can fail, and which can fall silent."""

import threading
import time
from collections.abc import Mapping
from typing import Self

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE as CUMULATIVE
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics

from benchmarks.serving import Connection

_PATH, _HEADERS = "/v1/metrics", "Content-Type: application/x-protobuf\r\n"
_ERRORS = {False: 0.02, True: 50.0}  # of one sample, on average: a healthy disk's, a failing one's


class Site:
    """Sends three series of each node's disk every ``period_s``, for as long as a ``with``.

    Parameters
    ----------
    port
        The core's OTLP/HTTP.
    zones
        Node → zone.
    period_s
        Between two samples of a node, seconds.

    Attributes
    ----------
    failed_s
        Node → when the first sample of its failing disk was sent, Unix seconds.
    sent_s
        When each request was sent, its last byte included, ascending.

    """

    def __init__(self, port: int, zones: Mapping[str, str], period_s: float = 0.25) -> None:
        self.failed_s: dict[str, float] = {}
        self.sent_s: list[float] = []
        self.trouble = ""
        self.period_s = period_s
        self._port, self._zones = port, dict(zones)
        self._failing: frozenset[str] = frozenset()
        self._silent: frozenset[str] = frozenset()
        self._errors = dict.fromkeys(zones, 0.0)
        self._random = np.random.default_rng(1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="site", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(10)

    def warm(self, samples: int = 200) -> None:
        """Until every node has sent so many samples. Raises RuntimeError when the core refuses them."""
        until = time.monotonic() + 4 * samples * self.period_s + 60
        while len(self.sent_s) < samples:
            if self.trouble or time.monotonic() > until:
                raise RuntimeError(self.trouble or f"only {len(self.sent_s)} requests were sent")
            time.sleep(self.period_s)

    def fail(self, *names: str) -> None:
        """Disks that are slow and answer with errors from the next sample on."""
        self._failing |= set(names)

    def heal(self, *names: str) -> None:
        """The same disks, well again."""
        self._failing -= set(names)

    def silence(self, *names: str) -> None:
        """Nodes that send no more."""
        self._silent |= set(names)

    def speak(self, *names: str) -> None:
        """Nodes that send again."""
        self._silent -= set(names)

    def _run(self) -> None:
        connection = Connection(self._port)
        due = time.monotonic()
        while not self._stopping.wait(max(due - time.monotonic(), 0.0)):
            failing, silent = self._failing, self._silent
            body = self._body(failing, [name for name in self._zones if name not in silent])
            began = time.time()
            for name in failing - self.failed_s.keys():
                self.failed_s[name] = began
            try:
                status = connection.post(_PATH, body, _HEADERS)
            except OSError as error:  # the core may be restarted meanwhile
                self.trouble = str(error)
                connection = self._again(connection)
                continue
            self.trouble = "" if status == 200 else f"status {status}"
            self.sent_s.append(began)
            due = max(due + self.period_s, time.monotonic())
        connection.close()

    def _again(self, connection: Connection) -> Connection:
        connection.close()
        while not self._stopping.wait(0.1):
            try:
                return Connection(self._port)
            except OSError as error:
                self.trouble = str(error)
        return connection

    def _body(self, failing: frozenset[str], names: list[str]) -> bytes:
        request, now_ns = ExportMetricsServiceRequest(), time.time_ns()
        for name in names:
            bad = name in failing
            self._errors[name] += float(self._random.poisson(_ERRORS[bad]))
            resource = request.resource_metrics.add()
            _place(resource, {"k8s.node.name": name, "topology.kubernetes.io/zone": self._zones[name]})
            metrics = resource.scope_metrics.add().metrics
            latency = (0.5 if bad else 0.002) * float(self._random.normal(1.0, 0.05))
            queue = (30.0 if bad else 1.0) + float(self._random.normal(0.0, 0.1))
            metrics.append(_gauge("system.linux.disk.latency", latency, now_ns))
            metrics.append(_gauge("system.disk.queue", queue, now_ns))
            metrics.append(_counter("system.disk.errors", self._errors[name], now_ns))
        return request.SerializeToString()


def _place(resource: ResourceMetrics, attributes: Mapping[str, str]) -> None:
    for key, value in attributes.items():
        resource.resource.attributes.append(KeyValue(key=key, value=AnyValue(string_value=value)))


def _gauge(name: str, value: float, now_ns: int) -> Metric:
    metric = Metric(name=name)
    metric.gauge.data_points.add(time_unix_nano=now_ns, as_double=value)
    return metric


def _counter(name: str, value: float, now_ns: int) -> Metric:
    metric = Metric(name=name)
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = CUMULATIVE, True
    metric.sum.data_points.add(time_unix_nano=now_ns, as_double=value)
    return metric
