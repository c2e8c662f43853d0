"""OTLP logs to columns: what a body may be, whose it is, how bad it may get."""

import base64
import json
import tracemalloc
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from edgeobs.ingest import otlp_logs
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.otlp_logs import MAX_TEXT_BYTES, decode, decode_json, severity
from edgeobs.signals import SEVERITIES, LogBatch, Principal, Resource

ANYONE = Principal(0, "anyone", None, 100)
HELD = Principal(1, "held", frozenset({"a"}), 100)


def text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def record(body: AnyValue | None = None, **more: Any) -> LogRecord:
    return LogRecord(body=body, **more)


def request(*records: LogRecord, resource: dict[str, str] | None = None) -> ExportLogsServiceRequest:
    made = ExportLogsServiceRequest()
    return add(made, *records, resource=resource or {})


def add(
    made: ExportLogsServiceRequest, *records: LogRecord, resource: dict[str, str]
) -> ExportLogsServiceRequest:
    found = made.resource_logs.add()
    found.resource.attributes.extend(KeyValue(key=k, value=text(v)) for k, v in resource.items())
    found.scope_logs.add().log_records.extend(records)
    return made


def texts(batch: LogBatch) -> list[str]:
    """Strictly decoded: what is no UTF-8 fails here."""
    return [batch.text[a:b].decode() for a, b in pairwise(batch.first.tolist())]


def one(body: AnyValue) -> str:
    (found,) = texts(decode(request(record(body)).SerializeToString(), ANYONE, 1))
    return found


def kv(**values: AnyValue) -> AnyValue:
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return AnyValue(kvlist_value=KeyValueList(values=pairs))


def test_what_a_body_may_be() -> None:
    assert one(text("disk sda: I/O error")) == "disk sda: I/O error"
    assert one(AnyValue(bytes_value=b"raw \xff line")) == "raw \ufffd line"
    assert one(AnyValue()) == ""
    assert one(AnyValue(int_value=-3)) == "-3"
    assert one(AnyValue(bool_value=True)) == "true"
    assert one(AnyValue(double_value=float("nan"))) == "null"
    assert one(kv(level=text("info"), msg=text("started"))) == "started"
    assert one(kv(msg=text("second"), message=text("first"))) == "first"
    assert one(kv(message=AnyValue(int_value=1), n=AnyValue(int_value=2))) == '{"message":1,"n":2}'
    array = AnyValue(array_value=ArrayValue(values=[text("é"), AnyValue(bytes_value=b"ab"), AnyValue()]))
    assert json.loads(one(kv(inside=array))) == {"inside": ["é", base64.b64encode(b"ab").decode(), None]}


def test_columns() -> None:
    pod = {
        "k8s.node.name": "edge-1",
        "k8s.namespace.name": "shop",
        "k8s.deployment.name": "till",
        "k8s.pod.name": "till-7",
        "service.name": "till",
        "process.pid": "17",
    }
    made = request(
        record(text("a"), time_unix_nano=5, severity_number=17, trace_id=bytes(15) + b"\x01"),
        record(text("bé"), observed_time_unix_nano=6, severity_text=" Warning "),
        resource=pod,
    )
    add(made, record(severity_number=24, time_unix_nano=2**63), resource={"k8s.node.name": "edge-2"})
    add(made, record(text("c")), resource={**pod, "process.pid": "18"})
    batch = decode(made.SerializeToString(), ANYONE, 1)
    assert texts(batch) == ["a", "bé", "", "c"]
    assert [SEVERITIES[number] for number in batch.severity] == ["error", "warn", "fatal", ""]
    assert batch.time_ns.tolist() == [5, 6, 0, 0]
    assert batch.source.tolist() == [0, 0, 1, 0], "a restart of the process is the same source"
    assert batch.trace.tolist() == [[0, 1], [0, 0], [0, 0], [0, 0]]
    assert batch.sources[0].resource == Resource("", "", "edge-1", "shop", "till", "till-7")
    assert batch.sources[0].whose() == (
        ("namespace", "shop"), ("pod", "till-7"), ("service", "till"), ("workload", "till"),
    )  # fmt: skip
    assert not batch.rejected


def test_only_for_its_own_nodes() -> None:
    made = request(record(text("mine")), resource={"k8s.node.name": "a"})
    add(made, record(text("x")), record(text("y")), resource={"k8s.node.name": "b"})
    add(made, record(text("z")), resource={"service.name": "nowhere"})
    batch = decode(made.SerializeToString(), HELD, 1)
    assert texts(batch) == ["mine"]
    assert len(batch.sources) == 1
    assert batch.rejected == {"forbidden": 3}


