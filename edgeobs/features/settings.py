"""What `features` can be told."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """When a sample counts, and how much distributions may cost."""

    future_s: Annotated[float, Ge(0), Le(3600)] = 60.0
    """Seconds a sample may be ahead of our clock; further ahead it is dropped as ``future``."""

    too_old_s: Annotated[float, Gt(0), Le(31_536_000)] = 3600.0
    """Seconds a sample may be behind our clock; older it is dropped as ``too_old``."""

    late_s: Annotated[float, Gt(0), Le(86_400)] = 30.0
    """Seconds behind our clock from which a sample is late: scored at its own time, never acted upon."""

    skew_s: Annotated[float, Ge(0), Le(3600)] = 60.0
    """Seconds by which a node's clock may be constantly behind ours without its samples being late."""

    restart_s: Annotated[float, Gt(0), Le(86_400)] = 120.0
    """Seconds (our clock) without an accepted sample after which a series may start anew at an earlier time:
    a sender whose clock was set back is out of order for this long, not for ever. Where our own clock was set
    back by more, every series may start anew at once."""

    first_s: Annotated[float, Ge(0), Le(3600)] = 60.0
    """A cumulative series' first sample gives a rate when its start time is at most so many seconds before
    it: the first error of a new series is an increase from 0. With an older start it only sets the base."""

    repeats: Annotated[int, Ge(1), Le(100_000)] = 128
    """Samples of one series that one request may bring; more are dropped as ``limit``."""

    buckets: Annotated[int, Ge(2), Le(4096)] = 512
    """Buckets one histogram may have; a wider one is dropped as ``limit``."""

    cells: Annotated[int, Ge(2), Le(100_000_000)] = 2_000_000
    """Buckets remembered of all cumulative histograms together (16 bytes each); past it histograms are
    dropped as ``limit``."""
