"""How far the clocks of nodes are apart, from calls between them.

A call that the caller's clock shows from c1 to c2 and the callee's from s1 to s2 says, as NTP's four stamps
do, that the callee's clock is ahead by ((s1 − c1) + (s2 − c2)) / 2, give or take half of what the call spent
between the two, ((c2 − c1) − (s2 − s1)) / 2. The call with the least of that is believed, of the last eight
times that were kept: RFC 5905, section 10, *clock filter*; there too an error grows with age, by 15 parts in
a million.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from edgeobs.signals import Int32s, Int64s

_DRIFT = 15e-6
_KEPT = 8  # samples of a pair …
_APART_NS = 10_000_000_000  # … and of each such time the best
_PAIRS = 4096
_DONT_KNOW = np.iinfo(np.int64).max


class Offset(NamedTuple):
    """Of one node's clock against another's."""

    caller: int  # number of a node
    callee: int
    ahead_ns: int  # of the callee's clock
    within_ns: int  # the true one is so close


class Clocks:
    """The offset of every pair of nodes that call each other; pairs are bounded, the longest unheard goes."""

    def __init__(self, most_ns: int) -> None:
        self.most_ns = most_ns
        self._of: dict[tuple[int, int], list[tuple[int, int, int]]] = {}  # pair → when, ahead, within

    def learn(self, caller: Int32s, callee: Int32s, stamps: Int64s, now_ns: int) -> None:
        """Take calls in, ``stamps`` (n, 4) as c1, c2, s1, s2; those too far apart are not believed.

        A callee that takes longer than its caller waited (it answered before it was done) tells nothing.
        """
        c1, c2, s1, s2 = stamps.T
        within = (c2 - c1) - (s2 - s1)
        ahead = ((s1 - c1) + (s2 - c2)) // 2
        good = (within >= 0) & (np.abs(ahead) <= self.most_ns) & (caller != callee)
        order = np.flatnonzero(good)[np.argsort(within[good], kind="stable")]
        pair = caller[order].astype(np.int64) << 32 | callee[order]
        _, best = np.unique(pair, return_index=True)
        for k in order[best].tolist():
            self._take(int(caller[k]), int(callee[k]), (now_ns, int(ahead[k]), int(within[k]) // 2 + 1))

    def all(self, now_ns: int) -> Iterator[Offset]:
        """What is known of every pair."""
        for pair in self._of:
            yield Offset(*pair, *self._best(pair, now_ns))

    def heard_ns(self, caller: int, callee: int) -> int:
        """When a call between them was last taken in; 0: never."""
        of = self._of.get((caller, callee))
        return of[-1][0] if of else 0

    def forget(self, nodes: set[int]) -> None:
        """Numbers of nodes that may be given to others from now on."""
        self._of = {pair: of for pair, of in self._of.items() if nodes.isdisjoint(pair)}

    def rows(self) -> Int64s:
        """All of it, (n, 5): caller, callee, when, ahead, within."""
        rows = [(*pair, *sample) for pair, of in self._of.items() for sample in of]
        return np.array(rows, np.int64).reshape(-1, 5)

    def load(self, rows: Int64s) -> None:
        """Take up what `rows` gave."""
        self._of = {}
        for caller, callee, *sample in rows.tolist():
            self._of.setdefault((caller, callee), []).append((sample[0], sample[1], sample[2]))

    def _take(self, caller: int, callee: int, sample: tuple[int, int, int]) -> None:
        kept = self._of.pop((caller, callee), [])
        if kept and 0 <= sample[0] - kept[-1][0] < _APART_NS:
            last = kept.pop()
            sample = (last[0], *min(last[1:], sample[1:], key=lambda told: told[1]))
        self._of[caller, callee] = [*kept, sample][-_KEPT:]
        while len(self._of) > _PAIRS:
            del self._of[next(iter(self._of))]

    def _best(self, pair: tuple[int, int], now_ns: int) -> tuple[int, int]:
        """Ahead and within of the sample that is worth most now; calls the other way round count as well."""
        best = (0, _DONT_KNOW)
        for sign, of in ((1, self._of.get(pair, ())), (-1, self._of.get(pair[::-1], ()))):
            for when, ahead, within in of:
                error = within + int(_DRIFT * max(now_ns - when, 0))
                if error < best[1]:
                    best = (sign * ahead, error)
        return best
