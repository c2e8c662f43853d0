"""OTLP logs → `LogBatch`.

The messages are OTLP's with every string as bytes: a line that is no UTF-8, which protobuf's parser would
throw away with its whole request, is a line with a few characters replaced. What edgeobs has no use for
(attributes of records, scopes) is never looked at, and what may hold any number of messages in a few bytes
(values, resources) no further than it is wanted. Field numbers are those of opentelemetry-proto 1.x.
"""

from collections import Counter
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from edgeobs.ingest import bodies, otlp_json, sources
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.messages import Spec, made
from edgeobs.ingest.wire_fields import crowded, fields
from edgeobs.signals import LogBatch, Principal, Source

MAX_TEXT_BYTES = 16_384
"""Of a body; what is longer is cut."""
MAX_RECORDS = 262_144
"""Of one request; those beyond are refused: one may be two bytes long, and costs a thousand times more."""

_MAX_NS = (1 << 63) - 1
_LARGE = 1 << 20  # a body below it cannot hold so many messages that they would fill the memory
_RECORDS = 1, 2, 2  # field numbers: resource_logs, scope_logs, log_records
_ATTRIBUTES = 1000  # of a resource that are looked at
_REMEMBERED_BYTES = 4096  # a resource up to so long is read once
_SPEC: Spec = {
    "AnyValue": {
        1: "string_value bytes value",
        2: "bool_value bool value",
        3: "int_value int64 value",
        4: "double_value double value",
        5: "array_value bytes value",  # a message: looked into as far as its text is wanted
        6: "kvlist_value bytes value",
        7: "bytes_value bytes value",
    },
    "LogRecord": {
        1: "time_unix_nano fixed64",
        2: "severity_number int32",  # an enum on the wire; open, so that new values pass
        3: "severity_text bytes",
        5: "body AnyValue",
        9: "trace_id bytes",
        11: "observed_time_unix_nano fixed64",
    },
    "ScopeLogs": {2: "log_records *LogRecord"},
    "ResourceLogs": {1: "resource bytes", 2: "scope_logs *ScopeLogs"},
    "Request": {1: "resource_logs *ResourceLogs"},
}
_WORDS = {
    "trace": 1, "verbose": 1, "finest": 1, "debug": 2, "fine": 2, "info": 3, "information": 3, "notice": 3,
    "informational": 3, "warn": 4, "warning": 4, "err": 5, "error": 5, "severe": 5, "fatal": 6, "critical": 6,
    "crit": 6, "alert": 6, "emergency": 6, "emerg": 6, "panic": 6,
    "t": 1, "d": 2, "i": 3, "w": 4, "e": 5, "f": 6, "c": 6,
}  # fmt: skip


def decode(body: bytes, principal: Principal, now_ns: int) -> LogBatch:
    """The records of an uncompressed ExportLogsServiceRequest; raises Malformed."""
    del now_ns  # a record without a time is settled by who counts it
    if len(body) > _LARGE and crowded(body, _RECORDS, MAX_RECORDS):
        raise Malformed(f"OTLP logs body of {len(body)} bytes: more than {MAX_RECORDS} records")
    try:
        request = _request().FromString(body)
    except DecodeError as error:
        raise Malformed(f"OTLP logs body of {len(body)} bytes: {error}") from None
    return _batch(request, principal)


def decode_json(body: bytes, principal: Principal, now_ns: int) -> LogBatch:
    """The same of OTLP/JSON; raises Malformed."""
    return decode(otlp_json.parse(body, ExportLogsServiceRequest).SerializeToString(), principal, now_ns)


def severity(number: int, text: str) -> int:
    """The band (of `SEVERITIES`) of OpenTelemetry's number, or where there is none of the word."""
    if 1 <= number <= 24:
        return (number + 3) // 4
    return _WORDS.get(text.strip().lower().rstrip("0123456789"), 0)


@lru_cache(maxsize=1)
def _classes() -> dict[str, Any]:
    return made("edgeobs.logs", _SPEC)


def _request() -> Any:
    return _classes()["Request"]


def _batch(request: Any, principal: Principal) -> LogBatch:
    found: dict[Source, int] = {}
    rejected: Counter[str] = Counter()
    source: list[int] = []
    times: list[int] = []
    severities: list[int] = []
    texts: list[bytes] = []
    traces: list[bytes] = []
    for each in request.resource_logs:
        raw = each.resource
        known = _known(raw) if len(raw) <= _REMEMBERED_BYTES else _source(raw)
        allowed = sources.speaks_for(principal, known)
        for scope in each.scope_logs:
            records = scope.log_records
            if not allowed:
                rejected["forbidden"] += len(records)
                continue
            room = MAX_RECORDS - len(texts)
            if len(records) > room:
                rejected["limit"] += len(records) - room
                records = records[:room]
            source += [found.setdefault(known, len(found))] * len(records)
            for record in records:
                time_ns = record.time_unix_nano or record.observed_time_unix_nano
                times.append(time_ns if time_ns <= _MAX_NS else 0)
                number = record.severity_number
                severities.append(
                    (number + 3) // 4 if 1 <= number <= 24 else severity(0, _text(record.severity_text))
                )
                texts.append(bodies.text(record.body, MAX_TEXT_BYTES))
                trace = record.trace_id
                traces.append(trace if len(trace) == 16 else _NO_TRACE)
    first = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=first[1:])
    return LogBatch(
        principal,
        tuple(found),
        np.array(source, np.int32),
        np.array(times, np.int64),
        np.array(severities, np.int8),
        b"".join(texts),
        first,
        np.frombuffer(b"".join(traces), ">u8").astype(np.uint64).reshape(-1, 2),
        dict(rejected),
    )


@lru_cache(maxsize=4096)
def _known(resource: bytes) -> Source:
    return _source(resource)


def _source(resource: bytes) -> Source:
    """Of a Resource as it was sent; raises Malformed."""
    kind = _classes()["AnyValue"]
    pairs = []
    for number, start, end in islice(fields(resource, 0, len(resource)), _ATTRIBUTES):
        if number == 1:
            key, value = bodies.pair(resource, start, end, kind)
            pairs.append((_text(key), _text(bodies.text(value, 1024)) if value is not None else ""))
    return sources.source(pairs)


_NO_TRACE = bytes(16)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
