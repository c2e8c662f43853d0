"""What edgeobs says about itself: its metrics, its log lines, its traces."""

from edgeobs.telemetry.logs import logging_setup
from edgeobs.telemetry.metrics import Gauges, Histogram, exposition
from edgeobs.telemetry.traces import Traces, tracer

__all__ = ["Gauges", "Histogram", "Traces", "exposition", "logging_setup", "tracer"]
