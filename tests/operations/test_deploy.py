"""What lies in deploy/ is accepted by the programs that it is for."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Program = Callable[[str, str], str]


def run(*command: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", ["edgeobs.yaml", "container.yaml", "agent.yaml"])
def test_check_config_accepts_the_examples(root: Path, name: str) -> None:
    done = run(sys.executable, "-m", "edgeobs", "check-config", f"deploy/{name}", cwd=root)
    assert done.returncode == 0, done.stderr


def test_the_example_changes_nothing_in_a_cluster_and_keeps_its_state_where_the_unit_may_write(
    root: Path,
) -> None:
    from edgeobs.config import load

    config = load(root / "deploy/edgeobs.yaml")
    unit = (root / "deploy/edgeobs.service").read_text()
    assert config.remediate.dry_run
    assert str(config.engine.data_dir) == "/var/lib/edgeobs"
    assert "StateDirectory=edgeobs\n" in unit
    for token in config.server.tokens:
        assert token.token_file.startswith("/run/credentials/edgeobs.service/tokens_")
    assert "LoadCredential=tokens:" in unit


def test_systemd_accepts_the_unit(root: Path, tmp_path: Path, program: Program) -> None:
    analyze = program("systemd-analyze", "systemd")
    for name in ("python", "edgeobs"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    unit = tmp_path / "edgeobs.service"
    text = (root / "deploy/edgeobs.service").read_text()
    unit.write_text(text.replace("/opt/edgeobs/bin", str(tmp_path)))
    done = run(analyze, "verify", "--man=no", str(unit))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_the_unit_is_hardened(root: Path, program: Program) -> None:
    analyze = program("systemd-analyze", "systemd")
    unit = str(root / "deploy/edgeobs.service")
    done = run(analyze, "security", "--offline=yes", "--threshold=20", unit)  # exposure of at most 2.0 of 10
    if "unrecognized option" in done.stderr:
        pytest.skip("systemd-analyze is older than 250: no offline check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_its_example(root: Path, tmp_path: Path, program: Program) -> None:
    promtool = program("promtool", "prometheus")
    shutil.copy(root / "deploy/prometheus.yml", tmp_path)
    shutil.copy(root / "alerts/edgeobs.rules.yaml", tmp_path)
    token = tmp_path / "edgeobs.token"
    token.write_text("secret")
    config = tmp_path / "prometheus.yml"
    config.write_text(config.read_text().replace("/etc/prometheus/edgeobs.token", str(token)))
    done = run(promtool, "check", "config", str(config))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout


def test_a_bad_config_is_met_by_the_service_itself_whose_exit_code_systemd_heeds(root: Path) -> None:
    unit = (root / "deploy/edgeobs.service").read_text()
    assert "\nRestartPreventExitStatus=2\n" in unit
    assert not re.findall(r"^ExecStartPre=.*edgeobs\.yaml", unit, re.MULTILINE)


def test_alertmanager_accepts_its_example(root: Path, program: Program) -> None:
    done = run(
        program("amtool", "prometheus-alertmanager"), "check-config", str(root / "deploy/alertmanager.yml")
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_alertmanager_tells_edgeobs_of_alerts_but_not_of_its_own(root: Path, program: Program) -> None:
    amtool = program("amtool", "prometheus-alertmanager")
    config = f"--config.file={root / 'deploy/alertmanager.yml'}"

    def receivers(alert: str) -> set[str]:
        done = run(amtool, "config", "routes", "test", config, f"alertname={alert}", "node=edge-1")
        return set(done.stdout.strip().split(","))

    assert receivers("DiskWillFill") == {"edgeobs", "people"}
    assert receivers("EdgeobsIncident") == {"people"}


def test_the_collectors_pipelines_name_only_what_is_configured(root: Path) -> None:
    config = yaml.safe_load((root / "deploy/otel-collector.yaml").read_text())
    assert set(config["service"]["extensions"]) == set(config["extensions"])
    used: dict[str, set[str]] = {"receivers": set(), "processors": set(), "exporters": set()}
    for pipeline in config["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            used[kind] |= set(names)
    assert {kind: set(config[kind]) for kind in used} == used
    keys = {attribute["key"] for attribute in config["processors"]["resource"]["attributes"]}
    assert {"k8s.node.name", "topology.kubernetes.io/zone", "k8s.cluster.name"} == keys


def test_the_image_is_made_of_files_that_exist_and_runs_as_nobody_special(root: Path) -> None:
    text = (root / "deploy/Containerfile").read_text()
    taken = set((root / ".dockerignore").read_text().split())
    for names in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", text, re.MULTILINE):
        for name in names.split():
            assert (root / name).exists(), name
            assert f"!{name}" in taken, f".dockerignore leaves {name} out"
    assert "--require-hashes -r requirements.lock" in text
    final = text.rsplit("\nFROM ", 1)[1]
    assert int(re.findall(r"^USER (\d+)", final, re.MULTILINE)[-1]) > 0
    assert "HEALTHCHECK" in final
    stages = [dict(re.findall(r"(NUMBA_CPU_\w+)=(\S+)", stage)) for stage in text.split("\nFROM ")[1:]]
    assert stages[0] == stages[1], "code compiled for another CPU would be compiled again"


@pytest.mark.parametrize("writable", [True, False])
def test_the_image_starts_with_a_copy_of_its_compiled_code(
    root: Path, tmp_path: Path, writable: bool
) -> None:
    (tmp_path / "baked").mkdir()
    (tmp_path / "baked/index.nbi").write_text("code")
    (tmp_path / "edgeobs").write_text('#!/bin/sh\necho "edgeobs $*"\n')
    (tmp_path / "edgeobs").chmod(0o755)
    cache = tmp_path / "cache"
    if not writable:
        cache.write_text("a file where a folder should be")
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "NUMBA_CACHE_DIR": str(cache),
        "EDGEOBS_BAKED_CACHE": str(tmp_path / "baked"),
    }
    done = subprocess.run(
        [str(root / "deploy/start"), "serve", "-c", "x y"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "edgeobs serve -c x y\n")
    assert ("cannot write" in done.stderr) is not writable
    if writable:
        assert (cache / "index.nbi").read_text() == "code"
