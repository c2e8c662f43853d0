"""OTLP traces bodies like a site's: calls through four services on twelve nodes, eight attributes a span."""

import random
from collections.abc import Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2 as pb

_SERVER, _CLIENT, _INTERNAL = (
    pb.Span.SPAN_KIND_SERVER,
    pb.Span.SPAN_KIND_CLIENT,
    pb.Span.SPAN_KIND_INTERNAL,
)
_CHAIN = ("gateway", "orders", "stock", "ledger")
_TRACE_SPANS = 3 * len(_CHAIN) - 1  # of each service: server, internal and, but for the last, client
_NODES = 12


def bodies(spans: int, spans_each: int, time_ns: int, seed: int = 1) -> Iterator[bytes]:
    """About ``spans`` spans in requests of ``spans_each``, at 20,000 spans a second from ``time_ns`` on.

    Each request is what one node's collector sends: spans of the services there, so that the parents of many
    come with another request.
    """
    chance = random.Random(seed)
    waiting: list[list[tuple[int, pb.Span]]] = [[] for _ in range(_NODES)]
    for number in range(spans // _TRACE_SPANS):
        for node, service, span in _trace(chance, time_ns + number * _TRACE_SPANS * 50_000):
            waiting[node].append((service, span))
            if len(waiting[node]) >= spans_each:
                yield _request(node, waiting[node])
                waiting[node] = []
    for node, left in enumerate(waiting):
        if left:
            yield _request(node, left)


def _trace(chance: random.Random, start_ns: int) -> Iterator[tuple[int, int, pb.Span]]:
    trace, parent = chance.randbytes(16), b""
    first = chance.randrange(3)
    total = int(chance.lognormvariate(17, 0.5))
    route = chance.randrange(8)
    for service, name in enumerate(_CHAIN):
        node = 3 * service + first
        for depth, kind in enumerate((_SERVER, _INTERNAL, _CLIENT)):
            if kind == _CLIENT and service == len(_CHAIN) - 1:
                break
            step = 3 * service + depth
            span = pb.Span(
                trace_id=trace,
                span_id=chance.randbytes(8),
                parent_span_id=parent,
                name=f"GET /{name}/{route}"
                if kind == _SERVER
                else ("GET" if kind == _CLIENT else f"read {route}"),
                kind=kind,
                start_time_unix_nano=start_ns + step * 50_000,
                end_time_unix_nano=start_ns + total - step * 50_000,
                flags=0x101,
            )
            span.attributes.extend(_attributes(chance, name, route, kind))
            if chance.random() < 0.01:
                span.status.code = pb.Status.STATUS_CODE_ERROR
            parent = span.span_id
            yield node, service, span


def _attributes(chance: random.Random, name: str, route: int, kind: int) -> list[KeyValue]:
    texts = {
        "http.request.method": "GET",
        "http.route": f"/{name}/{{id}}/{route}",
        "url.path": f"/{name}/{chance.randrange(10**6)}/{route}",
        "server.address": f"{name}.shop.svc" if kind == _SERVER else "next.shop.svc",
        "user_agent.original": "shop-client/1.4.2",
        "thread.name": f"worker-{chance.randrange(16)}",
    }
    found = [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in texts.items()]
    found.append(KeyValue(key="http.response.status_code", value=AnyValue(int_value=200)))
    found.append(KeyValue(key="server.port", value=AnyValue(int_value=8080)))
    return found


def _request(node: int, spans: list[tuple[int, pb.Span]]) -> bytes:
    request = ExportTraceServiceRequest()
    for service in sorted({number for number, _ in spans}):
        resource_spans = request.resource_spans.add()
        name = _CHAIN[service]
        resource_spans.resource.attributes.extend(
            KeyValue(key=key, value=AnyValue(string_value=value))
            for key, value in (
                ("service.name", name),
                ("k8s.namespace.name", "shop"),
                ("k8s.deployment.name", name),
                ("k8s.pod.name", f"{name}-6f9c8d7b5-{node:05d}"),
                ("k8s.node.name", f"edge-{node:02d}"),
                ("topology.kubernetes.io/zone", f"zone-{node % 3}"),
                ("telemetry.sdk.language", "python"),
            )
        )
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name, scope_spans.scope.version = "edgeobs.bench", "1"
        scope_spans.spans.extend(span for number, span in spans if number == service)
    return request.SerializeToString()
