"""The layers hold, and import-linter would notice if they did not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """The package and its contracts, where a test may break them."""
    shutil.copy(root / ".importlinter", tmp_path)
    ignored = shutil.ignore_patterns("__pycache__", "static")
    shutil.copytree(root / "edgeobs", tmp_path / "edgeobs", ignore=ignored)
    return tmp_path


def lint(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_package_keeps_every_contract(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("features/settings.py", "import edgeobs.detect", "edgeobs.features is not allowed to import"),
        ("signals.py", "import edgeobs.series", "edgeobs.signals is not allowed to import edgeobs.series"),
        ("detect/settings.py", "import time", "edgeobs.detect is not allowed to import time"),
        (
            "remediate/ledger.py",
            "from asyncio import sleep",
            "edgeobs.remediate is not allowed to import asyncio",
        ),
        ("ingest/decoders.py", "import socket", "edgeobs.ingest.decoders is not allowed to import socket"),
        ("pipeline.py", "import edgeobs.keep", "edgeobs.pipeline is not allowed to import edgeobs.keep"),
        ("orphan.py", "", "edgeobs.orphan"),
    ],
)
def test_a_violation_is_found(copy: Path, module: str, line: str, broken: str) -> None:
    with (copy / "edgeobs" / module).open("a") as file:
        file.write(f"\n{line}\n")
    done = lint(copy)
    assert done.returncode != 0, f"{module}: {line!r} was not noticed"
    assert broken in " ".join(done.stdout.split()), done.stdout
