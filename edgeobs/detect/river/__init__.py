"""River in edgeobs, and edgeobs in River; nothing outside this package imports River.

- `ModelDetector` runs a configured River model per series, node or workload behind edgeobs's own contract.
- `SeriesDetector` is one of edgeobs's detectors as a River estimator.
- `problem` says what is wrong with a configured model.

Importing this package imports River: a second, and some 120 MB.
"""

from edgeobs.detect.river.build import problem
from edgeobs.detect.river.detector import Drift, ModelDetector
from edgeobs.detect.river.estimator import SeriesDetector

__all__ = ["Drift", "ModelDetector", "SeriesDetector", "problem"]
