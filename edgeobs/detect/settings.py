"""What `detect` can be told."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a series' normal is learned, and when silence counts."""

    nodes: bool = True
    """Whether nodes are also looked at as a whole, their series given one another: up to 64 series a node."""

    timezone: str = "UTC"
    """Where days begin: an IANA name such as ``Europe/Berlin``; what is usual at a time of day follows it."""

    memory: Annotated[float, Ge(2)] = 200.0
    """Samples that the mean and variance of a series remember; infinite is all of them alike."""

    ramp: bool = True
    """While young, average plainly until the memory is reached. Off: weight 1/memory from the second on."""

    warmup: Annotated[int, Ge(2), Le(20)] = 20
    """Samples of a series before the first score."""

    clip: Annotated[float, Gt(0)] = 2.0
    """Standard deviations beyond which a sample teaches no more than one there would; infinite: never."""

    share: Annotated[float, Ge(0), Le(1)] = 0.1
    """Part of the variance since the beginning that is added to the recent one."""

    floor: Annotated[float, Ge(0), Le(1)] = 1e-3
    """Least standard deviation, relative to the usual size of the value."""

    steps: Annotated[float, Ge(0), Le(100)] = 2.0
    """Least standard deviation in steps, the smallest change the series was ever seen to make."""

    discount: Annotated[float, Ge(0), Le(1000)] = 10.0
    """Samples' worth of doubt while young: deviations are scaled by n / (n + discount)."""

    tail: Literal["learned", "gaussian"] = "learned"
    """How improbable a deviation is: a stretched exponential whose scale is learned per series from a prior
    that is heavier than a Gaussian, or a Gaussian."""

    abnormal: Annotated[float, Gt(0), Le(20)] = 3.0
    """Decades from which a sample counts as abnormal: tail and resolution learn nothing from it."""

    relearn_s: Annotated[float, Gt(0)] = 300.0
    """Seconds (the samples' own time) without one normal sample after which a series is learned anew: what
    lasts is the new normal. Infinite: never."""

    silent_intervals: Annotated[float, Ge(2), Le(1000)] = 5.0
    """Usual intervals without a word after which a node, or an exporter, is silent."""

    silent_s: Annotated[float, Gt(0), Le(86_400)] = 5.0
    """Seconds after which a node is silent at the earliest."""

    exporter_silent_s: Annotated[float, Gt(0), Le(86_400)] = 15.0
    """Seconds after which an exporter of a node that speaks is silent at the earliest."""

    zone_share: Annotated[float, Gt(0), Le(1)] = 0.5
    """Part of a zone's nodes (at least two) that must be silent for the zone to be dark."""

    retired_s: Annotated[float, Gt(0)] = 86_400.0
    """Seconds of silence after which a node is taken to be gone for good."""

    pause_s: Annotated[float, Gt(0), Le(3600)] = 5.0
    """Seconds between two looks at the heartbeats from which it was us who stood still, not the senders."""
