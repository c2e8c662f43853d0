"""The core of one node, as deploy/agent.yaml has it: what ten thousand series a second cost it, all told."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import Measure

SERIES = 10_000
_BARE = """
import numpy, json
print(json.dumps(int(open("/proc/self/smaps_rollup").read().split("Rss:")[1].split()[0]) / 1024))
"""
_ROOT = Path(__file__).parent.parent


def agent(quick: bool, river_us: float) -> list[Measure]:
    """Memory of the process once minutes of samples have gone by, and its time a simulated second.

    ``river_us`` is what one update of River's takes.
    """
    found = _process("-m", "benchmarks.agent_process", "180" if quick else "600")
    bare = _process("-c", _BARE)
    percent, river = found["core_percent"], SERIES * river_us / 1e4
    heavy = f"with {', '.join(found['heavy'])}" if found["heavy"] else "no River, Numba, polars, server"
    imports = f"{found['modules']} modules, {heavy}"
    return [
        Measure(
            "agent_rss_mib", found["rss_mib"], "MiB",
            f"Python with NumPy {bare:.0f} MiB; at most {found['peak_mib']:.0f}; imports {imports}",
            found["rss_mib"] / bare,
        ),
        Measure(
            "agent_core_percent", percent, "%",
            f"River GaussianScorer {river:.2g} %; {SERIES:,} series at 1 s, longest second"
            f" {found['longest_ms']:.0f} ms",
            percent / river,
        ),
    ]  # fmt: skip


def _process(*arguments: str) -> Any:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # threads that wait for each other spend time
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, check=True, timeout=600)
    return json.loads(done.stdout)
