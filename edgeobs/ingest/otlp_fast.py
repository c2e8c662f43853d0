"""OTLP metrics → `Points` by the compiled walk: equal to `otlp` on every input, many times as fast.

Needs Numba. Bytes that were seen before cost a hash and a look into the alias table. For bytes that were not,
protobuf parses just those and `otlp` says which series they spell. Odd bodies go to `otlp` whole.
"""

from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from edgeobs.ingest import otlp, otlp_layout, wire
from edgeobs.ingest.aliases import Aliases
from edgeobs.ingest.buckets import MAX_BUCKETS
from edgeobs.ingest.hashing import Words
from edgeobs.ingest.intern import REASONS, Interner
from edgeobs.ingest.otlp import Header
from edgeobs.ingest.otlp_layout import EDGES, GROUPS, MISSES, POINTS, ROWS, Look, Out
from edgeobs.ingest.otlp_walk import walk
from edgeobs.signals import (
    Bools,
    Distributions,
    Identity,
    Int32s,
    Int64s,
    Kind,
    Labels,
    Points,
    Principal,
    Source,
)

_Point = type[
    pb.NumberDataPoint | pb.HistogramDataPoint | pb.ExponentialHistogramDataPoint | pb.SummaryDataPoint
]
_POINT: dict[int, _Point] = {
    otlp_layout.GAUGE: pb.NumberDataPoint,
    otlp_layout.SUM: pb.NumberDataPoint,
    otlp_layout.HISTOGRAM: pb.HistogramDataPoint,
    otlp_layout.EXPONENTIAL: pb.ExponentialHistogramDataPoint,
    otlp_layout.SUMMARY: pb.SummaryDataPoint,
}


def decode(body: bytes, interner: Interner, aliases: Aliases, principal: Principal, now_ns: int) -> Points:
    """The points of an uncompressed ExportMetricsServiceRequest; raises Malformed."""
    if not body:
        return Points.none()
    seed = aliases.ready(principal)
    buffer = np.frombuffer(body, np.uint8)
    buffer.flags.writeable = False  # one type, whatever holds the body: one compilation
    look = Look(buffer, aliases.keys, aliases.slots, *_schema(), np.empty(2 * wire.DEPTH, np.int64))
    size, out = 1, _room(len(body), 1)
    while (status := walk(look, out, seed)) == otlp_layout.FULL:
        size *= 4
        out = _room(len(body), size)
    if status == otlp_layout.ODD:
        return otlp.decode(body, interner, principal, now_ns)
    if out.n[MISSES]:
        _resolve(body, out, aliases, Admission(interner, principal, now_ns))
    return _points(out)


@cache
def _schema() -> tuple[wire.Schema, Int64s]:
    """What the walk must check, from the installed messages themselves."""
    schema, numbers = wire.schema_of(ExportMetricsServiceRequest.DESCRIPTOR)
    named = [
        ExportMetricsServiceRequest.DESCRIPTOR,
        pb.ResourceMetrics.DESCRIPTOR,
        Resource.DESCRIPTOR,
        pb.ScopeMetrics.DESCRIPTOR,
        InstrumentationScope.DESCRIPTOR,
        pb.Metric.DESCRIPTOR,
        pb.ExponentialHistogramDataPoint.Buckets.DESCRIPTOR,
    ]
    types = np.zeros(otlp_layout.T_POINT + 12, np.int64)
    types[: len(named)] = [numbers[descriptor.full_name] for descriptor in named]
    for data in pb.Metric.DESCRIPTOR.oneofs_by_name["data"].fields:
        holder: Any = data.message_type
        types[otlp_layout.T_DATA + data.number] = numbers[holder.full_name]
        point = holder.fields_by_name["data_points"].message_type
        types[otlp_layout.T_POINT + data.number] = numbers[point.full_name]
    return schema, types


