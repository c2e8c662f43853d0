"""Compressed bodies: what goes in comes out, and nothing costs more than the cap."""

import gzip
import tracemalloc
from contextlib import suppress

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.ingest.body import decompress, plain
from edgeobs.ingest.delivery import Delivery, Encoding, TooLarge
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.settings import Settings
from edgeobs.signals import Principal

CAP = 1 << 20
ENCODINGS: list[Encoding] = ["identity", "gzip", "zstd", "snappy"]
COMPRESSED: list[Encoding] = ["gzip", "zstd", "snappy"]


def compress(data: bytes, encoding: Encoding) -> bytes:
    if encoding == "identity":
        return data
    if encoding == "gzip":
        return gzip.compress(data)
    if encoding == "zstd":
        return bytes(cramjam.zstd.compress(data))
    return bytes(cramjam.snappy.compress_raw(data))


@given(data=st.binary(max_size=5000), times=st.integers(1, 50), encoding=st.sampled_from(ENCODINGS))
def test_round_trip(data: bytes, times: int, encoding: Encoding) -> None:
    assert decompress(compress(data * times, encoding), encoding, CAP) == data * times


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_cap_is_exact(encoding: Encoding) -> None:
    assert decompress(compress(bytes(CAP), encoding), encoding, CAP) == bytes(CAP)
    with pytest.raises(TooLarge, match=str(CAP)):
        decompress(compress(bytes(CAP + 1), encoding), encoding, CAP)


def test_gzip_of_several_members() -> None:
    parts = [b"a" * 70_000, b"", b"b" * 10, b"c" * 1000]
    assert decompress(b"".join(map(gzip.compress, parts)), "gzip", CAP) == b"".join(parts)


def test_zstd_of_several_frames_without_a_declared_size() -> None:
    compressor = cramjam.zstd.Compressor()
    compressor.compress(b"x" * 300_000)
    frame = bytes(compressor.finish())
    assert decompress(frame + frame, "zstd", CAP) == b"x" * 600_000


@pytest.mark.parametrize("length", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_gzip_whose_trailer_lies_about_the_length(length: int) -> None:
    body = gzip.compress(b"a" * 10_000)[:-4] + length.to_bytes(4, "little")
    with pytest.raises(Malformed, match="gzip"):
        decompress(body, "gzip", CAP)


@pytest.mark.parametrize("claim", [b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x10"])
def test_snappy_that_claims_gigabytes_is_refused_unread(claim: bytes) -> None:
    with pytest.raises((TooLarge, Malformed)):
        decompress(claim + b"\x00a", "snappy", CAP)


@pytest.mark.parametrize("encoding", COMPRESSED)
def test_a_bomb_costs_no_more_than_the_cap(encoding: Encoding) -> None:
    bomb = compress(bytes(64 << 20), encoding)
    tracemalloc.start()
    with pytest.raises(TooLarge):
        decompress(bomb, encoding, CAP)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * CAP


@given(
    data=st.binary(min_size=1, max_size=2000), encoding=st.sampled_from(COMPRESSED), keep=st.floats(0, 0.999)
)
def test_truncated_is_malformed(data: bytes, encoding: Encoding, keep: float) -> None:
    body = compress(data, encoding)
    with pytest.raises(Malformed, match=encoding):
        decompress(body[: int(len(body) * keep)], encoding, CAP)


@given(body=st.binary(max_size=500), encoding=st.sampled_from(COMPRESSED))
def test_garbage_is_malformed_too_large_or_something(body: bytes, encoding: Encoding) -> None:
    with suppress(Malformed, TooLarge):
        assert len(decompress(body, encoding, CAP)) <= CAP


@given(data=st.binary(min_size=50, max_size=2000), bit=st.integers(0), encoding=st.sampled_from(COMPRESSED))
def test_bit_flips_raise_nothing_else(data: bytes, bit: int, encoding: Encoding) -> None:
    body = bytearray(compress(data, encoding))
    bit %= 8 * len(body)
    body[bit // 8] ^= 1 << bit % 8
    with suppress(Malformed, TooLarge):
        assert len(decompress(body, encoding, CAP)) <= CAP


def test_json_has_a_cap_of_its_own() -> None:
    settings = Settings(max_json_bytes=1024, max_decoded_bytes=4096)
    body, who = gzip.compress(bytes(2000)), Principal(0, "", None, 1)
    assert plain(Delivery("otlp_proto", body, "gzip", who, 0), settings) == bytes(2000)
    with pytest.raises(TooLarge):
        plain(Delivery("otlp_json", body, "gzip", who, 0), settings)
