"""Readers of the labelled public sets, in the formats their authors publish (or a Parquet file an entity).

Times are Unix nanoseconds. A missing sample is an absent row or NaN, as it is in the file.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import polars as pl

from edgeobs.signals import SECOND, Bools, Floats, Int64s

T = TypeVar("T")
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND


class NoDataError(ValueError):
    """The directory does not hold what was asked for; the message says what and where."""


@dataclass(frozen=True, slots=True)
class Series:
    """n samples of one series in ascending time, and which of them experts call abnormal.

    ``windows`` are the (first, last) rows between which NAB credits a detection; other sets have none.
    """

    name: str  # as the file is called below its set; what stands before the first / is the category
    time_ns: Int64s
    value: Floats
    label: Bools
    windows: tuple[tuple[int, int], ...] = ()

    @property
    def category(self) -> str:
        """The folder it lies in."""
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Node:
    """n samples of the D metrics of one machine or service, all at once, and which of them are abnormal."""

    name: str
    time_ns: Int64s
    values: Floats  # [n, D]
    label: Bools
    part: str = "test"
    metrics: tuple[str, ...] = ()


class Fault(NamedTuple):
    """Something was broken on purpose."""

    time_ns: int
    node: str
    kind: str


# The files of these sets carry no times. The daily pattern shows the interval: the highest autocorrelation of
# most machines is at 1,440 rows in SMD (a row a minute), at 288 in ASD and JumpStarter (one in five minutes).
NODE_SETS = {
    "smd": ("smd/*.parquet", MINUTE),
    "asd": ("asd/*.parquet", 5 * MINUTE),
    "jumpstarter_d2": ("jumpstarter/d2-*.parquet", 5 * MINUTE),
    "jumpstarter_d3": ("jumpstarter/d3-*.parquet", 5 * MINUTE),
}
_START = 1_577_836_800 * SECOND  # where time begins for files without: 2020-01-01, a Wednesday, UTC
_NEZHA = "nezha/2022-08-22"


def load_nab(data: Path) -> list[Series]:
    """The Numenta Anomaly Benchmark; rows inside a window are labelled."""
    pattern = "nab/data/*/*.csv"
    files = _files(data, pattern)
    (windows,) = _each(data, "nab/labels/combined_windows.json", lambda file: json.loads(file.read_text()))
    names = {file: f"{file.parent.name}/{file.name}" for file in files}
    return _each(data, pattern, lambda file: _nab(file, names[file], windows.get(names[file], [])))


def load_mscloud(data: Path) -> list[Series]:
    """Microsoft's cloud monitoring set: one sample in 1 or 60 minutes."""
    return _each(data, "mscloud/*/*.csv", _mscloud)


def load_kpi(data: Path) -> list[Series]:
    """Minutely KPIs of web services."""
    return _each(data, "kpi/*.parquet", _kpi)


def load_nodes(data: Path, name: str, part: str = "test") -> list[Node]:
    """One of `NODE_SETS`: the rows of a part, ``test`` or ``train``; ``""`` is both."""
    pattern, interval = NODE_SETS[name]
    return _each(data, pattern, lambda file: _node(file, interval, part))


def load_nezha(data: Path) -> tuple[list[Node], list[Fault]]:
    """Pods of a shop on Kubernetes with faults injected into one at a time; nothing is labelled by row."""
    nodes = _each(data, f"{_NEZHA}/metric/*_metric.csv", _pod)
    lists = _each(data, f"{_NEZHA}/*-fault_list.json", _fault_list)
    faults = sorted(fault for each in lists for fault in each)
    if unknown := {fault.node for fault in faults} - {node.name for node in nodes}:
        raise NoDataError(f"{data}/{_NEZHA}: faults of {', '.join(sorted(unknown))}, but no metrics of it")
    return nodes, faults


def _files(data: Path, pattern: str) -> list[Path]:
    found = sorted(data.glob(pattern))
    if not found:
        raise NoDataError(f"{data}: no file {pattern}")
    return found


