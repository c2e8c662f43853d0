"""Have every decoder compiled before the first request; `edgeobs.warm` calls it."""

import time
from collections.abc import Callable

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from edgeobs import jit
from edgeobs.ingest.decoders import Decoders
from edgeobs.ingest.delivery import Format
from edgeobs.ingest.intern import Interner
from edgeobs.ingest.remote_write_messages import messages
from edgeobs.series import SeriesTable
from edgeobs.signals import Principal

Report = Callable[[str], None]


def warm(report: Report = lambda _line: None) -> bool:
    """Decode a small body of each format, which compiles what is not cached yet; false without Numba."""
    if not jit.available():
        return False
    decoders = Decoders(Interner(SeriesTable(16)), fast=True)
    nobody = Principal(0, "warm", None, 16)
    every = len(_BODIES) + 1
    for number, (format_, body) in enumerate(_BODIES.items(), 1):
        began = time.perf_counter()
        report(f"[{number}/{every}] {format_} …")
        for _ in range(2):  # a series that is new, and one that is known
            decoders.decode(format_, body(), nobody, 1)
        report(f"[{number}/{every}] {format_} ready, {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    decoders.stream("spans_proto", _spans(), nobody, 1)
    report(f"[{every}/{every}] spans ready, {time.perf_counter() - began:.1f} s")
    return True


def _spans() -> bytes:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="warm", end_time_unix_nano=1)
    span.trace_id, span.span_id = bytes(range(16)), bytes(range(8))
    return request.SerializeToString()


def _otlp() -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="warm")
    metric.gauge.data_points.add(as_double=1.0, time_unix_nano=1)
    return request.SerializeToString()


def _remote_write_1() -> bytes:
    request = messages().write_request()
    series = request.timeseries.add()
    series.labels.add(name="__name__", value="warm")
    series.samples.add(value=1.0, timestamp=1)
    return bytes(request.SerializeToString())


def _remote_write_2() -> bytes:
    request = messages().request()
    request.symbols.extend(["", "__name__", "warm"])
    series = request.timeseries.add(labels_refs=[1, 2])
    series.samples.add(value=1.0, timestamp=1)
    return bytes(request.SerializeToString())


_BODIES: dict[Format, Callable[[], bytes]] = {
    "otlp_proto": _otlp,
    "remote_write_1": _remote_write_1,
    "remote_write_2": _remote_write_2,
}
