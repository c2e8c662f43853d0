"""`edgeobs explain`: what a snapshot of a real pipeline says of a node, and what is said when it cannot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from edgeobs import snapshot
from edgeobs.cli import app
from edgeobs.compose import build
from edgeobs.config import Config
from edgeobs.detect import Settings
from edgeobs.detect.bank import SeriesBank
from edgeobs.explain import AHEAD_S, of_node, read
from edgeobs.replay import Recording, steps
from edgeobs.signals import SECOND, VIEWS, Floats, Identity, Kind, Resource, Source

START = 1_700_006_400 * SECOND
SECONDS = 300
TEMPERATURE = 'temp_celsius{sensor="cpu"}'


def identity(node: str, name: str, kind: Kind = Kind.GAUGE, unit: str = "", **labels: str) -> Identity:
    source = Source((("host.name", node),), Resource("c", "attic", node, pod=labels.pop("pod", "")))
    return Identity(source, name, tuple(sorted(labels.items())), kind, unit)


def recording() -> Recording:
    rng = np.random.default_rng(7)
    hot = rng.normal(50, 1, SECONDS)
    hot[-1] = 90.0
    series: dict[Identity, Floats] = {
        identity("edge-1", "temp_celsius", unit="Cel", sensor="cpu"): hot,
        identity("edge-1", "temp_celsius", unit="Cel", sensor="disk"): rng.normal(40, 1, SECONDS),
        identity("edge-1", "bytes_total", Kind.COUNTER, "By"): np.cumsum(rng.normal(2048, 99, SECONDS)),
        identity("edge-1", "new_gauge"): np.r_[np.full(SECONDS - 7, np.nan), np.arange(7.0)],
        identity("edge-1", "load", pod="web-\x1b[2J"): rng.normal(1, 0.1, SECONDS),
        identity("edge-2", "temp_celsius", unit="Cel", sensor="cpu"): rng.normal(50, 1, SECONDS),
    }
    rows = np.stack(list(series.values()), axis=1)
    times = START + SECOND * np.arange(SECONDS, dtype=np.int64)
    ids = np.tile(np.arange(len(series), dtype=np.int32), SECONDS)
    there = np.isfinite(rows.ravel())
    return Recording(
        list(series), ids[there], np.repeat(times, len(series))[there], rows.ravel()[there]
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a core that heard the recording."""
    folder = tmp_path_factory.mktemp("core")
    pipeline = build(Config()).pipeline
    for now_ns, points in steps(recording(), pipeline.table):
        pipeline.step(points, now_ns)
    snapshot.write(folder / snapshot.NAME, pipeline.table.state(), ["loopback"], pipeline.state())
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, arguments)])


def told(*arguments: object) -> Any:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_node_is_a_line_a_series_the_most_surprising_first(data: Path) -> None:
    done = run("edge-1", "--data-dir", data)
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("edge-1: 5 series, last heard 2023-11-15 00:04:59 UTC, from ")
    head, first, *rest = lines[2:8]
    assert head.split()[:4] == ["score", "series", "last", "expected"]
    assert TEMPERATURE in first
    assert "90 °C" in first
    assert float(first.split()[0]) > 3 > max(float(line.split()[0]) for line in rest[:-1])
    (rate,) = (line for line in rest if "bytes_total" in line)
    assert "KiB/s" in rate
    (young,) = (line for line in rest if "new_gauge" in line)
    assert young.count("–") == 2
    assert "\x1b" not in done.stdout
    assert "edge-2" not in done.stdout


def test_a_series_in_whole(data: Path) -> None:
    done = run("edge-1", TEMPERATURE, "--data-dir", data)
    assert done.exit_code == 0
    for word in (TEMPERATURE, "c/attic/edge-1", "90 °C, 2023-11-15 00:04:59 UTC, every 1 s", "300 samples"):
        assert word in done.stdout
    for word in (*VIEWS[1:], "share", "forecast", "in 5 min", "in 1 h"):
        assert word in done.stdout
    young = run("edge-1", "new_gauge", "--data-dir", data)
    assert "7 samples of 30 before the first score" in young.stdout


