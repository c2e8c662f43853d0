"""What operators said of alarms: *this was fine* and *this was real* narrow or widen what is scored."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Le

from edgeobs.columns import grown
from edgeobs.detect.contract import State
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Floats, Identity, Int32s, Labels, Resource

SCHEMA = 1
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
    """Targets remembered; past it the one whose word has faded the most is forgotten, and counted."""


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
        self.forgotten = 0  # targets, for want of room
        self._words: dict[Target, tuple[float, int]] = {}  # w and when
        self._by_name: dict[str, list[Target]] = {}
        self._sum = np.zeros(0, np.float32)  # by series: Σw as of `_since_ns`; NaN: not looked up
        self._since_ns = 0

    def __len__(self) -> int:
        return len(self._words)

    def add(self, entry: Entry) -> None:
        """Take a word in; an entry older than the last one of its target counts as said then."""
        s = self.settings
        now = max(entry.at_ns, self._words.get(entry.target, (0.0, 0))[1])
        heavy = np.log(s.step)
        low, high = np.log(s.lowest) / heavy, np.log(s.highest) / heavy
        w = self._faded(*self._words.get(entry.target, (0.0, now)), now) + (
            1 if entry.verdict == "real" else -1
        )
        self._words[entry.target] = float(min(max(w, low), high)), now
        if len(self._words) > s.most:
            self._forget_the_faintest(now)
        self._index(now)

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

    def state(self) -> State:
        """A copy: the targets as JSON, in the order in which they were first named."""
        rows = [[t.name, t.labels, list(t.place), w, at] for t, (w, at) in self._words.items()]
        text = np.frombuffer(json.dumps(rows).encode(), np.uint8).copy()
        return {"schema": np.array([SCHEMA]), "targets": text}

    def restore(self, state: State) -> None:
        """Take up a `state`; ValueError with the reason, and nothing changed, when it does not fit."""
        schema, text = state.get("schema"), state.get("targets")
        if schema is None or schema.dtype.kind not in "iu" or schema.tolist() != [SCHEMA]:
            raise ValueError(f"feedback: expected schema {SCHEMA}, found {schema}")
        if text is None or text.dtype != np.uint8 or text.ndim != 1:
            raise ValueError("feedback: targets: expected bytes")
        try:
            words = dict(map(_read, json.loads(text.tobytes())))
        except (ValueError, TypeError, KeyError) as wrong:
            raise ValueError(f"feedback: targets: {wrong}") from wrong
        if len(words) > self.settings.most:
            raise ValueError(f"feedback: {len(words)} targets, at most {self.settings.most}")
        self._words = words
        self._index(max((at for _, at in words.values()), default=0))

    def _faded(self, w: float, since_ns: int, now_ns: int) -> float:
        days = max(now_ns - since_ns, 0) / _DAY_NS
        return float(w * 2.0 ** (-days / self.settings.half_life_days))

    def _index(self, now_ns: int) -> None:
        """Look everything up again: words are rare, scores are not."""
        self._since_ns = max(self._since_ns, now_ns)
        self._by_name = {}
        for target in self._words:
            self._by_name.setdefault(target.name, []).append(target)
        self._sum[:] = np.nan

    def _of(self, identity: Identity) -> float:
        words = (self._words[t] for t in self._by_name.get(identity.name, ()) if is_in(identity, t))
        return sum(self._faded(w, at, self._since_ns) for w, at in words)

    def _forget_the_faintest(self, now_ns: int) -> None:
        faint = min(self._words, key=lambda t: abs(self._faded(*self._words[t], now_ns)))
        del self._words[faint]
        self.forgotten += 1


def is_in(identity: Identity, target: Target) -> bool:
    """Whether a word about a target is about a series."""
    same = identity.name == target.name and target.labels in {None, identity.labels}
    there = zip(target.place, identity.source.resource, strict=True)
    return same and all(not wanted or wanted == had for wanted, had in there)


def _read(row: Any) -> tuple[Target, tuple[float, int]]:
    name, labels, place, w, at = row
    pairs = None if labels is None else tuple((str(key), str(value)) for key, value in labels)
    if not (isinstance(name, str) and isinstance(at, int) and np.isfinite(float(w))):
        raise ValueError(f"not a word about anything: {row}")
    return Target(name, pairs, Resource(*map(str, place))), (float(w), at)
