"""Parameters that suddenly vary: a word of a template that takes many more values than it usually does.

Of each tick a few lines of a template are looked at. How varied a word is in them is the chance that two of
them differ in it, 1 − Σ nᵢ(nᵢ − 1) / (n(n − 1)) for values seen nᵢ times (E. H. Simpson, Nature 1949):
without bias for any n, so that ticks compare. How often it was how varied is kept in 16 bins. If ticks are
exchangeable, a tick is at least as varied as all but a of the n before with probability at most (a + 1) /
(n + 1).
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edgeobs.columns import grown
from edgeobs.logs.drain import Line
from edgeobs.logs.mask import MASKED

PLACES = 6
"""Words of a template that are watched."""

SAMPLE = 16
"""Lines of a template and tick that are looked at."""

SAMPLES = 4096
"""Lines of a workload and tick that are looked at."""

_LEAST = 8  # lines, for a tick to tell anything
_BINS = 16
_MIDDLE = (np.arange(_BINS) + 0.5) / _BINS
_NOWHERE = -1
_EVER_NEW = frozenset({"<time>", "<uuid>", "<hex>"})


class Varied(NamedTuple):
    """A word that varies as it seldom does."""

    number: int  # of the template
    word: int  # its place in it
    p: float
    variety: float  # in [0, 1]
    usual: float  # mean before


def variety(values: Sequence[int]) -> float:
    """The chance that two of these, at least two, differ."""
    n = len(values)
    return 1.0 - sum(k * (k - 1) for k in Counter(values).values()) / (n * (n - 1))


class Variety:
    """Columns by template: ``places`` (words watched, −1: none), ``history`` by place and bin, ``looks``."""

    def __init__(self) -> None:
        self.places = np.zeros((0, PLACES), np.int16)
        self.history = np.zeros((0, PLACES, _BINS), np.int32)
        self.looks = np.zeros(0, np.int32)
        self.sampled = np.zeros(0, np.int32)  # lines in this tick
        self._samples: dict[int, list[tuple[int, ...]]] = {}
        self._seen: dict[int, Line] = {}  # words in which places were looked for last

    def reserve(self, templates: int) -> None:
        """Room for numbers below this."""
        self.places = grown(self.places, templates, _NOWHERE)
        self.history = grown(self.history, templates, 0)
        self.looks = grown(self.looks, templates, 0)
        self.sampled = grown(self.sampled, templates, 0)

    def add(self, number: int, words: Line, line: Sequence[bytes]) -> None:
        """A line of a template, in its own words: those without date and time."""
        if self._seen.get(number) is not words:
            self._watch(number, words)
        places = self.places[number]
        values = tuple(hash(line[at]) if at < len(line) else 0 for at in places[places >= 0].tolist())
        self._samples.setdefault(number, []).append(values)
        self.sampled[number] += 1

    def tick(self) -> list[Varied]:
        """End a tick: every place that was looked at, the surprising and the others."""
        found: list[Varied] = []
        for number, samples in self._samples.items():
            if len(samples) >= _LEAST:
                self.looks[number] += 1
                found += self._looked(number, samples)
        self.drop_samples()
        return found

    def drop_samples(self) -> None:
        """A tick that tells nothing."""
        self._samples = {}
        self.sampled[:] = 0

    def forget(self, numbers: list[int]) -> None:
        """Templates whose numbers will be given again."""
        self.places[numbers] = _NOWHERE
        self.history[numbers] = 0
        self.looks[numbers] = 0
        self.sampled[numbers] = 0
        for number in numbers:
            self._samples.pop(number, None)
            self._seen.pop(number, None)

    def _looked(self, number: int, samples: list[tuple[int, ...]]) -> list[Varied]:
        found: list[Varied] = []
        for at in range(int(np.count_nonzero(self.places[number] >= 0))):
            values = [values[at] for values in samples if len(values) > at]
            if len(values) < _LEAST:
                continue
            now = variety(values)
            bin_ = min(_BINS - 1, int(now * _BINS))
            before = self.history[number, at]
            n = int(before.sum())
            p = (int(before[bin_:].sum()) + 1) / (n + 1)
            usual = float(before @ _MIDDLE) / n if n else float("nan")
            found.append(Varied(number, int(self.places[number, at]), p, now, usual))
            before[bin_] += 1
        return found

    def _watch(self, number: int, words: Line) -> None:
        """Watch words that hold a parameter; one that was a constant until now has never varied."""
        self._seen[number] = words
        places = self.places[number]
        known = set(places.tolist())
        for at, word in enumerate(words):
            if at in known or word in _EVER_NEW or not MASKED.search(word):
                continue
            free = np.flatnonzero(places == _NOWHERE)
            if not len(free):
                return
            places[free[0]] = at
            self.history[number, free[0], 0] = self.looks[number]
