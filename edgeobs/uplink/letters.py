"""Incidents and samples as gzipped OTLP requests, and back. Pure.

An incident is a log record whose event name is ``edgeobs.incident``; its body is the JSON that the store
keeps (`incidents.codec`), its plots the attribute ``edgeobs.plots``. A log store takes it as it is.
"""

import zlib
from collections.abc import Iterable, Mapping

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_ERROR, SEVERITY_NUMBER_INFO

from edgeobs.incidents import codec
from edgeobs.signals import Incident
from edgeobs.uplink.parcel import Letter

EVENT = "edgeobs.incident"
_SCOPE, _PLOTS = "edgeobs.agent", "edgeobs.plots"
_MAX_NS = (1 << 63) - 1
_GZIP = 31  # zlib's window bits for a gzip header


def packed(body: bytes, level: int = 6) -> bytes:
    """gzip, and the same bytes for the same body."""
    squeeze = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
    return squeeze.compress(body) + squeeze.flush()


def of_incident(incident: Incident, resource: Mapping[str, str]) -> Letter:
    """What is told of an incident; one that still waits is replaced by a newer."""
    text, plots = codec.write_incident(incident)
    request = ExportLogsServiceRequest()
    whole = request.resource_logs.add()
    whole.resource.attributes.extend(pair(name, value) for name, value in sorted(resource.items()))
    scoped = whole.scope_logs.add()
    scoped.scope.name = _SCOPE
    record = scoped.log_records.add(
        time_unix_nano=incident.updated_ns,
        observed_time_unix_nano=incident.updated_ns,
        event_name=EVENT,
        severity_number=SEVERITY_NUMBER_INFO if incident.state == "resolved" else SEVERITY_NUMBER_ERROR,
        body=AnyValue(string_value=text),
    )
    record.attributes.append(pair("edgeobs.incident.id", incident.id))
    record.attributes.append(KeyValue(key=_PLOTS, value=AnyValue(bytes_value=plots)))
    return Letter("incident", incident.updated_ns, packed(request.SerializeToString()), incident.id)


def incidents(body: bytes | bytearray) -> list[Incident]:
    """The incidents of a request that is no longer compressed; other records are let go.

    Raises
    ------
    ValueError
        It is no such request, or a record called an incident is none.

    """
    try:
        request = ExportLogsServiceRequest.FromString(bytes(body))
    except DecodeError as error:
        raise ValueError(f"OTLP logs body of {len(body)} bytes: {error}") from None
    found = []
    for record in (r for rl in request.resource_logs for sl in rl.scope_logs for r in sl.log_records):
        if record.event_name != EVENT:
            continue
        try:
            found.append(codec.read_incident(record.body.string_value, _plots(record.attributes)))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"a log record that is no incident: {error!r:.200}") from None
    return found


def span(body: bytes | bytearray) -> tuple[int, int]:
    """Times of the first and the last gauge point of a metrics request; ValueError: it is none, or empty."""
    try:
        request = ExportMetricsServiceRequest.FromString(bytes(body))
    except DecodeError as error:
        raise ValueError(f"OTLP metrics body of {len(body)} bytes: {error}") from None
    scopes = (scope for whole in request.resource_metrics for scope in whole.scope_metrics)
    metrics = (metric for scope in scopes for metric in scope.metrics)
    times = [min(p.time_unix_nano, _MAX_NS) for metric in metrics for p in metric.gauge.data_points]
    if not times:
        raise ValueError("a window without a sample")
    return min(times), max(times)


def pair(key: str, value: str) -> KeyValue:
    """An attribute."""
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _plots(attributes: Iterable[KeyValue]) -> bytes:
    return next((each.value.bytes_value for each in attributes if each.key == _PLOTS), b"")
