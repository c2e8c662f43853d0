"""``python -m edgeobs.warm``: compile what is compiled, so that no request and no sample ever waits for that.

Run it once where edgeobs is installed, as the user who will run it: Numba keeps its cache beside the modules,
or under ``NUMBA_CACHE_DIR``, and wants to write there even to read.
"""

import importlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgeobs import jit
from edgeobs.detect import DETECTORS, Settings, bank, node
from edgeobs.detect.node import NodeBank
from edgeobs.ingest import decoders
from edgeobs.ingest.decoders import exposition_walk
from edgeobs.ingest.warm import warm as warm_decoders
from edgeobs.make_ahead import make
from edgeobs.signals import SECOND

Report = Callable[[str], None]


def warm(report: Report = lambda _line: None) -> bool:
    """Decode a small body of each format and score a sample; false without Numba, nothing done."""
    if not jit.available():
        return False
    warm_decoders(report)
    for name, detector in DETECTORS.items():
        began = time.perf_counter()
        made = detector(Settings())
        made.score_learn(np.zeros(1, np.int32), np.ones(1, np.int64), np.ones(1))
        report(f"detector {name} ready, {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    nodes = NodeBank(lambda: np.zeros(1, np.int32))
    for second in (1, 2, 3):  # a series takes part once it has changed
        at = np.full(1, second * SECOND)
        nodes.score_learn(np.zeros(1, np.int32), at, np.full(1, float(second)))
    report(f"nodes as a whole ready, {time.perf_counter() - began:.1f} s")
    return True


def make_for_agents(report: Report = lambda _line: None) -> None:
    """Machine code for processes without Numba: what agents score and scrape with. After `warm`."""
    began = time.perf_counter()
    walk = exposition_walk(compiled=True)
    if walk is not None:
        text, ends = np.frombuffer(b"a 1\n", np.uint8), np.array([2, 3])
        walk(text, np.frombuffer(b"a \n", np.uint8), ends, np.empty(1), np.empty((1, 3), np.int64))
    try:
        for module, kernels in ((bank, bank.KERNELS), (node, node.KERNELS), (decoders, decoders.EXPOSITION)):
            dispatcher = importlib.import_module(f"{module.__package__}.{kernels[0]}").run
            make(dispatcher, Path(str(module.__file__)).parent, kernels)
    except (OSError, subprocess.CalledProcessError) as error:
        report(f"no machine code for agents, which score in NumPy then: {error}")
        return
    report(f"machine code for agents ready, {time.perf_counter() - began:.1f} s")


def main() -> int:
    """Compile, saying how far it is; always 0, since nothing depends on it but speed."""
    if warm(_say):
        make_for_agents(_say)
    else:
        print(
            "Numba is not installed: nothing needs compiling, decoding and scoring run on protobuf and NumPy"
        )
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