@pytest.mark.parametrize(
    ("number", "word", "band"),
    [
        (1, "", "trace"), (8, "", "debug"), (9, "", "info"), (16, "", "warn"), (20, "", "error"),
        (21, "", "fatal"), (25, "", ""), (-1, "", ""), (0, "", ""), (0, "ERROR2", "error"), (0, "I", "info"),
        (0, "Emergency", "fatal"), (0, "loud", ""), (9, "error", "info"),
    ],
)  # fmt: skip
def test_severity(number: int, word: str, band: str) -> None:
    assert SEVERITIES[severity(number, word)] == band


def test_a_line_of_ten_megabytes() -> None:
    assert one(text("x" * 10_000_000)) == "x" * MAX_TEXT_BYTES
    found = one(AnyValue(bytes_value="é".encode() * 5_000_000))
    assert len(found.encode()) in (MAX_TEXT_BYTES - 1, MAX_TEXT_BYTES)
    assert set(found) == {"é"}
    assert len(one(AnyValue(bytes_value=b"\xff" * 10_000_000)).encode()) <= MAX_TEXT_BYTES
    wide = AnyValue(array_value=ArrayValue(values=[text("y" * 100)] * 100_000))
    assert one(wide).startswith('["yyy')
    assert len(one(wide)) == MAX_TEXT_BYTES


def test_a_string_that_is_no_utf8_costs_its_own_characters_alone() -> None:
    made = request(record(text("line one ??")), record(text("line two")), resource={"k8s.node.name": "no??"})
    body = made.SerializeToString().replace(b"??", b"\xc3\x28")
    with pytest.raises(Exception, match="arsing"):  # protobuf's own parser takes nothing of it
        ExportLogsServiceRequest.FromString(body)
    batch = decode(body, ANYONE, 1)
    assert texts(batch) == ["line one \ufffd(", "line two"]
    assert batch.sources[0].resource.node == "no\ufffd("


leaves = st.one_of(
    st.just(AnyValue()),
    st.text(max_size=20).map(text),
    st.binary(max_size=20).map(lambda v: AnyValue(bytes_value=v)),
    st.booleans().map(lambda v: AnyValue(bool_value=v)),
    st.integers(-(2**63), 2**63 - 1).map(lambda v: AnyValue(int_value=v)),
    st.floats().map(lambda v: AnyValue(double_value=v)),
)


def holding(inside: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[AnyValue]:
    """A value, an array of some, or a map of some."""
    pairs = st.builds(KeyValue, key=st.sampled_from(["msg", "log", "k", ""]), value=inside)
    return st.one_of(
        inside,
        st.lists(inside, max_size=3).map(lambda v: AnyValue(array_value=ArrayValue(values=v))),
        st.lists(pairs, max_size=3).map(lambda v: AnyValue(kvlist_value=KeyValueList(values=v))),
    )


values = holding(holding(leaves))
records = st.builds(
    LogRecord,
    body=values,
    time_unix_nano=st.integers(0, 2**64 - 1),
    observed_time_unix_nano=st.integers(0, 2**64 - 1),
    severity_number=st.integers(0, 30),
    severity_text=st.text(max_size=5),
    trace_id=st.sampled_from([b"", b"short", bytes(16), bytes(range(16))]),
)
nodes = st.sampled_from(["", "a", "b"])
requests = st.lists(st.tuples(nodes, st.lists(records, max_size=4)), max_size=4).map(
    lambda parts: [(node, list(found)) for node, found in parts]
)


def whole(parts: list[tuple[str, list[LogRecord]]]) -> ExportLogsServiceRequest:
    made = ExportLogsServiceRequest()
    for node, found in parts:
        add(made, *found, resource={"host.name": node})
    return made


@given(requests)
def test_every_record_is_there_once_or_refused(parts: list[tuple[str, list[LogRecord]]]) -> None:
    made = whole(parts)
    sent = sum(len(found) for _, found in parts)
    for principal in (ANYONE, HELD):
        batch = decode(made.SerializeToString(), principal, 1)
        n = len(batch.source)
        assert n + sum(batch.rejected.values()) == sent
        assert len(texts(batch)) == len(batch.time_ns) == len(batch.severity) == len(batch.trace) == n
        assert (batch.time_ns >= 0).all()
        assert (np.diff(batch.first) <= MAX_TEXT_BYTES).all()
        assert batch.first[-1] == len(batch.text)
        assert set(batch.source.tolist()) <= set(range(len(batch.sources)))
        assert all(0 <= number < len(SEVERITIES) for number in batch.severity)
        if principal is HELD:
            assert batch.rejected.get("forbidden", 0) == sum(len(f) for node, f in parts if node != "a")


@given(requests)
def test_json_says_the_same(parts: list[tuple[str, list[LogRecord]]]) -> None:
    made = whole(parts)
    tree = json_format.MessageToDict(made)
    for resource in tree.get("resourceLogs", []):
        for scope in resource.get("scopeLogs", []):
            for each in scope.get("logRecords", []):
                if "traceId" in each:
                    each["traceId"] = base64.b64decode(each["traceId"]).hex()
                    if len(each["traceId"]) != 32:
                        del each["traceId"]
    one, other = (
        decode(made.SerializeToString(), ANYONE, 1),
        decode_json(json.dumps(tree).encode(), ANYONE, 1),
    )
    assert texts(one) == texts(other)
    for name in ("source", "time_ns", "severity", "first", "trace"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist(), name


@given(st.binary(max_size=200))
@example(b"\x0a\x00" * 1000)
@example(b"\x0a\x02\x12\x00")
def test_garbage_is_malformed_or_a_batch(body: bytes) -> None:
    for read in (decode, decode_json):
        try:
            batch = read(body, ANYONE, 1)
        except Malformed:
            continue
        assert len(texts(batch)) == len(batch.source)


@given(requests, st.data())
def test_a_request_with_bytes_turned_over(
    parts: list[tuple[str, list[LogRecord]]], data: st.DataObject
) -> None:
    body = bytearray(whole(parts).SerializeToString())
    for _ in range(data.draw(st.integers(0, 4)) if body else 0):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        batch = decode(bytes(body), ANYONE, 1)
    except Malformed:
        return
    assert len(texts(batch)) == len(batch.source) == len(batch.severity)


def test_more_records_than_anyone_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_logs, "MAX_RECORDS", 5)
    made = request(*[record(text("a"))] * 4)
    add(made, *[record(text("b"))] * 4, resource={"host.name": "b"})
    batch = decode(made.SerializeToString(), ANYONE, 1)
    assert texts(batch) == ["a"] * 4 + ["b"]
    assert batch.rejected == {"limit": 3}


def field(number: int, inside: bytes) -> bytes:
    """A length-delimited field on the wire."""
    length, size = len(inside), bytearray()
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | 2, *size, length]) + inside


