"""Recorded telemetry, read with polars and fed through the same step as live telemetry.

Two shapes are understood, in Parquet or CSV:

- long: ``time`` (or ``timestamp``), ``name``, ``value``; every other text column is a label, but for
  ``cluster``, ``zone``, ``node`` … (the place) and ``kind`` (``counter``, ``delta``, ``gauge``, ``updown``);
  ``labels`` has more of them, as a JSON object of texts;
- wide: one row a moment, one numeric column a series; the time column may be missing (one row a second).

Times are Unix seconds, milliseconds, microseconds or nanoseconds (told apart by size), or dates in ISO 8601.
The columns ``label`` and ``part``, as benchmarks mark anomalies with, are not telemetry and are left out.
Nothing, NaN and infinities are no samples.
"""

import json
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Floats, Identity, Int32s, Int64s, Kind, Points, Resource, Source

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = frozenset({".parquet", ".csv"})
TIME_COLUMNS = ("time_ns", "time", "timestamp", "ts", "date", "datetime")
LEFT_OUT = ("label", "part")
LABELS = "labels"
ROWS_A_STEP = 10_000
_KINDS = {"counter": Kind.COUNTER, "gauge": Kind.GAUGE, "delta": Kind.DELTA, "updown": Kind.UPDOWN}
_OURS = frozenset({*TIME_COLUMNS, *LEFT_OUT, "name", "value", "kind", *Resource._fields})
_NUMBERS = frozenset({*TIME_COLUMNS, *LEFT_OUT, "value"})  # of a long recording; the rest is text
_TEXTS = frozenset({"series", "name", "kind", *Resource._fields})
_LARGEST = 9e18  # ns, in the year 2255
_UNKNOWN, _REFUSED = -1, -2  # instead of a series id


class RecordingError(ValueError):
    """The file is no recording; the message names the place and what was expected."""


class Recording(NamedTuple):
    """A file's samples in order of time; ``series`` indexes ``identities``."""

    identities: list[Identity]
    series: Int32s
    time_ns: Int64s
    value: Floats


def read(path: Path) -> Recording:
    """A recording from Parquet or CSV. Raises OSError, RecordingError."""
    return recording_of(read_frame(path), path, path.stem)


def read_frame(path: Path, columns: AbstractSet[str] = _OURS) -> "pl.DataFrame":
    """A table from Parquet or CSV; the names of ``columns`` are told in any case, and are small in it.

    Raises OSError, RecordingError.
    """
    import polars as pl  # noqa: PLC0415  120 MiB that only replaying needs

    if path.suffix not in SUFFIXES:
        raise RecordingError(f"{path}: expected a name ending in .parquet or .csv")
    try:
        with path.open("rb") as file:  # opened here: a path would be taken for a pattern
            if path.suffix == ".parquet":
                frame = pl.read_parquet(file)
            else:
                texts = [name for name in pl.read_csv(file, n_rows=0).columns if name.lower() in _TEXTS]
                file.seek(0)
                kinds = dict.fromkeys(texts, pl.String)
                frame = pl.read_csv(file, infer_schema_length=None, schema_overrides=kinds)
        frame = frame.rename({name: name.lower() for name in frame.columns if name.lower() in columns})
        if path.suffix == ".csv":
            frame = _with_words_for_nothing(frame)
        frame = frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    except pl.exceptions.PolarsError as error:
        raise RecordingError(f"{path}: {' '.join(str(error).split())}") from error
    if not frame.height:
        raise RecordingError(f"{path}: has no rows")
    return frame