def _room(length: int, size: int) -> Out:
    """Columns for a body of so many bytes; untouched memory costs nothing, and FULL asks for more."""
    points, rows, edges = (size * length // 16 + 64, size * length // 64 + 64, size * length // 8 + 4096)
    misses = size * length // 64 + 256
    return Out(
        series=np.empty(points, np.int32),
        time=np.empty(points, np.uint64),
        start=np.empty(points, np.uint64),
        value=np.empty(points, np.uint64),
        row_series=np.empty(rows, np.int32),
        row_time=np.empty(rows, np.uint64),
        row_start=np.empty(rows, np.uint64),
        row_count=np.empty(rows, np.float64),
        row_total=np.empty(rows, np.uint64),
        first=np.empty(rows + 1, np.int64),
        edge=np.empty(edges, np.float64),
        weight=np.empty(edges, np.float64),
        miss=np.empty((misses, 4), np.int64),
        miss_hash=np.empty((2, misses), np.uint64),
        group=np.empty((misses, 9), np.int64),
        here=np.zeros(9, np.int64),
        scratch=np.empty(MAX_BUCKETS, np.float64),
        n=np.zeros(6, np.int64),
        rejected=np.zeros(8, np.int64),
    )


class Admission(NamedTuple):
    """Who asks, and when."""

    interner: Interner
    principal: Principal
    now_ns: int


class Spelled:
    """What the bytes of a body spell; what many points share is parsed once."""

    def __init__(self, body: bytes, groups: Int64s) -> None:
        self._body = body
        self._groups = [tuple(g) for g in groups.tolist()]
        self._source = cache(self._parse_source)
        self._scope = cache(self._parse_scope)

    def identity(self, group: int, start: int, stop: int) -> Identity:
        """The series of the point at ``body[start:stop]``."""
        resource, resource_end, scope, scope_end, name, name_end, unit, unit_end, code = self._groups[group]
        data, kind = divmod(code, 16)
        header = Header(self._text(name, name_end), self._text(unit, unit_end), Kind(kind))
        point = _POINT[data].FromString(self._body[start:stop])
        source, labels = self._source(resource, resource_end), self._scope(scope, scope_end)
        return otlp.identity_of(source, labels, header, point.attributes)

    def _text(self, start: int, stop: int) -> str:
        return str(self._body[start:stop], "utf-8")

    def _parse_source(self, start: int, stop: int) -> Source:
        return otlp.source_of(Resource.FromString(self._body[start:stop]))

    def _parse_scope(self, start: int, stop: int) -> Labels:
        return otlp.scope_of(InstrumentationScope.FromString(self._body[start:stop]))


def _resolve(body: bytes, out: Out, aliases: Aliases, admission: Admission) -> None:
    """Find out what every new alias means, in the order of the message, and fill the ids in."""
    spelled = Spelled(body, out.group[: out.n[GROUPS]])
    a, b = out.miss_hash[:, : out.n[MISSES]]
    meanings: dict[tuple[int, int], int] = {}
    numbers = np.empty(a.size, np.int32)
    misses = out.miss[: a.size].tolist()
    for m, (key, (_, group, start, stop)) in enumerate(
        zip(zip(a.tolist(), b.tolist(), strict=True), misses, strict=True)
    ):
        number = meanings.get(key)
        if number is None:
            number = meanings[key] = admission.interner.admit(
                admission.principal, spelled.identity(group, start, stop), admission.now_ns
            )
        numbers[m] = number
    aliases.remember(a, b, numbers)
    where = out.miss[: a.size, 0]
    out.series[where[where >= 0]] = numbers[where >= 0]
    out.row_series[-1 - where[where < 0]] = numbers[where < 0]


def _points(out: Out) -> Points:
    """What the columns hold, without the points that were refused only now."""
    n, r, e = (int(out.n[k]) for k in (POINTS, ROWS, EDGES))
    refused: Counter[str] = Counter({REASONS[-k]: c for k, c in enumerate(out.rejected.tolist()) if c})
    series, time, start = out.series[:n], _signed(out.time[:n]), _signed(out.start[:n])
    value = out.value[:n].view(np.float64)
    kept = series >= 0
    if not kept.all():
        refused.update(_reasons(series[~kept]))
        series, time, start, value = series[kept], time[kept], start[kept], value[kept]
    distributions = _distributions(out, r, e, refused) if r else Distributions.none()
    return Points(series, time, start, value, distributions, dict(refused))


def _distributions(out: Out, r: int, e: int, refused: Counter[str]) -> Distributions:
    series, first = out.row_series[:r], out.first[: r + 1]
    time, start, count = _signed(out.row_time[:r]), _signed(out.row_start[:r]), out.row_count[:r]
    total, edge, weight = out.row_total[:r].view(np.float64), out.edge[:e], out.weight[:e]
    kept = series >= 0
    if not kept.all():
        refused.update(_reasons(series[~kept]))
        if not kept.any():
            return Distributions.none()
        sizes = np.diff(first)
        inside: Bools = np.repeat(kept, sizes)
        edge, weight = edge[inside], weight[inside]
        first = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[kept])])
        series, time, start = series[kept], time[kept], start[kept]
        count, total = count[kept], total[kept]
    return Distributions(series, time, start, count, total, first, edge, weight)


def _signed(words: Words) -> Int64s:
    """Times are below 2^63 here."""
    return words.view(np.int64)


def _reasons(refusals: Int32s) -> Iterable[str]:
    return (REASONS[number] for number in refusals.tolist())
