"""When something is known to have been wrong: label files, and the ``label`` column of recordings.

- CSV, Parquet or a JSON list of rows: ``series`` (as `selector` reads them; empty or missing: every series),
  ``start``, ``end``, in the units that recordings may have;
- JSON as NAB's ``combined_windows.json``: file → list of [start, end], for the series of that file.
"""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from edgeobs.backtest.selector import Selector, SelectorError, of_nodes, selector
from edgeobs.replay import SUFFIXES, RecordingError, read_frame, times
from edgeobs.signals import Bools, Int64s

MAX_BYTES = 64 << 20
MAX_LABELS = 100_000
_COLUMNS = frozenset({"series", "start", "end"})


class Label(NamedTuple):
    """These series were abnormal from ``start_ns`` to ``end_ns``, both included."""

    selector: Selector
    start_ns: int
    end_ns: int


def read_labels(path: Path) -> list[Label]:
    """Labels from a file, in order of time. Raises OSError, RecordingError."""
    found = _from_json(path) if path.suffix == ".json" else _from_table(path)
    return sorted(found, key=lambda label: (label.start_ns, label.end_ns))


def from_column(label: Bools, time_ns: Int64s, node: str) -> list[Label]:
    """The runs of rows, in order of time, that a recording itself marks as abnormal."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], label.astype(np.int8), [0]])))
    about = of_nodes([node], f'{{node="{node}"}}')
    return [Label(about, int(time_ns[a]), int(time_ns[b - 1])) for a, b in edges.reshape(-1, 2).tolist()]


def _from_table(path: Path) -> list[Label]:
    if path.suffix not in SUFFIXES:
        raise RecordingError(f"{path}: expected a name ending in .csv, .parquet or .json")
    frame = read_frame(path, _COLUMNS)
    missing = sorted({"start", "end"} - set(frame.columns))
    if missing:
        raise RecordingError(f"{path}: expected columns series, start, end; found {frame.columns}")
    start, end = times(frame["start"], path), times(frame["end"], path)
    texts = frame["series"].to_list() if "series" in frame.columns else [""] * frame.height
    return list(_labels(zip(texts, start.tolist(), end.tolist(), strict=True), path))


def _from_json(path: Path) -> list[Label]:
    import polars as pl  # noqa: PLC0415  120 MiB that only replaying needs

    with path.open("rb") as file:
        body = file.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise RecordingError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
    try:
        rows = _rows(json.loads(body), path)
    except (ValueError, RecursionError) as error:
        if isinstance(error, RecordingError):
            raise
        raise RecordingError(f"{path}: no JSON: {error}") from error
    if not rows:
        return []
    try:
        frame = pl.DataFrame([row[1:] for row in rows], schema=["start", "end"], orient="row")
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise RecordingError(f"{path}: expected times of one kind: {' '.join(str(error).split())}") from error
    start, end = times(frame["start"], path), times(frame["end"], path)
    return list(_labels(zip([r[0] for r in rows], start.tolist(), end.tolist(), strict=True), path))


def _rows(document: Any, path: Path) -> list[tuple[Any, Any, Any]]:
    """(series or its selector, start, end)."""
    if isinstance(document, dict):
        return [row for name, windows in document.items() for row in _windows(name, windows, path)]
    if not isinstance(document, list):
        raise RecordingError(f"{path}: expected a list of rows, or file → windows")
    for number, row in enumerate(document, 1):
        if not isinstance(row, dict) or not {"start", "end"} <= row.keys():
            raise RecordingError(f"{path}: row {number}: expected series, start and end, found {row!r:.80}")
    return [(row.get("series"), row["start"], row["end"]) for row in document]


def _windows(name: str, windows: Any, path: Path) -> list[tuple[Any, Any, Any]]:
    if not isinstance(windows, list) or not all(isinstance(w, list) and len(w) == 2 for w in windows):
        raise RecordingError(f"{path}: {name!r}: expected a list of [start, end], found {windows!r:.80}")
    file = PurePosixPath(name).with_suffix("") if PurePosixPath(name).name else PurePosixPath(name)
    about = of_nodes([file.name, str(file)], name)
    return [(about, start, end) for start, end in windows]


def _labels(rows: Iterable[tuple[Any, int, int]], path: Path) -> Iterable[Label]:
    known: dict[str, Selector] = {}
    for number, (series, start, end) in enumerate(rows, 1):
        if number > MAX_LABELS:
            raise RecordingError(f"{path}: more than {MAX_LABELS} labels")
        if end < start:
            raise RecordingError(f"{path}: row {number}: ends before it starts")
        if not isinstance(series, Selector | str | None):
            raise RecordingError(f"{path}: row {number}: expected a selector, found {series!r}")
        try:
            text = series or ""
            about = text if isinstance(text, Selector) else known.setdefault(text, selector(text))
        except SelectorError as error:
            raise RecordingError(f"{path}: row {number}: {error}") from error
        yield Label(about, start, end)
