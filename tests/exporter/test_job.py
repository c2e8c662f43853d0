"""Textfiles for node_exporter: whole or not at all."""

import stat
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgeobs.exporter import Exporter


def values(path: Path) -> dict[str, float]:
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def test_a_job_that_goes_well(tmp_path: Path) -> None:
    exporter, path = Exporter("nightly backup", process=False), tmp_path / "backup.prom"
    size = exporter.gauge("nightly_backup_size_bytes", "How much was saved.")
    with exporter.job(path):
        size.set(12)
    told = values(path)
    assert told["nightly_backup_size_bytes"] == 12
    assert told["nightly_backup_last_run_success"] == 1
    assert told["nightly_backup_last_run_timestamp_seconds"] > 1.7e9
    assert told["nightly_backup_last_run_took_seconds"] >= 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o644  # node_exporter is another user
    assert [each.name for each in tmp_path.iterdir()] == ["backup.prom"]


@pytest.mark.parametrize(("code", "success"), [(0, 1), (None, 1), (3, 0), ("no", 0)])
def test_a_job_that_exits(tmp_path: Path, code: int | str | None, success: float) -> None:
    exporter, path = Exporter("backup", process=False), tmp_path / "backup.prom"
    with pytest.raises(SystemExit), exporter.job(path):
        sys.exit(code)
    assert values(path)["backup_last_run_success"] == success


def test_a_job_that_raises_is_told_and_goes_on_raising(tmp_path: Path) -> None:
    exporter, path = Exporter("backup", process=False), tmp_path / "backup.prom"
    with pytest.raises(RuntimeError, match="no disk"), exporter.job(path):
        raise RuntimeError("no disk")
    assert values(path)["backup_last_run_success"] == 0


def test_what_cannot_be_written_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, path = Exporter("backup", process=False), tmp_path / "backup.prom"
    exporter.textfile(path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgeobs.exporter.files.os.fsync", full)
    exporter.counter("backup_runs_total", "Runs.").inc()
    with pytest.raises(OSError, match="No space"):
        exporter.textfile(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["backup.prom"]


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in \.prom"):
        Exporter("backup").textfile(tmp_path / "backup.txt")
