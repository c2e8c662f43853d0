"""The pipeline's own traces: nothing unless there is somewhere to send them."""

import threading
from collections.abc import Callable
from typing import NamedTuple

from opentelemetry.trace import NoOpTracer, Tracer

from edgeobs import __version__

_LAST_WORDS_S = 1.0


class Traces(NamedTuple):
    """A tracer, and what to call before the process ends: sends what is left, in at most a second."""

    tracer: Tracer
    close: Callable[[], None]


def tracer(endpoint: str | None, ratio: float = 0.01, instance: str = "") -> Traces:
    """A tracer that sends OTLP/HTTP to ``endpoint``, or one that does nothing when it is None or empty.

    Parameters
    ----------
    endpoint
        As OTEL_EXPORTER_OTLP_ENDPOINT has it: a base URL, ``/v1/traces`` is added. The exporter's other
        variables (OTEL_EXPORTER_OTLP_HEADERS, …_CERTIFICATE, …_TIMEOUT) hold as its specification says.
    ratio
        Share of requests traced, in [0, 1]; a sender's own sampling decision (traceparent) goes first.
    instance
        ``service.instance.id``; empty: left out.

    """
    if not endpoint:
        return Traces(NoOpTracer(), lambda: None)
    # 10 MiB that only who traces should pay.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415

    attributes = {"service.name": "edgeobs", "service.version": __version__}
    if instance:
        attributes["service.instance.id"] = instance
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        resource=Resource.create(attributes),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=2048))

    def close() -> None:
        # The exporter retries for 10 s when nobody answers; that thread dies with the process.
        sending = threading.Thread(target=provider.shutdown, daemon=True)
        sending.start()
        sending.join(_LAST_WORDS_S)

    return Traces(provider.get_tracer("edgeobs", __version__), close)
