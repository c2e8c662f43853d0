"""What is pushed has the names, labels and values of what is scraped."""

import math
import time
from typing import Any

import prometheus_client as prometheus
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.parser import text_string_to_metric_families

from edgeobs.exporter import Exporter
from edgeobs.exporter.otlp import metrics_data
from edgeobs.ingest.intern import Interner
from edgeobs.ingest.naming import metric_name
from edgeobs.ingest.otlp import decode
from edgeobs.series import SeriesTable
from edgeobs.signals import Kind, Principal

TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331", "order": "7"}
NOW_NS = time.time_ns()
START_NS = NOW_NS - 10**9


def pushed(exporter: Exporter) -> dict[str, pb.Metric]:
    data = metrics_data(
        exporter.registry.collect(), exporter.declared, Resource({"service.name": "x"}),
        InstrumentationScope("edgeobs.exporter"), NOW_NS, START_NS,
    )  # fmt: skip
    [resource] = encode_metrics(data).resource_metrics
    assert [(each.key, each.value.string_value) for each in resource.resource.attributes] == [
        ("service.name", "x")
    ]
    [scope] = resource.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def attributes(point: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in point.attributes}


def test_a_counter_is_a_cumulative_sum_since_it_was_created() -> None:
    exporter = Exporter("x", process=False)
    before = time.time_ns()
    exporter.counter("meter_energy_joules_total", "Energy.", ["phase"]).labels("one").inc(2.5, TRACE)
    metric = pushed(exporter)["meter_energy_joules"]
    assert (metric.unit, metric.description) == ("J", "Energy.")
    assert metric.sum.is_monotonic
    assert metric.sum.aggregation_temporality == pb.AGGREGATION_TEMPORALITY_CUMULATIVE
    [point] = metric.sum.data_points
    assert (point.as_double, attributes(point), point.time_unix_nano) == (2.5, {"phase": "one"}, NOW_NS)
    assert min(before - 10**6, NOW_NS) <= point.start_time_unix_nano <= time.time_ns()
    [exemplar] = point.exemplars
    assert (exemplar.trace_id.hex(), exemplar.span_id.hex()) == (TRACE["trace_id"], TRACE["span_id"])
    assert [each.key for each in exemplar.filtered_attributes] == ["order"]
    assert exemplar.as_double == 2.5


def test_a_histogram_keeps_its_buckets() -> None:
    exporter = Exporter("x", process=False)
    took = exporter.histogram("meter_read_duration_seconds", "Reads.", ["meter", "error"], buckets=(0.1, 1))
    for value in (0.05, 0.5, 0.6, 7):
        took.labels("m", "").observe(value)
    metric = pushed(exporter)["meter_read_duration_seconds"]
    assert metric.unit == "s"
    [point] = metric.histogram.data_points
    assert (list(point.explicit_bounds), list(point.bucket_counts)) == ([0.1, 1.0], [1, 2, 1])
    assert (point.count, math.isclose(point.sum, 8.15)) == (4, True)
    assert not point.HasField("min")
    assert not point.HasField("max")
    assert attributes(point) == {"meter": "m"}  # an empty label is none


def test_summaries_infos_states_and_gauges_arrive() -> None:
    exporter = Exporter("x", process=False)
    exporter.summary("meter_frame_bytes", "Frames.").observe(12)
    exporter.gauge("meter_flow_ratio", "Flow.").set(math.inf)
    exporter.register(prometheus.Info("meter_build", "Build.", registry=None), name="build")
    exporter.register(
        prometheus.Enum("meter_state", "State.", states=["on", "off"], registry=None), name="state"
    )
    found = pushed(exporter)
    [frames] = found["meter_frame_bytes"].histogram.data_points
    assert (frames.count, frames.sum, list(frames.bucket_counts), list(frames.explicit_bounds)) == (
        1,
        12,
        [1],
        [],
    )
    assert found["meter_flow_ratio"].gauge.data_points[0].as_double == math.inf
    assert found["meter_build_info"].gauge.data_points[0].as_double == 1
    assert {attributes(p)["meter_state"]: p.as_double for p in found["meter_state"].gauge.data_points} == {
        "on": 1.0, "off": 0.0,
    }  # fmt: skip


def test_names_of_its_own_for_otlp() -> None:
    exporter = Exporter("x", process=False)
    exporter.counter(
        "meter_reads_total", "Reads.", ["meter_id"], otlp="meter.reads", attributes={"meter_id": "meter.id"}
    ).labels("7").inc()
    [point] = pushed(exporter)["meter.reads"].sum.data_points
    assert attributes(point) == {"meter.id": "7"}


def test_edgeobs_itself_takes_every_point_under_the_name_of_a_scrape() -> None:
    exporter = Exporter("x")
    exporter.counter("meter_energy_joules_total", "Energy.", ["phase"]).labels("one").inc(2.5)
    exporter.gauge("meter_air_pressure_pascals", "Air.").set(101_325)
    exporter.gauge("meter_charge_ratio", "Charge.").set(0.5)
    exporter.red("meter_read", "Reads.", ["how"])("fast")(lambda: None)()
    request = encode_metrics(
        metrics_data(
            exporter.registry.collect(), exporter.declared, Resource({"k8s.node.name": "edge-1"}),
            InstrumentationScope("edgeobs.exporter"), NOW_NS, START_NS,
        )
    )  # fmt: skip
    table = SeriesTable(1000)
    points = decode(request.SerializeToString(), Interner(table), Principal(0, "x", None, 1000), NOW_NS)
    assert points.rejected == {}
    told = {table[number].name: value for number, value in zip(points.series, points.value, strict=True)}
    page = exporter.render()[0].decode()
    for name in (
        'meter_energy_joules_total{phase="one"}', "meter_air_pressure_pascals", "meter_charge_ratio",
        'meter_read_in_progress{how="fast"}',
    ):  # fmt: skip
        assert f"\n{name} {told[name.partition('{')[0]]!s}\n" in page
    assert [table[number].name for number in points.distributions.series] == ["meter_read_duration_seconds"]


SAID_BY_THE_FORMAT = {"total", "ratio", "created", "info", "bucket", "sum", "count"}


@given(
    words=st.lists(
        st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True).filter(
            lambda word: word not in SAID_BY_THE_FORMAT
        ),
        min_size=1,
        max_size=3,
    ),
    unit=st.sampled_from(
        ["", "seconds", "bytes", "celsius", "ratio", "pascals", "volts", "liters", "joules"]
    ),
    counts=st.booleans(),
)
def test_a_metric_has_one_name_however_it_arrives(words: list[str], unit: str, counts: bool) -> None:
    """As Prometheus's translation, and so edgeobs's own ingest, names what was pushed."""
    name = "_".join(["dev", *words, *([unit] if unit else [])])
    exporter = Exporter("x", process=False, strict=False)
    if counts:
        exporter.counter(f"{name}_total", "Help.").inc()
    else:
        exporter.gauge(name, "Help.").set(1)
    scraped = {
        sample.name
        for family in text_string_to_metric_families(exporter.render()[0].decode())
        for sample in family.samples if not sample.name.endswith("_created") and "exporter" not in sample.name
    }  # fmt: skip
    kind = Kind.COUNTER if counts else Kind.GAUGE
    told = {metric_name(m.name, m.unit, kind) for m in pushed(exporter).values() if "exporter" not in m.name}
    assert told == scraped
