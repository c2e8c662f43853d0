"""The graph of a public data set is what joining its spans by hand gives."""

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from edgeobs.signals import SECOND, Resource, Source, SpanBatch
from tests.traces.making import ANYONE, Bench

SPANS = Path(__file__).parents[3] / "shared/data/nezha/2023-01-29/spans.parquet"
_REQUEST_S = 5


def numbers(ids: list[str]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Hexadecimal; ``root`` is none."""
    return np.array([0 if text == "root" else int(text, 16) for text in ids], np.uint64)


def batch(part: pl.DataFrame) -> SpanBatch:
    """Rows as a request; the service is the pod's name without its last two parts."""
    pods, names = part["PodName"].to_list(), part["OperationName"].to_list()
    one_pod, one_name = list(dict.fromkeys(pods)), list(dict.fromkeys(names))
    traces, n = part["TraceID"].to_list(), len(part)
    return SpanBatch(
        ANYONE,
        tuple(Source((("service.name", p.rsplit("-", 2)[0]),), Resource(pod=p)) for p in one_pod),
        tuple(one_name),
        np.array([one_pod.index(p) for p in pods], np.int32),
        np.array([one_name.index(o) for o in names], np.int32),
        np.full(n, -1, np.int32),
        np.zeros(n, np.int8),
        np.zeros(n, np.bool_),
        part["StartTimeUnixNano"].to_numpy().copy(),
        part["EndTimeUnixNano"].to_numpy().copy(),
        np.stack([numbers([t[:16] for t in traces]), numbers([t[16:] for t in traces])], axis=1),
        numbers(part["SpanID"].to_list()),
        numbers(part["ParentID"].to_list()),
    )


def by_hand(spans: pl.DataFrame) -> Counter[tuple[str, str]]:
    """Calls by caller and callee."""
    service = pl.col("PodName").str.replace(r"-[^-]*-[^-]*$", "")
    plain = spans.select("TraceID", "SpanID", "ParentID", "PodName", service.alias("service"))
    joined = plain.join(plain, left_on=["TraceID", "ParentID"], right_on=["TraceID", "SpanID"], suffix="_by")
    crossing = joined.filter(pl.col("PodName") != pl.col("PodName_by"))
    counted = crossing.group_by("service_by", "service").len()
    found = Counter({(by, to): n for by, to, n in counted.iter_rows()})
    roots = plain.filter(pl.col("ParentID") == "root").group_by("service").len()
    return found + Counter({("", to): n for to, n in roots.iter_rows()})


def test_calls_of_every_edge() -> None:
    if not SPANS.is_file():
        pytest.skip("needs ../shared/data/nezha/2023-01-29 beside the checkout")
    spans = pl.read_parquet(SPANS).sort("EndTimeUnixNano")
    spans = spans.slice(len(spans) // 2, 20_000)
    bench, found = Bench(), Counter[tuple[str, str]]()
    edges, now = by_hand(spans), 0
    every = pl.col("EndTimeUnixNano") // (_REQUEST_S * SECOND)
    for part in spans.with_columns(every.alias("request")).partition_by("request", maintain_order=True):
        now = int(part["EndTimeUnixNano"][-1])
        bench.stage.take(batch(part), now)
        found += told(bench, now)
    for _ in range(30):
        now += SECOND
        found += told(bench, now)
    assert bench.dropped("late") == 0
    assert found == Counter({pair: n for pair, n in edges.items() if pair[0]})
    outside = {(e.caller, e.callee) for e in bench.stage.edges(now)} - set(found)
    assert outside <= {pair for pair in edges if not pair[0]}


def told(bench: Bench, now: int) -> Counter[tuple[str, str]]:
    """Calls of edges in the intervals that are over now."""
    points, found = bench.stage.close(now).points, Counter[tuple[str, str]]()
    for number, value in zip(points.series.tolist(), points.value.tolist(), strict=True):
        labels = dict(bench.table[number].labels)
        if bench.table[number].name == "span_calls" and "caller" in labels:
            found[labels["caller"], labels["callee"]] += int(value)
    return +found
