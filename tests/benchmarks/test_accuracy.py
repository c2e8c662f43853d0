"""The benchmark as a whole: what it reads, what it prints, and that ours is scored before it is learned."""

import dataclasses
import struct
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import accuracy
from benchmarks.__main__ import SETS
from benchmarks.accuracy import data, ours, plots
from benchmarks.accuracy.data import MINUTE, NoDataError, Node, Series
from benchmarks.accuracy.sets import best_of
from edgeobs.signals import SECOND

NAMES = {
    "nab_standard", "nab_fixed_threshold", "mscloud_recall_at_0.02", "mscloud_recall_at_0.1",
    "kpi_recall_at_0.02", "kpi_recall_at_0.1", "smd_vus_pr", "smd_recall_at_0.1", "asd_vus_pr",
    "jumpstarter_d2_vus_pr", "jumpstarter_d3_vus_pr", "jumpstarter_d3_recall_at_0.1",
    "nezha_top1", "nezha_top3", "promise_worst_ratio",
}  # fmt: skip


def test_the_command_line_names_the_sets_there_are() -> None:
    assert tuple(accuracy.SETS) == SETS


def test_every_figure_beside_every_floor(small: Path, tmp_path: Path) -> None:
    pytest.importorskip("river")
    shown: list[str] = []
    found = accuracy.run(False, small, "", tmp_path / "plots", shown.append)
    assert {m.name for m in found} == NAMES
    assert all(m.reference for m in found)
    assert len(shown) == 8  # two of JumpStarter
    for table in shown:
        head, *rows = table.splitlines()
        assert [name for name in accuracy.floors.FLOORS if name not in head] in ([], ["low rank"])
        assert rows
    by_name = {m.name: m.value for m in found}
    assert by_name["nezha_top1"] == 1.0
    assert by_name["mscloud_recall_at_0.1"] == 1.0
    pictures = {p.relative_to(tmp_path / "plots").as_posix() for p in (tmp_path / "plots").rglob("*.png")}
    assert {"nab/real__one.png", "kpi/0.png", "jumpstarter_d3/d3-s.png", "nezha/p2.png"} <= pictures


def test_one_set_alone(small: Path) -> None:
    pytest.importorskip("river")
    found = accuracy.run(True, small, "asd", None, lambda _: None)
    assert [m.name for m in found] == ["asd_vus_pr", "promise_worst_ratio"]


def test_files_without_events_have_no_recall(small: Path) -> None:
    pytest.importorskip("river")
    kpi = small / "kpi" / "0.parquet"
    pl.read_parquet(kpi).with_columns(label=pl.lit(0)).write_parquet(kpi)
    found = accuracy.run(False, small, "kpi", None, lambda _: None)
    assert [m.name for m in found] == ["promise_worst_ratio"]


def test_a_figure_comes_from_one_variant() -> None:
    plain = {"vus_pr": 0.4, "recall_at_0.1": 0.5, "delay_s_at_0.1": 60.0}
    smooth = {"vus_pr": 0.3, "recall_at_0.1": 0.6, "delay_s_at_0.1": 300.0}
    assert best_of({"plain": plain, "smooth": smooth}) == {
        "vus_pr": (0.4, "plain"), "recall_at_0.1": (0.6, "smooth"), "delay_s_at_0.1": (300.0, "smooth"),
    }  # fmt: skip


# What is read


def test_what_is_missing_stays_missing(small: Path) -> None:
    (kpi,) = data.load_kpi(small)
    assert np.isnan(kpi.value).sum() == 11
    (cloud,) = data.load_mscloud(small)
    assert np.flatnonzero(np.isnan(cloud.value)).tolist() == [50]
    assert cloud.label.sum() == 6
    assert np.diff(cloud.time_ns).tolist() == [MINUTE] * 399


def test_nab_windows_are_rows(small: Path) -> None:
    (file,) = data.load_nab(small)
    assert (file.name, file.category, file.windows) == ("real/one.csv", "real", ((290, 320),))
    assert np.flatnonzero(file.label).tolist() == list(range(290, 321))


def test_a_part_of_a_node(small: Path) -> None:
    (test,), (train,) = data.load_nodes(small, "asd"), data.load_nodes(small, "asd", "train")
    assert (test.values.shape, train.values.shape, test.metrics) == ((390, 3), (10, 3), ("d00", "d01", "d02"))
    assert np.diff(test.time_ns)[0] == 5 * MINUTE


