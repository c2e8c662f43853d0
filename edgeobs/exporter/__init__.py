"""Metrics of an edge service or a device, declared once, scraped by Prometheus, pushed by OTLP, or both.

On prometheus_client: its registry, its types, its exposition. ``docs/exporter.md`` has the way in.
"""

from edgeobs.exporter.exporter import Exporter
from edgeobs.exporter.metrics import CAP, Counter, Gauge, Histogram, Reading, Summary
from edgeobs.exporter.red import Red

__all__ = ["CAP", "Counter", "Exporter", "Gauge", "Histogram", "Reading", "Red", "Summary"]
