"""The fields of a protobuf message one at a time, for what must not be parsed as a whole; else see `wire`."""

from collections.abc import Iterator

from edgeobs.ingest.errors import Malformed

_VARINT_BYTES = 10
Field = tuple[int, int, int]
"""Number, and where its value begins and ends."""


def fields(body: bytes, start: int, end: int) -> Iterator[Field]:
    """The length-delimited fields between two places, in order; others are passed over. Raises Malformed."""
    at = start
    while at < end:
        key = body[at]
        at += 1
        if key & 0x80:
            key, at = _varint(body, at - 1, end)
        wire = key & 7
        if wire == 2:
            size, at = _varint(body, at, end)
            if at + size > end:
                raise Malformed(f"protobuf: a field of {size} bytes ends beyond its message")
            yield key >> 3, at, at + size
            at += size
        elif wire == 0:
            _, at = _varint(body, at, end)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise Malformed(f"protobuf: wire type {wire}")


def crowded(body: bytes, path: tuple[int, ...], most: int) -> bool:
    """Whether there are more than so many messages along a path of field numbers, on all its levels together.

    Looks at no more of them than that. Raises Malformed.
    """
    left = most

    def count(start: int, end: int, level: int) -> bool:
        nonlocal left
        for number, at, to in fields(body, start, end):
            if number == path[level]:
                left -= 1
                if left < 0 or (level + 1 < len(path) and count(at, to, level + 1)):
                    return True
        return False

    return count(0, len(body), 0)


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for number in range(_VARINT_BYTES):
        if at >= end:
            raise Malformed("protobuf: a number without an end")
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << (7 * number)
        if byte < 0x80:
            return value, at
    raise Malformed("protobuf: a number of more than ten bytes")
