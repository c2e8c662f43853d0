"""A workload of a node: a container that logs as containerd writes, an SDK that sends spans and metrics."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tests.collector.programs import Program


@dataclass
class Workload:
    """Everything that it did is counted here.

    Parameters
    ----------
    pod_logs
        Folder of its node's containers' logs.
    agent
        Where its SDK sends.
    pod, uid, namespace
        Its own, by which its log is found.

    """

    pod_logs: Path
    agent: Program
    pod: str = "till-7d9f8b6c5-x2x7k"
    uid: str = "4f1a2b3c-0000-4000-8000-000000000001"
    namespace: str = "shop"
    lines: list[str] = field(default_factory=list)
    spans: int = 0
    points: int = 0
    last_ms: int = 0

    @property
    def log(self) -> Path:
        """Its container's file (Kubernetes: NAMESPACE_POD_UID/CONTAINER/RESTARTS.log)."""
        return self.pod_logs / f"{self.namespace}_{self.pod}_{self.uid}" / "main" / "0.log"

    def logs(self, number: int) -> None:
        """So many more lines, no two of them alike."""
        first = len(self.lines)
        self.write([f"order {first + n} of till 3 served in {n % 97} ms" for n in range(number)])

    def write(self, lines: Sequence[str]) -> None:
        """These lines."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as file:
            for line in lines:
                file.write(f"{_stamp()} stdout F {line}\n")
        self.lines += lines

    def rotate(self) -> None:
        """As the kubelet does when a file is large."""
        self.log.rename(f"{self.log}.20261130-204500")

    def traces(self, number: int) -> None:
        """So many spans in one request; the agent has them when this returns."""
        now = time.time_ns()
        request = ExportTraceServiceRequest()
        found = request.resource_spans.add(resource=_resource()).scope_spans.add().spans
        for n in range(number):
            span = found.add(
                name="GET /order", kind=2, start_time_unix_nano=now + n, end_time_unix_nano=now + n + 9
            )
            span.trace_id, span.span_id = secrets.token_bytes(16), secrets.token_bytes(8)
        self._send("/v1/traces", request.SerializeToString())
        self.spans += number

    def metrics(self, number: int) -> None:
        """So many points of one gauge, a millisecond apart, each later than the last."""
        request = ExportMetricsServiceRequest()
        scope = request.resource_metrics.add(resource=_resource()).scope_metrics.add()
        points = scope.metrics.add(name="till.queue", unit="{customer}").gauge.data_points
        self.last_ms = max(self.last_ms + 1, time.time_ns() // 1_000_000)
        for n in range(number):
            points.add(time_unix_nano=(self.last_ms + n) * 1_000_000, as_double=n)
        self.last_ms += number
        self._send("/v1/metrics", request.SerializeToString())
        self.points += number

    def _send(self, path: str, body: bytes) -> None:
        headers = {"content-type": "application/x-protobuf"}
        answer = httpx.post(
            self.agent.url("http", path), content=body, headers=headers, timeout=30, trust_env=False
        )
        answer.raise_for_status()


def _stamp() -> str:
    now = time.time_ns()  # a line's time must differ from the last one's, as a container's does
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09d}Z"


def _resource() -> Resource:
    attributes = {"service.name": "till", "k8s.namespace.name": "shop", "k8s.node.name": "forged"}
    return Resource(
        attributes=[KeyValue(key=key, value=AnyValue(string_value=v)) for key, v in attributes.items()]
    )
