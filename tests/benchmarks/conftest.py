"""The public sets beside the checkout, and small ones of our own in the same formats."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def public() -> Path:
    """Where the public sets lie."""
    if not DATA.is_dir():
        pytest.skip("needs the public data sets beside the checkout, in ../shared/data")
    return DATA


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Every set with an entity or three of a few hundred samples, some missing, each with one event."""
    rng = np.random.default_rng(5)
    n = 400
    value = rng.normal(10.0, 1.0, n)
    value[300:306] += 25
    label = np.zeros(n, np.int8)
    label[300:306] = 1
    stamp = [f"2024-03-01 {i // 60:02}:{i % 60:02}:00" for i in range(n)]
    folder = tmp_path / "nab" / "data" / "real"
    folder.mkdir(parents=True)
    pl.DataFrame({"timestamp": stamp, "value": value}).write_csv(folder / "one.csv")
    (tmp_path / "nab" / "labels").mkdir()
    windows = {"real/one.csv": [[f"{stamp[290]}.000000", f"{stamp[320]}.000000"]]}
    (tmp_path / "nab" / "labels" / "combined_windows.json").write_text(json.dumps(windows))

    folder = tmp_path / "mscloud" / "app"
    folder.mkdir(parents=True)
    iso = [s.replace(" ", "T") + "Z" for s in stamp]
    text = [None if i == 50 else str(v) for i, v in enumerate(value)]
    pl.DataFrame({"TimeStamp": iso, "Value": text, "Label": label}).write_csv(folder / "a.csv")

    (tmp_path / "kpi").mkdir()
    gaps = np.where(np.arange(n) % 37 == 1, np.nan, value)
    seconds = np.arange(n, dtype=np.int64) * 60
    kpi = pl.DataFrame({"timestamp": seconds, "value": gaps, "label": label})
    kpi.write_parquet(tmp_path / "kpi" / "0.parquet")

    metrics = {f"d{i:02}": value * (i + 1) + rng.normal(0, 0.1, n) for i in range(3)}
    node = pl.DataFrame({"part": ["train"] * 10 + ["test"] * (n - 10), **metrics, "label": label})
    for folder_name, file in (("smd", "m"), ("asd", "o"), ("jumpstarter", "d2-s"), ("jumpstarter", "d3-s")):
        (tmp_path / folder_name).mkdir(exist_ok=True)
        node.write_parquet(tmp_path / folder_name / f"{file}.parquet")

    folder = tmp_path / "nezha" / "2022-08-22" / "metric"
    folder.mkdir(parents=True)
    for pod in range(4):
        broken = rng.normal(1.0, 0.1, (n, 2))
        if pod == 2:
            broken[301:304] += 9
        table = pl.DataFrame({
            "Time": [f"{s}.607158889 +0000 UTC m=+0.1" for s in stamp], "TimeStamp": np.arange(n),
            "PodName": f"p{pod}", "cpu": broken[:, 0], "memory": broken[:, 1],
        })  # fmt: skip
        table.write_csv(folder / f"p{pod}_metric.csv")
    fault = {"inject_time": stamp[300], "inject_pod": "p2", "inject_type": "cpu"}
    early = {"inject_time": stamp[3], "inject_pod": "p1", "inject_type": "cpu"}
    (folder.parent / "x-fault_list.json").write_text(json.dumps({"00": [early], "05": [fault]}))
    return tmp_path
