"""Protobuf's wire format, compiled: just enough to walk a message and to know when not to. Needs Numba.

Everything here is cautious: −1 or False means odd, not wrong. Whatever is odd (groups, overlong tags, deep
nesting, broken UTF-8, truncation) goes to protobuf's own parser, which decides. What is not odd means the
same to both. Source: the protobuf encoding guide; proto3 strings are UTF-8.
"""

import numpy as np
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from numpy.typing import NDArray

from edgeobs.ingest.hashing import Bytes
from edgeobs.ingest.machine import load64
from edgeobs.jit import compiled
from edgeobs.signals import Int64s

Schema = NDArray[np.uint8]
"""``[message type, field number < 32]`` → 0: nothing to check; TEXT: a string; else submessage type + SUB."""

TEXT, SUB = 1, 2
_FIELDS = 32
DEPTH = 24
"""Nesting below which a submessage is odd; protobuf itself takes 100 levels in all."""

_HIGH = np.uint64(0x8080808080808080)
_ZERO = np.uint64(0)


def schema_of(root: Descriptor) -> tuple[Schema, dict[str, int]]:
    """What to check in a message and all it can hold, and the type numbers by full name."""
    numbers: dict[str, int] = {}
    found: list[Descriptor] = []

    def visit(descriptor: Descriptor) -> None:
        if descriptor.full_name in numbers:
            return
        numbers[descriptor.full_name] = len(found)
        found.append(descriptor)
        for field in descriptor.fields:
            if field.message_type is not None:
                visit(field.message_type)

    visit(root)
    schema = np.zeros((len(found), _FIELDS), np.uint8)
    for row, descriptor in zip(schema, found, strict=True):
        for field in descriptor.fields:
            if field.type == FieldDescriptor.TYPE_STRING:
                row[field.number] = TEXT
            elif field.message_type is not None:
                row[field.number] = SUB + numbers[field.message_type.full_name]
    return schema, numbers


@compiled
def varint(buffer: Bytes, i: int, end: int) -> tuple[np.uint64, int]:
    """A varint modulo 2^64 and the index after it, or −1."""
    value = _ZERO
    shift = 0
    while i < end and shift < 70:
        byte = buffer[i]
        i += 1
        value |= np.uint64(byte & 127) << np.uint64(shift)
        if byte < 128:
            return value, i
        shift += 7
    return _ZERO, -1


@compiled
def span(buffer: Bytes, i: int, end: int) -> tuple[int, int]:
    """Where a length-delimited payload starts and stops, given the index of its length; −1, −1 when odd."""
    if i < end and buffer[i] < 128:
        start = i + 1
        stop = start + int(np.int64(buffer[i]))
    else:
        length, start = varint(buffer, i, min(end, i + 4))
        stop = start + int(np.int64(length))
    return (start, stop) if start >= 0 and stop <= end else (-1, -1)


@compiled
def field(buffer: Bytes, i: int, end: int) -> tuple[int, int, int, int]:
    """Number, wire type, start and stop of the payload of the field at index i; stop is −1 when odd."""
    tag, start = varint(buffer, i, min(end, i + 4))
    if start < 0 or tag < 8 or (start > i + 1 and tag < 128):
        return 0, 0, 0, -1
    number, kind, stop = int(np.int64(tag >> np.uint64(3))), int(np.int64(tag & np.uint64(7))), -1
    if kind == 0:
        stop = varint(buffer, start, end)[1]
    elif kind == 1:
        stop = start + 8
    elif kind == 2:
        start, stop = span(buffer, start, end)
    elif kind == 5:
        stop = start + 4
    return number, kind, start, (stop if stop <= end else -1)


@compiled
def utf8(buffer: Bytes, i: int, end: int) -> bool:
    """Whether ``buffer[i:end]`` is UTF-8: shortest forms only, no surrogates (RFC 3629)."""
    while i < end:
        if i + 8 <= end and load64(buffer, i) & _HIGH == 0:
            i += 8
            continue
        first = buffer[i]
        if first < 0x80:
            i += 1
            continue
        low, high = 0x80, 0xBF
        if 0xC2 <= first <= 0xDF:
            more = 1
        elif 0xE0 <= first <= 0xEF:
            more = 2
            low = 0xA0 if first == 0xE0 else 0x80
            high = 0x9F if first == 0xED else 0xBF
        elif 0xF0 <= first <= 0xF4:
            more = 3
            low = 0x90 if first == 0xF0 else 0x80
            high = 0x8F if first == 0xF4 else 0xBF
        else:
            return False
        if i + more >= end or not low <= buffer[i + 1] <= high:
            return False
        for k in range(2, more + 1):
            if buffer[i + k] & 0xC0 != 0x80:
                return False
        i += more + 1
    return True


@compiled
def valid(buffer: Bytes, i: int, end: int, schema: Schema, kind: int, stack: Int64s) -> bool:
    """Whether the fields ``buffer[i:end]`` of a message hold nothing odd, all the way down.

    ``stack`` is scratch, [2 · DEPTH].
    """
    depth = 0
    while True:
        while i == end:
            if depth == 0:
                return True
            depth -= 1
            end, kind = int(stack[2 * depth]), int(stack[2 * depth + 1])
        number, wire, start, stop = field(buffer, i, end)
        if stop < 0:
            return False
        check = int(np.int64(schema[kind, number])) if wire == 2 and number < _FIELDS else 0
        if check < SUB:
            if check == TEXT and not utf8(buffer, start, stop):
                return False
            i = stop
        elif depth == DEPTH:
            return False
        else:
            stack[2 * depth], stack[2 * depth + 1] = end, kind
            depth += 1
            i, end, kind = start, stop, check - SUB


@compiled
def checked(buffer: Bytes, i: int, end: int, schema: Schema, kind: int, stack: Int64s) -> int:
    """The index after the one field at i, which must hold nothing odd; else −1."""
    number, wire, start, stop = field(buffer, i, end)
    if stop < 0 or wire != 2 or number >= _FIELDS:
        return stop
    check = int(np.int64(schema[kind, number]))
    if check == TEXT:
        good = utf8(buffer, start, stop)
    else:
        good = check < SUB or valid(buffer, start, stop, schema, check - SUB, stack)
    return stop if good else -1
