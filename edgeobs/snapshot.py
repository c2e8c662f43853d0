"""What edgeobs has learned, in one file with a schema version and a digest, no pickles, replaced whole."""

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeobs.series import TableState
from edgeobs.signals import Identity, Kind, Resource, Source

SCHEMA = 1
_DIGEST = 32
_CHUNK = 500  # identities encoded at a time: the interpreter is never held for long

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
    arrays["table/identities"] = np.frombuffer(b"".join(_encode(table)), np.uint8)
    arrays["meta"] = np.frombuffer(
        json.dumps({"schema": SCHEMA, "principals": list(principals)}).encode(), np.uint8
    )
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w+b") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(0, os.SEEK_END)
        file.write(digest)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path) -> tuple[TableState, list[str], dict[str, Arrays]]:
    """The parts `write` took. Raises FileNotFoundError, and SnapshotError for anything that is not whole."""
    body = path.read_bytes()
    body, digest = body[:-_DIGEST], body[-_DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        raise SnapshotError(f"{path}: damaged (its digest does not fit)")
    with np.load(io.BytesIO(body), allow_pickle=False) as file:
        arrays: Arrays = {name: file[name] for name in file.files}
    meta = json.loads(arrays.pop("meta").tobytes())
    if meta["schema"] != SCHEMA:
        raise SnapshotError(f"{path}: schema {meta['schema']}, this version reads schema {SCHEMA}")
    identities, nodes = _decode(arrays.pop("table/identities").tobytes())
    table = TableState(identities, arrays.pop("table/owner"), arrays.pop("table/seen_ns"), nodes)
    stages: dict[str, Arrays] = {}
    for name, array in arrays.items():
        stage, _, part = name.partition("/")
        stages.setdefault(stage, {})[part] = array
    return table, list(meta["principals"]), stages


def _encode(table: TableState) -> Iterator[bytes]:
    """JSON lines: one source a line, then an empty line, node ids, then a chunk of series a line."""
    numbers: dict[Source, int] = {}
    rows = [
        i and [numbers.setdefault(i.source, len(numbers)), i.name, i.labels, int(i.kind), i.unit]
        for i in table.identities
    ]
    nodes = [numbers.setdefault(source, len(numbers)) for source in table.nodes]
    for source in numbers:
        yield json.dumps(source).encode() + b"\n"
    yield b"\n" + json.dumps(nodes).encode() + b"\n"
    for start in range(0, len(rows), _CHUNK):
        yield json.dumps(rows[start : start + _CHUNK]).encode() + b"\n"


def _decode(text: bytes) -> tuple[list[Identity | None], list[Source]]:
    head, _, body = text.partition(b"\n\n") if not text.startswith(b"\n") else (b"", b"", text[1:])
    sources = [_source(json.loads(line)) for line in head.splitlines()]
    first, *chunks = body.splitlines()
    rows = [row for chunk in chunks for row in json.loads(chunk)]
    return [row and _identity(row, sources) for row in rows], [sources[n] for n in json.loads(first)]


def _source(row: list[Any]) -> Source:
    attributes, resource = row
    return Source(tuple((k, v) for k, v in attributes), Resource(*resource))


def _identity(row: list[Any], sources: list[Source]) -> Identity:
    source, name, labels, kind, unit = row
    return Identity(sources[source], name, tuple((k, v) for k, v in labels), Kind(kind), unit)
