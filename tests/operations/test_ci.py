""".ci/run, run for real with stand-ins for the programs that it calls."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

TOOLS = ("bash", "chmod", "dirname", "env", "mkdir", "mktemp", "rm", "sleep", "tee", "timeout")
INSTALLED = (
    "prometheus", "promtool", "prometheus-alertmanager", "prometheus-node-exporter", "chromium", "openssl",
    "shellcheck",
)  # fmt: skip


class Machine:
    """A checkout, and a PATH with only what a test puts there; every stand-in notes how it was called."""

    def __init__(self, folder: Path, script: Path) -> None:
        self.folder, self.bin, self.log = folder, folder / "bin", folder / "log"
        self.bin.mkdir()
        self.log.touch()
        (folder / ".ci").mkdir()
        shutil.copy(script, folder / ".ci/run")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)

    def stand_in(self, name: str, body: str = "") -> None:
        file = self.bin / name
        file.unlink(missing_ok=True)  # it may be a link to the real one
        file.write_text(f'#!{shutil.which("bash")}\necho "{name} $*" >> {self.log}\n{body}\n')
        file.chmod(0o755)

    def run(self) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PATH": str(self.bin),
            "HOME": str(self.folder),
            "EDGEOBS_CI_POLICY": str(self.folder / "policy"),
        }
        command = [str(self.folder / ".ci/run")]
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def called(self, name: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.split()[0] == name]


@pytest.fixture
def machine(tmp_path: Path, root: Path) -> Machine:
    """A machine on which everything is installed."""
    made = Machine(tmp_path, root / ".ci/run")
    for name in (*INSTALLED, "make", "python3"):
        made.stand_in(name)
    return made


def test_it_lints_tests_and_demonstrates_in_that_order(machine: Machine) -> None:
    done = machine.run()
    assert done.returncode == 0, done.stdout + done.stderr
    targets = [line.split(maxsplit=2)[2] for line in machine.called("make")]
    assert targets == ["setup", "real-parts", "lint", "test", "demo ARGS=--once"]
    assert "nothing to install" in done.stdout
    for name in ("bootstrap", "real-parts", "lint", "test", "demo"):
        assert f"\n{name} " in done.stdout.split("== timings")[1]


def test_what_make_prints_is_seen_and_nothing_waits_for_input(machine: Machine) -> None:
    machine.stand_in("make", 'read -r line && echo "read $line"; echo "12 passed in 3.4s"')
    done = machine.run()
    assert done.returncode == 0
    assert "12 passed in 3.4s" in done.stdout


def test_a_failure_ends_it_and_is_named(machine: Machine) -> None:
    machine.stand_in("make", "[[ $* != *test* ]] || exit 2")
    done = machine.run()
    assert done.returncode == 2
    assert "FAILED in: test" in done.stdout
    assert not [line for line in machine.called("make") if "demo" in line]


def test_parts_that_cannot_be_built_fail_it_once_the_rest_has_been_run(machine: Machine) -> None:
    machine.stand_in("make", "[[ $* != *real-parts* ]] || exit 2")
    done = machine.run()
    assert done.returncode == 1
    assert "FAILED: real-parts;" in done.stdout
    assert "FAILED in: real-parts (exit 1)" in done.stdout
    assert [line for line in machine.called("make") if "demo" in line]


def test_what_is_missing_is_installed_with_retries_and_no_service_is_started(machine: Machine) -> None:
    (machine.bin / "prometheus").unlink()
    (machine.bin / "chromium").unlink()
    policy = machine.folder / "policy"
    machine.stand_in(
        "apt-get", f"[[ -x {policy} ]] || exit 9; echo try >> {policy}.tries; (( $(wc {policy}.tries) > 1 ))"
    )
    machine.stand_in("wc", 'while read -r _; do n=$((n + 1)); done < "$1"; echo $((n))')
    machine.stand_in("sudo", 'shift; exec "$@"')
    done = machine.run()
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = [line.rsplit(" ", 1)[1] for line in machine.called("apt-get")]
    assert wanted == ["update", "update", "prometheus", "chromium", "fonts-dejavu-core"]
    assert not policy.exists()


def test_a_package_that_cannot_be_had_is_a_warning(machine: Machine) -> None:
    (machine.bin / "chromium").unlink()
    machine.stand_in("apt-get", "[[ $* == *update* ]]")
    machine.stand_in("sleep")
    machine.stand_in("sudo", 'shift; exec "$@"')
    done = machine.run()
    assert done.returncode == 0
    assert "WARNING: chromium could not be installed" in done.stdout


def test_without_python_and_without_a_way_to_get_it_it_says_so(machine: Machine) -> None:
    machine.stand_in("python3", "exit 1")
    done = machine.run()
    assert done.returncode != 0
    assert "python3" in done.stdout.split("cannot install")[1]


def test_shellcheck_has_nothing_to_say(root: Path, program: Callable[[str, str], str]) -> None:
    scripts = [str(root / ".ci/run"), str(root / "deploy/start")]
    done = subprocess.run(
        [program("shellcheck", "shellcheck"), *scripts], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    assert all(os.access(script, os.X_OK) for script in scripts)