def _with_words_for_nothing(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Columns of numbers are numbers though NaN or an infinity is in them; what is a name stays one."""
    import polars as pl  # noqa: PLC0415  as above

    long = {"name", "value"} <= set(frame.columns)
    for column in frame.select(pl.col(pl.String)):
        if column.name in _TEXTS or (long and column.name not in _NUMBERS):
            continue
        numbers = column.cast(pl.Float64, strict=False)
        if numbers.null_count() == column.null_count():
            frame = frame.with_columns(numbers)
    return frame


def recording_of(frame: "pl.DataFrame", path: Path, node: str) -> Recording:
    """The samples of a `read_frame`; what names no node is of ``node``. RecordingError."""
    import polars as pl  # noqa: PLC0415  as above

    try:
        time_ns = row_times(frame, path)
        long = {"name", "value"} <= set(frame.columns)
        made = _long(frame, time_ns, path, node) if long else _wide(frame, time_ns, path, node)
    except pl.exceptions.PolarsError as error:
        raise RecordingError(f"{path}: {' '.join(str(error).split())}") from error
    return in_order(made)


def in_order(recording: Recording) -> Recording:
    """The same samples in order of time."""
    order = np.argsort(recording.time_ns, kind="stable")
    return recording._replace(
        series=recording.series[order], time_ns=recording.time_ns[order], value=recording.value[order]
    )


def steps(
    recording: Recording, table: SeriesTable, tick_ns: int = SECOND // 4
) -> Iterator[tuple[int, Points]]:
    """(now, points) for every moment of a recording, moments closer than ``tick_ns`` together in one.

    Series over the table's limit are left out and counted in ``Points.rejected``.
    """
    ids = np.full(len(recording.identities), _UNKNOWN, np.int32)
    times, epoch, at = recording.time_ns, table.epoch, 0
    while at < len(times):
        end = int(np.searchsorted(times, times[at] + tick_ns, side="left"))
        end = max(at + 1, min(end, at + ROWS_A_STEP))
        now_ns, rows = int(times[end - 1]), recording.series[at:end]
        if table.epoch != epoch:  # series were forgotten, and their ids may be another's
            ids[:], epoch = _UNKNOWN, table.epoch
        for number in np.unique(rows[ids[rows] == _UNKNOWN]).tolist():
            known = table.intern(recording.identities[number], 0, now_ns)
            ids[number] = _REFUSED if known is None else known
        kept = ids[rows] >= 0
        refused = int(np.count_nonzero(~kept))
        yield (
            now_ns,
            Points(
                ids[rows][kept],
                times[at:end][kept],
                np.zeros(end - at - refused, np.int64),
                recording.value[at:end][kept],
                rejected={"limit": refused} if refused else {},
            ),
        )
        at = end


def row_times(frame: "pl.DataFrame", path: Path) -> Int64s:
    """When each row was, nanoseconds; a row a second where no column says. RecordingError."""
    name = next((n for n in TIME_COLUMNS if n in frame.columns), None)
    if name is None:
        return np.arange(1, frame.height + 1, dtype=np.int64) * SECOND  # 0 would be no time
    return times(frame[name], path)


def times(column: "pl.Series", path: Path) -> Int64s:
    """A column of times in nanoseconds; RecordingError where one is none."""
    import polars as pl  # noqa: PLC0415  as above

    name = column.name
    if column.dtype == pl.String:
        stamps = _dates(column)
    elif isinstance(column.dtype, pl.Date | pl.Datetime):
        stamps = column.dt.epoch("ns")
    elif column.dtype.is_integer():
        stamps = column.cast(pl.Int64, strict=False)
    elif column.dtype.is_numeric():
        floats = column.cast(pl.Float64)
        stamps = floats.set(~floats.is_finite() | (floats.abs() > _LARGEST), None)
    else:
        raise RecordingError(f"{path}: column {name!r}: expected times, found {column.dtype}")
    if stamps.null_count():
        row = int(np.flatnonzero(stamps.is_null().to_numpy())[0])
        raise RecordingError(
            f"{path}: row {row + 1}, column {name!r}: expected a time, found {column[row]!r}"
        )
    return _scaled(stamps.to_numpy()) if column.dtype.is_numeric() else stamps.to_numpy()


def _dates(column: "pl.Series") -> "pl.Series":
    import polars as pl  # noqa: PLC0415  as above

    try:
        return column.str.to_datetime(strict=False, time_unit="ns").dt.epoch("ns")
    except pl.exceptions.ComputeError:  # none of them is a date
        return pl.Series(column.name, [None] * len(column), pl.Int64)


def _scaled(stamps: NDArray[np.int64 | np.float64]) -> Int64s:
    scaled = stamps * _unit(float(np.abs(stamps).max()))
    return np.round(scaled).astype(np.int64) if scaled.dtype.kind == "f" else scaled.astype(np.int64)


def _unit(largest: float) -> int:
    """Nanoseconds a unit: stamps of this century have 10, 13, 16 or 19 digits."""
    return next(
        (unit for bound, unit in ((1e11, SECOND), (1e14, 10**6), (1e17, 10**3)) if largest < bound), 1
    )


def _long(frame: "pl.DataFrame", time_ns: Int64s, path: Path, node: str) -> Recording:
    import polars as pl  # noqa: PLC0415  as above

    if frame["name"].dtype != pl.String or not (frame["name"].fill_null("") != "").all():
        raise RecordingError(f"{path}: column 'name': expected the name of a series in every row")
    if LABELS in frame.columns and frame[LABELS].dtype not in (pl.String, pl.Null):
        raise RecordingError(
            f"{path}: column {LABELS!r}: expected JSON objects as text, found {frame[LABELS].dtype}"
        )
    keys = ["name", *sorted(n for n in frame.columns if frame[n].dtype == pl.String and n not in (
        "name", *TIME_COLUMNS, *LEFT_OUT))]  # fmt: skip
    groups = frame.select(keys).with_columns(pl.struct(keys).rank("dense").alias("_id"))
    ids = (groups["_id"].to_numpy() - 1).astype(np.int32)
    unique = groups.unique("_id").sort("_id").select(keys).to_dicts()
    rows = [{key: text for key, text in row.items() if text is not None} for row in unique]
    if LABELS in keys:
        rows = [_with_labels(row, set(frame.columns), path) for row in rows]
    identities = [_identity(row, node) for row in rows]
    return Recording(identities, ids, time_ns, _floats(frame["value"], path))


def _with_labels(row: dict[str, str], columns: AbstractSet[str], path: Path) -> dict[str, str]:
    """A row whose labels are JSON, as if each were a column; RecordingError."""
    text = row.pop(LABELS, "") or "{}"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise RecordingError(
            f"{path}: column {LABELS!r}: expected a JSON object of texts, found {text[:80]!r}"
        )
    if twice := found.keys() & columns:
        raise RecordingError(f"{path}: column {LABELS!r}: {min(twice)!r} has a column of its own")
    return found | row


def _wide(frame: "pl.DataFrame", time_ns: Int64s, path: Path, node: str) -> Recording:
    names = [n for n in frame.columns if frame[n].dtype.is_numeric() and n not in (*TIME_COLUMNS, *LEFT_OUT)]
    if not names:
        raise RecordingError(
            f"{path}: expected columns name and value, or numeric columns; found {frame.columns}"
        )
    identities = [_identity({"name": n}, node) for n in names]
    rows, width = frame.height, len(names)
    value = np.stack([_floats(frame[n], path) for n in names], axis=1).reshape(-1)
    return Recording(
        identities, np.tile(np.arange(width, dtype=np.int32), rows), np.repeat(time_ns, width), value
    )


def _floats(column: "pl.Series", path: Path) -> Floats:
    if not column.dtype.is_numeric():
        raise RecordingError(f"{path}: column {column.name!r}: expected numbers, found {column.dtype}")
    value = column.cast(float).fill_null(float("nan")).to_numpy()
    return np.where(np.isfinite(value), value, np.nan)


def _identity(row: dict[str, str], node: str) -> Identity:
    place = {field: row.pop(field, "") for field in Resource._fields}
    place["node"] = place["node"] or node
    kind = _KINDS[row.pop("kind")] if row.get("kind") in _KINDS else Kind.GAUGE  # or it is a label
    name = row.pop("name")
    attributes = tuple(sorted((k, v) for k, v in place.items() if v))
    return Identity(Source(attributes, Resource(**place)), name, tuple(sorted(row.items())), kind)
