"""What came from several places within one interval, as one `Points`. Pure."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from edgeobs.signals import Distributions, Points


def joined(parts: Sequence[Points]) -> Points:
    """All of them, in order."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Points.none()
    rejected: Counter[str] = Counter()
    for part in parts:
        rejected.update(part.rejected)
    return Points(
        np.concatenate([part.series for part in parts]),
        np.concatenate([part.time_ns for part in parts]),
        np.concatenate([part.start_ns for part in parts]),
        np.concatenate([part.value for part in parts]),
        _distributions([part.distributions for part in parts if len(part.distributions.series)]),
        dict(rejected),
        sum(part.exemplars for part in parts),
    )


def _distributions(parts: Sequence[Distributions]) -> Distributions:
    if not parts:
        return Distributions.none()
    sizes = np.concatenate([np.diff(part.first) for part in parts])
    return Distributions(
        np.concatenate([part.series for part in parts]),
        np.concatenate([part.time_ns for part in parts]),
        np.concatenate([part.start_ns for part in parts]),
        np.concatenate([part.count for part in parts]),
        np.concatenate([part.total for part in parts]),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.concatenate([part.edge for part in parts]),
        np.concatenate([part.weight for part in parts]),
    )
