"""Recordings: what they may look like, what is said of those that are none, and what replaying finds."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from edgeobs.cli import app
from edgeobs.compose import build
from edgeobs.config import Config, parse
from edgeobs.replay import Recording, RecordingError, read, steps
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Kind, Resource

START = 1_700_000_000
DATA = Path(__file__).parents[2] / "shared" / "data"

Write = Callable[[pl.DataFrame, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a frame as ``edge-1`` of a format."""

    def made(frame: pl.DataFrame, form: str) -> Path:
        path = tmp_path / f"edge-1.{form}"
        if form == "csv":
            frame.write_csv(path)
        else:
            frame.write_parquet(path)
        return path

    return made


def samples(recording: Recording) -> dict[str, list[tuple[int, float]]]:
    """Series' text → (nanoseconds, value)."""
    found: dict[str, list[tuple[int, float]]] = {i.text(): [] for i in recording.identities}
    for series, time_ns, value in zip(recording.series, recording.time_ns, recording.value, strict=True):
        found[recording.identities[series].text()].append((int(time_ns), float(value)))
    return found


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_long_form(write: Write, form: str) -> None:
    path = write(
        pl.DataFrame(
            {
                "timestamp": [START + 1, START, START],
                "name": ["requests_total", "requests_total", "temperature"],
                "kind": ["counter", "counter", None],
                "device": ["sda", "sda", None],
                "zone": ["b", "b", "b"],
                "node": ["n7", "n7", None],
                "label": ["1", "0", "0"],
                "value": [5.0, 3.0, 20.5],
            }
        ),
        form,
    )
    recording = read(path)
    assert samples(recording) == {
        'requests_total{device="sda"}': [(START * SECOND, 3.0), ((START + 1) * SECOND, 5.0)],
        "temperature": [(START * SECOND, 20.5)],
    }
    counter, gauge = sorted(recording.identities, key=lambda i: i.name)
    assert (counter.kind, gauge.kind) == (Kind.COUNTER, Kind.GAUGE)
    assert counter.source.resource == Resource(zone="b", node="n7")
    assert gauge.source.resource.node == "edge-1", "a file without nodes is one node"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_wide_form_leaves_out_what_is_no_telemetry(write: Write, form: str) -> None:
    frame = pl.DataFrame({"Timestamp": [START, START + 1], "CPU": [1, 2], "cpu": [0.5, None]})
    frame = frame.with_columns(label=pl.Series([0, 1]), part=pl.Series(["train", "test"]))
    recording = read(write(frame, form))
    found = samples(recording)
    assert found.keys() == {"CPU", "cpu"}
    assert found["CPU"] == [(START * SECOND, 1.0), ((START + 1) * SECOND, 2.0)]
    assert np.isnan(found["cpu"][1][1])


def test_without_times_there_is_a_row_a_second(write: Write) -> None:
    recording = read(write(pl.DataFrame({"d00": [1.0, 2.0, 4.0]}), "parquet"))
    assert np.diff(recording.time_ns).tolist() == [SECOND, SECOND]
    pipeline = build(Config()).pipeline
    assert sum(pipeline.step(points, now).scored for now, points in steps(recording, pipeline.table)) == 3


def test_words_for_no_number_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "edge-1.csv"
    path.write_text("time,cpu\n1700000000,NaN\n1700000001,\n1700000002,inf\n1700000003,0.5\n")
    value = read(path).value
    assert np.isnan(value[:3]).all()
    assert value[3] == 0.5


def test_words_for_no_number_are_names_where_names_stand(tmp_path: Path) -> None:
    path = tmp_path / "edge-1.csv"
    path.write_text("time,name,node,dev,value\n1,nan,inf,Inf,2\n2,nan,inf,Inf,nan\n3,cpu,NaN,nan,4\n")
    found = read(path)
    assert {(each.text(), each.source.resource.node) for each in found.identities} == {
        ('nan{dev="Inf"}', "inf"),
        ('cpu{dev="nan"}', "NaN"),
    }
    np.testing.assert_array_equal(found.value, [2.0, nan, 4.0])


def test_a_number_that_turns_fractional_late_is_still_one(tmp_path: Path) -> None:
    path = tmp_path / "edge-1.csv"
    path.write_text("cpu\n" + "1\n" * 12_000 + "0.5\n")
    assert read(path).value[-1] == 0.5