def test_values_nested_without_end() -> None:
    value = text("deep").SerializeToString()
    for _ in range(5000):
        value = field(5, field(1, value))  # an AnyValue that holds an array of one
    (found,) = texts(decode(field(1, field(2, field(2, field(5, value)))), ANYONE, 1))
    assert found.startswith("[[[")
    assert "null" in found
    with pytest.raises(Malformed):
        decode_json(b'{"resourceLogs":' + b"[" * 100_000, ANYONE, 1)


@pytest.mark.parametrize(
    "hostile",
    [
        field(1, field(2, field(2, b"") * 2_000_000)),  # records of two bytes
        field(1, field(2, b"") * 2_000_000),
        field(1, b"") * 2_000_000,
    ],
)
def test_millions_of_empty_messages_are_never_made(hostile: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(Malformed, match="more than 262144"):
        decode(hostile, ANYONE, 1)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    group = b"\x0b" + hostile  # a group, which nobody sends any more, hides nothing
    with pytest.raises(Malformed):
        decode(group, ANYONE, 1)


@pytest.mark.parametrize("kind", [5, 6])
def test_millions_of_values_are_looked_at_as_far_as_they_are_shown(kind: int) -> None:
    body = field(1, field(2, field(2, field(5, field(kind, field(1, b"") * 3_000_000)))))
    (found,) = texts(decode(body, ANYONE, 1))
    assert len(found) == MAX_TEXT_BYTES
    resource = field(1, field(1, b"") * 3_000_000)
    batch = decode(field(1, resource + field(2, field(2, b""))), ANYONE, 1)
    assert batch.sources[0].resource == Resource()


def test_a_value_that_is_none_is_null() -> None:
    array = field(5, field(1, b"\xff\xff") + field(1, text("after").SerializeToString()))
    (found,) = texts(decode(field(1, field(2, field(2, field(5, array)))), ANYONE, 1))
    assert json.loads(found) == [None, "after"]
    broken = field(5, b"\x0a\x7f")  # ends beyond its message
    (found,) = texts(decode(field(1, field(2, field(2, field(5, broken)))), ANYONE, 1))
    assert json.loads(found) == []
    with pytest.raises(Malformed):
        decode(field(1, field(1, b"\x0a\x7f")), ANYONE, 1)


def test_no_message_of_ours_is_a_message_of_others() -> None:
    assert otlp_logs._request() is not ExportLogsServiceRequest
    assert otlp_logs._request().DESCRIPTOR.file.pool is not ExportLogsServiceRequest.DESCRIPTOR.file.pool
