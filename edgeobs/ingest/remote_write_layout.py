"""What the compiled walks over remote write read and write. Needs Numba."""

from typing import NamedTuple

import numpy as np

from edgeobs.ingest.hashing import Words
from edgeobs.ingest.wire import DEPTH
from edgeobs.signals import Int32s, Int64s

PENDING = -16
"""Ids from here downward are misses: the k-th has PENDING − k."""

SAMPLES, HISTOGRAMS, MISSES, EXEMPLARS = range(4)
"""What the walk counts: places in ``Out.filled``."""

BEGIN, END, META, META_END, CREATED = range(5)
"""Places in ``Out.about``, what is known of the series at hand."""


class Out(NamedTuple):
    """Space for samples, the ids of histograms, and misses."""

    series: Int32s
    time: Int64s
    start: Int64s
    value: Words
    spread: Int32s
    miss: Int64s  # [k, (begin and end of the series' message, what it holds, first sample or row, last)]
    key: Words  # [k, (a, b)]
    filled: Int64s
    about: Int64s  # scratch
    stack: Int64s  # scratch


class Known(NamedTuple):
    """What is remembered: `Aliases`' keys and slots, the sender's seed, the generation of its families."""

    keys: Words
    slots: Words
    seed: int
    generation: int


class Symbols(NamedTuple):
    """The symbols of a 2.0 request: where each stands, and its hash."""

    at: Int64s  # [n, (begin, end)]
    a: Words
    b: Words


def space(samples: int, histograms: int) -> Out:
    """Room for so many, each with a miss."""
    misses = samples + histograms
    return Out(
        np.empty(samples, np.int32),
        np.empty(samples, np.int64),
        np.empty(samples, np.int64),
        np.empty(samples, np.uint64),
        np.empty(histograms, np.int32),
        np.empty((misses, 5), np.int64),
        np.empty((misses, 2), np.uint64),
        np.zeros(4, np.int64),
        np.zeros(5, np.int64),
        np.zeros(2 * DEPTH, np.int64),
    )
