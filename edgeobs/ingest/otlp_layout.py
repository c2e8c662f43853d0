"""What the compiled walk over OTLP reads and writes, and how it ends. Needs Numba."""

from typing import NamedTuple

from edgeobs.ingest.hashing import Bytes, Words
from edgeobs.ingest.wire import Schema
from edgeobs.signals import Floats, Int32s, Int64s

DONE, ODD, FULL = 0, 1, 2
"""How a walk ends: done; meet something for the reference decoder; out of room in the columns."""

POINTS, ROWS, EDGES, MISSES, GROUPS, GROUPED = range(6)
"""Places in `Out.n`: how much is used of the columns, and whether the metric under way has its group."""

GAUGE, SUM, HISTOGRAM, EXPONENTIAL, SUMMARY = 5, 7, 9, 10, 11
"""A metric's data by its field number."""

# Message types, as places in `Look.types`.
T_REQUEST, T_RESOURCE_METRICS, T_RESOURCE, T_SCOPE_METRICS, T_SCOPE, T_METRIC, T_BUCKETS = range(7)
T_DATA, T_POINT = 7, 19  # + the data's field number


class Look(NamedTuple):
    """What a walk reads."""

    buffer: Bytes
    keys: Words
    slots: Words
    schema: Schema
    types: Int64s
    stack: Int64s  # scratch of `wire.valid`


class Out(NamedTuple):
    """What a walk writes."""

    series: Int32s
    time: Words
    start: Words
    value: Words  # bits of float64
    row_series: Int32s
    row_time: Words
    row_start: Words
    row_count: Floats
    row_total: Words
    first: Int64s
    edge: Floats
    weight: Floats
    miss: Int64s  # [m, 4]: point, or −1 − row; group; start and stop of the point
    miss_hash: Words  # [2, m]
    group: Int64s  # [g, 9]: starts and stops of resource, scope, name, unit; data · 16 + kind
    here: Int64s  # [9]: the group under way
    scratch: Floats  # [MAX_BUCKETS]
    n: Int64s
    rejected: Int64s  # by −refusal
