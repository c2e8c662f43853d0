"""``python -m edgeobs.agent [FILE]``: the agent in a process that imports nothing else.

`edgeobs agent` becomes this process (`edgeobs.cli.agent`).
"""

import logging
import os
import sys
from pathlib import Path

from edgeobs.agent.handover import NotRead, begin


def main() -> int:
    """Run until told to stop; exit codes as those of `edgeobs`."""
    # structlog imports rich where it finds it, to colour terminals: 4 MiB that a node does not have.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    # Its matrices are small: OpenBLAS's threads would wait for each other, and there shall be none to fork.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from edgeobs.agent.run import run  # noqa: PLC0415  after the lines above
    from edgeobs.uplink.queue import QueueError  # noqa: PLC0415  as above

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        config, settings = begin(Path(sys.argv[1]) if len(sys.argv) > 1 else None).settings()
    except NotRead as error:
        return error.status
    try:
        run(config, settings)
    except (OSError, QueueError) as error:
        print(error, file=sys.stderr)
        return 1
    except ValueError as error:  # a file that the configuration names
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
