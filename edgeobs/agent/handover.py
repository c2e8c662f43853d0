"""The settings, read by a process that ends: what checks them is memory that running does not need."""

import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

if TYPE_CHECKING:
    from edgeobs.agent.settings import AgentSettings
    from edgeobs.settings import Config


class NotRead(Exception):
    """There are no settings; why stands on stderr. ``status`` is what the process ends with."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the settings were not read: status {status}")
        self.status = status


class Reader(NamedTuple):
    """A child that reads a file, checks it, hands over what it says, and ends."""

    pid: int
    pipe: int

    def settings(self) -> "tuple[Config, AgentSettings]":
        """Wait for it. Raises NotRead: 2 for a file that cannot be used, 1 for all else. Call once."""
        with os.fdopen(self.pipe, "rb") as pipe:
            said = pipe.read()
        _, ended = os.waitpid(self.pid, 0)
        status = os.waitstatus_to_exitcode(ended)
        if status < 0:
            print(f"the process that reads the settings was ended by signal {-status}", file=sys.stderr)
        if status:
            raise NotRead(2 if status == 2 else 1)
        found: tuple[Config, AgentSettings] = pickle.loads(said)  # noqa: S301  our own child, our own pipe
        return found


def begin(file: Path | None) -> Reader:
    """Start to read a file; None: every default. Call it before there are threads, for it forks.

    Import before what is going to run: the child then shares it, and costs little time and memory of its own.
    It is a fork and no other program, so that nobody else can be where the settings come from: the pipe has
    no name.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # who started us may have it ignored, and how it ended lost
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ours)
        _end(lambda: _read(file, theirs))
    os.close(theirs)
    return Reader(pid, ours)


def _read(file: Path | None, pipe: int) -> int:
    from edgeobs.agent.config import load, parse  # noqa: PLC0415  what the other process shall not have
    from edgeobs.config import ConfigError  # noqa: PLC0415  as above

    try:
        found = parse("") if file is None else load(file)
    except (ConfigError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    with os.fdopen(pipe, "wb") as out:
        pickle.dump(found, out, pickle.HIGHEST_PROTOCOL)
    return 0


def _end(work: Callable[[], int]) -> NoReturn:
    """Nothing of the caller's may run in its child: whatever happens, the process ends here."""
    status = 1
    try:
        status = work()
    except BaseException:  # noqa: BLE001  it would go on as a second agent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
