"""The messages of Prometheus remote write, made at run time.

Field numbers are those of the remote write specifications 1.0 and 2.0 and of the native histogram
specification.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from edgeobs.ingest.messages import made

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
    one, two = made("prometheus", _V1), made("io.prometheus.write.v2", _V2)
    return Messages(one["WriteRequest"], one["TimeSeries"], two["Request"], two["TimeSeries"])
