"""Spans → series of services, operations and edges, their service graph, and traces worth looking at."""

from edgeobs.traces.graph import graph
from edgeobs.traces.hints import Hint
from edgeobs.traces.settings import Settings
from edgeobs.traces.stage import Traces

__all__ = ["Hint", "Settings", "Traces", "graph"]
