"""What targets and this machine say, as columns: the same series that their protocol would make."""

import math

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest

from edgeobs.agent.joining import joined
from edgeobs.agent.reading import Readings
from edgeobs.agent.scraped import Scraped
from edgeobs.ingest import naming, otlp
from edgeobs.ingest.intern import Interner
from edgeobs.node.otlp import encode
from edgeobs.node.readings import Distribution, Reading
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Kind, Points, Principal

NOW = 1_700_000_000 * SECOND
ME = Principal(0, "loopback", None, 1000)
RESOURCE = {"k8s.node.name": "edge-1", "service.name": "shop", "service.instance.id": "127.0.0.1:9100"}


def scraped(table: SeriesTable, limit: int = 100) -> Scraped:
    return Scraped(naming.source_of(list(RESOURCE.items())), Interner(table), ME, limit)


def values(table: SeriesTable, points: Points) -> dict[str, float]:
    rows = zip(points.series.tolist(), points.value.tolist(), strict=True)
    return {table[number].text(): value for number, value in rows}


def registry() -> tuple[CollectorRegistry, Counter, Histogram]:
    found = CollectorRegistry()
    counter = Counter("orders", "h", ["kind"], registry=found)
    histogram = Histogram("took_seconds", "h", ["route"], buckets=(0.1, 1.0), registry=found)
    Gauge("temperature", "h", registry=found).set(-3.5)
    Summary("size_bytes", "h", registry=found).observe(7)
    counter.labels("new").inc(5)
    histogram.labels("/").observe(0.05)
    histogram.labels("/").observe(3.0)
    return found, counter, histogram


def test_counters_gauges_and_histograms_of_a_client_library() -> None:
    table = SeriesTable(100)
    own, _, _ = registry()
    points = scraped(table).points(generate_latest(own), NOW)
    found = values(table, points)
    job = 'instance="127.0.0.1:9100",job="shop"'
    assert found[f"temperature{{{job}}}"] == -3.5
    assert found['orders_total{instance="127.0.0.1:9100",job="shop",kind="new"}'] == 5
    kinds = {table[n].name: table[n].kind for n in points.series.tolist()}
    assert kinds["orders_total"] == Kind.COUNTER
    assert kinds["size_bytes_sum"] == Kind.COUNTER, "a summary without quantiles is what adds up alone"
    assert not any("_bucket" in name for name in kinds)
    d = points.distributions
    (histogram,) = d.series.tolist()
    assert table[histogram].name == "took_seconds"
    assert table[histogram].kind == Kind.HISTOGRAM
    assert dict(table[histogram].labels)["route"] == "/"
    assert d.edge.tolist() == [0.1, 1.0, math.inf]
    assert d.weight.tolist() == [1, 0, 1]
    assert (d.count.tolist(), d.total.tolist()) == ([2.0], [3.05])
    assert table[histogram].source.resource.node == "edge-1"
    assert table[histogram].source.resource.workload == "shop"


def test_a_body_read_by_its_layout_gives_what_it_gives_read_whole() -> None:
    own, counter, histogram = registry()
    table, fresh = SeriesTable(100), SeriesTable(100)
    one = scraped(table)
    one.points(generate_latest(own), NOW)
    layout = one._plan
    for step in range(3):
        counter.labels("new").inc(step)
        histogram.labels("/").observe(0.5)
        body = generate_latest(own)
        again, whole = one.points(body, NOW + step), scraped(fresh).points(body, NOW + step)
        assert one._plan is layout, "it was read by its layout"
        assert values(table, again) == values(fresh, whole)
        for name in ("count", "total", "edge", "weight", "first"):
            assert np.array_equal(getattr(again.distributions, name), getattr(whole.distributions, name))


def test_series_whose_ids_were_given_away_are_looked_up_again() -> None:
    table = SeriesTable(100)
    one = scraped(table)
    one.points(b"a 1\nb 2\n", NOW)
    table.expire(NOW + 1)
    other = scraped(table)
    other.points(b"c 3\n", NOW)
    assert values(table, one.points(b"a 4\nb 5\n", NOW)) == {
        'a{instance="127.0.0.1:9100",job="shop"}': 4.0,
        'b{instance="127.0.0.1:9100",job="shop"}': 5.0,
    }


def test_garbage_makes_no_series() -> None:
    table = SeriesTable(100)
    one = scraped(table, limit=3)
    for bad in (b"a 1\nb two\n", b"a 1\nb 2\nc 3\nd 4\n", b"\x00\xff", b"<html>"):
        with pytest.raises(ValueError, match="line"):
            one.points(bad, NOW)
    assert len(table) == 0


def test_samples_with_a_time_keep_it() -> None:
    points = scraped(SeriesTable(10)).points(b"a 1 1699999999000\nb 2\n", NOW)
    assert points.time_ns.tolist() == [1_699_999_999 * SECOND, NOW]


def test_over_the_cap_of_series_the_rest_is_counted() -> None:
    points = scraped(SeriesTable(2)).points(b"a 1\nb 2\nc 3\nd 4\n", NOW)
    assert len(points.series) == 2
    assert points.rejected == {"limit": 2}


def test_a_histogram_that_is_not_whole_is_what_its_lines_are() -> None:
    table = SeriesTable(10)
    body = b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_count 1\nh_sum 2\n'
    points = scraped(table).points(body, NOW)
    assert len(points.distributions.series) == 0
    assert sorted(table[n].name for n in points.series.tolist()) == ["h_bucket", "h_count", "h_sum"]


def test_readings_become_the_series_and_values_that_otlp_makes_of_them() -> None:
    readings: list[Reading | Distribution] = [
        Reading("system.cpu.time", "counter", "s", 12.5, (("cpu.mode", "user"),)),
        Reading("system.memory.usage", "updown", "By", 1e9, (("system.memory.state", "used"),)),
        Reading("system.cpu.load_average.1m", "gauge", "{thread}", 0.7),
        Distribution("probe.duration", "s", (0.1, 1.0), (3, 2, 1), 2.5, (("peer", "a"),)),
    ]
    resource: dict[str, str | bool] = {
        "k8s.node.name": "edge-1",
        "service.name": "n",
        "edgeobs.simulated": True,
    }
    start = NOW - 3600 * SECOND
    table, other = SeriesTable(100), SeriesTable(100)
    ours = Readings(resource, "edgeobs.node", start, Interner(table), ME)
    ours.points(readings, NOW)
    found = ours.points(readings, NOW)
    body = encode(resource, readings, NOW, start, scope="edgeobs.node")
    wanted = otlp.decode(body, Interner(other), ME, NOW)
    assert [table[n] for n in found.series.tolist()] == [other[n] for n in wanted.series.tolist()]
    for name in ("value", "time_ns", "start_ns"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name
    (shape,), (same,) = found.distributions.series.tolist(), wanted.distributions.series.tolist()
    assert table[shape] == other[same]
    for name in ("count", "total", "edge", "weight", "first", "time_ns", "start_ns"):
        assert np.array_equal(getattr(found.distributions, name), getattr(wanted.distributions, name)), name


def test_joined_points_are_all_of_them_in_order() -> None:
    table = SeriesTable(100)
    own, _, _ = registry()
    parts = [scraped(table).points(generate_latest(own), NOW + i) for i in range(3)]
    whole = joined([Points.none(), *parts])
    assert whole.value.tolist() == [v for part in parts for v in part.value.tolist()]
    d = whole.distributions
    assert d.first.tolist() == [0, 3, 6, 9]
    assert d.weight.tolist() == [1, 0, 1] * 3
    assert len(joined([]).series) == 0
