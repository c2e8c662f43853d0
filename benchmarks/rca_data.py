"""Readers of Nezha's recordings: metrics, logs and spans of pods, who calls whom, and what was broken when.

A day holds ``metric/*_metric.csv`` and a ``*-fault_list.json``; some hold ``metric/dependency.csv``, some
``logs.parquet`` and ``spans.parquet``. Times are Unix nanoseconds.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from benchmarks.accuracy.data import Fault, NoDataError, Node
from edgeobs.signals import SECOND, Int64s

T = TypeVar("T")
DAYS = {"TrainTicket": "nezha/2023-01-29", "OnlineBoutique": "nezha/2022-08-22"}
_LINE = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Day:
    """One recording. ``logs`` and ``spans`` are None where there are none."""

    name: str
    pods: list[Node]  # with the metrics that are their own
    hosts: list[Node]  # with those of the node, one of each that is known
    home: dict[str, str]  # pod → node
    faults: list[Fault]
    calls: list[tuple[str, str]]  # caller, callee: services, where a file tells
    logs: pl.DataFrame | None  # time_ns, pod, line
    spans: pl.DataFrame | None  # start_ns, end_ns, pod, name, span, parent, trace


def load(data: Path, name: str) -> Day:
    """One of `DAYS`; NoDataError names what is not there or not as it should be."""
    base = data / DAYS[name]
    whole = [_read(file, _pod) for file in _files(base, "metric/*_metric.csv")]
    faults = sorted(fault for file in _files(base, "*-fault_list.json") for fault in _read(file, _faults))
    if unknown := {fault.node for fault in faults} - {pod.name for pod in whole}:
        raise NoDataError(f"{base}: faults of {', '.join(sorted(unknown))}, but no metrics of it")
    calls, home = _dependencies(base / "metric/dependency.csv", whole)
    logs = spans = None
    if (base / "logs.parquet").exists() and (base / "spans.parquet").exists():
        spans = _read(base / "spans.parquet", _spans)
        logs = _read(base / "logs.parquet", _logs)
        home = dict(logs.select("pod", "node").unique("pod").sort("pod").iter_rows())
    pods = [_only(pod, node=False) for pod in whole]
    first = {node: pod for pod in reversed(whole) if (node := home.get(pod.name))}
    hosts = [replace(_only(pod, node=True), name=node) for node, pod in sorted(first.items())]
    return Day(name, pods, hosts, home, faults, calls, logs, spans)


def service(pod: str) -> str:
    """The workload of a Deployment's pod: its name without the hashes of replica set and pod."""
    return pod.rsplit("-", 2)[0]


def _files(base: Path, pattern: str) -> list[Path]:
    found = sorted(base.glob(pattern))
    if not found:
        raise NoDataError(f"{base}: no file {pattern}")
    return found


def _read(file: Path, read: Callable[[Path], T]) -> T:
    try:
        return read(file)
    except (ValueError, LookupError, TypeError, pl.exceptions.PolarsError) as error:
        first, *_ = str(error).splitlines() or [type(error).__name__]
        raise NoDataError(f"{file}: {first}") from error


def _pod(file: Path) -> Node:
    """Times are read from the written-out column: the numeric one is years off in places."""
    table = pl.read_csv(file, infer_schema=False)
    metrics = tuple(c for c in table.columns if c not in {"Time", "TimeStamp", "PodName"})
    values = table.select(pl.col(metrics).cast(pl.Float64).fill_null(np.nan)).to_numpy()
    quiet = np.zeros(len(values), np.bool_)
    return Node(table["PodName"][0], _seconds(table["Time"]), values, quiet, "", metrics)


def _only(pod: Node, *, node: bool) -> Node:
    """The metrics of the node that a pod is on, which are told with each of its pods, or all others."""
    kept = [i for i, metric in enumerate(pod.metrics) if metric.startswith("Node") == node]
    values = np.ascontiguousarray(pod.values[:, kept])
    return replace(pod, values=values, metrics=tuple(pod.metrics[i] for i in kept))


def _faults(file: Path) -> list[Fault]:
    """``inject_time`` is right, ``inject_timestamp`` is hours off in places."""
    entries = [entry for hour in json.loads(file.read_text()).values() for entry in hour]
    times = _seconds(pl.Series([entry["inject_time"] for entry in entries], dtype=pl.String)).tolist()
    return [Fault(at, e["inject_pod"], e["inject_type"]) for at, e in zip(times, entries, strict=True)]


def _dependencies(file: Path, pods: list[Node]) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Pairs of services, and pod → node: the file has both, nodes told from services by their address."""
    if not file.exists():
        return [], {}
    rows = list(pl.read_csv(file).select("Source", "Target").iter_rows())
    nodes = {source: target for source, target in rows if target[:1].isdigit()}
    calls = sorted((source, target) for source, target in rows if not target[:1].isdigit())
    return calls, {pod.name: nodes[of] for pod in pods if (of := service(pod.name)) in nodes}


def _seconds(column: pl.Series) -> Int64s:
    """Of ``2023-01-29 08:43:04…`` or with a T between, UTC."""
    plain = column.str.slice(0, 19).str.replace("T", " ")
    return plain.str.to_datetime("%Y-%m-%d %H:%M:%S").dt.epoch("s").to_numpy() * SECOND


def _logs(file: Path) -> pl.DataFrame:
    """What a collector makes of container logs: the runtime's JSON unwrapped, trace and span ids taken out.

    Some records carry a stamp centuries away, but the runtime's own time is right in all; two are torn, and
    what stands before the tear is whole.
    """
    raw = pl.read_parquet(file)
    lines = [_LINE.raw_decode(line)[0] for line in raw["Log"]]
    text = pl.Series("line", [line["log"].strip() for line in lines], dtype=pl.String)
    return pl.DataFrame(
        {
            "time_ns": _seconds(pl.Series([line["time"] for line in lines], dtype=pl.String)),
            "pod": raw["PodName"],
            "node": raw["Node"],
            "line": text.str.replace(r"TraceID: \S* SpanID: \S* ?", ""),
        }
    ).sort("time_ns", maintain_order=True)


def _spans(file: Path) -> pl.DataFrame:
    return pl.read_parquet(file).select(
        pl.col("StartTimeUnixNano").alias("start_ns"),
        pl.col("EndTimeUnixNano").alias("end_ns"),
        pl.col("PodName").alias("pod"),
        pl.col("OperationName").alias("name"),
        pl.col("SpanID").alias("span"),
        pl.col("ParentID").alias("parent"),
        pl.col("TraceID").alias("trace"),
    ).sort("start_ns", maintain_order=True)  # fmt: skip
