"""Names, labels and places as Prometheus's OTLP endpoint and the semantic conventions have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from edgeobs.ingest import naming, values
from edgeobs.signals import Kind, Resource


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("http.server.request.duration", "s", Kind.HISTOGRAM, "http_server_request_duration_seconds"),
        ("system.disk.io", "By", Kind.COUNTER, "system_disk_io_bytes_total"),
        ("system.disk.io_bytes_total", "By", Kind.COUNTER, "system_disk_io_bytes_total"),
        ("requests_total", "{request}", Kind.DELTA, "requests_total"),
        ("total.requests", "", Kind.COUNTER, "requests_total"),
        ("memory.usage", "By", Kind.UPDOWN, "memory_usage_bytes"),
        ("cpu.utilization", "1", Kind.GAUGE, "cpu_utilization_ratio"),
        ("cpu.utilization", "1", Kind.UPDOWN, "cpu_utilization"),
        ("ratio.of.cpu", "1", Kind.GAUGE, "of_cpu_ratio"),
        ("disk.speed", "By/s", Kind.GAUGE, "disk_speed_bytes_per_second"),
        ("falls", "{fall}/m", Kind.GAUGE, "falls_per_minute"),
        ("speed", "m/{lap}", Kind.GAUGE, "speed_meters"),
        ("temp", "Cel", Kind.GAUGE, "temp_celsius"),
        ("odd", "foo-bar", Kind.GAUGE, "odd_foo_bar"),
        ("a__b  c", "", Kind.GAUGE, "a_b_c"),
        ("rule:sum", "", Kind.GAUGE, "rule:sum"),
        ("2xx", "", Kind.GAUGE, "_2xx"),
        ("größe", "", Kind.GAUGE, "gr_e"),
        ("…", "", Kind.GAUGE, ""),
    ],
)
def test_metric_names(name: str, unit: str, kind: Kind, expected: str) -> None:
    assert naming.metric_name(name, unit, kind) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("http.method", "http_method"),
        ("a..b", "a__b"),
        ("9lives", "key_9lives"),
        ("_hidden", "key_hidden"),
        ("__reserved", "__reserved"),
        ("…", "key_"),
        ("..", "key__"),
        ("", "key"),
    ],
)
def test_label_names(key: str, expected: str) -> None:
    assert naming.label_name(key) == expected


def test_labels_of_attributes_scope_and_service() -> None:
    source = naming.source_of(
        [("service.name", "api"), ("service.namespace", "shop"), ("service.instance.id", "7")]
    )
    scope = naming.scope_labels("lib", "1.2", [("tier", "gold")])
    found = naming.labels([("b.c", "2"), ("b_c", "1"), ("empty", ""), ("a", "x")], scope, source)
    assert found == (
        ("a", "x"),
        ("b_c", "2;1"),
        ("instance", "7"),
        ("job", "shop/api"),
        ("otel_scope_name", "lib"),
        ("otel_scope_tier", "gold"),
        ("otel_scope_version", "1.2"),
    )


def test_a_scope_without_a_name_adds_nothing() -> None:
    assert naming.scope_labels("", "1", [("a", "b")]) == ()


@given(
    st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=5).flatmap(
        lambda pairs: st.tuples(st.just(pairs), st.permutations(pairs))
    )
)
def test_the_order_of_attributes_means_nothing(
    orders: tuple[list[tuple[str, str]], list[tuple[str, str]]],
) -> None:
    one, other = orders
    nowhere = naming.source_of([])
    assert naming.labels(one, (), nowhere) == naming.labels(other, (), nowhere)
    assert naming.source_of(one) == naming.source_of(other)


def test_places() -> None:
    found = naming.source_of(
        [
            ("k8s.cluster.name", "c"),
            ("cloud.availability_zone", "far"),
            ("topology.kubernetes.io/zone", "z"),
            ("host.name", "h"),
            ("k8s.node.name", "n"),
            ("k8s.namespace.name", "ns"),
            ("service.name", "svc"),
            ("k8s.deployment.name", "d"),
            ("k8s.pod.name", "p"),
        ]
    )
    assert found.resource == Resource("c", "z", "n", "ns", "d", "p")
    assert naming.source_of([("host.name", "h")]).resource == Resource(node="h")
    assert len(found.attributes) == 9


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (AnyValue(), ""),
        (AnyValue(string_value="é"), "é"),
        (AnyValue(bool_value=True), "true"),
        (AnyValue(int_value=-5), "-5"),
        (AnyValue(double_value=1.0), "1"),
        (AnyValue(double_value=-0.0), "-0"),
        (AnyValue(double_value=0.1), "0.1"),
        (AnyValue(double_value=1e-7), "1e-7"),
        (AnyValue(double_value=1e-6), "0.000001"),
        (AnyValue(double_value=123456789012345680000.0), "123456789012345680000"),
        (AnyValue(double_value=1.5e21), "1.5e+21"),
        (AnyValue(double_value=float("inf")), "+Inf"),
        (AnyValue(bytes_value=b"\x00\xff"), "AP8="),
        (
            AnyValue(
                array_value=ArrayValue(
                    values=[
                        AnyValue(int_value=1),
                        AnyValue(string_value='"é'),
                        AnyValue(),
                        AnyValue(double_value=float("nan")),
                        AnyValue(bytes_value=b"a"),
                    ]
                )
            ),
            '[1,"\\"é",null,null,"YQ=="]',
        ),
        (
            AnyValue(
                kvlist_value=KeyValueList(
                    values=[
                        KeyValue(key="b", value=AnyValue(bool_value=False)),
                        KeyValue(key="a", value=AnyValue(double_value=2.0)),
                    ]
                )
            ),
            '{"a":2,"b":false}',
        ),
    ],
)
def test_values_as_text(value: AnyValue, expected: str) -> None:
    assert values.text(value) == expected