@pytest.mark.parametrize("form", ["csv", "parquet"])
@given(stamps=st.lists(st.integers(1_000_000_000, 4_000_000_000), min_size=1, max_size=5, unique=True))
@pytest.mark.parametrize("digits", [0, 3, 6, 9])
def test_integers_in_any_unit(
    tmp_path_factory: pytest.TempPathFactory, form: str, digits: int, stamps: list[int]
) -> None:
    path = tmp_path_factory.mktemp("times") / f"edge-1.{form}"
    frame = pl.DataFrame({"time": [stamp * 10**digits for stamp in stamps], "v": stamps})
    if form == "csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    recording = read(path)
    assert recording.time_ns.tolist() == [stamp * SECOND for stamp in sorted(stamps)]
    assert recording.value.tolist() == [float(stamp) for stamp in sorted(stamps)], "values stay with theirs"


MOMENT = datetime(2024, 3, 1, 12, 30, 15, 250_000, UTC)
MOMENT_NS = int(MOMENT.timestamp() * 1000) * 10**6


@pytest.mark.parametrize(
    "stamp",
    [
        MOMENT.timestamp(), MOMENT.timestamp() * 1e3, "2024-03-01T12:30:15.25Z", "2024-03-01 12:30:15.25",
        "2024-03-01T14:30:15.250+02:00", MOMENT, MOMENT.replace(tzinfo=None),
    ],
)  # fmt: skip
def test_fractions_and_dates(write: Write, stamp: object) -> None:
    recording = read(write(pl.DataFrame({"time": [stamp], "cpu": [1.0]}), "parquet"))
    assert abs(int(recording.time_ns[0]) - MOMENT_NS) <= 1000, "a float64 of today has no finer step"


def test_text_columns_of_every_type_are_labels(write: Write) -> None:
    frame = pl.DataFrame({"time": [1, 1], "name": ["x", "x"], "disk": ["a", "b"], "value": [1, 2]})
    frame = frame.with_columns(pl.col("disk").cast(pl.Categorical), pl.lit("user").alias("kind"))
    texts = {identity.text() for identity in read(write(frame, "parquet")).identities}
    assert texts == {'x{disk="a",kind="user"}', 'x{disk="b",kind="user"}'}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_labels_may_be_json(write: Write, form: str) -> None:
    labels = [json.dumps({"disk": "a", "node": "n7", "odd": 'ä", "'}), "{}", None]
    frame = pl.DataFrame({"time": [1, 1, 1], "name": ["x", "y", "z"], "labels": labels, "mode": ["r"] * 3})
    found = read(write(frame.with_columns(value=1.0), form)).identities
    assert sorted((each.name, each.labels, each.source.resource.node) for each in found) == [
        ("x", (("disk", "a"), ("mode", "r"), ("odd", 'ä", "')), "n7"),
        ("y", (("mode", "r"),), "edge-1"),
        ("z", (("mode", "r"),), "edge-1"),
    ]


