"""The burn is real, bounded, and leaves nobody behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from edgeobs.demo import burn as module
from edgeobs.demo.children import Children


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def own(process: psutil.Process) -> int:
    """Bytes that are not shared: shared memory is counted as cache, and its lack is no shortage."""
    memory = process.memory_info()
    return int(memory.rss - memory.shared)


def until(holds: Callable[[], bool], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"did not happen within {within_s} s"
        time.sleep(0.02)


def test_memory_that_comes_and_goes_hides_the_burn() -> None:
    gib = 1 << 30
    assert module.hidden([20 * gib, 20 * gib - 400 * 2**20, 20 * gib])
    assert not module.hidden([20 * gib, 20 * gib - 300 * 2**20])
    assert not module.hidden([])


def test_it_burns_and_ends_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "memory_bytes", lambda _: 128 << 20)
    children = Children(tmp_path)
    module.burn(children, 2.0)
    assert len(children.running) == 2 * len(os.sched_getaffinity(0))
    first = psutil.Process(children.running["burn-0"].pid)
    until(lambda: gone(first.pid) or own(first) > 128 << 20)
    assert not gone(first.pid)
    assert first.nice() == psutil.Process().nice(), "it would not count as load"
    for child in children.running.values():
        assert child.wait(timeout=20) == -signal.SIGALRM
    assert children.last_lines("burn-0") == []


def test_no_burn_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = f"""
import sys, time
from pathlib import Path
from edgeobs.demo import burn
from edgeobs.demo.children import Children
burn.memory_bytes = lambda _: 16 << 20
children = Children(Path({str(tmp_path)!r}))
burn.burn(children, 30)
print(*(child.pid for child in children.running.values()), flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        burning = [psutil.Process(pid) for pid in pids]
        until(lambda: all("burner.py" in " ".join(p.cmdline()[:4]) for p in burning))
        parent.kill()
    until(lambda: all(gone(pid) for pid in pids), within_s=5)


def test_children_that_do_not_listen_are_ended(tmp_path: Path) -> None:
    children = Children(tmp_path)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
    child = children.start("deaf", [sys.executable, "-c", f"{deaf}; time.sleep(60)"])
    until(lambda: children.last_lines("deaf") == ["deaf"])
    children.stop(within_s=0.2)
    assert child.returncode == -signal.SIGKILL
