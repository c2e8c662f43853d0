"""Which series, and which nodes as a whole, are surprising for long enough to be evidence."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from edgeobs.incidents.points import band
from edgeobs.incidents.promise import LEAST, closing, hold_s, opening
from edgeobs.incidents.settings import Settings
from edgeobs.series import SeriesTable
from edgeobs.signals import (
    SECOND,
    VIEWS,
    Batch,
    Counts,
    Floats,
    Identity,
    Int64s,
    Point,
    Resource,
    Scores,
)

DROPPED = "edgeobs_evidence_dropped_total"


class Watch:
    """The recent surprise of one series, or of a node."""

    __slots__ = ("bits", "ease", "heard_ns", "hot", "identity", "onset_ns", "place", "text")

    def __init__(self, place: Resource, text: str, identity: Identity | None = None) -> None:
        self.identity = identity
        self.place, self.text = place, text
        self.bits = 0  # newest sample in bit 0: 1 when it counted
        self.onset_ns = 0  # the sender's time of the first sample that counted
        self.heard_ns = 0  # our time of the last surprising sample
        self.ease = 0.0  # log₁₀ of the seconds between its samples
        self.hot = False  # persistence was shown, and it has not been calm since

    def observe(self, time_ns: int, score: float, ease: float, now_ns: int, settings: Settings) -> bool:
        """Take one sample of a series that speaks 10^ease seconds apart; whether it is evidence."""
        self.ease = ease
        hit = score >= opening(ease, settings)
        if hit and not self.bits and not self.hot:
            self.onset_ns = time_ns
        self.bits = (self.bits << 1 | hit) & ((1 << settings.persist_samples) - 1)
        if hit or (self.hot and score >= closing(ease, settings)):
            self.heard_ns = now_ns
        hits = settings.persist_hits if 10**ease < settings.persist_s else 1
        self.hot = self.hot or self.bits.bit_count() >= hits
        return self.hot

    def calm(self, now_ns: int, settings: Settings) -> bool:
        """Whether nothing surprising was heard for the hold time."""
        return now_ns - self.heard_ns >= hold_s(self.ease, settings) * SECOND


class Watcher:
    """Follows the persistence of surprising series, bounded per step, per node and in all.

    Series are told from each other by identity, so ids that are given to other series need no notice.
    """

    def __init__(self, table: SeriesTable, settings: Settings, counts: Counts) -> None:
        self._table, self._settings, self._counts = table, settings, counts
        self._watches: dict[int, Watch] = {}
        self._per_node: Counter[Resource] = Counter()
        self._watched = np.zeros(table.capacity, np.bool_)

    def __len__(self) -> int:
        return len(self._watches)

    def follow(self, series: int, onset_ns: int, now_ns: int) -> None:
        """Watch a series that is known to be evidence: after a restart."""
        watch = self._watch(series)
        if watch is not None:
            watch.hot, watch.onset_ns, watch.heard_ns = True, onset_ns, now_ns

    def observe(
        self, batch: Batch, scores: Scores, now_ns: int
    ) -> Iterator[tuple[int, Watch, Point, float, str, float, bool]]:
        """(series, watch, sample, expected, why, ease, late) of every sample of a series that is evidence.

        Late samples are shown and change nothing.
        """
        ease = _ease(scores)
        rows = self._select(batch, scores, ease)
        if not rows.size:
            return
        view = scores.view if len(scores.view) else np.zeros(len(ease), np.int8)
        columns = (
            batch.series, batch.time_ns, batch.value, batch.late, scores.score, scores.expected,
            scores.spread, view, ease,
        )  # fmt: skip
        for number, time_ns, value, late, score, expected, spread, by, eased in zip(
            *(column[rows].tolist() for column in columns), strict=True
        ):
            watch = self._watches.get(number)
            if watch is None or watch.identity is not self._table.identities[number]:
                watch = None if late else self._watch(number)
            if watch is None:
                continue
            if watch.hot if late else watch.observe(time_ns, score, eased, now_ns, self._settings):
                point = Point(time_ns, value, *band(expected, spread), score)
                yield number, watch, point, expected, VIEWS[by], eased, late
            elif not watch.bits and not late:
                self._forget(number)

    def sweep(self, now_ns: int) -> None:
        """Let go of the series that have been calm for the hold time."""
        for number in [n for n, watch in self._watches.items() if watch.calm(now_ns, self._settings)]:
            self._forget(number)

    def _select(self, batch: Batch, scores: Scores, ease: Floats) -> Int64s:
        if len(self._watched) < self._table.capacity:
            self._watched = np.pad(self._watched, (0, self._table.capacity - len(self._watched)))
        chosen = scores.score >= np.maximum(LEAST, self._settings.open_score - ease)
        if self._watches:
            chosen |= self._watched[batch.series]
        rows = np.flatnonzero(chosen)
        most = self._settings.max_samples_per_step
        if rows.size > most:
            self._counts[DROPPED, "step"] += rows.size - most
            rows = np.sort(rows[np.argpartition(scores.score[rows], -most)[-most:]])
        return rows

    def _watch(self, number: int) -> Watch | None:
        self._forget(number)
        try:
            identity = self._table[number]
        except KeyError:
            return None
        place = identity.source.resource.place()
        if self._per_node[place] >= self._settings.max_watched_per_node:
            self._counts[DROPPED, "node"] += 1
            return None
        if len(self._watches) >= self._settings.max_watched:
            self._counts[DROPPED, "watched"] += 1
            return None
        self._per_node[place] += 1
        self._watched[number] = True
        watch = self._watches[number] = Watch(place, identity.text(), identity)
        return watch

    def _forget(self, number: int) -> None:
        watch = self._watches.pop(number, None)
        if watch is None:
            return
        self._watched[number] = False
        self._per_node[watch.place] -= 1
        if not self._per_node[watch.place]:
            del self._per_node[watch.place]


def _ease(scores: Scores) -> Floats:
    """log₁₀ of the seconds between samples of each series, at least 0."""
    if not len(scores.interval_s):
        return np.zeros(len(scores.score))
    return np.log10(np.maximum(scores.interval_s, 1.0))