def bad(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame(columns)


BAD_FRAMES: dict[str, tuple[pl.DataFrame, str]] = {
    "no rows": (bad(time=pl.Series([], dtype=pl.Int64), cpu=pl.Series([], dtype=pl.Float64)), "no rows"),
    "no numbers": (bad(host=["a"]), r"numeric columns; found \['host'\]"),
    "no time": (bad(time=[START, None], cpu=[1, 2]), "row 2, column 'time': expected a time, found None"),
    "no float time": (bad(ts=[1.7e9, nan], cpu=[1, 2]), "row 2, column 'ts': expected a time, found nan"),
    "no date": (bad(time=["2024-01-01", "noon"], cpu=[1, 2]), "row 2, column 'time': .* found 'noon'"),
    "no dates": (bad(time=["dawn", "noon"], cpu=[1, 2]), "row 1, column 'time': .* found 'dawn'"),
    "hours": (bad(time=[timedelta(hours=1)], cpu=[1]), "column 'time': expected times, found Duration"),
    "huge": (bad(time=pl.Series([2**64 - 1], dtype=pl.UInt64), cpu=[1]), "row 1, column 'time'"),
    "labels": (bad(name=["x"], value=[1], labels=[{"a": "b"}]), "'labels': expected JSON .* Struct"),
    "text": (bad(time=[1], name=["x"], value=["much"]), "column 'value': expected numbers, found String"),
    "nameless": (bad(time=[1, 2], name=["x", None], value=[1, 2]), "column 'name'"),
    "numbered": (bad(time=[1], name=[5], value=[1]), "column 'name'"),
    "labels in no JSON": (
        bad(time=[1], name=["x"], labels=["a=b"], value=[1]),
        "column 'labels': expected a JSON object of texts, found 'a=b'",
    ),
    "a list of labels": (bad(time=[1], name=["x"], labels=['["a"]'], value=[1]), r"found '\[\"a\"\]'"),
    "a number as label": (bad(time=[1], name=["x"], labels=['{"a": 1}'], value=[1]), "object of texts"),
    "a label twice": (
        bad(time=[1], name=["x"], disk=["a"], labels=['{"disk": "b"}'], value=[1]),
        "column 'labels': 'disk' has a column of its own",
    ),
    "twice": (bad(time=[1], Time=[2], cpu=[1]), "'time' is duplicate"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FRAMES)
def test_what_is_wrong_is_named(write: Write, case: str) -> None:
    frame, said = BAD_FRAMES[case]
    path = write(frame, "parquet")
    with pytest.raises(RecordingError, match=said) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("x.parquet", b"PAR1 or not"), ("x.parquet", b""), ("x.csv", b""), ("x.csv", b"a,b\n1,2,3\n"),
        ("x.csv", b"a\n\xff\xfe\n"), ("x.json", b"{}"),
    ],
)  # fmt: skip
def test_files_that_are_no_recording(tmp_path: Path, name: str, body: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(body)
    with pytest.raises(RecordingError, match=r"x\.\w+: "):
        read(path)


def test_a_name_is_no_pattern(tmp_path: Path) -> None:
    path = tmp_path / "edge[1]*.csv"
    path.write_text("cpu\n1\n")
    assert len(read(path).value) == 1


def test_series_over_the_limit_are_left_out_and_counted(write: Write) -> None:
    recording = read(write(pl.DataFrame({"a": [1, 2], "b": [1, 2], "c": [1, 2]}), "csv"))
    found = list(steps(recording, SeriesTable(2)))
    assert [points.rejected for _, points in found] == [{"limit": 1}, {"limit": 1}]
    assert [len(points.series) for _, points in found] == [2, 2]


def test_a_series_that_comes_back_after_it_was_forgotten_is_itself(write: Write) -> None:
    """Ids of forgotten series are given away: what is replayed later must ask for its own again."""
    times = [START + 60 * minute for minute in range(300)]
    rows = [(t, "steady", 1.0) for t in times] + [(t, "rare", 2.0) for t in (times[0], times[-1])]
    rows += [(times[200], "late", 3.0)]
    frame = pl.DataFrame(rows, schema=["time", "name", "value"], orient="row")
    recording = read(write(frame, "parquet"))
    core = build(parse("limits: {idle_expiry_s: 3600}"))
    heard: dict[str, set[float]] = {"steady": set(), "rare": set(), "late": set()}
    for now_ns, points in steps(recording, core.pipeline.table):
        for series, value in zip(points.series, points.value, strict=True):
            heard[core.pipeline.table[int(series)].name].add(float(value))
        core.pipeline.step(points, now_ns)
    assert core.counts["edgeobs_series_expired_total",] >= 2
    assert heard == {"steady": {1.0}, "rare": {2.0}, "late": {3.0}}


# -- the whole of it


def disks(failing: str = "", seconds: int = 150) -> pl.DataFrame:
    """Nodes n0 … n5 in zones of their own; after two minutes the disk of one goes bad."""
    random = np.random.default_rng(5)
    rows = []
    for node in (f"n{number}" for number in range(6)):
        errors = 0.0
        for second in range(seconds):
            bad = node == failing and second >= 120
            errors += 50 if bad else float(random.random() < 0.05)
            latency = (0.5 if bad else 0.002) * random.normal(1, 0.05)
            at = START + second
            rows.append((at, "system_linux_disk_latency_seconds", "gauge", f"z{node}", node, latency))
            rows.append((at, "system_disk_errors_total", "counter", f"z{node}", node, errors))
    return pl.DataFrame(rows, schema=["time", "name", "kind", "zone", "node", "value"], orient="row")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["replay", *map(str, arguments)])


OPTED_IN = "cluster: {opted_in: true}\nremediate: {cluster_share: 1.0}\n"


