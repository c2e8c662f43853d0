"""`edgeobs agent`: the pipeline of one node, in a process of its own."""

import os
import sys

import typer

from edgeobs.cli.common import ConfigFile, fail, said

commands = typer.Typer()

_ONE_THREAD = "OPENBLAS_NUM_THREADS"


@commands.command()
def agent(config: ConfigFile = None) -> None:
    """Run the agent of a node: read it, scrape it, take OTLP from its workloads, detect here, tell the core.

    The file is a core's, with a section `agent` beside (docs/agent.md). This process becomes
    `python -m edgeobs.agent`, which imports nothing that a node does not need.

    SIGTERM and Ctrl-C end it cleanly: what waits is processed, what was learned is saved, the rest is queued.

    Exit codes: 1 it cannot run; 2 the file cannot be used, as it says.
    """
    if config is not None:
        try:
            config.stat()
        except OSError as error:
            fail(said(error), 2)
    file = [] if config is None else [str(config)]
    # Its matrices are small: threads that wait for each other would only spend time.
    environment = {_ONE_THREAD: "1", **os.environ}
    os.execve(sys.executable, [sys.executable, "-m", "edgeobs.agent", *file], environment)  # noqa: S606  ourselves
