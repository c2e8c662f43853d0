"""A recording's logs and spans through the stages that a core has, which count them.

They come as they would: every few seconds what was logged and what ended since, in one request each.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import polars as pl

from benchmarks.rca_data import Day, service
from edgeobs.causes import Member
from edgeobs.ingest.intern import Interner
from edgeobs.logs import Logs
from edgeobs.logs import Settings as LogSettings
from edgeobs.past import INTERVAL_NS, NOTHING, Tallies
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Edge, Int32s, Int64s, LogBatch, Principal, Resource, Source, SpanBatch
from edgeobs.traces import Settings as TraceSettings
from edgeobs.traces import Traces

REQUEST_NS = 5 * SECOND
_WHO = Principal(0, "benchmark", None, 1_000_000)


@dataclass(frozen=True, slots=True)
class Counts:
    """What logs and spans of a day tell; nothing where there are none."""

    lines: Tallies
    spans: Tallies
    edges: list[Edge]

    @property
    def begins_ns(self) -> Int64s:
        """[B]: when the intervals of which spans tell begin."""
        return self.spans.intervals * INTERVAL_NS


def place(day: Day, pod: str) -> Resource:
    """Where a pod is."""
    return Resource(node=day.home.get(pod, ""), workload=service(pod), pod=pod)


def members(day: Day) -> list[Member]:
    """All pods."""
    return [Member(place(day, pod.name), service(pod.name)) for pod in day.pods]


def counts(day: Day) -> Counts:
    """Count everything; of a day without logs and spans who calls whom is all."""
    if day.logs is None or day.spans is None:
        return Counts(NOTHING, NOTHING, [Edge(a, b, 0.0, 0.0, 0.0, 0.0, ()) for a, b in day.calls])
    sources = {pod: _source(day, pod) for pod in sorted({*day.logs["pod"], *day.spans["pod"]})}
    table = SeriesTable(1_000_000)
    admit = Interner(table).admit
    logs = Logs(table, LogSettings(), Counter(), admit)
    traces = Traces(table, TraceSettings(), Counter(), admit)
    for now, lines, spans in _requests(day.logs, day.spans):
        logs.take(_lines(lines, sources), now)
        traces.take(_spans(spans, sources), now)
        logs.close(now)
        traces.close(now)
    for _ in range(8):  # until nothing more of a span is waited for
        now += REQUEST_NS
        traces.close(now)
    places = {each.resource for each in sources.values()}
    counted = traces.tallies(places)
    return Counts(logs.tallies(places), counted, _edges(counted))


def _source(day: Day, pod: str) -> Source:
    return Source((("k8s.pod.name", pod), ("service.name", service(pod))), place(day, pod))


def _requests(logs: pl.DataFrame, spans: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame, pl.DataFrame]]:
    """When they come, and the lines and spans of each."""
    of_logs = _parts(logs, "time_ns")
    of_spans = _parts(spans.sort("end_ns", maintain_order=True), "end_ns")
    for number in sorted({*of_logs, *of_spans}):
        nothing = logs.head(0), spans.head(0)
        yield (
            (number + 1) * REQUEST_NS,
            of_logs.get(number, nothing[0]),
            of_spans.get(number, nothing[1]),
        )


def _parts(table: pl.DataFrame, time: str) -> dict[int, pl.DataFrame]:
    parts = table.with_columns(request=pl.col(time) // REQUEST_NS).partition_by("request", as_dict=True)
    return {int(number): part for (number,), part in parts.items()}


def _lines(part: pl.DataFrame, sources: dict[str, Source]) -> LogBatch:
    raw = [line.encode() for line in part["line"]]
    n, (which, source) = len(raw), _which(part["pod"], sources)
    return LogBatch(
        _WHO, which, source, part["time_ns"].to_numpy(), np.zeros(n, np.int8), b"".join(raw),
        np.array([0, *accumulate(map(len, raw))], np.int64), np.zeros((n, 2), np.uint64),
    )  # fmt: skip


def _spans(part: pl.DataFrame, sources: dict[str, Source]) -> SpanBatch:
    n, (which, source) = len(part), _which(part["pod"], sources)
    names = part["name"].unique(maintain_order=True).to_list()
    number = {name: k for k, name in enumerate(names)}
    trace, span = part["trace"].hash().to_numpy(), part["span"].hash().to_numpy()
    parent = np.where((part["parent"] == "root").to_numpy(), np.uint64(0), part["parent"].hash().to_numpy())
    return SpanBatch(
        _WHO, which, tuple(names), source, np.array([number[name] for name in part["name"]], np.int32),
        np.full(n, -1, np.int32), np.zeros(n, np.int8), np.zeros(n, np.bool_), part["start_ns"].to_numpy(),
        part["end_ns"].to_numpy(), np.stack([np.zeros(n, np.uint64), trace], axis=1), span, parent,
    )  # fmt: skip


def _which(pods: pl.Series, sources: dict[str, Source]) -> tuple[tuple[Source, ...], Int32s]:
    names = pods.unique(maintain_order=True).to_list()
    number = {name: k for k, name in enumerate(names)}
    return tuple(sources[name] for name in names), np.array([number[pod] for pod in pods], np.int32)


def _edges(spans: Tallies) -> list[Edge]:
    """Who called whom at any time of the day."""
    calls = {(each.place.workload, each.callee) for each in spans.series if each.what == "calls"}
    return [Edge(caller, callee, 0.0, 0.0, 0.0, 0.0, ()) for caller, callee in sorted(calls)]
