"""The messages of Prometheus remote write, made at run time.

Field numbers are those of the remote write specifications 1.0 and 2.0 and of the native histogram
specification. Built in a descriptor pool of our own: another library that brings the same messages along
does not collide with it.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_LABEL_1 = {1: "name string", 2: "value string"}
_SAMPLE = {1: "value double", 2: "timestamp int64", 3: "start_timestamp int64"}
_SPAN = {1: "offset sint32", 2: "length uint32"}
_HISTOGRAM = {
    1: "count_int uint64 count",
    2: "count_float double count",
    3: "sum double",
    4: "schema sint32",
    5: "zero_threshold double",
    6: "zero_count_int uint64 zero_count",
    7: "zero_count_float double zero_count",
    8: "negative_spans *BucketSpan",
    9: "negative_deltas *sint64",
    10: "negative_counts *double",
    11: "positive_spans *BucketSpan",
    12: "positive_deltas *sint64",
    13: "positive_counts *double",
    14: "reset_hint int32",  # an enum on the wire; open, so that new values pass
    15: "timestamp int64",
    16: "custom_values *double",
    17: "start_timestamp int64",
}

# "name type oneof?" by field number; * repeats, a capital is a message of the same package.
_V1 = {
    "Label": _LABEL_1,
    "Sample": {1: "value double", 2: "timestamp int64"},
    "Exemplar": {1: "labels *Label", 2: "value double", 3: "timestamp int64"},
    "BucketSpan": _SPAN,
    "Histogram": {number: field for number, field in _HISTOGRAM.items() if number < 17},
    "TimeSeries": {
        1: "labels *Label",
        2: "samples *Sample",
        3: "exemplars *Exemplar",
        4: "histograms *Histogram",
    },
    "MetricMetadata": {1: "type int32", 2: "metric_family_name string", 4: "help string", 5: "unit string"},
    "WriteRequest": {1: "timeseries *TimeSeries", 3: "metadata *MetricMetadata"},
}
_V2 = {
    "Sample": _SAMPLE,
    "Exemplar": {1: "labels_refs *uint32", 2: "value double", 3: "timestamp int64"},
    "BucketSpan": _SPAN,
    "Histogram": _HISTOGRAM,
    "Metadata": {1: "type int32", 3: "help_ref uint32", 4: "unit_ref uint32"},
    "TimeSeries": {
        1: "labels_refs *uint32",
        2: "samples *Sample",
        3: "histograms *Histogram",
        4: "exemplars *Exemplar",
        5: "metadata Metadata",
        6: "created_timestamp int64",  # before 2.0-rc.4; now each sample has its start
    },
    "Request": {4: "symbols *string", 5: "timeseries *TimeSeries"},
}


class Messages(NamedTuple):
    """Classes of both requests and their series; Any because protobuf makes their attributes at run time."""

    write_request: Any
    time_series_1: Any
    request: Any
    time_series_2: Any


@lru_cache(maxsize=1)
def messages() -> Messages:
    """Build the classes on first use (about a millisecond)."""
    pool = descriptor_pool.DescriptorPool()
    for package, spec in (("prometheus", _V1), ("io.prometheus.write.v2", _V2)):
        pool.Add(_file(package, spec))

    def made(name: str) -> Any:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))

    return Messages(
        made("prometheus.WriteRequest"),
        made("prometheus.TimeSeries"),
        made("io.prometheus.write.v2.Request"),
        made("io.prometheus.write.v2.TimeSeries"),
    )


def _file(package: str, spec: dict[str, dict[int, str]]) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in spec.items():
        message = file.message_type.add(name=name)
        for number, field in fields.items():
            _add_field(message, package, number, field.split())
    return file


def _add_field(message: descriptor_pb2.DescriptorProto, package: str, number: int, spec: list[str]) -> None:
    proto = descriptor_pb2.FieldDescriptorProto
    name, kind, *oneof = spec
    field = message.field.add(name=name, number=number, label=proto.LABEL_OPTIONAL)
    if kind.startswith("*"):
        field.label = proto.LABEL_REPEATED
        kind = kind[1:]
    if kind[0].isupper():
        field.type, field.type_name = proto.TYPE_MESSAGE, f".{package}.{kind}"
    else:
        field.type = proto.Type.Value(f"TYPE_{kind.upper()}")
    for choice in oneof:
        if choice not in (known.name for known in message.oneof_decl):
            message.oneof_decl.add(name=choice)
        field.oneof_index = [known.name for known in message.oneof_decl].index(choice)
