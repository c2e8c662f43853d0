"""Child processes that never outlive us."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

_LEASH = Path(__file__).with_name("leash.py")


class Children:
    """Processes by name, each on a leash and in a session of its own, so that Ctrl-C reaches us alone.

    Start them from the main thread: the leash is tied to the thread that starts.

    Parameters
    ----------
    folder
        Where what they print is kept, a file each.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program given by its absolute path."""
        leashed = [sys.executable, "-IS", str(_LEASH), str(os.getpid()), *command]
        with (self.folder / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 our own programs alone
                leashed, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.running[name] = child
        return child

    def ended(self, name: str) -> int | None:
        """Its exit code, None while it runs."""
        return self.running[name].poll()

    def last_lines(self, name: str, number: int = 15) -> list[str]:
        """The end of what it printed."""
        with (self.folder / f"{name}.log").open(encoding="utf-8", errors="replace") as log:
            return [line.rstrip("\n") for line in deque(log, number)]

    def stop(self, within_s: float = 1.5) -> None:
        """Ask all to end, and after ``within_s`` seconds end those that did not."""
        for child in self.running.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + within_s
        for child in self.running.values():
            try:
                child.wait(max(deadline - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
