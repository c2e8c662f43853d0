"""The metrics page: what was counted is what is served, in both formats, and nothing undeclared."""

import ast
import math
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from edgeobs.catalogue import METRICS
from edgeobs.signals import Counts
from edgeobs.telemetry import Histogram, exposition

OPENMETRICS = "application/openmetrics-text; version=1.0.0,text/plain;version=0.0.4;q=0.5"
STEP = "edgeobs_step_duration_seconds"


def everything() -> tuple[Counts, dict[tuple[str, ...], float], Histogram]:
    """Every metric of the catalogue with some value."""
    keys = {name: (name, *(f"a {label}" for label in metric.labels)) for name, metric in METRICS.items()}
    counts = Counter({keys[name]: 3 for name, metric in METRICS.items() if metric.kind == "counter"})
    gauges = {keys[name]: 1.5 for name, metric in METRICS.items() if metric.kind == "gauge"}
    histogram = Histogram(METRICS[STEP].buckets)
    histogram.observe(0.003)
    return counts, gauges, histogram


def samples(text: str, accept: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    parse = parse_openmetrics if accept else parse_text
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in parse(text) for s in f.samples}


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_every_declared_metric_is_served_with_its_help_and_type(accept: str) -> None:
    counts, gauges, histogram = everything()
    body, content_type = exposition(counts, gauges, {(STEP,): histogram}, accept)
    text = body.decode()
    for name, metric in METRICS.items():
        family = name.removesuffix("_total") if accept else name
        assert f"# HELP {family} {metric.help}\n" in text
        assert f"# TYPE {family} {metric.kind}\n" in text
    assert content_type.startswith("application/openmetrics-text" if accept else "text/plain; version=0.0.4")
    assert text.endswith("# EOF\n") == bool(accept)


@given(
    protocol=st.text(), code=st.text(), value=st.integers(0, 2**53), accept=st.sampled_from(["", OPENMETRICS])
)
def test_what_was_counted_is_what_a_scraper_reads(protocol: str, code: str, value: int, accept: str) -> None:
    counts: Counts = Counter({("edgeobs_requests_total", protocol, code): value})
    body, _ = exposition(counts, {}, {}, accept)
    key = ("edgeobs_requests_total", (("code", code), ("protocol", protocol)))
    assert samples(body.decode(), accept)[key] == value


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_any_accept_header_gets_a_page_in_the_format_it_names(accept: str) -> None:
    body, content_type = exposition(Counter(), {}, {}, accept)
    assert (b"# EOF" in body) == ("openmetrics" in content_type)


def test_unlabelled_counters_start_at_zero_and_unset_gauges_are_absent() -> None:
    text = exposition(Counter(), {}, {}, "")[0].decode()
    assert "\nedgeobs_samples_scored_total 0.0\n" in text
    assert "edgeobs_store_healthy" not in text
    assert "process_resident_memory_bytes" in text


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        (("edgeobs_nonsense_total",), "not declared"),
        (("edgeobs_requests_total", "otlp_http"), "has labels"),
        (("edgeobs_series",), "declared as a gauge"),
    ],
)
def test_a_key_that_the_catalogue_does_not_declare_is_an_error(key: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        exposition(Counter({key: 1}), {}, {}, "")


@given(st.lists(st.floats(-10, 1e9)))
def test_histogram_buckets_are_cumulative_counts_of_what_was_observed(values: list[float]) -> None:
    histogram = Histogram((0.01, 1.0, 100.0))
    for value in values:
        histogram.observe(value)
    assert len(histogram.counts) == 4
    found = samples(exposition(Counter(), {}, {(STEP,): histogram}, "")[0].decode(), "")
    for bound in (0.01, 1.0, 100.0, math.inf):
        le = "+Inf" if bound == math.inf else str(bound)
        assert found[f"{STEP}_bucket", (("le", le),)] == sum(value <= bound for value in values)
    assert found[f"{STEP}_count", ()] == len(values)
    assert found[f"{STEP}_sum", ()] == pytest.approx(sum(values))


def test_a_copied_histogram_does_not_follow_the_original() -> None:
    histogram = Histogram((1.0,))
    copy = histogram.copy()
    histogram.observe(0.5)
    assert (copy.counts, copy.total) == ([0, 0], 0.0)


def test_names_and_units_follow_prometheus_conventions() -> None:
    for name, metric in METRICS.items():
        assert re.fullmatch(r"edgeobs(_[a-z]+)+", name), name
        assert name.endswith("_total") == (metric.kind == "counter"), name
        assert name.removesuffix("_total").endswith(metric.unit), name
        assert metric.help.endswith("."), name
        assert bool(metric.buckets) == (metric.kind == "histogram"), name
        assert list(metric.buckets) == sorted(set(metric.buckets)), name
        assert not {"le", "quantile", "job", "instance"} & set(metric.labels), name


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_promtool_finds_nothing_to_complain_about(accept: str, program: Callable[[str, str], str]) -> None:
    counts, gauges, histogram = everything()
    body, _ = exposition(counts, gauges, {(STEP,): histogram}, accept)
    promtool = program("promtool", "prometheus")
    done = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, check=False)
    lines = (done.stdout + done.stderr).decode().splitlines()
    if accept:  # promtool reads text 0.0.4, in which a counter's help and type stand under its full name
        lines = [line for line in lines if not line.endswith("_total no help text")]
    assert lines == []


def counted(tree: ast.AST) -> Iterator[ast.Tuple]:
    """Tuples that begin with a metric's name: keys of counts and gauges."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple) and node.elts and isinstance(node.elts[0], ast.Constant):
            first = node.elts[0].value
            if isinstance(first, str) and first.startswith("edgeobs_"):
                yield node


def test_every_key_in_the_source_is_declared_with_that_many_labels(root: Path) -> None:
    for file in sorted((root / "edgeobs").rglob("*.py")):
        for node in counted(ast.parse(file.read_text())):
            name, *values = node.elts
            where = f"{file.relative_to(root)}:{node.lineno}"
            assert isinstance(name, ast.Constant)
            assert name.value in METRICS, f"{where}: {name.value!r} is not in the catalogue"
            if not any(isinstance(value, ast.Starred) for value in values):
                assert len(values) == len(METRICS[name.value].labels), f"{where}: {name.value!r}: label count"
