"""Batch → Scores: what is unlike the past; and heartbeats: what should speak and does not."""

from collections.abc import Callable

from edgeobs.detect.absence import Heartbeats
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.contract import Detector
from edgeobs.detect.detection import Detection
from edgeobs.detect.ew import EwBank
from edgeobs.detect.settings import Settings

DETECTORS: dict[str, Callable[[Settings], Detector]] = {"ew": EwBank, "series": SeriesBank}
"""By name; one entry here is all that a new detector needs to be configured, tested and benchmarked."""

__all__ = ["DETECTORS", "Detection", "Detector", "Heartbeats", "Settings"]