def _each(data: Path, pattern: str, read: Callable[[Path], T]) -> list[T]:
    """Read every file; what one should not hold is said with its name."""
    found = []
    for file in _files(data, pattern):
        try:
            found.append(read(file))
        except (ValueError, LookupError, TypeError, pl.exceptions.PolarsError) as error:
            first, *_ = str(error).splitlines() or [type(error).__name__]
            raise NoDataError(f"{file}: {first}") from error
    return found


def _mscloud(file: Path) -> Series:
    table = _read(file, ("TimeStamp", "Value", "Label"))
    label = table["Label"].cast(pl.Float64).to_numpy() > 0
    return Series(
        f"{file.parent.name}/{file.stem}", _times(table["TimeStamp"]), _floats(table["Value"]), label
    )


def _kpi(file: Path) -> Series:
    table = _read(file, ("timestamp", "value", "label"))
    time_ns = table["timestamp"].cast(pl.Int64).to_numpy() * SECOND
    return Series(file.stem, time_ns, _floats(table["value"]), table["label"].to_numpy() > 0)


def _nab(file: Path, name: str, windows: Iterable[tuple[str, str]]) -> Series:
    table = _read(file, ("timestamp", "value"))
    time_ns = _times(table["timestamp"])
    label, rows = np.zeros(len(time_ns), np.bool_), []
    for window in windows:
        # A stamp that occurs twice means its first row, as in NAB's own scorer.
        first, last = (_row(time_ns, stamp) for stamp in _times(pl.Series(window)))
        label[first : last + 1] = True
        rows.append((first, last))
    return Series(name, time_ns, _floats(table["value"]), label, tuple(sorted(rows)))


def _row(time_ns: Int64s, stamp: int) -> int:
    at = np.flatnonzero(time_ns == stamp)
    if not len(at):
        raise ValueError("a window begins or ends at a time that is no row's")
    return int(at[0])


def _node(file: Path, interval: int, part: str) -> Node:
    table = _read(file, ("part", "d00", "label"))
    table = table.filter(pl.col("part") == part) if part else table
    if not len(table):
        raise ValueError(f"no rows of part {part}")
    metrics = tuple(c for c in table.columns if c[0] == "d" and c[1:].isdigit())
    values = table.select(pl.col(metrics).cast(pl.Float64).fill_null(np.nan)).to_numpy()
    time_ns = _START + np.arange(len(values), dtype=np.int64) * interval
    label = table["label"].to_numpy() > 0
    return Node(file.stem, time_ns, np.ascontiguousarray(values), label, part, metrics)


def _pod(file: Path) -> Node:
    """Times are read from the written-out column: the numeric one is years off in one file."""
    table = _read(file, ("Time", "PodName"))
    metrics = tuple(c for c in table.columns if c not in {"Time", "TimeStamp", "PodName"})
    values = np.column_stack([_floats(table[c]) for c in metrics])
    quiet = np.zeros(len(values), np.bool_)
    return Node(table["PodName"][0], _times(table["Time"]), np.ascontiguousarray(values), quiet, "", metrics)


def _fault_list(file: Path) -> list[Fault]:
    entries = [entry for hour in json.loads(file.read_text()).values() for entry in hour]
    time_ns = _times(pl.Series([entry["inject_time"] for entry in entries], dtype=pl.String))
    return [
        Fault(int(at), entry["inject_pod"], entry["inject_type"])
        for at, entry in zip(time_ns, entries, strict=True)
    ]


def _read(file: Path, columns: Iterable[str]) -> pl.DataFrame:
    table = pl.read_parquet(file) if file.suffix == ".parquet" else pl.read_csv(file, infer_schema=False)
    if missing := [c for c in columns if c not in table.columns]:
        raise ValueError(f"no column {', '.join(missing)}")
    if len(table) < 2:
        raise ValueError("fewer than two samples")
    return table


def _floats(column: pl.Series) -> Floats:
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _times(column: pl.Series) -> Int64s:
    """``2022-08-22 03:51:19…`` or with a T between, to the second; UTC."""
    plain = column.str.slice(0, 19).str.replace("T", " ")
    return plain.str.to_datetime("%Y-%m-%d %H:%M:%S").dt.epoch("s").to_numpy() * SECOND
