"""The compiled decoder of remote write is the reference one, on every input."""

import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeobs import jit
from edgeobs.ingest import remote_write
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.intern import Interner
from edgeobs.ingest.remote_write_series import Families
from edgeobs.series import SeriesTable
from edgeobs.signals import Points, Principal

pytestmark = pytest.mark.skipif(
    not jit.available(), reason="Numba is not installed: pip install edgeobs[accel]"
)

ANYONE = Principal(0, "anyone", None, 1000)
BOUND = Principal(1, "bound", frozenset({"edge-1", "n"}), 1000)
SMALL = Principal(2, "small", None, 3)


class World:
    """A series table of its own, fed by one decoder."""

    def __init__(self, fast: bool) -> None:
        self.table = SeriesTable(12)
        self.interner = Interner(self.table)
        self.families = Families(4)
        self.decode: dict[int, Callable[[bytes, Principal], Points]]
        interner, families = self.interner, self.families
        if fast:
            from edgeobs.ingest import remote_write_fast
            from edgeobs.ingest.aliases import Aliases

            aliases = Aliases(interner)
            self.decode = {
                1: lambda body, who: remote_write_fast.decode_v1(body, interner, aliases, families, who, 5),
                2: lambda body, who: remote_write_fast.decode_v2(body, interner, aliases, who, 5),
            }
        else:
            self.decode = {
                1: lambda body, who: remote_write.decode_v1(body, interner, families, who, 5),
                2: lambda body, who: remote_write.decode_v2(body, interner, who, 5),
            }

    def answer(self, version: int, body: bytes, who: Principal) -> dict[str, Any] | str:
        """Everything the decoder said, comparable (NaN by its bits)."""
        try:
            points = self.decode[version](body, who)
        except Malformed as error:
            return str(error)
        columns = {name: getattr(points, name) for name in ("series", "time_ns", "start_ns", "value")}
        d = points.distributions
        columns |= {f"d.{name}": getattr(d, name) for name in d.__dataclass_fields__}
        told: dict[str, Any] = {
            name: (str(column.dtype), column.tobytes()) for name, column in columns.items()
        }
        return told | {"rejected": points.rejected, "exemplars": points.exemplars}


def agree(version: int, bodies: Sequence[bytes], who: Principal = ANYONE) -> list[dict[str, Any] | str]:
    """Decode each body with both, twice (the second time aliases are known), and compare everything."""
    slow, fast = World(fast=False), World(fast=True)
    answers = []
    for body in [*bodies, *bodies]:
        expected, found = slow.answer(version, body, who), fast.answer(version, body, who)
        assert found == expected
        assert fast.table.identities == slow.table.identities
        answers.append(expected)
    return answers


def varint(n: int) -> bytes:
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def number(field: int, n: int) -> bytes:
    return varint(field << 3) + varint(n)


def double(field: int, x: float) -> bytes:
    bits = struct.pack("<Q", x) if isinstance(x, int) else struct.pack("<d", x)
    return varint(field << 3 | 1) + bits