def test_nezha_times_are_those_written_out(small: Path) -> None:
    nodes, faults = data.load_nezha(small)
    assert [n.name for n in nodes] == ["p0", "p1", "p2", "p3"]
    assert nodes[0].values.shape == (400, 2)
    assert [(f.time_ns - nodes[0].time_ns[0]) // MINUTE for f in faults] == [3, 300]
    assert nodes[0].time_ns[0] == 1_709_251_200 * SECOND


@pytest.mark.parametrize("name", SETS)
def test_a_directory_without_the_files_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(NoDataError, match=f"{name}.*") as caught:
        accuracy.run(False, tmp_path, name)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_in_another_format_are_named(small: Path) -> None:
    (small / "kpi" / "0.parquet").write_bytes(b"not Parquet")
    with pytest.raises(NoDataError, match=r"0\.parquet"):
        data.load_kpi(small)
    pl.DataFrame({"time": [1], "value": [1.0]}).write_parquet(small / "kpi" / "0.parquet")
    with pytest.raises(NoDataError, match="no column timestamp, label"):
        data.load_kpi(small)
    (small / "mscloud" / "app" / "a.csv").write_text("TimeStamp,Value,Label\nyesterday,1,0\n")
    with pytest.raises(NoDataError, match=r"a\.csv"):
        data.load_mscloud(small)
    (small / "nab" / "labels" / "combined_windows.json").write_text(
        '{"real/one.csv": [["2023-01-01 00:00:00", "2023-01-02 00:00:00"]]}'
    )
    with pytest.raises(NoDataError, match=r"one\.csv"):
        data.load_nab(small)


# Ours


def test_no_score_of_ours_depends_on_a_later_sample() -> None:
    rng = np.random.default_rng(11)
    n, cut = 900, 600
    time_ns = np.arange(n, dtype=np.int64) * MINUTE
    whole, other = [], []
    for k in range(3):
        value = rng.normal(k, 1.0 + k, n).cumsum() if k == 1 else rng.normal(k, 1.0 + k, n)
        value[rng.random(n) < 0.02] = np.nan
        late = np.where(np.arange(n) < cut, value, rng.normal(500, 90, n))
        label = np.zeros(n, np.bool_)
        whole.append(Series(str(k), time_ns + k, value, label))
        other.append(Series(str(k), time_ns + k, late, label))
    for a, b, alone in zip(ours.score_series(whole), ours.score_series(other), whole, strict=True):
        np.testing.assert_array_equal(a[:cut], b[:cut])
        assert a[np.isnan(alone.value)].tolist() == [0.0] * int(np.isnan(alone.value).sum())
    short = [dataclasses.replace(s, time_ns=time_ns[:cut] + i, value=s.value[:cut], label=s.label[:cut])
             for i, s in enumerate(whole)]  # fmt: skip
    for a, b in zip(ours.score_series(whole), ours.score_series(short), strict=True):
        np.testing.assert_array_equal(a[:cut], b)


def test_no_score_of_a_node_depends_on_a_later_sample() -> None:
    rng = np.random.default_rng(12)
    n, cut = 500, 350
    time_ns = np.arange(n, dtype=np.int64) * MINUTE
    values = rng.normal(0, 1, (2, n, 5)).cumsum(axis=1)
    later = values.copy()
    later[:, cut:] = rng.normal(900, 50, (2, n - cut, 5))
    quiet = np.zeros(n, np.bool_)
    whole = ours.score_nodes([Node(str(i), time_ns, v, quiet) for i, v in enumerate(values)])
    other = ours.score_nodes([Node(str(i), time_ns, v, quiet) for i, v in enumerate(later)])
    for (a, share_a), (b, share_b) in zip(whole, other, strict=True):
        np.testing.assert_array_equal(a[:cut], b[:cut])
        np.testing.assert_array_equal(share_a[:cut], share_b[:cut])
        assert a.shape == (n,)
        assert share_a.shape == (n, 5)


# Plots


def test_a_picture_shows_score_and_labels() -> None:
    label = np.arange(2400) >= 1200
    score = np.where(np.arange(2400) == 600, 9.0, 0.0)
    one = Series("a/b.csv", np.arange(2400, dtype=np.int64), np.sin(np.arange(2400) / 50), label)
    picture = plots.drawn(one, score)
    assert picture.shape[1] == plots.WIDTH
    below = picture[plots.UPPER + plots.GAP :]
    white = (below == 255).all(axis=2)
    # The one peak of the score reaches the top, and the labelled half has a ground of its own.
    assert np.flatnonzero(~white[0]).tolist() == [300, *range(600, 1200)]
    assert white[-2, :299].all()
    assert not white[-1].any()


def test_a_png_is_a_png() -> None:
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    file = plots.png(picture)
    assert file.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", file[16:24]) == (3, 2)
    at = file.index(b"IDAT")
    (size,) = struct.unpack(">I", file[at - 4 : at])
    rows = zlib.decompress(file[at + 4 : at + 4 + size])
    assert rows == b"\0" + picture[0].tobytes() + b"\0" + picture[1].tobytes()


def test_missing_values_and_constants_can_be_drawn(tmp_path: Path) -> None:
    n = 50
    values = np.column_stack([np.full(n, np.nan), np.full(n, 3.0), np.where(np.arange(n) % 3, 1.0, np.nan)])
    node = Node("x/y", np.arange(n, dtype=np.int64), values, np.zeros(n, np.bool_))
    plots.write(tmp_path / "new", [node], [np.zeros(n)])
    assert (tmp_path / "new" / "x__y.png").stat().st_size > 0