def test_a_fault_in_a_recording_is_an_incident_and_a_decision(write: Write, tmp_path: Path) -> None:
    config = tmp_path / "edgeobs.yaml"
    config.write_text(OPTED_IN)
    done = run(write(disks("n4"), "parquet"), "-c", config)
    assert done.exit_code == 0, done.output
    incident, decision = done.stdout.splitlines()[:2]
    assert incident.startswith("2023-11-14 22:15:")
    assert "  incident  " in incident
    assert "n4" in incident
    assert "  decision  would cordon n4: " in decision
    assert done.stdout.splitlines()[-1].endswith(" samples of 12 series: 1 incidents, 1 decisions")


def test_without_opting_in_nothing_is_allowed(write: Write) -> None:
    done = run(write(disks("n4"), "csv"), "--quiet")
    assert done.exit_code == 0
    assert "  decision  denied: cordon n4: " in done.stdout
    assert "would" not in done.stdout


def test_a_healthy_recording_is_quiet(write: Write) -> None:
    done = run(write(disks(), "csv"))
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 1
    assert "0 incidents, 0 decisions" in done.stdout


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    path = tmp_path / "edge-1.csv"
    path.write_text("time,name,value\n1700000000,a,1\n1700000000,a,2\n1700000001,a,\n1700000001,b,1\n")
    config = tmp_path / "edgeobs.yaml"
    config.write_text("limits: {max_series: 1}")
    done = run(path, "-c", config)
    assert done.stdout.splitlines() == [
        "left out: 1 duplicate, 1 nonfinite, 1 over the limit of series",
        "1 samples of 2 series: 0 incidents, 0 decisions",
    ]


def test_a_title_is_one_line_however_long(write: Write) -> None:
    frame = disks("n4").with_columns(pl.lit("x" * 120).alias("device"))
    done = run(write(frame, "parquet"))
    assert all(line.startswith("2023-11-14 ") for line in done.stdout.splitlines()[:-1])


def test_exit_codes(tmp_path: Path, write: Write) -> None:
    (tmp_path / "x.csv").write_text("")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "bad.yaml").write_text("limits: {max_serie: 1}")
    good = write(disks(seconds=2), "csv")
    for arguments, said in (
        ([tmp_path / "x.csv"], "x.csv: empty CSV"),
        ([tmp_path / "none.parquet"], f"{tmp_path}/none.parquet: No such file or directory\n"),
        ([tmp_path / "folder.csv"], "directory"),
        ([good, "-c", tmp_path / "bad.yaml"], "limits.max_serie"),
        ([good, "-c", tmp_path / "none.yaml"], "No such file"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, done.output
        assert said in done.stderr
        assert isinstance(done.exception, SystemExit)


def told(*recordings: Recording) -> tuple[list[object], list[object]]:
    """What comes of recordings one after the other: incidents without their ids, and decisions."""
    pipeline = build(parse(OPTED_IN)).pipeline
    incidents: list[object] = []
    decisions: list[object] = []
    for recording in recordings:
        for now_ns, points in steps(recording, pipeline.table):
            outputs = pipeline.step(points, now_ns)
            incidents += [repr(replace(incident, id="")) for incident in outputs.incidents]
            decisions += [decision.text() for decision in outputs.decisions]
    return incidents, decisions


@pytest.mark.parametrize("cut_s", [1, 60, 121])
def test_one_file_or_two_makes_no_difference(write: Write, cut_s: int) -> None:
    frame = disks("n4")
    whole = told(read(write(frame, "parquet")))
    first, second = (
        read(write(frame.filter(which), "parquet"))
        for which in (pl.col("time") < START + cut_s, pl.col("time") >= START + cut_s)
    )
    assert len(whole[1]) == 1
    assert told(first, second) == whole


def needs_data(part: str) -> Path:
    path = DATA / part
    if not path.exists():
        pytest.skip(f"needs the public data set file {part} beside the checkout, in ../shared/data")
    return path


def test_nab_is_replayed_where_it_lies() -> None:
    done = run(needs_data("nab/data/artificialWithAnomaly/art_daily_jumpsup.csv"), "--quiet")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].startswith("4032 samples of 1 series: ")


def test_smd_is_replayed_where_it_lies() -> None:
    recording = read(needs_data("smd/machine-1-4.parquet"))
    assert [identity.name for identity in recording.identities] == [f"d{n:02}" for n in range(38)]
    assert len(recording.value) == 38 * 47_413
    pipeline = build(Config()).pipeline
    moments = islice(steps(recording, pipeline.table), 2000)
    assert sum(pipeline.step(points, now).scored for now, points in moments) == 38 * 2000
