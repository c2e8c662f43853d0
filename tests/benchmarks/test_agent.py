"""What an agent on a node imports: the pipeline of its configuration, and nothing that weighs much."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import agent_process
from edgeobs import jit
from edgeobs.config import load

ROOT = Path(__file__).parent.parent.parent


def python(*arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(done.stdout)


def test_the_profile_scores_every_series_and_imports_none_of_the_heavy() -> None:
    found = python("-m", "benchmarks.agent_process", "2")
    assert found["heavy"] == []
    seconds = agent_process.WARM_S + 2
    counters = agent_process.SERIES // 2  # have no rate at their first sample
    assert found["scored"] == agent_process.SERIES * seconds - counters


@pytest.mark.skipif(not jit.available(), reason="Numba is not installed: pip install edgeobs[accel]")
def test_what_is_not_asked_for_is_what_weighs() -> None:
    text = (
        "import json, sys\nfrom edgeobs.compose import build\nfrom edgeobs.config import Config\n"
        "build(Config())\nprint(json.dumps(sorted({'numba', 'river', 'polars'} & sys.modules.keys())))"
    )
    assert python("-c", text) == ["numba"]


def test_a_command_imports_no_server() -> None:
    text = "import json, sys, edgeobs.config\nprint(json.dumps('fastapi' in sys.modules))"
    assert python("-c", text) is False


def test_the_profile_bounds_what_it_holds() -> None:
    config = load(agent_process.PROFILE)
    assert not config.detect.compiled
    assert config.limits.max_series >= agent_process.SERIES
    assert config.incidents.history_mib <= 4
