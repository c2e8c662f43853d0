"""Points → Batch: counters and deltas to rates, distributions to rate, mean and quantiles."""

from edgeobs.features.columns import Features
from edgeobs.features.settings import Settings

__all__ = ["Features", "Settings"]
