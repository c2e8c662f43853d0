"""A recording's logs and spans, counted once in intervals of ten seconds.

Templates are those of `edgeobs.logs`. Spans are counted here, in columns of polars: requests by operation,
calls between services, and spans by what they took less what their children took.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.rca_data import Day, service
from edgeobs.causes import Member
from edgeobs.causes.changes import Counted
from edgeobs.logs.book import Book
from edgeobs.logs.mask import Words
from edgeobs.logs.miner import Miner
from edgeobs.logs.settings import Settings
from edgeobs.logs.words import Levels
from edgeobs.signals import SECOND, SEVERITIES, Edge, Floats, Int64s, Resource

INTERVAL_NS = 10 * SECOND
PER_OCTAVE = 4
"""Bins of durations in a doubling."""
_BINS, _SHORTEST_NS = 120, 1000


@dataclass(frozen=True, slots=True)
class Table:
    """S series over B intervals, or by duration as well."""

    series: list[Counted]
    count: Floats  # [S, B], or [S, B, D]


@dataclass(frozen=True, slots=True)
class Counts:
    """What logs and spans of a day tell; B = 0 where there are none."""

    begins_ns: Int64s  # [B]: the intervals in which any request began
    requests: dict[Resource, Floats]  # by member, [its operations, B]
    asked: dict[Resource, Floats]  # by member, [the services that it calls, B]
    tables: list[Table]
    edges: list[Edge]


def place(day: Day, pod: str) -> Resource:
    """Where a pod is."""
    return Resource(node=day.home.get(pod, ""), workload=service(pod), pod=pod)


def members(day: Day) -> list[Member]:
    """All pods."""
    return [Member(place(day, pod.name), service(pod.name)) for pod in day.pods]


def counts(day: Day) -> Counts:
    """Count everything; of a day without logs and spans who calls whom is all."""
    if day.logs is None or day.spans is None:
        edges = [Edge(caller, callee, 0.0, 0.0, 0.0, 0.0, ()) for caller, callee in day.calls]
        return Counts(np.zeros(0, np.int64), {}, {}, [], edges)
    spans = _related(day.spans)
    ticks = spans["tick"].unique().sort()
    columns = pl.DataFrame({"tick": ticks, "column": np.arange(len(ticks))})
    spans = spans.join(columns, on="tick", maintain_order="left")
    logs = _mined(day.logs).join(columns, on="tick", maintain_order="left")
    entries = spans.filter(pl.col("entry"))
    wide = len(ticks)
    keys, found = _grid(entries, ["pod", "name"], wide)
    requests = {place(day, pod): found[(keys["pod"] == pod).to_numpy()] for pod in keys["pod"].unique()}
    calls = _calls(day, entries, wide)
    asked = {
        at: calls.count[[i for i, series in enumerate(calls.series) if series.place == at]]
        for at in {series.place for series in calls.series}
    }
    return Counts(
        ticks.to_numpy() * INTERVAL_NS,
        requests,
        asked,
        [
            _lines(day, logs, wide),
            calls,
            _own(day, spans.filter(~pl.col("waits")), wide),
            _waits(day, spans.filter(pl.col("waits")), wide),
        ],
        _edges(entries, wide),
    )


def _related(spans: pl.DataFrame) -> pl.DataFrame:
    """Spans with whose request they begin, whom they wait for, and what they took without their children."""
    took = pl.col("end_ns") - pl.col("start_ns")
    parents = spans.select(pl.col("span").alias("parent"), pl.col("pod").alias("caller"))
    spans = spans.join(parents, on="parent", how="left", maintain_order="left")
    foreign = pl.col("caller").is_not_null() & (pl.col("caller") != pl.col("pod"))
    inner = spans.group_by(pl.col("parent").alias("span")).agg(
        took.sum().alias("inner_ns"),
        foreign.any().alias("waits"),
        pl.col("pod").filter(foreign).first().alias("callee"),
    )
    return spans.join(inner, on="span", how="left", maintain_order="left").select(
        "pod", "name", "caller", "callee",
        tick=pl.col("start_ns") // INTERVAL_NS,
        entry=pl.col("caller").is_null() | foreign,
        waits=pl.col("waits").fill_null(value=False),
        own_ns=(took - pl.col("inner_ns").fill_null(0)).clip(0),
    )  # fmt: skip


def _mined(logs: pl.DataFrame) -> pl.DataFrame:
    """Template and severity of every line, in order of time, a miner a workload."""
    settings = Settings()
    book, words, levels = Book(settings.templates), Words(), Levels()
    parts = []
    names = {pod: service(pod) for pod in logs["pod"].unique()}
    by_service = logs.with_columns(service=pl.col("pod").replace_strict(names))
    for owner, ((_,), part) in enumerate(by_service.group_by("service", maintain_order=True)):
        miner = Miner(owner, book, words, levels, settings, lambda _: None)
        code = np.array(miner.mine([line.encode() for line in part["line"]], 0))
        texts = [" ".join(miner.tree.words[number]) for number in sorted(miner.tree.words)]
        known = dict(zip(sorted(miner.tree.words), texts, strict=True))
        parts.append(
            part.select(
                "pod",
                tick=pl.col("time_ns") // INTERVAL_NS,
                severity=pl.Series([SEVERITIES[each & 7] if each >= 0 else "" for each in code]),
                template=pl.Series([known.get(each >> 3, "other") for each in code]),
            )
        )
    return pl.concat(parts)


def _lines(day: Day, logs: pl.DataFrame, wide: int) -> Table:
    keys, count = _grid(logs.drop_nulls("column"), ["pod", "severity", "template"], wide)
    series = [
        Counted(
            place(day, pod), "log", f"{severity or 'other'} lines “{_cut(template)}”",
            severity in {"warn", "error", "fatal"},
        )
        for pod, severity, template in keys.iter_rows()
    ]  # fmt: skip
    return Table(series, count)


def _calls(day: Day, entries: pl.DataFrame, wide: int) -> Table:
    calls = entries.filter(pl.col("caller").is_not_null())
    keys, count = _grid(calls, ["caller", "pod"], wide)
    pairs = list(keys.iter_rows())
    series = [
        Counted(place(day, caller), "trace", f"calls of {service(pod)}", worse=False) for caller, pod in pairs
    ]
    return Table(series, count)


def _own(day: Day, spans: pl.DataFrame, wide: int) -> Table:
    keys, count = _histogram(spans, ["pod", "name"], wide)
    series = [
        Counted(place(day, pod), "trace", f"slow spans {_cut(name)}", worse=True)
        for pod, name in keys.iter_rows()
    ]
    return Table(series, count)


def _waits(day: Day, spans: pl.DataFrame, wide: int) -> Table:
    keys, count = _histogram(spans, ["pod", "callee"], wide)
    series = [
        Counted(
            place(day, pod), "trace", f"slow ways to {service(callee)}", worse=True, callee=service(callee)
        )
        for pod, callee in keys.iter_rows()
    ]
    return Table(series, count)


def _edges(entries: pl.DataFrame, wide: int) -> list[Edge]:
    seconds = wide * INTERVAL_NS / SECOND
    calls = (
        entries.filter(pl.col("caller").is_not_null()).group_by("caller", "pod").len().sort("caller", "pod")
    )
    return [
        Edge(service(caller), service(pod), n / seconds, 0.0, 0.0, 0.0, ())
        for caller, pod, n in calls.iter_rows()
    ]


def _grid(table: pl.DataFrame, keys: Sequence[str], wide: int) -> tuple[pl.DataFrame, Floats]:
    """The distinct keys in order, and how often each occurs in each interval."""
    distinct, row = _rows(table, keys)
    count = np.bincount(row * wide + table["column"].to_numpy(), minlength=len(distinct) * wide)
    return distinct, count.reshape(-1, wide).astype(np.float64)


def _histogram(spans: pl.DataFrame, keys: Sequence[str], wide: int) -> tuple[pl.DataFrame, Floats]:
    distinct, row = _rows(spans, keys)
    octaves = np.log2(np.maximum(spans["own_ns"].to_numpy(), _SHORTEST_NS) / _SHORTEST_NS)
    bins = np.minimum(octaves * PER_OCTAVE, _BINS - 1).astype(np.int64)
    flat = (row * wide + spans["column"].to_numpy()) * _BINS + bins
    count = np.bincount(flat, minlength=len(distinct) * wide * _BINS)
    return distinct, count.reshape(-1, wide, _BINS).astype(np.float64)


def _rows(table: pl.DataFrame, keys: Sequence[str]) -> tuple[pl.DataFrame, Int64s]:
    distinct = table.select(keys).unique().sort(keys)
    joined = table.select(keys).join(distinct.with_row_index("row"), on=list(keys), maintain_order="left")
    return distinct, joined["row"].cast(pl.Int64).to_numpy()


def _cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
