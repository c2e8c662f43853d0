"""A log record's body as one text, whatever it was sent as, in time and memory bounded by the text alone."""

import base64
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from google.protobuf.message import DecodeError

from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.wire_fields import fields

_MESSAGE = (b"message", b"msg", b"log", b"body", b"event")
"""Keys of a map that hold what a person would read, the first that is there."""
_KEYS = 128  # of a map that are looked at for it
_DEPTH = 32  # of values within values; what lies deeper is null


def text(value: Any, limit: int) -> bytes:
    """Valid UTF-8 of at most ``limit`` bytes.

    Parameters
    ----------
    value
        OTLP's AnyValue with its strings as bytes (`otlp_logs`). Strings and bytes are taken as they are, with
        U+FFFD for what is no UTF-8; a map that has a message as that; all else as compact JSON.
    limit
        What is longer is cut, never inside a character.

    """
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return _clean(value.string_value, limit)
    if kind == "bytes_value":
        return _clean(value.bytes_value, limit)
    if kind is None:
        return b""
    message = _message(value) if kind == "kvlist_value" else None
    if message is not None:
        return _clean(message, limit)
    pieces, length = [], 0
    for piece in _json(value, limit):
        pieces.append(piece)
        length += len(piece)
        if length >= limit:
            break
    return _clean("".join(pieces).encode(), limit)


def _clean(raw: bytes, limit: int) -> bytes:
    if len(raw) > limit:
        raw = raw[: _boundary(raw, limit)]
    if raw.isascii():
        return raw
    try:
        raw.decode()
    except UnicodeDecodeError:
        # A replacement is three bytes for what may have been one.
        longer = raw.decode("utf-8", "replace").encode()
        return longer if len(longer) <= limit else longer[: _boundary(longer, limit)]
    return raw


def _boundary(raw: bytes, limit: int) -> int:
    """The last place at or before ``limit`` where a character begins; none within reach: ``limit``."""
    for back in range(min(4, limit + 1)):
        if raw[limit - back] & 0xC0 != 0x80:
            return limit - back
    return limit


def pair(raw: bytes, start: int, end: int, kind: Any) -> tuple[bytes, Any]:
    """Key and value of a KeyValue; None: a value that is none, or not there. ``kind`` is AnyValue's class."""
    key, value = b"", None
    for number, at, to in fields(raw, start, end):
        if number == 1:
            key = raw[at:to]
        elif number == 2:
            value = _parsed(kind, raw[at:to])
    return key, value


def _parsed(kind: Any, raw: bytes) -> Any:
    try:
        return kind.FromString(raw)
    except DecodeError:
        return None


def _entries(raw: bytes, kind: Any) -> Iterator[tuple[bytes, Any]]:
    """Of a KeyValueList, as far as it can be read."""
    with suppress(Malformed):
        for number, at, to in fields(raw, 0, len(raw)):
            if number == 1:
                yield pair(raw, at, to, kind)


def _message(value: Any) -> bytes | None:
    found: dict[bytes, bytes] = {}
    for key, each in islice(_entries(value.kvlist_value, type(value)), _KEYS):
        kind = each.WhichOneof("value") if each is not None and key in _MESSAGE else None
        if kind in ("string_value", "bytes_value"):
            found.setdefault(key, getattr(each, kind))
    return next((found[key] for key in _MESSAGE if key in found), None)


def _json(value: Any, limit: int, depth: int = 0) -> Iterator[str]:
    """Pieces of compact JSON; each at most some ``limit`` long, made only when asked for."""
    match value.WhichOneof("value") if value is not None and depth < _DEPTH else None:
        case "string_value":
            yield json.dumps(_clean(value.string_value, limit).decode(), ensure_ascii=False)
        case "bytes_value":
            yield json.dumps(base64.b64encode(value.bytes_value[:limit]).decode())
        case "bool_value":
            yield "true" if value.bool_value else "false"
        case "int_value":
            yield str(value.int_value)
        case "double_value":
            yield repr(value.double_value) if math.isfinite(value.double_value) else "null"
        case "array_value":
            yield from _array(value, limit, depth)
        case "kvlist_value":
            yield "{"
            for number, (key, each) in enumerate(_entries(value.kvlist_value, type(value))):
                yield "," if number else ""
                yield json.dumps(_clean(key, limit).decode(), ensure_ascii=False) + ":"
                yield from _json(each, limit, depth + 1)
            yield "}"
        case _:
            yield "null"


def _array(value: Any, limit: int, depth: int) -> Iterator[str]:
    yield "["
    raw, first = value.array_value, True
    with suppress(Malformed):
        for number, at, to in fields(raw, 0, len(raw)):
            if number == 1:
                yield "" if first else ","
                first = False
                yield from _json(_parsed(type(value), raw[at:to]), limit, depth + 1)
    yield "]"