def inside(field: int, payload: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def zigzag(n: int) -> int:
    return (n << 1) ^ (n >> 63)


INT64 = st.one_of(st.integers(0, 3), st.just(1_700_000_000_000), st.integers(-(2**63), 2**63 - 1))
DOUBLES = st.one_of(
    st.floats(), st.sampled_from([0x7FF0000000000002, 0x7FF8000000000001, 0]), st.floats(0, 9)
)
TEXT = st.sampled_from(
    ["", "__name__", "up", "x_total", "lat_bucket", "job", "instance", "edge-1:9100", "node", "n", "é", "€𝄞"]
)
UNKNOWN = st.sampled_from(
    [
        b"", b"", b"", number(40, 5), inside(33, b"any"), double(50, 1.0), varint(41 << 3 | 5) + b"abcd",
        varint(60 << 3 | 3) + varint(60 << 3 | 4), number(7, 1), number(2, 9), inside(20, b""),
        b"\x8a\x00\x00",
    ]
)  # fmt: skip


@st.composite
def joined(draw: st.DrawFn, parts: list[bytes]) -> bytes:
    """Fields, mostly in their order, sometimes in any, sometimes with one that is unknown."""
    parts = [*parts, draw(UNKNOWN)]
    if draw(st.integers(0, 5)) == 0:
        parts = draw(st.permutations(parts))
    return b"".join(parts)


@st.composite
def samples(draw: st.DrawFn) -> bytes:
    parts = [double(1, draw(DOUBLES)), number(2, draw(INT64))]
    if draw(st.booleans()):
        parts.append(number(3, draw(INT64)))
    return inside(2, draw(joined(parts)))


@st.composite
def histograms(draw: st.DrawFn) -> bytes:
    """Mostly valid ones: integer or float, both sides, any schema."""
    floats, wild = draw(st.booleans()), draw(st.integers(0, 4)) == 0
    schema = draw(st.sampled_from([-53, -4, 0, 3, 8] + [-5, 9] * wild))
    custom = schema == -53
    parts, inside_count = [], 0
    for side in (0, 3):
        if custom and side == 0 and not wild:
            continue
        lengths = draw(st.lists(st.integers(0, 3), max_size=3))
        first = draw(st.integers(0, 2)) if custom else draw(st.sampled_from([-3, 0, 5, 10**6 * wild]))
        counts = draw(st.lists(st.integers(0, 9), min_size=sum(lengths), max_size=sum(lengths) + wild))
        for k, length in enumerate(lengths):
            offset = draw(st.integers(-wild, 2)) if k else first
            span = [number(1, zigzag(offset)), number(2, length)]
            parts.append(inside(8 + side, draw(joined(span))))
        inside_count += sum(counts)
        if floats:
            parts.append(inside(10 + side, b"".join(struct.pack("<d", c) for c in counts)))
        else:
            deltas = [b - a for a, b in zip([0, *counts], counts, strict=False)]
            parts.append(inside(9 + side, b"".join(varint(zigzag(d)) for d in deltas)))
    zero = 0 if custom else draw(st.integers(0, 3))
    total = inside_count + zero + draw(st.integers(-wild, 1))
    parts += (
        [double(2, float(total)), double(7, float(zero))] if floats else [number(1, total), number(6, zero)]
    )
    parts += [double(3, draw(DOUBLES)), number(4, zigzag(schema))]
    parts += [double(5, draw(st.sampled_from([0.0, 1e-128, 0.3] + [-1.0, float("nan")] * wild)))]
    parts += [number(14, draw(st.sampled_from([0, 1, 2, 3, 2**32 + 3]))), number(15, draw(INT64))]
    if custom:
        bounds = draw(st.lists(st.floats(-5, 5), max_size=12, unique=True))
        bounds = bounds if wild else sorted(bounds)
        parts.append(inside(16, b"".join(struct.pack("<d", b) for b in bounds)))
    if draw(st.booleans()):
        parts.append(number(17, draw(INT64)))
    return draw(joined(parts))


@st.composite
def requests_1(draw: st.DrawFn) -> bytes:
    parts = []
    for _ in range(draw(st.integers(0, 4))):
        pairs = draw(st.lists(st.tuples(TEXT, TEXT), max_size=3))
        pairs = [("__name__", draw(TEXT)), *pairs] if draw(st.integers(0, 9)) else pairs
        labels = [inside(1, draw(joined([inside(1, a.encode()), inside(2, b.encode())]))) for a, b in pairs]
        series = labels + draw(st.lists(samples(), max_size=3))
        series += [inside(4, h) for h in draw(st.lists(histograms(), max_size=1))]
        if draw(st.integers(0, 5)) == 0:
            label = inside(1, inside(1, b"trace_id") + inside(2, draw(TEXT).encode()))
            series.append(inside(3, label + double(2, 1.0) + number(3, 5)))
        parts.append(inside(1, draw(joined(series))))
    if draw(st.integers(0, 5)) == 0:
        parts.append(inside(3, number(1, draw(st.integers(0, 9))) + inside(2, draw(TEXT).encode())))
    return draw(joined(parts))


@st.composite
def requests_2(draw: st.DrawFn) -> bytes:
    symbols = ["", *draw(st.lists(TEXT, min_size=4, max_size=9))]
    refs = st.integers(0, len(symbols) - 1)
    symbols[1:3] = ["__name__", "up"]
    parts = [inside(4, text.encode()) for text in symbols]
    for _ in range(draw(st.integers(0, 4))):
        pairs = [1, draw(refs)] + [
            r for pair in draw(st.lists(st.tuples(refs, refs), max_size=3)) for r in pair
        ]
        series = [inside(1, b"".join(map(varint, pairs))), *draw(st.lists(samples(), max_size=3))]
        series += [inside(3, h) for h in draw(st.lists(histograms(), max_size=1))]
        if draw(st.integers(0, 5)) == 0:
            series.append(inside(4, inside(1, bytes([1, draw(refs)])) + double(2, 1.0)))
        metadata = [number(1, draw(st.integers(0, 9))), number(3, draw(refs)), number(4, draw(refs))]
        series += [inside(5, draw(joined(metadata)))] * draw(st.sampled_from([0, 1, 1, 1, 2]))
        series += [number(6, draw(INT64))] * draw(st.integers(0, 1))
        parts.append(inside(5, draw(joined(series))))
    return draw(joined(parts))


@st.composite
def damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """Truncated, flipped, doubled or filled in."""
    at = draw(st.integers(0, max(0, len(body) - 1)))
    return draw(
        st.sampled_from(
            [
                body[:at],
                body[at:],
                body[:at] + bytes([body[at] ^ 1 << draw(st.integers(0, 7))]) + body[at + 1 :]
                if body
                else b"",
                body[:at] + draw(st.binary(max_size=4)) + body[at:],
                body + body,
            ]
        )
    )


WHO = st.sampled_from([ANYONE, BOUND, SMALL])
SLOWLY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.mark.parametrize("version", [1, 2])
@SLOWLY
@given(data=st.data(), who=WHO)
def test_equal_on_what_senders_may_send(version: int, data: st.DataObject, who: Principal) -> None:
    one = requests_1() if version == 1 else requests_2()
    agree(version, data.draw(st.lists(one, min_size=1, max_size=2)), who)


@pytest.mark.parametrize("version", [1, 2])
@SLOWLY
@given(data=st.data())
def test_equal_on_damaged_bodies(version: int, data: st.DataObject) -> None:
    body = data.draw(requests_1() if version == 1 else requests_2())
    agree(version, [data.draw(damaged(body)) for _ in range(3)])


@pytest.mark.parametrize("version", [1, 2])
@SLOWLY
@given(body=st.binary(max_size=60))
def test_equal_on_noise(version: int, body: bytes) -> None:
    agree(version, [body])
