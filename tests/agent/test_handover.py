"""Settings come from a process that ends, and what checked them goes with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgeobs.agent.config import load, parse

ROOT = Path(__file__).parent.parent.parent
PROFILE = ROOT / "deploy" / "agent.yaml"
FILE = """
detect: {holidays: [2026-12-25], sites: {"zone-*": {timezone: Europe/Berlin}}}
server: {tokens: [{name: shop, nodes: ["edge-*"], token_file: a/b}]}
engine: {data_dir: somewhere}
agent: {targets: [{url: "http://127.0.0.1:9100/metrics", interval_s: 7}], uplink: {url: "http://core:4318"}}
"""
# A process of its own, for pytest's may have threads, and a fork of those is no test.
HANDOVER = """
import json, os, signal, sys
from pathlib import Path
from edgeobs.agent.handover import NotRead, begin
if sys.argv[2:] == ["ignored"]:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
reader = begin(Path(sys.argv[1]) if sys.argv[1] else None)
if sys.argv[2:] == ["kill"]:
    os.kill(reader.pid, signal.SIGKILL)
try:
    found, status = repr(reader.settings()), 0
except NotRead as error:
    found, status = "", error.status
print(json.dumps([found, status, sorted({"pydantic", "yaml"} & sys.modules.keys())]))
"""


def handed(*arguments: str) -> tuple[str, int, list[str], str]:
    """What a process got, the status it should end with, what of the reader it imported, and its stderr."""
    done = subprocess.run(
        [sys.executable, "-c", HANDOVER, *arguments], env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    found, status, imported = json.loads(done.stdout)
    return found, status, imported, done.stderr


@pytest.mark.parametrize("text", [FILE, PROFILE.read_text(encoding="utf-8")])
def test_what_is_handed_over_is_what_the_file_says(text: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(text)
    assert handed(str(file)) == (repr(load(file)), 0, [], "")


def test_without_a_file_it_is_every_default_even_where_children_are_nobodys() -> None:
    assert handed("", "ignored") == (repr(parse("")), 0, [], "")


@pytest.mark.parametrize("text", ["agent: {zones: 1}", "server: {http_port: many}", "a: [", None])
def test_a_file_that_cannot_be_used_is_said_once(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    if text is not None:
        file.write_text(text)
    found, status, _, said = handed(str(file))
    assert (found, status) == ("", 2)
    assert len(said.splitlines()) == 1
    assert str(file) in said


def test_a_reader_that_is_killed_is_no_default(tmp_path: Path) -> None:
    pipe = tmp_path / "never.yaml"
    os.mkfifo(pipe)  # whoever opens it waits
    found, status, _, said = handed(str(pipe), "kill")
    assert (found, status) == ("", 1)
    assert "ended by signal 9" in said


def test_what_runs_imports_nothing_of_what_checks() -> None:
    text = "import json, sys, edgeobs.agent.run\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", text], env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    imported = set(json.loads(done.stdout))
    assert "edgeobs.settings" in imported
    assert imported & {"pydantic", "pydantic_core", "yaml", "edgeobs.config"} == set()
