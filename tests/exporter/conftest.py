"""What the tests of the exporter library share."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

WORKER = Path(__file__).with_name("worker.py")


class Worker:
    """A process of `worker.py`."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), str(folder), *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.say("")  # once it answers it has its slot: the first that was started has the first

    def say(self, line: str) -> Any:
        """Say one line, and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def page(self, accept: str = "") -> dict[str, float]:
        """What it exposes: a value by series."""
        return series(self.say(f"page {accept}"))

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.process.wait(30)

    def end(self) -> None:
        """End it, if it has not ended."""
        self.process.kill()
        self.process.wait(30)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def series(page: str) -> dict[str, float]:
    """The samples of a page, a value by ``name{labels}``."""
    lines = (line.split(" # ")[0] for line in page.splitlines() if line and not line.startswith("#"))
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts workers that share a folder; ends them after the test."""
    started: list[Worker] = []

    def start(*more: str) -> Worker:
        started.append(Worker(tmp_path / "share", *more))
        return started[-1]

    yield start
    for each in started:
        each.end()