def test_json_has_what_the_bank_says(data: Path) -> None:
    whole = told("edge-1", TEMPERATURE, "--data-dir", data)
    (found,) = whole["series"]
    learned = read(data, Settings())
    (each,) = of_node(learned, "edge-1", TEMPERATURE)
    assert isinstance(learned.bank, SeriesBank)
    assert found["at_ns"] == START + (SECONDS - 1) * SECOND
    assert (found["value"], found["unit"], found["n"]) == (90.0, "Cel", SECONDS)
    assert found["score"] == each.found.score > 3
    assert found["place"]["zone"] == "attic"
    assert sum(view["square"] for view in found["views"]) == pytest.approx(found["joined"] ** 2)
    assert sum(view["share"] for view in found["views"]) == pytest.approx(1.0)
    assert [ahead["in_s"] for ahead in found["forecast"]] == list(AHEAD_S)
    for ahead in found["forecast"]:
        assert abs(ahead["expected"] - 50) < 3 * ahead["spread"] < 30
    (young,) = told("edge-1", "new_gauge", "--data-dir", data)["series"]
    assert young["expected"] is young["forecast"][0]["spread"] is None


@pytest.mark.parametrize(
    ("pattern", "series"),
    [
        ("temp_celsius", 2),
        ("temp_*", 2),
        ('*{sensor="disk"}', 1),
        ('*sensor="disk"*', 1),
        ("*", 5),
        ("[a-l]*", 2),
    ],
)
def test_a_metric_is_a_pattern_of_names_and_of_labels(data: Path, pattern: str, series: int) -> None:
    assert len(told("attic/edge-1", pattern, "--data-dir", data)["series"]) == series


def test_what_is_left_out_is_said(data: Path) -> None:
    whole = told("edge-1", "--data-dir", data, "--most", 2)
    assert (len(whole["series"]), whole["left_out"]) == (2, 3)
    assert "3 calmer series left out" in run("edge-1", "--data-dir", data, "--most", 2).stdout


def test_the_config_says_where(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "edgeobs.yaml"
    file.write_text(f"engine: {{data_dir: {data}}}\n")
    assert len(told("edge-2", "-c", file)["series"]) == 1
    file.write_text("engine: {data_dri: x}\n")
    assert run("edge-2", "-c", file).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["edge-3"], "'edge-3': no such node in "),
        (["edge-3"], "nearest: edge-2, edge-1"),
        (["zzz"], "there are 2: edge-1, edge-2"),
        ([""], "no such node"),
        (["attc/edge-1"], "nearest: edge-1"),
        (["edge-1", "tmp_celsius"], "'tmp_celsius': no such series of edge-1; nearest: temp_celsius"),
    ],
)
def test_an_unknown_name_gets_the_nearest(data: Path, arguments: list[str], said: str) -> None:
    done = run(*arguments, "--data-dir", data)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


def test_no_snapshot_says_where_it_looked(data: Path, tmp_path: Path) -> None:
    done = run("edge-1", "--data-dir", tmp_path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{tmp_path / snapshot.NAME}: no snapshot there; ")
    whole = (data / snapshot.NAME).read_bytes()
    (tmp_path / snapshot.NAME).write_bytes(whole[: len(whole) // 2])
    done = run("edge-1", "--data-dir", tmp_path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"{tmp_path / snapshot.NAME}: damaged (its digest does not fit)\n"
    table, principals, stages = snapshot.read(data / snapshot.NAME)
    stages["detect.series"]["schema"] = np.array([99])
    snapshot.write(tmp_path / snapshot.NAME, table, principals, stages)
    done = run("edge-1", "--data-dir", tmp_path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "expected schema" in done.stderr
    del stages["detect.series"]
    snapshot.write(tmp_path / snapshot.NAME, table, principals, stages)
    assert "holds nothing of the detector of series" in run("edge-1", "--data-dir", tmp_path).stderr


def test_help_teaches() -> None:
    done = run("--help")
    assert done.exit_code == 0
    for word in ("NODE", "METRIC", "disk_*", "--data-dir", "--json", "snapshot", "decades", "Exit codes"):
        assert word in " ".join(done.stdout.split())
