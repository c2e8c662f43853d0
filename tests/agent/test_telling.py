"""What the core is told: all incidents, raw samples around them, summaries of the rest, within a budget."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from edgeobs.agent.recent import Recent
from edgeobs.agent.settings import AgentSettings
from edgeobs.agent.summary import Summaries
from edgeobs.agent.telling import CHUNK, Telling
from edgeobs.compose import build
from edgeobs.config import parse
from edgeobs.ingest import otlp
from edgeobs.ingest.intern import Interner
from edgeobs.series import SeriesTable
from edgeobs.signals import (
    SECOND,
    Batch,
    Counts,
    Identity,
    Incident,
    Kind,
    Points,
    Principal,
    Resource,
    Scores,
    Source,
)
from edgeobs.uplink import Settings as UplinkSettings
from edgeobs.uplink.letters import incidents
from edgeobs.uplink.queue import Queue

T0 = 1_700_000_100 * SECOND  # on a mark of five minutes
SOURCE = Source((("k8s.node.name", "edge-1"),), Resource("", "", "edge-1"))
MIB = 1 << 20


def table_of(series: int, kind: Kind = Kind.GAUGE) -> SeriesTable:
    table = SeriesTable(max(series, 1))
    for number in range(series):
        identity = Identity(SOURCE, f"metric_{number}", (("otel_scope_name", "s"), ("x", "y")), kind)
        table.intern(identity, 0, T0)
    return table


def batch_of(ids: list[int], values: list[float], at_ns: int, scores: list[float]) -> tuple[Batch, Scores]:
    n = len(ids)
    batch = Batch(np.array(ids, np.int32), np.full(n, at_ns), np.array(values), np.zeros(n, np.bool_))
    return batch, Scores(np.array(scores), np.full(n, np.nan), np.full(n, np.nan))


Batches = list[list[tuple[int, float, float]]]  # of each: series, value, score
SAMPLES = st.lists(
    st.lists(st.tuples(st.integers(0, 4), st.floats(-1e6, 1e6), st.floats(0, 20)), max_size=8), max_size=8
)


@given(SAMPLES)
def test_a_summary_is_of_every_sample_since_the_last_one(batches: Batches) -> None:
    summaries = Summaries(table_of(5))
    for second, said in enumerate(batches):
        ids, values, scores = zip(*said, strict=True) if said else ((), (), ())
        summaries.observe(*batch_of(list(ids), list(values), T0 + second, list(scores)))
    rows = summaries.peek(summaries.order())
    by_series = {n: [(s, v, c) for s, b in enumerate(batches) for k, v, c in b if k == n] for n in range(5)}
    heard = {n: r for n, r in by_series.items() if r}
    assert sorted(rows.series.tolist()) == sorted(heard)
    for number, since, until, count, mean, top, score in zip(*(c.tolist() for c in rows), strict=True):
        told = heard[number]
        assert count == len(told)
        assert (since, until) == (T0 + told[0][0], T0 + told[-1][0])
        assert mean == pytest.approx(sum(v for _, v, _ in told) / count, rel=1e-9, abs=1e-6)
        assert top == np.float32(max(v for _, v, _ in told))
        assert score == np.float32(max(c for _, _, c in told))


def test_what_was_told_begins_anew_and_the_rest_goes_on() -> None:
    summaries = Summaries(table_of(2))
    summaries.observe(*batch_of([0, 1], [1.0, 10.0], T0, [0.0, 0.0]))
    summaries.told(np.array([0], np.int32))
    summaries.observe(*batch_of([0, 1], [5.0, 30.0], T0 + 1, [0.0, 0.0]))
    rows = summaries.peek(np.array([0, 1], np.int32))
    assert rows.mean.tolist() == [5.0, 20.0]
    assert rows.since_ns.tolist() == [T0 + 1, T0]


def test_who_is_surprising_comes_first_then_who_waits_longest() -> None:
    summaries = Summaries(table_of(4))
    summaries.observe(*batch_of([2], [1.0], T0, [0.5]))
    summaries.observe(*batch_of([0, 1, 3], [1.0] * 3, T0 + 1, [0.0, 9.0, 4.0]))
    assert summaries.order().tolist() == [1, 3, 2, 0]


def test_a_series_that_got_anothers_id_has_a_summary_of_its_own() -> None:
    table = table_of(1)
    summaries = Summaries(table)
    summaries.observe(*batch_of([0], [100.0], T0, [9.0]))
    table.expire(T0 + 1)
    table.intern(Identity(SOURCE, "other", (), Kind.GAUGE), 0, T0)
    assert summaries.order().tolist() == []
    summaries.observe(*batch_of([0], [1.0], T0, [0.0]))
    rows = summaries.peek(summaries.order())
    assert (rows.mean.tolist(), rows.score.tolist()) == ([1.0], [0.0])


@given(st.lists(st.lists(st.integers(0, 3), max_size=6, unique=True), max_size=12), st.integers(1, 3000))
def test_recent_samples_are_the_newest_within_their_bytes(steps: list[list[int]], limit: int) -> None:
    recent, said = Recent(limit), []
    for second, ids in enumerate(steps):
        values = [float(10 * second + n) for n in ids]
        recent.append(batch_of(ids, values, T0 + second, [0.0] * len(ids))[0])
        said += [(n, T0 + second, v) for n, v in zip(ids, values, strict=True)]
        assert 0 <= recent.bytes <= max(limit, 0)
    found = recent.take(np.arange(4, dtype=np.int32), np.zeros(4, np.int64))
    got = list(zip(*(c.tolist() for c in found), strict=True))
    assert got == said[len(said) - len(got) :], "a suffix of what was said: nothing between is missing"
    if limit >= 3000 and len(steps) < 4:
        assert len(got) == len(said)


def test_samples_of_series_that_tick_together_cost_four_bytes_whatever_comes_between() -> None:
    recent = Recent(10 * MIB)
    many, few = list(range(1000)), [3, 1]
    for second in range(50):
        recent.append(batch_of(many, [1.0] * 1000, T0 + second, [0.0] * 1000)[0])
        recent.append(batch_of(few, [1.0] * 2, T0 + second, [0.0] * 2)[0])
    assert recent.bytes < 50 * (4 * 1002 + 2 * 400) + 8 * 1002


@pytest.fixture
def make(tmp_path: Path, counts: Counts) -> Iterator[Callable[..., Telling]]:
    made: list[Telling] = []

    def start(table: SeriesTable, **settings: float) -> Telling:
        uplink = UplinkSettings(url="http://core", **settings)  # type: ignore[arg-type]
        queue = Queue(tmp_path / f"q{len(made)}.sqlite", 64 * MIB, counts)
        telling = Telling(table, AgentSettings(uplink=uplink), queue, {"k8s.node.name": "edge-1"}, counts)
        made.append(telling)
        return telling

    yield start
    for telling in made:
        assert telling.queue is not None
        telling.queue.close()


def letters(telling: Telling) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    assert telling.queue is not None
    for lane in ("first", "rest"):
        while (parcel := telling.queue.head(lane)) is not None:
            found.append((parcel.kind, zlib.decompress(parcel.body, 31)))
            telling.queue.taken(lane, parcel.sequence)
    return found


def test_a_summary_reads_at_the_core_as_a_gauge_of_the_mean(make: Callable[..., Telling]) -> None:
    table = table_of(3, Kind.COUNTER)
    telling = make(table)
    telling.tick(T0)
    for second in range(4):
        telling.observe(*batch_of([0, 1, 2], [second, 2.0, 3.0], T0 + second * SECOND, [0.0, 7.25, 0.0]))
    telling.tick(T0 + 300 * SECOND)
    ((kind, body),) = letters(telling)
    assert kind == "summary"
    core = SeriesTable(10)
    points = otlp.decode(body, Interner(core), Principal(0, "a", None, 10), T0)
    told = {core[n].name: v for n, v in zip(points.series.tolist(), points.value.tolist(), strict=True)}
    assert told == {"metric_0:rate": 1.5, "metric_1:rate": 2.0, "metric_2:rate": 3.0}
    assert set(points.time_ns.tolist()) == {T0 + 3 * SECOND}
    one = core[points.series.tolist()[0]]
    assert one.source.resource.node == "edge-1"
    assert dict(one.labels)["otel_scope_name"] == "edgeobs.agent.summary"
    metrics = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0].metrics
    exemplar = metrics[1].gauge.data_points[0].exemplars[0]
    more = {a.key: a.value.int_value or a.value.double_value for a in exemplar.filtered_attributes}
    assert more == {"edgeobs.count": 4, "edgeobs.score": 7.25}
    assert metrics[0].gauge.data_points[0].exemplars[0].as_double == 3.0, "the largest"


def test_what_the_budget_has_no_room_for_is_told_later_as_one_longer_summary(
    make: Callable[..., Telling], counts: Counts
) -> None:
    series = 3 * CHUNK
    telling = make(table_of(series), budget_mib_per_hour=0.004)
    telling.tick(T0)
    ids = list(range(series))
    told: list[int] = []
    for interval in range(1, 60):
        at = T0 + interval * 300 * SECOND
        telling.observe(*batch_of(ids, [float(n) for n in ids], at - SECOND, [0.0] * series))
        telling.tick(at)
        for _, body in letters(telling):
            scope = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0]
            told += [int(metric.name.split("_")[1]) for metric in scope.metrics]
        assert telling.queue is not None
        assert telling.queue.spent(at) <= 0.004 * MIB
        if set(told) == set(ids):
            break
    assert set(told) == set(ids), "nobody waits for ever"
    assert counts[("edgeobs_agent_summaries_put_off_total",)] > 0


def test_an_incident_its_evidence_and_the_samples_around_it_are_told(make: Callable[..., Telling]) -> None:
    core = build(parse("detect: {compiled: false}\nlimits: {max_series: 64}\nincidents: {history_mib: 1}\n"))
    table = core.pipeline.table
    telling = make(table)
    core.pipeline.observer = telling.observe
    for number in range(20):
        table.intern(Identity(SOURCE, f"metric_{number}", (), Kind.GAUGE), 0, T0)
    random, ids = np.random.default_rng(5), np.arange(20, dtype=np.int32)
    sent: dict[tuple[int, int], float] = {}
    last: dict[str, Incident] = {}
    for second in range(400):
        now = T0 + second * SECOND
        value = random.normal(50, 5, 20)
        if second >= 300:
            value[:4] += 200
        sent |= {(n, now): v for n, v in enumerate(value.tolist())}
        out = core.pipeline.step(Points(ids, np.full(20, now), np.zeros(20, np.int64), value), now)
        telling.news(out.incidents, now)
        telling.tick(now)
        last |= {incident.id: incident for incident in out.incidents}
    found = letters(telling)
    told = [i for kind, body in found if kind == "incident" for i in incidents(body)]
    assert {i.id: repr(i) for i in told} == {i: repr(incident) for i, incident in last.items()}
    assert last, "there was an incident"
    windows = [body for kind, body in found if kind == "window"]
    again = SeriesTable(64)
    raw: dict[tuple[str, int], float] = {}
    for body in windows:
        points = otlp.decode(body, Interner(again), Principal(0, "a", None, 64), T0)
        rows = zip(points.series.tolist(), points.time_ns.tolist(), points.value.tolist(), strict=True)
        for number, time_ns, value in rows:
            key = again[number].name, time_ns
            assert key not in raw, "each sample once"
            raw[key] = value
    assert {name for name, _ in raw} >= {f"metric_{n}" for n in range(4)}
    for (name, time_ns), told_value in raw.items():
        assert told_value == np.float32(sent[int(name.split("_")[1]), time_ns])
    times = sorted(time_ns for name, time_ns in raw if name == "metric_0")
    assert times[0] <= T0 + 241 * SECOND, "a minute before the onset"
    assert times[-1] >= T0 + 380 * SECOND
    assert np.all(np.diff(times) == SECOND), "and nothing of it is missing"


def test_while_the_disk_takes_nothing_incidents_wait_in_memory_and_go_later(
    tmp_path: Path, counts: Counts
) -> None:
    from tests.agent.things import make_incident

    queue = Queue(tmp_path / "full.sqlite", 64 * MIB, counts, max_pages=12)
    settings = AgentSettings(uplink=UplinkSettings(url="http://core"))
    telling = Telling(table_of(1), settings, queue, {}, counts)
    noisy = [make_incident(n, points=240) for n in range(200)]
    telling.news(noisy, T0)
    assert "the disk is full" in telling.problem
    assert queue.waiting()["incident"] == 0
    queue._db.execute("PRAGMA max_page_count = 100000")
    telling.tick(T0 + SECOND)
    assert queue.waiting()["incident"] == 0, "not tried again at once"
    telling.tick(T0 + 10 * SECOND)
    assert queue.waiting()["incident"] == 200
    assert telling.problem == ""
    queue.close()


def test_who_names_no_node_is_at_home(tmp_path: Path, counts: Counts) -> None:
    from dataclasses import replace as changed

    from tests.agent.things import make_incident

    nowhere = Source((("service.name", "shop"),), Resource(workload="shop"))
    table = SeriesTable(4)
    table.intern(Identity(nowhere, "orders", (), Kind.GAUGE), 0, T0)
    queue = Queue(tmp_path / "q.sqlite", MIB, counts)
    home = {"k8s.node.name": "edge-1", "k8s.cluster.name": "c1", "host.name": "edge-1"}
    telling = Telling(table, AgentSettings(uplink=UplinkSettings(url="http://core")), queue, home, counts)
    telling.tick(T0)
    telling.observe(*batch_of([0], [1.0], T0, [0.0]))
    telling.news([changed(make_incident(), place=Resource(workload="shop"))], T0)
    telling.tick(T0 + 300 * SECOND)
    found = dict(letters(telling))
    (incident,) = incidents(found["incident"])
    assert incident.place == Resource("c1", "", "edge-1")
    core, own = SeriesTable(4), Principal(1, "edge-1", frozenset({"edge-1"}), 4)
    points = otlp.decode(found["summary"], Interner(core), own, T0)
    assert points.rejected == {}, "its token speaks for edge-1 alone"
    assert core[int(points.series[0])].source.resource == Resource("c1", "", "edge-1", "", "shop")
    queue.close()
