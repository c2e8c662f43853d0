"""Where in a protobuf body the parser stumbled: it says only that it did."""

from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError


class _BrokenError(ValueError):
    """The wire format itself ends or errs here."""


def place(descriptor: Descriptor, body: bytes) -> str:
    """The path of the first field that does not parse, as ``timeseries[17].labels[0].name``.

    Ends in ``byte N`` (of the innermost message) where the wire format is broken rather than a field.
    """
    seen: dict[str, int] = {}
    at = 0
    while at < len(body):
        try:
            number, payload, end = _field(body, at)
        except _BrokenError:
            break
        field = descriptor.fields_by_number.get(number)
        if field is not None:
            step = _step(field, seen)
            inside = _inside(field, payload)
            if inside is not None:
                return f"{step}.{inside}" if inside else step
        at = end
    return f"byte {at}"


def _step(field: FieldDescriptor, seen: dict[str, int]) -> str:
    if not field.is_repeated:
        return field.name
    seen[field.name] = seen.get(field.name, -1) + 1
    return f"{field.name}[{seen[field.name]}]"


def _inside(field: FieldDescriptor, payload: bytes | None) -> str | None:
    """None when the field is well; else the path within it."""
    if payload is None:
        return None
    if field.message_type is not None:
        kind: Any = message_factory.GetMessageClass(field.message_type)
        try:
            kind.FromString(payload)
        except DecodeError:
            return place(field.message_type, payload)
    elif field.type == FieldDescriptor.TYPE_STRING:
        try:
            payload.decode()
        except UnicodeDecodeError:
            return ""
    return None


def _field(body: bytes, at: int) -> tuple[int, bytes | None, int]:
    """Field number, payload of a length-delimited one, and where the next field starts."""
    tag, at = _varint(body, at)
    kind = tag & 7
    if tag >> 3 == 0 or kind not in {0, 1, 2, 5}:
        raise _BrokenError
    if kind == 0:
        return tag >> 3, None, _varint(body, at)[1]
    size = {1: 8, 5: 4}.get(kind)
    if size is None:
        size, at = _varint(body, at)
    if at + size > len(body):
        raise _BrokenError
    return tag >> 3, body[at : at + size] if kind == 2 else None, at + size


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = 0
    for k in range(10):
        if at + k >= len(body):
            break
        value |= (body[at + k] & 0x7F) << (7 * k)
        if body[at + k] < 0x80:
            return value, at + k + 1
    raise _BrokenError
