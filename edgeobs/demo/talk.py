"""What the site's workloads write and whom they call, as OTLP logs and spans. Pure.

Gateways and video boxes ask the databases of other nodes; so a database whose disk goes bad shows in its own
spans and in those of whoever asks it, and one whose zone is dark in the callers' alone.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_ERROR, SEVERITY_NUMBER_INFO, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from edgeobs.demo.faults import Fault
from edgeobs.demo.site import CLUSTER, Site, is_dark, worn, zone_of
from edgeobs.demo.workloads import LAYOUT
from edgeobs.signals import SECOND

NAMESPACE = "shop"
OPERATIONS: Mapping[str, str] = {
    "arm": "read sensors",
    "batch": "run job",
    "database": "SELECT orders",
    "filling": "store frame",
    "gateway": "POST /v1/work",
    "idle": "check health",
    "noisy": "POST /v1/try",
    "video": "detect objects",
}
"""What a workload is asked for."""
_ASKS = frozenset({"gateway", "video"})
_CALLS = 4.0  # a second and node, on average
_MOST = 10  # of errors a second that are written down
_NETWORK_S = 0.001
_TIMEOUT_S = 1.0
_SPREAD = 0.3  # log-standard deviation of durations


class Talk(NamedTuple):
    """What one node sends at one moment, beside its metrics."""

    node: str
    zone: str
    logs: bytes
    spans: bytes


class _Draft:
    """One node's logs and spans of a second, before they are bytes."""

    def __init__(self, node: str, kind: str, t: float) -> None:
        self.node, self.kind, self.t = node, kind, t
        self.lines: list[tuple[SeverityNumber.ValueType, str]] = []
        self.spans: list[Span] = []

    def write(self, severity: SeverityNumber.ValueType, text: str) -> None:
        self.lines.append((severity, text))

    def span(
        self, ids: tuple[bytes, bytes, bytes], kind: Span.SpanKind.ValueType, start_s: float, took_s: float
    ) -> Span:
        """With ids of its trace, of its own and of its parent."""
        trace, own, parent = ids
        start_ns, end_ns = round(start_s * SECOND), round((start_s + took_s) * SECOND)
        made = Span(
            trace_id=trace, span_id=own, parent_span_id=parent, kind=kind, name=OPERATIONS[self.kind],
            start_time_unix_nano=start_ns, end_time_unix_nano=end_ns,
        )  # fmt: skip
        self.spans.append(made)
        return made

    def told(self) -> Talk:
        resource, at = _resource(self.node, self.kind), round(self.t * SECOND)
        logs, spans = ExportLogsServiceRequest(), ExportTraceServiceRequest()
        whole = logs.resource_logs.add(resource=resource)
        scope = whole.scope_logs.add()
        for severity, text in self.lines:
            scope.log_records.add(
                time_unix_nano=at, severity_number=severity, body=AnyValue(string_value=text)
            )
        spans.resource_spans.add(resource=resource).scope_spans.add(spans=self.spans)
        return Talk(self.node, zone_of(self.node), logs.SerializeToString(), spans.SerializeToString())


class Talking:
    """Of a site; its random numbers are its own, so that the site's metrics are what they are without it.

    Parameters
    ----------
    site
        Whose boxes; to be stepped before.
    seed
        Which talk of all.

    """

    def __init__(self, site: Site, seed: int) -> None:
        self._site, self._rng = site, np.random.default_rng([seed, len(LAYOUT)])
        self._of = dict(zip(site.names, zip(LAYOUT, site.boxes, strict=True), strict=True))
        self._databases = [name for name, (kind, _) in self._of.items() if kind == "database"]

    def step(self, t: float, faults: Sequence[Fault] = ()) -> list[Talk]:
        """What every node that still speaks has to tell of the second before ``t``."""
        drafts = {name: _Draft(name, kind, t) for name, (kind, _) in self._of.items()}
        dark = {name for name in drafts if is_dark(zone_of(name), faults, t)}
        for name, draft in drafts.items():
            for _ in range(int(self._rng.poisson(_CALLS))):
                self._serve(draft, drafts, dark)
            self._complain(draft, worn(name, faults, t).errors)
        return [draft.told() for name, draft in drafts.items() if name not in dark]

    def _serve(self, draft: _Draft, drafts: Mapping[str, _Draft], dark: set[str]) -> None:
        """One request, from its first span to its line."""
        start_s = draft.t - float(self._rng.uniform(0.0, 1.0))
        trace, own = self._rng.bytes(16), self._rng.bytes(8)
        took_s, failed = self._took_s(draft.node), False
        if draft.kind in _ASKS:
            asked_s, failed = self._ask(draft, drafts, dark, (trace, own), start_s + took_s / 2)
            took_s += asked_s
        span = draft.span((trace, own, b""), Span.SPAN_KIND_SERVER, start_s, took_s)
        if failed:
            span.status.code = Status.STATUS_CODE_ERROR
        status = 503 if failed else 200
        draft.write(SEVERITY_NUMBER_INFO, f"{span.name}: {status} in {took_s * 1000:.1f} ms")

    def _ask(
        self,
        draft: _Draft,
        drafts: Mapping[str, _Draft],
        dark: set[str],
        parent: tuple[bytes, bytes],
        start_s: float,
    ) -> tuple[float, bool]:
        """A database, over the network: how long it took, and whether it failed."""
        name = self._databases[int(self._rng.integers(len(self._databases)))]
        (trace, own), client = parent, self._rng.bytes(8)
        lost = bool({name, draft.node} & dark)
        way_s = _NETWORK_S * self._uneven()
        took_s = _TIMEOUT_S if lost else self._took_s(name) + 2 * way_s
        span = draft.span((trace, client, own), Span.SPAN_KIND_CLIENT, start_s, took_s)
        span.name = OPERATIONS["database"]
        span.attributes.append(KeyValue(key="peer.service", value=AnyValue(string_value="database")))
        if lost:
            span.status.code = Status.STATUS_CODE_ERROR
            draft.write(SEVERITY_NUMBER_ERROR, f"database-{name}: no answer within {_TIMEOUT_S:.0f} s")
        else:
            ids = trace, self._rng.bytes(8), client
            drafts[name].span(ids, Span.SPAN_KIND_SERVER, start_s + way_s, took_s - 2 * way_s)
        return took_s, lost

    def _complain(self, draft: _Draft, errors: float) -> None:
        """Of a disk that answers with errors."""
        for _ in range(min(int(self._rng.poisson(errors)), _MOST)):
            sector = int(self._rng.integers(1 << 31))
            draft.write(SEVERITY_NUMBER_ERROR, f"I/O error, dev sda, sector {sector}: will try again")

    def _took_s(self, name: str) -> float:
        _, box = self._of[name]
        return (box.work.request_s + box.work.disk_per_request * box.latency_s) * self._uneven()

    def _uneven(self) -> float:
        return float(np.exp(_SPREAD * self._rng.standard_normal()))


def _resource(node: str, kind: str) -> Resource:
    said = {
        "service.name": kind,
        "k8s.cluster.name": CLUSTER,
        "k8s.namespace.name": NAMESPACE,
        "k8s.deployment.name": kind,
        "k8s.pod.name": f"{kind}-{node}",
        "k8s.node.name": node,
        "topology.kubernetes.io/zone": zone_of(node),
    }
    attributes = [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in said.items()]
    return Resource(attributes=attributes)
