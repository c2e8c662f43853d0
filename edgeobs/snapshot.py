"""What edgeobs has learned, in one file with a schema version and a digest, no pickles, replaced whole."""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeobs.durable import sync_folder
from edgeobs.series import TableState
from edgeobs.signals import Identity, Kind, Resource, Source

SCHEMA = 1
NAME = "learned.snapshot"
"""Of the file, in a core's data directory."""
_DIGEST = 32
_CHUNK = 500  # identities encoded at a time: the interpreter is never held for long

_TEXTS = ("meta", "table/identities")

Arrays = dict[str, NDArray[Any]]


class SnapshotError(ValueError):
    """The file is not a snapshot that can be restored whole; the message says why."""


def write(path: Path, table: TableState, principals: Sequence[str], stages: Mapping[str, Arrays]) -> None:
    """Replace the snapshot at ``path``.

    ``principals`` names the owners by id; ``stages`` maps a stage to its state. Raises OSError; whatever
    happens, a file at ``path`` stays whole.
    """
    arrays: Arrays = {f"{stage}/{name}": a for stage, state in stages.items() for name, a in state.items()}
    arrays["table/owner"], arrays["table/seen_ns"] = table.owner, table.seen_ns
    meta = {"schema": SCHEMA, "principals": list(principals)}
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w+b") as file:
        with zipfile.ZipFile(file, "w") as archive:
            _put(archive, "meta", [json.dumps(meta).encode()])
            _put(archive, "table/identities", _encode(table))
            for name, array in arrays.items():
                _put_array(archive, name, array)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(0, os.SEEK_END)
        file.write(digest)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def read(path: Path) -> tuple[TableState, list[str], dict[str, Arrays]]:
    """The parts `write` took. Raises FileNotFoundError, and SnapshotError for anything that is not whole."""
    body = path.read_bytes()
    body, digest = body[:-_DIGEST], body[-_DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        raise SnapshotError(f"{path}: damaged (its digest does not fit)")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        meta = json.loads(archive.read("meta"))
        if meta["schema"] != SCHEMA:
            raise SnapshotError(f"{path}: schema {meta['schema']}, this version reads schema {SCHEMA}")
        with archive.open("table/identities") as lines:
            identities, nodes = _decode(lines)
        arrays: Arrays = {name: _array(archive, name) for name in archive.namelist() if name not in _TEXTS}
    table = TableState(identities, arrays.pop("table/owner"), arrays.pop("table/seen_ns"), nodes)
    stages: dict[str, Arrays] = {}
    for name, array in arrays.items():
        stage, _, part = name.partition("/")
        stages.setdefault(stage, {})[part] = array
    return table, list(meta["principals"]), stages


def _put(archive: zipfile.ZipFile, name: str, parts: Iterable[bytes]) -> None:
    with archive.open(name, "w", force_zip64=True) as member:
        for part in parts:
            member.write(part)


def _put_array(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    with archive.open(name, "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(name) as member:
        found: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
    return found


def _encode(table: TableState) -> Iterator[bytes]:
    """JSON lines, each with the sources that are new in it: the nodes, then a chunk of series a line."""
    numbers: dict[Source, int] = {}

    def line(rows: list[Any]) -> bytes:
        new = list(islice(numbers, line_start, None))
        return json.dumps([new, rows]).encode() + b"\n"

    line_start = 0
    yield line([numbers.setdefault(source, len(numbers)) for source in table.nodes])
    for start in range(0, len(table.identities), _CHUNK):
        line_start = len(numbers)
        yield line(
            [
                i and [numbers.setdefault(i.source, len(numbers)), i.name, i.labels, int(i.kind), i.unit]
                for i in table.identities[start : start + _CHUNK]
            ]
        )


def _decode(lines: Iterable[bytes]) -> tuple[list[Identity | None], list[Source]]:
    sources: list[Source] = []
    identities: list[Identity | None] = []
    nodes: list[Source] | None = None
    for line in lines:
        new, rows = json.loads(line)
        sources += [_source(row) for row in new]
        if nodes is None:
            nodes = [sources[number] for number in rows]
        else:
            identities += [row and _identity(row, sources) for row in rows]
    return identities, nodes or []


def _source(row: list[Any]) -> Source:
    attributes, resource = row
    return Source(tuple((k, v) for k, v in attributes), Resource(*resource))


def _identity(row: list[Any], sources: list[Source]) -> Identity:
    source, name, labels, kind, unit = row
    return Identity(sources[source], name, tuple((k, v) for k, v in labels), Kind(kind), unit)
