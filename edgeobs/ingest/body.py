"""Undo a body's compression, never past a cap."""

from collections.abc import Callable

import cramjam

from edgeobs.ingest.delivery import Delivery, Encoding, TooLarge
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.settings import Settings

_FULL = "failed to write whole buffer"  # what cramjam says when the output does not fit
_DEFLATE_RATIO = 1032  # deflate cannot shrink further than this (its longest match is 258 bytes for 2 bits)
_GUESS = 16  # zstd: telemetry shrinks to a tenth or so; another attempt costs more than the room


def plain(delivery: Delivery, settings: Settings) -> bytes | bytearray:
    """A delivery's body, decompressed under the cap of its format; raises as `decompress` does."""
    json = delivery.format == "alertmanager" or delivery.format.endswith("_json")
    cap = settings.max_json_bytes if json else settings.max_decoded_bytes
    return decompress(delivery.body, delivery.encoding, cap)


def decompress(body: bytes | bytearray, encoding: Encoding, cap: int) -> bytes | bytearray:
    """The body as it was before ``encoding``; holds no GIL while it works.

    Neither time nor memory depend on what a body claims to contain: output stops at ``cap`` bytes, and at
    most a third more has been allocated on the way there.

    Raises
    ------
    TooLarge
        There is more than ``cap``.
    Malformed
        Truncated, corrupt, or not of that encoding.

    """
    if encoding == "identity":
        if len(body) > cap:
            raise TooLarge(cap)
        return body
    try:
        return _DECODERS[encoding](body, cap)
    except cramjam.DecompressionError as error:
        raise Malformed(f"body is not valid {encoding}: {error}") from None


def _gzip(body: bytes | bytearray, cap: int) -> bytearray:
    # RFC 1952: the last four bytes are the length; of the last member alone, and the sender may lie.
    length = int.from_bytes(body[-4:], "little")
    return _grow(cramjam.gzip.decompress_into, body, min(length, _DEFLATE_RATIO * len(body)), cap)


def _zstd(body: bytes | bytearray, cap: int) -> bytearray:
    return _grow(cramjam.zstd.decompress_into, body, _GUESS * len(body), cap)


def _snappy(body: bytes | bytearray, cap: int) -> bytearray:
    # The block format begins with its length, and the decoder holds it to that.
    length: int = cramjam.snappy.decompress_raw_len(body)
    if length > cap:
        raise TooLarge(cap)
    if not body:
        raise Malformed("body is not valid snappy: it is empty")
    output = bytearray(length)
    del output[cramjam.snappy.decompress_raw_into(body, output) :]
    return output


def _grow(
    into: Callable[[bytes | bytearray, bytearray], int], body: bytes | bytearray, guess: int, cap: int
) -> bytearray:
    size = min(max(guess, 1024), cap)
    while True:
        output = bytearray(size)
        try:
            del output[into(body, output) :]
        except cramjam.DecompressionError as error:
            if str(error) != _FULL:
                raise
            if size == cap:
                raise TooLarge(cap) from None
            size = min(4 * size, cap)
        else:
            return output


_DECODERS: dict[Encoding, Callable[[bytes | bytearray, int], bytearray]] = {
    "gzip": _gzip,
    "zstd": _zstd,
    "snappy": _snappy,
}
