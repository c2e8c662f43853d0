"""Readers of the labelled public sets, in the formats their authors publish (or a Parquet file an entity).

Times are Unix nanoseconds. A missing sample is an absent row or NaN, as it is in the file.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from edgeobs.signals import SECOND, Bools, Floats, Int64s

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


# The files of these sets carry no times. SMD (OmniAnomaly) has one row a minute; ASD (InterFusion) and
# JumpStarter's two sets have one in five minutes, as the papers that published them say.
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
    labels = data / "nab/labels/combined_windows.json"
    files = _files(data, "nab/data/*/*.csv")
    if not labels.is_file():
        raise NoDataError(f"no {labels}")
    windows = json.loads(labels.read_text())
    return [_nab(f, f"{f.parent.name}/{f.name}", windows.get(f"{f.parent.name}/{f.name}", [])) for f in files]


def load_mscloud(data: Path) -> list[Series]:
    """Microsoft's cloud monitoring set: one sample in 1 or 60 minutes."""
    found = []
    for file in _files(data, "mscloud/*/*.csv"):
        table = _csv(file, ("TimeStamp", "Value", "Label"))
        value, label = _floats(table["Value"]), table["Label"].cast(pl.Float64).to_numpy() > 0
        found.append(Series(f"{file.parent.name}/{file.stem}", _times(table["TimeStamp"]), value, label))
    return found


def load_kpi(data: Path) -> list[Series]:
    """Minutely KPIs of web services."""
    found = []
    for file in _files(data, "kpi/*.parquet"):
        table = _parquet(file, ("timestamp", "value", "label"))
        time_ns = table["timestamp"].cast(pl.Int64).to_numpy() * SECOND
        found.append(Series(file.stem, time_ns, _floats(table["value"]), table["label"].to_numpy() > 0))
    return found


def load_nodes(data: Path, name: str, part: str = "test") -> list[Node]:
    """One of `NODE_SETS`: the rows of a part, ``test`` or ``train``; ``""`` is both."""
    pattern, interval = NODE_SETS[name]
    found = []
    for file in _files(data, pattern):
        table = _parquet(file, ("part", "d00", "label"))
        table = table.filter(pl.col("part") == part) if part else table
        metrics = tuple(c for c in table.columns if c[0] == "d" and c[1:].isdigit())
        values = table.select(pl.col(metrics).cast(pl.Float64).fill_null(np.nan)).to_numpy()
        time_ns = _START + np.arange(len(values), dtype=np.int64) * interval
        label = table["label"].to_numpy() > 0
        found.append(Node(file.stem, time_ns, np.ascontiguousarray(values), label, part, metrics))
    return found


def load_nezha(data: Path) -> tuple[list[Node], list[Fault]]:
    """Pods of a shop on Kubernetes with faults injected into one at a time; nothing is labelled by row.

    Times are read from the written-out column: the numeric one is years off in one file.
    """
    nodes = []
    for file in _files(data, f"{_NEZHA}/metric/*_metric.csv"):
        table = _csv(file, ("Time", "PodName"))
        time_ns = _times(table["Time"])
        metrics = tuple(c for c in table.columns if c not in {"Time", "TimeStamp", "PodName"})
        values = np.column_stack([_floats(table[c]) for c in metrics])
        quiet = np.zeros(len(values), np.bool_)
        nodes.append(Node(table["PodName"][0], time_ns, np.ascontiguousarray(values), quiet, "", metrics))
    faults = []
    for file in _files(data, f"{_NEZHA}/*-fault_list.json"):
        for each in (fault for hour in json.loads(file.read_text()).values() for fault in hour):
            at = int(_times(pl.Series([each["inject_time"]]))[0])
            faults.append(Fault(at, each["inject_pod"], each["inject_type"]))
    return nodes, sorted(faults)


def _nab(file: Path, name: str, windows: Iterable[tuple[str, str]]) -> Series:
    table = _csv(file, ("timestamp", "value"))
    time_ns = _times(table["timestamp"])
    label, rows = np.zeros(len(time_ns), np.bool_), []
    for window in windows:
        # A stamp that occurs twice means its first row, as in NAB's own scorer.
        first, last = (int(np.flatnonzero(time_ns == stamp)[0]) for stamp in _times(pl.Series(window)))
        label[first : last + 1] = True
        rows.append((first, last))
    return Series(name, time_ns, _floats(table["value"]), label, tuple(sorted(rows)))


def _files(data: Path, pattern: str) -> list[Path]:
    found = sorted(data.glob(pattern))
    if not found:
        raise NoDataError(f"{data}: no file {pattern}")
    return found


def _csv(file: Path, columns: Iterable[str]) -> pl.DataFrame:
    return _checked(file, pl.read_csv(file, infer_schema=False), columns)


def _parquet(file: Path, columns: Iterable[str]) -> pl.DataFrame:
    try:
        return _checked(file, pl.read_parquet(file), columns)
    except pl.exceptions.ComputeError as error:
        raise NoDataError(f"{file}: {error}") from error


def _checked(file: Path, table: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
    if missing := [c for c in columns if c not in table.columns]:
        raise NoDataError(f"{file}: no column {', '.join(missing)}")
    return table


def _floats(column: pl.Series) -> Floats:
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _times(column: pl.Series) -> Int64s:
    """``2022-08-22 03:51:19…`` or with a T between, to the second; UTC."""
    plain = column.str.slice(0, 19).str.replace("T", " ")
    return plain.str.to_datetime("%Y-%m-%d %H:%M:%S").dt.epoch("s").to_numpy() * SECOND
