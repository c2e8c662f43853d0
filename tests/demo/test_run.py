"""A whole run in quick motion: real processes, sockets and burn, before a stand-in for the core."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

STUB, AGENT = (Path(__file__).with_name(f"stub_{name}.py") for name in ("core", "agent"))
PROGRAM = """
import sys
from edgeobs.demo import burn, run
from edgeobs.demo.faults import Plan
from edgeobs.demo.setting import Ports
burn.memory_bytes = lambda _: 8 << 20
plan = Plan(
    warm_s=2, burn_at=0, burn_s=2, disk_at=0.2, disk_s=10, cut_at=0.5, cut_s=4, dark_at=1, dark_s=6,
    watch_s=0.5,
)
core, agent = ({python!r}, {stub!r}, {mode!r}), ({python!r}, {agent!r})
sys.exit(run({once}, plan=plan, ports=Ports(0, 0, 0), core=core, agent=agent))
"""


@contextmanager
def demo(mode: str, once: bool) -> Iterator[subprocess.Popen[str]]:
    """The demo as a process; whatever is left of it is ended afterwards."""
    program = PROGRAM.format(once=once, python=sys.executable, stub=str(STUB), agent=str(AGENT), mode=mode)
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as process:
        try:
            yield process
        finally:
            for child in offspring(process):
                child.kill()
            process.kill()


def offspring(process: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; what only waits to be collected does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def await_end(processes: list[psutil.Process]) -> None:
    deadline = time.monotonic() + 5
    while any(alive(each) for each in processes):
        assert time.monotonic() < deadline, "a process outlived the demo"
        time.sleep(0.02)


def test_once_says_what_was_right_and_exits_0() -> None:
    with demo("right", once=True) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "every fault noticed, every decision right" in said
    assert "edge-17 (zone c): disk [noticed]" in said
    assert "edge-09: 1 incidents raised offline, 1 delivered after" in said
    assert "latency (sda): 4 s (expected 100 ms to 200 ms), score 12.0" in said
    assert "would cordon: [disk]" in said
    assert "warm-up" in said
    assert "\x1b" not in said, "no control characters where there is no terminal"
    for heading in ("noticed after", "decision", "latency (ms)", "false actions"):
        assert heading in said


def test_once_exits_1_when_nothing_was_noticed() -> None:
    with demo("blind", once=True) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert said.count("not noticed") == 4
    assert "no action for a healthy node" not in said


@pytest.mark.parametrize(("mode", "last"), [("dies", "out of cheese"), ("never", "no luck today")])
def test_a_core_that_ends_is_told_with_its_last_words(mode: str, last: str) -> None:
    with demo(mode, once=False) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "the core ended with exit code" in said
    assert said.rstrip().endswith(last), "nothing of our own fails after it"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_everything(number: signal.Signals) -> None:
    with demo("right", once=False) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "FAULT" in line and "burns" in line:
                break
        children = offspring(process)
        deadline = time.monotonic() + 20
        while len(children) < 2 + len(os.sched_getaffinity(0)):
            assert time.monotonic() < deadline
            children = offspring(process)
        process.send_signal(number)
        rest, _ = process.communicate(timeout=10)
    assert process.returncode == 0, rest
    assert rest.splitlines()[-1] == "stopping"
    await_end(children)


def test_nothing_outlives_a_demo_that_is_killed() -> None:
    with demo("right", once=False) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "FAULT" in line and "burns" in line:
                break
        children = offspring(process)
        assert len(children) >= 2
        process.kill()
        process.wait()
        await_end(children)
