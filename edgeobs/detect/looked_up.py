"""A number of each series that follows from who it is: worked out once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgeobs.columns import grown
from edgeobs.signals import Int32s


class LookedUp:
    """What ``look`` says of series by id, remembered until they are forgotten: 4 bytes a series."""

    def __init__(self, look: Callable[[int], float]) -> None:
        self._look = look
        self._known = np.zeros(0, np.float32)  # NaN: not looked up

    def __call__(self, series: Int32s) -> NDArray[np.float32]:
        """Of each, float32[n]."""
        self._known = grown(self._known, int(series.max(initial=-1)) + 1, np.nan)
        found = self._known[series]
        if np.isnan(found).any():
            for number in np.unique(series[np.isnan(found)]).tolist():
                self._known[number] = self._look(number)
            found = self._known[series]
        return found

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        self._known[ids[ids < len(self._known)]] = np.nan
