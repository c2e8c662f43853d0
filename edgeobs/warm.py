"""``python -m edgeobs.warm``: compile what is compiled, so that no request and no sample ever waits for that.

Run it once where edgeobs is installed, as the user who will run it: Numba keeps its cache beside the modules,
or under ``NUMBA_CACHE_DIR``, and wants to write there even to read.
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from edgeobs import jit
from edgeobs.detect import DETECTORS, Settings
from edgeobs.detect.node import NodeBank
from edgeobs.ingest.warm import warm as warm_decoders
from edgeobs.signals import SECOND

Report = Callable[[str], None]


def warm(report: Report = lambda _line: None) -> bool:
    """Decode a small body of each format and score a sample; false without Numba, nothing done."""
    if not jit.available():
        return False
    warm_decoders(report)
    for name, make in DETECTORS.items():
        began = time.perf_counter()
        made = make(Settings())
        made.score_learn(np.zeros(1, np.int32), np.ones(1, np.int64), np.ones(1))
        report(f"detector {name} ready, {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    nodes = NodeBank(lambda: np.zeros(1, np.int32))
    for second in (1, 2, 3):  # a series takes part once it has changed
        at = np.full(1, second * SECOND)
        nodes.score_learn(np.zeros(1, np.int32), at, np.full(1, float(second)))
    report(f"nodes as a whole ready, {time.perf_counter() - began:.1f} s")
    return True


def main() -> int:
    """Compile, saying how far it is; always 0, since nothing depends on it but speed."""
    if not warm(lambda line: print(line, flush=True)):
        print(
            "Numba is not installed: nothing needs compiling, decoding and scoring run on protobuf and NumPy"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
