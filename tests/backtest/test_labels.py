"""Label files in every form, selectors, times; what is said of those that are none."""

import contextlib
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.backtest.labels import Label, from_column, read_labels
from edgeobs.backtest.selector import SelectorError, selector
from edgeobs.backtest.when import TimeError, moment, seconds
from edgeobs.replay import RecordingError
from edgeobs.signals import SECOND, Identity, Kind, Resource, Source

START = 1_700_000_000
DISK = Identity(
    Source((("node", "edge-1"), ("job", "node")), Resource(zone="b", node="edge-1")),
    "disk_errors_total", (("device", "sda"),), Kind.COUNTER,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True), ("{}", True), ("disk_errors_total", True), ("disk_errors", False),
        ('disk_errors_total{device="sda"}', True), ('disk_errors_total{device="sdb"}', False),
        ('{device=~"sd.", node="edge-1"}', True), ('{device=~"s"}', False), ('{device!="sda"}', False),
        ('{device!~"nvme.*",}', True), ('{zone="b",job="node"}', True), ('{rack=""}', True),
        ('{__name__=~"disk_.+"}', True), ('{node="edge\\-1"}', True),
    ],
)  # fmt: skip
def test_selectors(text: str, fits: bool) -> None:
    assert selector(text).fits(DISK) == fits


def test_a_computed_series_is_meant_by_the_name_of_what_it_came_from() -> None:
    assert selector("disk_errors_total").fits(DISK._replace(name="disk_errors_total:rate"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a{", "closing brace"), ('a{b="c"', "closing brace"), ("a{b}", "at 'b'"),
        ('a{b="c" d="e"}', "at 'b="),
        ('a{b=~"("}', "no regular expression"),
    ],
)  # fmt: skip
def test_what_is_no_selector(text: str, said: str) -> None:
    with pytest.raises(SelectorError, match=said):
        selector(text)


@given(st.text(max_size=40))
def test_any_text_is_a_selector_or_an_error(text: str) -> None:
    with contextlib.suppress(SelectorError):
        selector(text).fits(DISK)


ROWS = [('{node="edge-1"}', START, START + 60), ("cpu", START + 100, START + 160)]


def written(folder: Path, form: str) -> Path:
    path = folder / f"labels.{form}"
    frame = pl.DataFrame(ROWS, schema=["series", "start", "end"], orient="row")
    if form == "csv":
        frame.write_csv(path)
    elif form == "parquet":
        frame.write_parquet(path)
    else:
        path.write_text(json.dumps(frame.to_dicts()))
    return path


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_every_form_says_the_same(tmp_path: Path, form: str) -> None:
    found = read_labels(written(tmp_path, form))
    assert [(each.selector.text, each.start_ns, each.end_ns) for each in found] == [
        (text, start * SECOND, end * SECOND) for text, start, end in ROWS
    ]


def test_without_a_series_every_series_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("Start,end\n2023-11-14T22:13:20Z,2023-11-14T22:14:20Z\n")
    (label,) = read_labels(path)
    assert (label.start_ns, label.end_ns) == (START * SECOND, (START + 60) * SECOND)
    assert label.selector.fits(DISK)


def test_nabs_windows_are_of_the_series_of_their_file(tmp_path: Path) -> None:
    path = tmp_path / "combined_windows.json"
    path.write_text(
        '{"real/edge-1.csv": [["2023-11-14 22:13:20.000", "2023-11-14 22:14:20.000"]], "b.csv": []}'
    )
    (label,) = read_labels(path)
    assert (label.start_ns, label.end_ns) == (START * SECOND, (START + 60) * SECOND)
    assert label.selector.fits(DISK)
    source = Source((), Resource(node="real/edge-1"))
    assert label.selector.fits(DISK._replace(source=source)), "where two files are called the same"
    assert not label.selector.fits(DISK._replace(source=Source((), Resource(node="b"))))


def test_the_example_in_the_docs_is_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "backtest.md").read_text()
    path = tmp_path / "known.csv"
    path.write_text(text.split("```csv\n")[1].split("```")[0])
    disk, zone = read_labels(path)
    assert (zone.selector.text, disk.selector.name) == ('{zone="b"}', "disk_errors_total")
    assert (disk.end_ns - disk.start_ns, zone.end_ns - zone.start_ns) == (1200 * SECOND, 600 * SECOND)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("l.txt", "", "expected a name ending in"),
        ("l.csv", "series,start\na,1\n", "expected columns series, start, end; found"),
        ("l.csv", "series,start,end\na,noon,2\n", "row 1, column 'start': expected a time, found 'noon'"),
        ("l.csv", "series,start,end\na,2,1\n", "row 1: ends before it starts"),
        ("l.csv", "series,start,end\na{,1,2\n", "row 1: 'a{': expected a closing brace"),
        ("l.json", "{", "no JSON"), ("l.json", "3", "expected a list of rows"),
        ("l.json", "[" * 100_000, "no JSON"),
        ("l.json", '[{"start": 1}]', "row 1: expected series, start and end"),
        ("l.json", '[{"series": 5, "start": 1, "end": 2}]', "row 1: expected a selector, found 5"),
        ("l.json", '[{"start": {}, "end": []}]', "l.json: "),
        ("l.json", '{"a.csv": [[1]]}', "'a.csv': expected a list"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(RecordingError) as caught:
        read_labels(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_column_of_labels_is_runs_of_rows() -> None:
    time_ns = np.array([10, 20, 30, 40, 50], np.int64)
    found = from_column(np.array([True, False, True, True, False]), time_ns, "edge-1")
    assert [(label.start_ns, label.end_ns) for label in found] == [(10, 10), (30, 40)]
    assert all(isinstance(label, Label) and label.selector.fits(DISK) for label in found)


@pytest.mark.parametrize(
    ("text", "expected"), [("15", 15.0), ("15s", 15.0), ("1h30m", 5400.0), ("500ms", 0.5), ("1d", 86_400.0)]
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1700000000", 1.7e9), ("1700000000.5", 1.7e9 + 0.5), ("2023-11-14T22:13:20Z", 1.7e9), ("now", 2e9),
        ("2023-11-14T23:13:20+01:00", 1.7e9), ("2023-11-14 22:13:20", 1.7e9), ("now-1h", 2e9 - 3600),
    ],
)  # fmt: skip
def test_moments(text: str, expected: float) -> None:
    assert moment(text, 2e9) == expected


@pytest.mark.parametrize("text", ["", "soon", "0", "-5", "5 s", "1x", "nan", "inf", "1e99"])
def test_what_is_no_time_says_so(text: str) -> None:
    with pytest.raises(TimeError, match="expected a duration"):
        seconds(text)
    if text != "0":
        with pytest.raises(TimeError, match="expected"):
            moment(f"now-{text}" if text in {"5 s", "1x", ""} else text, 2e9)
