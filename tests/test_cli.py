"""The command line: what it teaches, its exit codes, one line for what cannot be served."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edgeobs import __version__
from edgeobs.cli import app


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_help_teaches() -> None:
    done = run("--help")
    assert done.exit_code == 0
    for word in ("serve", "check-config", "replay", "backtest", "explain", "demo", "edgeobs serve -c FILE"):
        assert word in " ".join(done.stdout.split())


def test_version() -> None:
    assert run("version").stdout == f"edgeobs {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["srve"], ["replay"], ["check-config"], ["serve", "--port", "1"]])
def test_wrong_usage_is_exit_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_check_config(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("")
    bad.write_text("server: {http_prt: 1}\nlimits: {max_series: many}\n")
    done = run("check-config", good)
    assert (done.exit_code, done.stdout) == (0, f"{good}: ok\n")
    done = run("check-config", bad)
    assert done.exit_code == 2
    first, second = done.stderr.splitlines()
    assert first.startswith(f"{bad}: server.http_prt: expected one of ")
    assert "did you mean 'http_port'" in first
    assert second.startswith(f"{bad}: limits.max_series: expected ")
    assert second.endswith("found 'many'")
    agents = tmp_path / "agent.yaml"
    agents.write_text("agent: {zone: a, uplink: {url: 'http://core:4318/api/v1/uplink'}}\n")
    assert run("check-config", agents).stdout == f"{agents}: ok\n"
    agents.write_text("agent: {alone: {units: [{unit: 'k3s*', low: [up]}]}}\n")
    done = run("check-config", agents)
    assert done.exit_code == 2
    assert done.stderr.startswith(
        f"{agents}: agent.alone.units[0].unit: expected a whole name, no pattern; found 'k3s*'"
    )
    done = run("check-config", tmp_path / "none.yaml")
    assert (done.exit_code, done.stderr) == (2, f"{tmp_path / 'none.yaml'}: No such file or directory\n")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("server: {tokens: [{name: n1, token_file: FOLDER/none, nodes: [n1]}]}", "sender n1: FOLDER/none: "),
        ("server: {tls: {cert_file: FOLDER/none}}", "tls.cert_file FOLDER/none"),
        ("web: {token_file: FOLDER/none}", "FOLDER/none"),
    ],
)
def test_a_file_that_the_configuration_names_and_is_not_there(
    tmp_path: Path, section: str, said: str
) -> None:
    file = tmp_path / "edgeobs.yaml"
    ports = "" if section.startswith("web") else "web: {port: 0}\n"
    ports += "server: {http_port: 0, grpc_port: null}\n" if section.startswith("web") else ""
    section = section.replace("FOLDER", str(tmp_path)).replace(
        "server: {", "server: {http_port: 0, grpc_port: null, "
    )
    file.write_text(f"{section}\n{ports}engine: {{data_dir: {tmp_path}/data}}\n")
    command = [sys.executable, "-m", "edgeobs", "serve", "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert said.replace("FOLDER", str(tmp_path)) in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
