"""The real stages of logs and spans in a whole pipeline: hostile requests, snapshots, a storm."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from edgeobs import snapshot
from edgeobs.compose import Core, build
from edgeobs.config import parse
from edgeobs.ingest.decoders import Decoders
from edgeobs.signals import SECOND, LogBatch, Points, Principal, Resource, Source
from tests.ingest.test_otlp_logs import requests, whole

NOW = 1_700_000_000 * SECOND
QUICK = "logs: {interval_s: 1, grace_s: 0.5}\ntraces: {interval_s: 1, wait_s: 0.5}\n"
SENDER = Principal(0, "loopback", None, 10_000)


def core(text: str = QUICK) -> Core:
    return build(parse(text))


def failures(made: Core) -> dict[str, str]:
    return {part: failure.reason for part, failure in made.pipeline.detection.parts.failures.items()}


ids = st.sampled_from([b"", bytes(8), b"12345678", b"abcdefgh", b"s" * 8, b"short"])
times = st.one_of(st.sampled_from([0, NOW, NOW - SECOND, NOW + 10**6, 2**64 - 1]), st.integers(0, 2**64 - 1))
spans = st.builds(
    Span,
    trace_id=st.sampled_from([bytes(16), b"t" * 16, b"u" * 16, b"short"]),
    span_id=ids,
    parent_span_id=ids,
    name=st.sampled_from(["", "GET /", "é", "x" * 1000]),
    kind=st.integers(0, 9),
    start_time_unix_nano=times,
    end_time_unix_nano=times,
)


@st.composite
def traces(draw: st.DrawFn) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 3))):
        each = request.resource_spans.add()
        for key in draw(st.lists(st.sampled_from(["host.name", "service.name", "k8s.pod.name"]), max_size=3)):
            each.resource.attributes.add(key=key).value.string_value = draw(st.sampled_from(["", "a", "b"]))
        each.scope_spans.add().spans.extend(draw(st.lists(spans, max_size=5)))
    return request


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(requests, traces(), st.integers(0, 30)), min_size=1, max_size=5))
def test_whatever_is_sent_no_part_fails(sent: list[Any]) -> None:
    made = core()
    decoders = Decoders(made.interner, fast=False)
    now = NOW
    for logs, traced, seconds in sent:
        body = whole(logs).SerializeToString()
        made.pipeline.step(Points.none(), now, stream=decoders.stream("logs_proto", body, SENDER, now))
        body = traced.SerializeToString()
        made.pipeline.step(Points.none(), now, stream=decoders.stream("spans_proto", body, SENDER, now))
        for _ in range(seconds):
            now += SECOND
            made.pipeline.step(Points.none(), now)
    made.pipeline.state()
    made.pipeline.services(now)
    assert failures(made) == {}


def place(node: str, pod: str) -> Resource:
    return Resource("", f"z{node.removeprefix('n')}", node, "shop", "till", pod)


def lines(where: Resource, texts: list[str], time_ns: int, severity: int = 3) -> LogBatch:
    found = Source((("k8s.node.name", where.node), ("service.name", "till")), where)
    bodies = [text.encode() for text in texts]
    n, first = len(bodies), np.zeros(len(bodies) + 1, np.int64)
    np.cumsum([len(body) for body in bodies], out=first[1:])
    return LogBatch(
        SENDER, (found,), np.zeros(n, np.int32), np.full(n, time_ns), np.full(n, severity, np.int8),
        b"".join(bodies), first, np.zeros((n, 2), np.uint64),
    )  # fmt: skip


def test_templates_keep_their_names_over_a_restart(tmp_path: Path) -> None:
    first, now = core(), NOW
    for second in range(5):
        now += SECOND
        first.pipeline.step(
            Points.none(),
            now,
            stream=lines(place("n0", "till-0"), [f"user {second} bought {second} things"], now),
        )
    series = {i.text() for i in first.pipeline.table.ids() if i.name == "log_lines"}
    assert any("template" in text for text in series)
    file = tmp_path / snapshot.NAME
    snapshot.write(file, first.pipeline.table.state(), ["loopback"], first.pipeline.state())
    table, _, stages = snapshot.read(file)
    second_core = core()
    second_core.pipeline.restore_state(table, [0], stages)
    for second in range(5):
        now += SECOND
        batch = lines(place("n0", "till-0"), [f"user {second + 70} bought 3 things"], now)
        second_core.pipeline.step(Points.none(), now, stream=batch)
    assert {i.text() for i in second_core.pipeline.table.ids() if i.name == "log_lines"} == series
    assert failures(second_core) == {}


def test_a_storm_of_one_workload_leaves_others_their_series() -> None:
    made, now = core(f"{QUICK}limits: {{max_series: 5000, max_series_per_sender: 4000}}"), NOW
    random = np.random.default_rng(1)
    words = ["".join(chr(97 + c) for c in random.integers(0, 26, 8)) for _ in range(4000)]
    for second in range(6):
        now += SECOND
        storm = [" ".join(random.choice(words, 6)) for _ in range(2000)]
        made.pipeline.step(Points.none(), now, stream=lines(place("n8", "storm-1"), storm, now))
        calm = [f"user {second} bought {n} things" for n in range(5)]
        made.pipeline.step(Points.none(), now, stream=lines(place("n9", "till-9"), calm, now))
    found = [i for i in made.pipeline.table.ids() if i.name == "log_lines"]
    calm_ones = [i for i in found if i.source.resource.node == "n9"]
    assert any(dict(i.labels).get("template", "other") != "other" for i in calm_ones)
    assert len(found) - len(calm_ones) <= 100, "series of the storm are bounded"
    assert failures(made) == {}


def test_logs_of_a_pod_and_metrics_of_its_node_make_one_incident(site: Callable[..., Any]) -> None:
    made = site(f"{QUICK}cluster: {{opted_in: true}}")
    whose, random = place("n1", "till-1"), np.random.default_rng(5)
    for second in range(150):
        bad = second >= 130
        made.second(failing=1 if bad else -1)
        usual = [f"user {i} bought {i * 3} things" for i in range(int(random.poisson(20)))]
        made.pipeline.step(Points.none(), made.now_ns, stream=lines(whose, usual, made.now_ns))
        worse = ["PANIC: cannot write ledger to /dev/sda"] * (9 * bad)
        made.pipeline.step(Points.none(), made.now_ns, stream=lines(whose, worse, made.now_ns, 5))
    (incident,) = made.pipeline.incidents.active()
    assert incident.place.node == "n1"
    found = {each.kind: each for each in incident.evidence}
    new = found["log template never seen"]
    assert "" in found, "metrics of the node as well"
    assert (new.resource, new.detail[:20]) == (whose, "PANIC: cannot write ")
    assert new.query.startswith('{k8s_namespace_name="shop"}')
    assert {"till-1", "node n1"} & {each.name for each in incident.suspects}
    assert failures(made.core) == {}
