"""What operators said of alarms: *this was fine* and *this was real* narrow or widen what is scored."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Le

from edgeobs.columns import grown
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Floats, Identity, Int32s, Labels, Resource

MOST_DECADES = 20.0
_DAY_NS = 86_400 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackSettings:
    """How far an operator's word carries, and for how long."""

    step: Annotated[float, Gt(1), Le(2)] = 1.25
    """Factor by which one word divides (fine) or multiplies (real) the decades of what it is about."""

    lowest: Annotated[float, Gt(0.3), Le(1)] = 0.5
    """Least factor, in (0.3, 1]: however often it was fine, 20 decades of it are still 6 at the least."""

    highest: Annotated[float, Ge(1), Le(2)] = 1.5
    """Largest factor, in [1, 2]: however often something was real, noise does not become an alarm."""

    half_life_days: Annotated[float, Gt(0), Le(3650)] = 30.0
    """Days after which half of a word (of the logarithm of its factor) is left."""

    most: Annotated[int, Ge(1), Le(100_000)] = 5000
    """Words that count; of more, the newest that were written."""


class Target(NamedTuple):
    """What an operator's word is about: a metric, one series of it or all, at a place or everywhere.

    ``labels`` None is any; an empty field of ``place`` is any. Ids are not kept: it holds for a series that
    comes back under another id, and on a machine that never saw the old one.
    """

    name: str
    labels: Labels | None = None
    place: Resource = Resource()

    @staticmethod
    def of(identity: Identity) -> "Target":
        """One series alone."""
        return Target(identity.name, identity.labels, identity.source.resource)


class Entry(NamedTuple):
    """One word of an operator."""

    target: Target
    verdict: Literal["fine", "real"]
    at_ns: int


class Feedback:
    """Factors on scores, a pure function of the entries in their order; 4 bytes a series.

    Of each target a number w is kept, in steps: w ← clip(w·2^(−age/half-life) ± 1). A score is multiplied by
    step^Σw over the targets that its series is in, faded to now and cut to [``lowest``, ``highest``]. The
    factor is above 0 and the same for all scores of a series, so their order stays.
    """

    def __init__(self, table: SeriesTable, settings: FeedbackSettings) -> None:
        self.table, self.settings = table, settings
        self._words: dict[Target, tuple[float, int]] = {}  # w and when
        self._by_name: dict[tuple[str, str], list[Target]] = {}  # metric, node
        self._sum = np.zeros(0, np.float32)  # by series: Σw as of `_since_ns`; NaN: not looked up
        self._since_ns = 0

    def __len__(self) -> int:
        return len(self._words)

    def hear(self, entries: Sequence[Entry]) -> None:
        """Take up all that was said, in its order, in place of what was known; of too many the newest.

        An entry older than the last one of its target counts as said then.
        """
        s = self.settings
        heavy = math.log(s.step)
        low, high = math.log(s.lowest) / heavy, math.log(s.highest) / heavy
        words: dict[Target, tuple[float, int]] = {}
        for target, verdict, at_ns in entries[-s.most :]:
            w, since = words.get(target, (0.0, at_ns))
            now = max(at_ns, since)
            w = self._faded(w, since, now) + (1 if verdict == "real" else -1)
            words[target] = min(max(w, low), high), now
        self._words, self._by_name = words, {}
        for target in words:
            self._by_name.setdefault((target.name, target.place.node), []).append(target)
        self._since_ns = max((at for _, at in words.values()), default=0)
        self._sum[:] = np.nan

    def apply(self, series: Int32s, score: Floats, now_ns: int) -> Floats:
        """The scores, in [0, 20] decades, narrowed or widened by what was said of their series."""
        if not self._words or not len(series):
            return score
        factor = self.factor(series, now_ns)
        scaled: Floats = np.minimum(score * factor, MOST_DECADES)
        return scaled

    def factor(self, series: Int32s, now_ns: int) -> Floats:
        """By which the scores of each series are multiplied now."""
        self._sum = grown(self._sum, int(series.max(initial=-1)) + 1, np.nan)
        w = self._sum[series]
        if np.isnan(w).any():
            for number in np.unique(series[np.isnan(w)]).tolist():
                self._sum[number] = self._of(self.table[number])
            w = self._sum[series]
        s = self.settings
        fade = self._faded(1.0, self._since_ns, now_ns)
        return np.clip(s.step ** (w.astype(np.float64) * fade), s.lowest, s.highest)

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others; what was said of them stays."""
        self._sum[ids[ids < len(self._sum)]] = np.nan

    def _faded(self, w: float, since_ns: int, now_ns: int) -> float:
        days = max(now_ns - since_ns, 0) / _DAY_NS
        return float(w * 2.0 ** (-days / self.settings.half_life_days))

    def _of(self, identity: Identity) -> float:
        name, nodes = identity.name, {"", identity.source.resource.node}
        near = (target for node in nodes for target in self._by_name.get((name, node), ()))
        words = (self._words[target] for target in near if is_in(identity, target))
        return sum(self._faded(w, at, self._since_ns) for w, at in words)


def is_in(identity: Identity, target: Target) -> bool:
    """Whether a word about a target is about a series."""
    same = identity.name == target.name and target.labels in {None, identity.labels}
    there = zip(target.place, identity.source.resource, strict=True)
    return same and all(not wanted or wanted == had for wanted, had in there)
