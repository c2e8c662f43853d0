"""What series are to people: how many false alarms each may cost."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np

from edgeobs.detect.law import MOST
from edgeobs.detect.looked_up import LookedUp
from edgeobs.detect.settings import Role, RoleSettings
from edgeobs.series import SeriesTable
from edgeobs.signals import Floats, Int32s

DECADES: dict[Role, float] = {"ignore": -MOST, "quiet": -2.0, "watch": 0.0, "strict": 1.0}
"""What a role adds to a score: of ``quiet`` a hundredth of the false alarms is left, of ``strict`` there are
ten times as many."""


class Roles:
    """Moves the scores of series by their role; of several that fit a series, the first counts."""

    def __init__(self, table: SeriesTable, settings: Sequence[RoleSettings]) -> None:
        self.table, self.settings = table, settings
        self._decades = LookedUp(self._of)

    def apply(self, series: Int32s, score: Floats) -> Floats:
        """The scores, in [0, 20] decades; of a series that is too young it stays 0."""
        moved = np.clip(score + self._decades(series), 0.0, MOST)
        return np.where(score > 0.0, moved, 0.0)

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        self._decades.forget(ids)

    def _of(self, number: int) -> float:
        identity = self.table[number]
        names = identity.name, identity.text()
        fits = (each for each in self.settings if any(fnmatchcase(name, each.match) for name in names))
        return next((DECADES[each.role] for each in fits), 0.0)
