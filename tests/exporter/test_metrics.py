"""Metrics: their cap, their labels, their exemplars."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from edgeobs.exporter import Exporter


@pytest.fixture
def exporter() -> Exporter:
    return Exporter("dev", process=False)


def value(exporter: Exporter, name: str, **labels: str) -> float | None:
    return exporter.registry.get_sample_value(name, labels)


def test_beyond_the_cap_all_goes_to_one_series_and_is_counted(exporter: Exporter) -> None:
    asked = exporter.counter("dev_asks_total", "Asks.", ["who", "how"], cap=2)
    for who in ("a", "b", "c", "d", "a"):
        asked.labels(who, "x").inc()
    assert value(exporter, "dev_asks_total", who="a", how="x") == 2
    assert value(exporter, "dev_asks_total", who="c", how="x") is None
    assert value(exporter, "dev_asks_total", who="_overflow", how="_overflow") == 2
    assert value(exporter, "edgeobs_exporter_overflow_total", metric="dev_asks") == 2


def test_removing_makes_room(exporter: Exporter) -> None:
    asked = exporter.counter("dev_asks_total", "Asks.", ["who"], cap=1)
    asked.labels("a").inc()
    asked.remove("a")
    asked.labels("b").inc()
    assert value(exporter, "dev_asks_total", who="b") == 1
    asked.remove_by_labels({"who": "b"})
    asked.labels("c").inc()
    assert value(exporter, "dev_asks_total", who="c") == 1
    asked.clear()
    asked.labels("a").inc()
    assert value(exporter, "dev_asks_total", who="a") == 1
    assert value(exporter, "edgeobs_exporter_overflow_total", metric="dev_asks") is None


def test_equal_values_of_other_types_are_other_series(exporter: Exporter) -> None:
    """1 == True == 1.0 in a dict."""
    asked = exporter.counter("dev_asks_total", "Asks.", ["who"])
    for who in (1, True, "1", 1.0, ["1"], " 1"):
        asked.labels(who).inc()
    assert value(exporter, "dev_asks_total", who="1") == 3
    assert value(exporter, "dev_asks_total", who="true") == 1
    assert value(exporter, "dev_asks_total", who="1.0") == 1
    assert value(exporter, "dev_asks_total", who="['1']") == 1


def test_by_name_and_by_position_is_the_same_series(exporter: Exporter) -> None:
    asked = exporter.counter("dev_asks_total", "Asks.", ["who", "how"])
    assert asked.labels(how="x", who="a") is asked.labels("a", "x")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((), {"who": "a"}), (("a",), {}), (("a", "b", "c"), {}), ((), {"who": "a", "hwo": "b"}),
        (("a",), {"how": "b"}),
    ],
)  # fmt: skip
def test_wrong_labels_are_an_error(
    exporter: Exporter, values: tuple[str, ...], named: dict[str, str]
) -> None:
    asked = exporter.counter("dev_asks_total", "Asks.", ["who", "how"], cap=1)
    asked.labels("full", "full")
    with pytest.raises(ValueError, match=r"(?i)label|args"):
        asked.labels(*values, **named)


def test_a_series_has_no_labels_to_give(exporter: Exporter) -> None:
    asked = exporter.counter("dev_asks_total", "Asks.", ["who"])
    with pytest.raises(ValueError, match="has its labels already"):
        asked.labels("a").labels("b")
    with pytest.raises(ValueError, match="No label names"):
        exporter.counter("dev_beats_total", "Beats.").labels("a")


def test_a_metric_without_labels_has_no_cap(exporter: Exporter) -> None:
    beats = exporter.counter("dev_beats_total", "Beats.", cap=1)
    beats.inc()
    beats.inc()
    assert value(exporter, "dev_beats_total") == 2


@given(
    words=st.lists(st.sampled_from([f"w{n}" for n in range(12)]), max_size=40),
    cap=st.integers(min_value=1, max_value=8),
)
def test_nothing_is_lost_and_the_cap_holds(words: list[str], cap: int) -> None:
    exporter = Exporter("dev", process=False)
    asked = exporter.counter("dev_asks_total", "Asks.", ["who"], cap=cap)
    for word in words:
        asked.labels(who=word).inc()
    [family] = [each for each in exporter.registry.collect() if each.name == "dev_asks"]
    told = {s.labels["who"]: s.value for s in family.samples if s.name == "dev_asks_total"}
    assert sum(told.values()) == len(words)
    assert len(set(told) - {"_overflow"}) == min(cap, len(set(words)))
    first = list(dict.fromkeys(words))[:cap]
    assert set(told) - {"_overflow"} == set(first)


def test_threads_that_ask_at_once_stay_below_the_cap(exporter: Exporter) -> None:
    asked = exporter.counter("dev_asks_total", "Asks.", ["who"], cap=50)
    ready = threading.Barrier(4)

    def ask() -> None:
        ready.wait()
        for n in range(200):
            asked.labels(f"w{n}").inc()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [family] = [each for each in exporter.registry.collect() if each.name == "dev_asks"]
    told = [s for s in family.samples if s.name == "dev_asks_total"]
    assert len(told) == 51
    assert sum(s.value for s in told) == 800


@pytest.fixture
def tracer() -> Iterator[trace.Tracer]:
    provider = TracerProvider()
    yield provider.get_tracer("test")
    provider.shutdown()


def test_inside_a_sampled_span_its_ids_are_the_exemplar(exporter: Exporter, tracer: trace.Tracer) -> None:
    asked = exporter.counter("dev_asks_total", "Asks.", ["who"])
    took = exporter.histogram("dev_ask_duration_seconds", "Asks.", buckets=(1,))
    with tracer.start_as_current_span("ask") as span:
        asked.labels("a").inc()
        took.observe(0.5)
    asked.labels("a").inc()  # outside: the exemplar stays
    page = exporter.render("application/openmetrics-text; version=1.0.0")[0].decode()
    context = span.get_span_context()
    ids = f'trace_id="{context.trace_id:032x}"'
    [counted] = [line for line in page.splitlines() if line.startswith("dev_asks_total")]
    [bucket] = [
        line for line in page.splitlines() if line.startswith('dev_ask_duration_seconds_bucket{le="1.0"}')
    ]
    assert ids in counted
    assert ids in bucket
    assert f'span_id="{context.span_id:016x}"' in counted


def test_what_is_not_sampled_is_no_exemplar(exporter: Exporter) -> None:
    beats = exporter.counter("dev_beats_total", "Beats.")
    provider = TracerProvider(sampler=ALWAYS_OFF)
    with provider.get_tracer("test").start_as_current_span("ask"):
        beats.inc()
    provider.shutdown()
    [family] = [each for each in exporter.registry.collect() if each.name == "dev_beats"]
    assert [s.exemplar for s in family.samples if s.name == "dev_beats_total"] == [None]


def test_an_exemplar_of_ones_own_wins(exporter: Exporter, tracer: trace.Tracer) -> None:
    beats = exporter.counter("dev_beats_total", "Beats.")
    with tracer.start_as_current_span("ask"):
        beats.inc(1, {"order": "7"})
    [family] = [each for each in exporter.registry.collect() if each.name == "dev_beats"]
    assert [s.exemplar.labels for s in family.samples if s.exemplar] == [{"order": "7"}]


def test_a_cap_below_one_is_an_error(exporter: Exporter) -> None:
    with pytest.raises(ValueError, match="dev_asks_total: cap: expected at least 1; found 0"):
        exporter.counter("dev_asks_total", "Asks.", cap=0)
    with pytest.raises(ValueError, match="across is one of"):
        exporter.gauge("dev_load_ratio", "Load.", across="mean")


def test_a_name_is_taken_once(exporter: Exporter) -> None:
    exporter.counter("dev_asks_total", "Asks.")
    with pytest.raises(ValueError, match="Duplicated"):
        exporter.gauge("dev_asks", "Asks.")
