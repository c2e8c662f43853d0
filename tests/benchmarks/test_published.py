"""The scorers against published figures, on the public sets."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.accuracy import nab
from benchmarks.accuracy.data import load_nab, load_nodes
from benchmarks.accuracy.ranking import auc_pr, period, vus_pr
from edgeobs.signals import Floats


@pytest.mark.parametrize(
    ("name", "entity", "window", "volume", "area"),
    [
        ("asd", "omi-1", 8, 0.1292, 0.1172),
        ("asd", "omi-4", 19, 0.0516, 0.1096),
        ("smd", "machine-1-6", 15, 0.4531, 0.5345),
    ],
)
def test_volume_as_tsb_ad(
    public: Path, name: str, entity: str, window: int, volume: float, area: float
) -> None:
    node = next(n for n in load_nodes(public, name) if n.name == entity)
    score = np.abs(node.values - node.values.mean(axis=0)).sum(axis=1)
    assert period(node.values[:, 0]) == window
    assert vus_pr(node.label, score, window) == pytest.approx(volume, abs=5e-5)
    assert auc_pr(node.label, score) == pytest.approx(area, abs=5e-5)


def published(at: Path, detector: str) -> tuple[list[Floats], dict[str, dict[str, float]]]:
    """A detector's scores by file, and what NAB made of each file."""
    scores = pl.read_parquet(at / "nab/published_scores.parquet").filter(pl.col("detector") == detector)
    by_file = scores.sort("row").partition_by("file", as_dict=True)
    rows = pl.read_csv(at / "nab/published_file_scores.csv").filter(pl.col("Detector") == detector)
    said = {row["File"]: row for row in rows.to_dicts()}
    return [by_file[(s.name,)]["anomaly_score"].to_numpy() for s in load_nab(at)], said


@pytest.mark.parametrize("detector", ["ARTime", "numenta"])
def test_every_file_as_nab_scored_it(public: Path, detector: str) -> None:
    scores, said = published(public, detector)
    for file, score in zip(load_nab(public), scores, strict=True):
        row = said[file.name]
        detected = score >= np.float32(row["Threshold"])
        assert nab.file_score(file, detected) == pytest.approx(row["Score"], abs=1e-6), file.name


def test_a_threshold_of_one_as_nab_scored_it(public: Path) -> None:
    """Files in which as many rows reach it as NAB counted.

    In others, what is just below the windowed Gaussian's 1.0 has become 1.0 in single precision.
    """
    scores, said = published(public, "windowedGaussian")
    compared = 0
    for file, score in zip(load_nab(public), scores, strict=True):
        row, detected = said[file.name], score >= 1.0
        late = np.arange(len(score)) >= min(int(0.15 * len(score)), 750)
        if (detected & late).sum() == row["TP"] + row["FP"]:
            compared += 1
            assert nab.file_score(file, detected) == pytest.approx(row["Score"], abs=1e-6), file.name
    assert compared >= 10


@pytest.mark.parametrize(("detector", "standard", "fixed"), [("ARTime", 80.4, 77.4), ("numenta", 72.8, 71.2)])
def test_the_figures_of_published_detectors(
    public: Path, detector: str, standard: float, fixed: float
) -> None:
    files, (scores, _) = load_nab(public), published(public, detector)
    assert nab.standard(files, scores) == pytest.approx(standard, abs=0.05)
    assert nab.fixed_threshold(files, scores) == pytest.approx(fixed, abs=0.2)
