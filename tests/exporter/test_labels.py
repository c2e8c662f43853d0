"""Label values: what comes in any shape goes out as text that every format can carry."""

from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from edgeobs.exporter import Exporter
from edgeobs.exporter.labels import LONGEST, normal


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("GET", "GET"), ("", ""), (None, ""), (True, "true"), (False, "false"), (3, "3"), (2.5, "2.5"),
        (b"pump", "pump"), (b"\xff", "\N{REPLACEMENT CHARACTER}"), (Colour.RED, "red"), (" a  b ", "a b"),
        ("a\nb\tc\x00", "a b c"), ("\ud800", "?"), ("Büro", "Büro"), ("x" * 200, "x" * (LONGEST - 1) + "…"),
    ],
)  # fmt: skip
def test_values(given: object, told: str) -> None:
    assert normal(given) == told


anything = st.one_of(st.text(st.characters(codec=None)), st.binary(), st.integers(), st.floats(), st.none())


@given(anything)
def test_it_is_short_one_line_and_valid_and_stays_so(value: object) -> None:
    told = normal(value)
    told.encode()
    assert len(told) <= LONGEST
    assert told.isprintable()
    assert normal(told) == told


@given(st.lists(anything, min_size=1, max_size=4))
def test_no_value_breaks_the_page(values: list[object]) -> None:
    exporter = Exporter("dev", process=False)
    metric = exporter.counter("dev_things_total", "Things.", ["what"])
    for value in values:
        metric.labels(value).inc()
    [family] = [
        family
        for family in text_string_to_metric_families(exporter.render()[0].decode())
        if family.name == "dev_things"
    ]
    told = {s.labels["what"]: s.value for s in family.samples if s.name == "dev_things_total"}
    assert set(told) == {normal(value) for value in values}
    assert sum(told.values()) == len(values)
