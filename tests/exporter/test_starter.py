"""`edgeobs exporter new NAME`: what it writes runs, and passes its own test."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from edgeobs.cli import app
from tests.waiting import wait


def new(name: str, folder: Path) -> None:
    done = CliRunner().invoke(app, ["exporter", "new", name, "--dir", str(folder)])
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(folder / f) for f in (f"{name}.py", f"test_{name}.py", "README.md")]


def test_its_own_test_passes(tmp_path: Path) -> None:
    new("boiler", tmp_path / "boiler")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / "boiler", env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_it_runs_and_keeps_what_it_cannot_push_until_it_is_told_to_stop(tmp_path: Path) -> None:
    new("wind_mast", tmp_path)
    port, nobody = free_port(), free_port()
    environment = {
        **os.environ, "PORT": str(port), "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{nobody}",
        "BUFFER": str(tmp_path / "buffer"),
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, tmp_path / "wind_mast.py"], env=environment)
    try:
        url = f"http://127.0.0.1:{port}/metrics"
        up = 'edgeobs_exporter_collector_up{collector="read"} 1.0'
        wait(lambda: up in httpx.get(url).text, "it does not answer")
        wait(lambda: list((tmp_path / "buffer").glob("*.otlp")), "it does not push")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(30)
    assert len(list((tmp_path / "buffer").glob("*.otlp"))) >= 2, "its last values are not kept"


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "test_boiler.py").write_text("mine")
    done = CliRunner().invoke(app, ["exporter", "new", "boiler", "--dir", str(tmp_path)])
    assert (done.exit_code, done.stderr) == (2, f"{tmp_path / 'test_boiler.py'}: is there already\n")
    assert [path.name for path in tmp_path.iterdir()] == ["test_boiler.py"]


@pytest.mark.parametrize("name", ["Boiler", "boiler-1", "1boiler", "class", "json", "../boiler", "a__b", ""])
def test_what_is_no_name(name: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["exporter", "new", name, "--dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "name: expected" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["exporter", "new", "boiler", "--dir", str(tmp_path / "file" / "in")])
    assert done.exit_code == 1
    assert str(tmp_path / "file") in done.stderr
