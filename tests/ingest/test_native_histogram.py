"""Native histograms become the buckets that their specification says, or are refused."""

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.ingest.intern import Interner
from edgeobs.ingest.remote_write import decode_v1
from edgeobs.ingest.remote_write_messages import messages
from edgeobs.ingest.remote_write_series import Families
from edgeobs.series import SeriesTable
from edgeobs.signals import STALE_NAN, Points, Principal

INF = math.inf


def decoded(*histograms: dict[str, Any]) -> Points:
    request = messages().write_request()
    series = request.timeseries.add()
    series.labels.add(name="__name__", value="latency_seconds")
    for fields in histograms:
        h = series.histograms.add(timestamp=1)
        for name, value in fields.items():
            if name.endswith("_spans"):
                for offset, length in value:
                    getattr(h, name).add(offset=offset, length=length)
            elif isinstance(value, list):
                getattr(h, name).extend(value)
            else:
                setattr(h, name, value)
    table = Interner(SeriesTable(10))
    return decode_v1(request.SerializeToString(), table, Families(), Principal(0, "x", None, 9), 1)


def buckets(**fields: Any) -> list[tuple[float, float]]:
    d = decoded(fields).distributions
    assert len(d.series) == 1
    return list(zip(d.edge.tolist(), d.weight.tolist(), strict=True))


def test_the_example_of_the_specification() -> None:
    """Indices −2→3, −1→5, 2→1, 4→3, 5→2 of schema 0."""
    found = buckets(
        schema=0, count_int=14, positive_spans=[(-2, 2), (2, 1), (1, 2)], positive_deltas=[3, 2, -4, 2, -1]
    )
    assert found == [
        (0.125, 0), (0.25, 3), (0.5, 5), (2.0, 0), (4.0, 1), (8.0, 0), (16.0, 3), (32.0, 2), (INF, 0),
    ]  # fmt: skip


def test_negative_buckets_mirror_and_the_zero_bucket_stands_between() -> None:
    found = buckets(
        schema=0,
        count_float=6.5,
        zero_threshold=0.25,
        zero_count_float=2.0,
        negative_spans=[(1, 2)],
        negative_counts=[1.5, 1.0],
        positive_spans=[(0, 1)],
        positive_counts=[2.0],
    )
    assert found == [(-4, 0), (-2, 1.0), (-1, 1.5), (-0.25, 0), (0.25, 2), (0.5, 0), (1, 2), (INF, 0)]


def test_custom_buckets_have_the_bounds_that_were_sent() -> None:
    found = buckets(
        schema=-53, count_int=6, custom_values=[-1.0, 0.5, 2.5], positive_spans=[(0, 1), (1, 2)],
        positive_deltas=[1, 1, 1],
    )  # fmt: skip
    assert found == [(-1, 1), (0.5, 0), (2.5, 2), (INF, 3)]


def test_the_overflow_bucket_ends_at_infinity_and_starts_at_the_largest_float() -> None:
    found = buckets(schema=8, count_int=3, positive_spans=[(262144, 2)], positive_deltas=[1, 1])
    assert found[-2:] == [(math.ldexp(2 - 2**-52, 1023), 1), (INF, 2)]


def test_a_coarser_schema_has_the_same_bounds_to_the_bit() -> None:
    fine = dict(buckets(schema=3, count_int=1, positive_spans=[(14, 1)], positive_deltas=[1]))
    coarse = dict(buckets(schema=2, count_int=1, positive_spans=[(7, 1)], positive_deltas=[1]))
    assert [e for e, w in fine.items() if w] == [e for e, w in coarse.items() if w]


def test_a_stale_marker_is_passed_on() -> None:
    d = decoded({"sum": float(STALE_NAN), "count_int": 0}).distributions
    assert d.count.tobytes() == d.total.tobytes() == STALE_NAN.tobytes()
    assert d.edge.size == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"schema": 9},
        {"schema": -5},
        {"zero_threshold": -1.0},
        {"zero_threshold": math.nan},
        {"count_float": math.nan},
        {"count_float": -1.0},
        {"count_int": 1, "positive_spans": [(0, 2)], "positive_deltas": [1]},
        {"count_int": 1, "positive_spans": [(0, 4_000_000_000)], "positive_deltas": [1]},
        {"count_int": 1, "positive_deltas": [1]},
        {"count_int": 3, "positive_spans": [(0, 1), (-1, 1)], "positive_deltas": [1, 1]},
        {"count_int": 3, "positive_spans": [(0, 2)], "positive_deltas": [1, -2]},
        {"count_int": 3, "positive_spans": [(0, 2)], "positive_deltas": [2**63 - 1, 2**63 - 1]},
        {"count_int": 3, "positive_spans": [(1026, 1)], "positive_deltas": [1]},
        {"count_int": 1, "positive_spans": [(0, 1)], "positive_deltas": [2]},
        {
            "schema": -53,
            "count_int": 1,
            "custom_values": [1.0],
            "positive_spans": [(2, 1)],
            "positive_deltas": [1],
        },
        {"schema": -53, "count_int": 1, "custom_values": [1.0, 1.0]},
        {"schema": -53, "count_int": 1, "custom_values": [INF]},
        {"schema": -53, "count_int": 1, "negative_spans": [(0, 1)], "negative_deltas": [1]},
        {"count_int": 2000, "positive_spans": [(-1000, 1025)], "positive_deltas": [1] + [0] * 1024},
    ],
)
def test_what_breaks_the_specification_is_left_out_alone(fields: dict[str, Any]) -> None:
    good = {"count_int": 1, "positive_spans": [(0, 1)], "positive_deltas": [1]}
    points = decoded(good, fields, good)
    assert points.rejected == {"invalid": 1}
    assert points.distributions.first.tolist() == [0, 3, 6]


@given(
    schema=st.integers(-4, 8),
    first=st.integers(-3000, 3000),
    counts=st.lists(st.integers(0, 50), max_size=40),
    below=st.lists(st.integers(0, 50), max_size=40),
    threshold=st.floats(0, 1e9),
)
def test_edges_rise_and_nothing_is_lost(
    schema: int, first: int, counts: list[int], below: list[int], threshold: float
) -> None:
    first = min(first, int(1024 * 2.0**schema) - 50)
    found = buckets(
        schema=schema,
        zero_threshold=threshold,
        zero_count_float=3.0,
        count_float=float(sum(counts) + sum(below) + 3),
        positive_spans=[(first, len(counts))],
        positive_counts=[float(c) for c in counts],
        negative_spans=[(first, len(below))],
        negative_counts=[float(c) for c in below],
    )
    edges, weights = zip(*found, strict=True)
    assert all(a < b for a, b in pairwise(edges))
    assert edges[-1] == INF
    assert sum(weights) == sum(counts) + sum(below) + 3
