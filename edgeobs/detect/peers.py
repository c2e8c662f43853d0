"""A node unlike its kind: series beside the others of their group, and what a group lends to new members."""

from typing import NamedTuple

import numpy as np

from edgeobs.columns import grown
from edgeobs.detect import peer_order as order
from edgeobs.detect.contract import State
from edgeobs.detect.peer_groups import PeerGroups, PeerSettings, ranges
from edgeobs.detect.peer_law import FARTHEST, LARGEST, SIXTHS, decades, scale_of, width_of
from edgeobs.detect.peer_looks import GROUP, SERIES, Memory, Prior, look, prior
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Floats, Int32s, Int64s, Scores

SCHEMA = 1
_FORCED = 64  # times the samples of a look after which one is taken though no time has passed
_STAGGER = 0.618034  # groups begin their stretches at different times, so that no step has to look at all


class _Epoch(NamedTuple):
    """Samples in order of group, those of group g[i] in first[i]:end[i]."""

    series: Int32s
    value: Floats
    latest_ns: Int64s  # of the group, up to and with this sample
    record: Int64s  # place of the first sample from here on that is later than all before it


class Peers:
    """Scores of how unlike its peers a series has become; 31 bytes a series and about 120 a group.

    A series is at u = (x − mean)/sd of itself. A *look* at a group takes c = median(u − offset) over the
    members that spoke lately, whatever their size or level, and learns of each, by its residual
    u − offset − c, its offset, the spread around it, its mean and scale. c holds while fewer than half of the
    members are astray (Rousseeuw & Leroy 1987).

    A sample scores what its series was at the last look, beside what the others were then, capped by what the
    sample itself is, on the same side, beside the last c: a movement of all is never held against those who
    made it first, and a deviant is found with its second sample.

    A look at a group is taken before the first sample of a new stretch of ``every_s``, later than all before
    it, when as many samples as half the members have come since the last look. So it depends on the sequence
    of samples alone and not on how that is cut into calls; between two looks everything that a score needs
    stands still.
    """

    def __init__(self, table: SeriesTable, settings: PeerSettings) -> None:
        self.settings = settings
        self.groups = PeerGroups(table, settings)
        self._every_ns = max(int(settings.every_s * SECOND), 1)
        self.series: order.Columns = {k: np.zeros(0, dtype) for k, (dtype, _) in SERIES.items()}
        self.group: order.Columns = {k: np.zeros(0, dtype) for k, (dtype, _) in GROUP.items()}
        self._memory = Memory(self.groups, settings, self.series, self.group)

    def score_learn(self, series: Int32s, time_ns: Int64s, value: Floats) -> Scores:
        """Score each sample by what was known before it, then learn it."""
        n = len(series)
        score, expected, spread = np.zeros(n), np.full(n, np.nan), np.full(n, np.nan)
        fine = np.flatnonzero(np.isfinite(value))
        if len(fine):
            of = self.groups.find(series[fine])
            self._grow(int(series[fine].max()) + 1)
            by_group = np.argsort(of, kind="stable")
            place, of = fine[by_group], of[by_group]
            first = np.flatnonzero(np.append(True, of[1:] != of[:-1]))
            groups = of[first].astype(np.int64)
            phase = (groups * _STAGGER % 1.0 * self._every_ns).astype(np.int64)
            many = np.diff(np.append(first, len(of)))
            latest, record = order.records(
                time_ns[place],
                first,
                np.repeat(self.group["at_ns"][groups], many),
                np.repeat(phase, many),
                self._every_ns,
            )
            x = np.clip(value[place], -LARGEST, LARGEST)
            found = self._epochs(_Epoch(series[place], x, latest, record), groups, first)
            score[place], expected[place], spread[place] = found
        return Scores(score, expected, spread)

    def prior(self, ids: Int32s) -> Prior:
        """What the groups of these series know of them; changes nothing but that they belong to a group."""
        groups, which = np.unique(self.groups.find(ids), return_inverse=True)
        self._grow(int(ids.max(initial=-1)) + 1)
        found = prior(self._memory, groups.astype(np.int64))
        return Prior(
            found.mean[which],
            found.sd[which],
            found.between[which],
            found.weight[which],
            found.members[which],
        )

    def divided(self) -> list[str]:
        """Groups whose members disagree now: who is the odd one is anybody's guess, and nobody is accused."""
        return [self.groups.text(group) for group in np.flatnonzero(self.group["divided"]).tolist()]

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        known = ids[ids < len(self.series["n"])]
        for name, (_, fresh) in SERIES.items():
            self.series[name][known] = fresh
        empty = self.groups.forget(ids)
        for name, (_, fresh) in GROUP.items():
            self.group[name][empty[empty < len(self.group[name])]] = fresh

    def state(self) -> State:
        """A copy of all that was learned."""
        of = self.groups.state()
        used = len(of["group"])
        copies: State = {f"series.{k}": column[:used].copy() for k, column in self.series.items()}
        groups = len(self.groups)
        copies |= {f"group.{k}": column[:groups].copy() for k, column in self.group.items()}
        return copies | of | {"schema": np.array([SCHEMA])}

    def restore(self, state: State) -> None:
        """Take up a `state`, after the table was.

        ValueError with the reason, and nothing changed, when it does not fit.
        """
        fresh = Peers(self.groups.table, self.settings)
        order.load(fresh.series, fresh.group, fresh.groups, state, SCHEMA)
        self.__dict__.update(fresh.__dict__)

    def _grow(self, series: int) -> None:
        for name, (_, fresh) in SERIES.items():
            self.series[name] = grown(self.series[name], series, fresh)
        for name, (_, fresh) in GROUP.items():
            self.group[name] = grown(self.group[name], len(self.groups), fresh)

    def _epochs(self, samples: _Epoch, groups: Int64s, first: Int64s) -> tuple[Floats, Floats, Floats]:
        """Score all, looking at each group where that is due."""
        n = len(samples.series)
        score, expected, spread = np.zeros(n), np.full(n, np.nan), np.full(n, np.nan)
        end = np.append(first[1:], n)
        while len(groups):
            half = np.maximum(self.group["live"][groups] // 2, 0) + 1
            heard = self.group["heard"][groups]
            early = np.minimum(first + np.maximum(half - heard, 0), n)
            late = first + np.maximum(_FORCED * half - heard, 0)
            until = np.minimum(np.minimum(samples.record[early], late), end)
            at = ranges(first, until - first)
            of = np.repeat(groups, until - first)
            score[at], expected[at], spread[at] = self._score(samples.series[at], of, samples.value[at])
            self.group["heard"][groups] += until - first
            some = until > first
            self.group["at_ns"][groups[some]] = samples.latest_ns[until[some] - 1]
            due = until < end
            groups, first, end = groups[due], until[due], end[due]
            if len(groups):
                look(self._memory, groups)
        return score, expected, spread

    def _score(self, series: Int32s, of: Int64s, value: Floats) -> tuple[Floats, Floats, Floats]:
        """Samples between two looks: scored, and kept as their series' latest."""
        s, g = self.series, self.group
        n, mean = s["n"][series].astype(np.float64), s["mean"][series].astype(np.float64)
        sd = scale_of(s["sd"][series], mean, g["scale"][of])
        expected = mean + sd * (g["common"][of] + s["offset"][series])
        spread = sd * width_of(s["width"][series], n, self.settings.floor) * g["wide"][of]
        stands = s["stands"][series].astype(np.float64) / SIXTHS
        z = np.minimum(np.maximum((value - expected) * np.sign(stands), 0.0) / spread, FARTHEST)
        itself = decades(np.sqrt(z), g["threshold"][of], g["excess"][of])
        itself = np.where(s["sd"][series] == 0, np.minimum(itself, 2.0 * np.log10(n + 1.0)), itself)
        known = (n >= self.settings.warm) & (g["live"][of] >= self.settings.least)
        score = np.where(known, np.minimum(np.abs(stands), itself), 0.0)
        s["last"][series] = value
        s["age"][series] = 0
        return score, np.where(known, expected, np.nan), np.where(known, spread, np.nan)
