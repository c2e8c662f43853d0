"""A node unlike its kind: series beside the others of their group, and what a group lends to new members."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from edgeobs.columns import grown
from edgeobs.detect import peer_order as order
from edgeobs.detect.contract import State
from edgeobs.detect.peer_groups import PeerGroups, PeerSettings, ranges
from edgeobs.detect.peer_law import (
    ALIKE,
    BEYOND,
    BEYOND_TRUST,
    CLIP,
    CUT,
    EXCESS,
    EXPLAINED,
    FARTHEST,
    LARGEST,
    MOST,
    MOST_BEYOND,
    SETTLED,
    SIXTHS,
    THRESHOLD,
    UNLIKE,
    decades,
    learn_tail,
    scale_of,
    width_of,
)
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Bools, Floats, Int32s, Int64s, Scores

SCHEMA = 1
NEVER = 255
"""An age: it has not spoken."""

# Of a series, with what it begins as: 23 bytes, and 8 in `PeerGroups`.
SERIES: dict[str, tuple[Any, float]] = {
    "mean": (np.float32, 0.0),  # its own, slow
    "sd": (np.float32, 0.0),  # its own, around that
    "last": (np.float32, 0.0),  # latest value
    "offset": (np.float16, 0.0),  # from the group's movement, as it usually is; in sd
    "width": (np.float16, 1.0),  # spread around that; in sd
    "n": (np.uint16, 0.0),  # looks that it taught, with those that were lent
    "stands": (np.int8, 0.0),  # how unlike it was at its last look: signed sixths of a decade
    "run": (np.uint8, 0.0),  # looks at which it was, without a break
    "beyond": (np.float16, BEYOND),  # by how many decades it is more than unlike, when it begins to be
    "age": (np.uint8, float(NEVER)),  # looks since it spoke
}
# Of a group.
GROUP: dict[str, tuple[Any, float]] = {
    "common": (np.float64, 0.0),  # where the group is: median of its members' deviations from themselves
    "live": (np.int64, 0.0),  # members in that
    "heard": (np.int64, 0.0),  # samples since the last look
    "scale": (np.float64, 0.0),  # median sd
    "level": (np.float64, 0.0),  # median mean
    "wide": (np.float64, 1.0),  # how much farther apart than usual the members are, ≥ 1
    "looks": (np.int64, 0.0),
    "gap": (np.float64, 0.0),  # usual time between two looks, seconds
    "looked_ns": (np.int64, 0.0),
    "at_ns": (np.int64, 0.0),  # latest time of any sample
    "threshold": (np.float64, THRESHOLD),
    "excess": (np.float64, EXCESS),
    "taught": (np.float64, 0.0),  # deviations that the tail has seen
    "divided": (np.bool_, 0.0),
}
_LOOKS_AT_SCALE = 8  # looks between two at the members' scales
_PAUSE = 8.0  # usual gaps between two looks from which those not heard since are not asked
_FORCED = 64  # times the samples of a look after which one is taken though no time has passed
_MOST_SAMPLES = 60_000
_STAGGER = 0.618034  # groups begin their stretches at different times, so that no step has to look at all


@dataclass(frozen=True, slots=True)
class Prior:
    """What a group knows of a series that has shown nothing: columns, NaN and 0 members where there is none.

    ``mean`` is where the members are now, ``sd`` how far each moves around itself, ``between`` how far they
    are apart, ``weight`` = (sd/between)² how many samples of its own the mean is worth, in [0, ``lend``]. The
    first sample is expected at mean ± √(sd² + between²).
    """

    mean: Floats
    sd: Floats
    between: Floats
    weight: Floats
    members: Int64s


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
        found = self._prior(groups.astype(np.int64))
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
                self._look(groups)
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

    def _look(self, groups: Int64s) -> None:
        """Where these groups are, who is unlike, and what that teaches of each."""
        s, g = self.series, self.group
        ids, row = self.groups.members(groups)
        gap = (g["at_ns"][groups] - g["looked_ns"][groups]) * 1e-9
        paused = (g["looks"][groups] > 1) & (gap > _PAUSE * g["gap"][groups])
        age = s["age"][ids]
        live = (age <= np.where(paused[row], 0, self.settings.stale)) & (age != NEVER)
        s["age"][ids] = np.where(age < NEVER - 1, age + 1, age)
        ids, row, fresh = ids[live], row[live], age[live] == 0
        if (s["n"][ids] == 0).any():
            self._welcome(groups, ids, row)
        known = s["n"][ids] > 0
        live_count = np.bincount(row[known], minlength=len(groups))
        ready = live_count >= self.settings.least
        away = self._away(ids, groups[row]) - s["offset"][ids]
        common = np.where(ready, order.medians(row[known], away[known], len(groups)), 0.0)
        g["common"][groups], g["live"][groups], g["heard"][groups] = common, live_count, 0
        self._learn(groups, ids[fresh], row[fresh], (away - common[row])[fresh], ready)
        usual = g["gap"][groups]
        taught = np.where(usual > 0, usual + 0.2 * (np.minimum(gap, 3 * usual) - usual), gap)
        g["gap"][groups] = np.where(g["looks"][groups] > 0, np.maximum(taught, 1e-3), 0.0)
        g["looked_ns"][groups] = g["at_ns"][groups]
        again = g["looks"][groups] % _LOOKS_AT_SCALE == 0
        if again.any():
            self._learn_kind(groups[again], *_of_those(ids[known], row[known], again), ready[again])
        g["looks"][groups] += 1

    def _learn(self, groups: Int64s, ids: Int64s, row: Int64s, r: Floats, ready: Bools) -> None:
        """Judge those that spoke since the last look, then learn them."""
        s, g, set_ = self.series, self.group, self.settings
        of = groups[row]
        n = s["n"][ids].astype(np.float64)
        width = width_of(s["width"][ids], n, set_.floor)
        z = np.minimum(np.abs(r) / width, FARTHEST)
        judged = ready[row] & (n >= set_.warm)
        count = np.bincount(row[judged], minlength=len(groups))
        middle = order.medians(row[judged], z[judged], len(groups)) / 0.6745  # the median of a Gaussian's |z|
        wide = np.where(count >= set_.least, np.maximum(middle, 1.0), 1.0)
        by_self = decades(np.sqrt(z), g["threshold"][of], g["excess"][of])
        unlike = np.bincount(row[judged & (by_self >= CUT)], minlength=len(groups))
        divided = (unlike >= 2) & (unlike >= set_.divided * count)
        x = np.sqrt(z / wide[row])
        found = decades(x, g["threshold"][of], g["excess"][of])
        never_moved = s["sd"][ids] == 0
        found = np.where(judged & ~divided[row], np.minimum(found, self._worth(ids, of, n)), 0.0)
        beyond = s["beyond"][ids].astype(np.float64)
        found = np.where(found > CUT, CUT + (found - CUT) * (BEYOND / beyond), found)
        before = np.abs(s["stands"][ids]) / SIXTHS
        teaches = judged & ~divided[row] & (before < CUT)
        learn_tail(g, groups, row[teaches], x[teaches])
        s["stands"][ids] = np.sign(r) * np.floor(found * SIXTHS)
        g["wide"][groups], g["divided"][groups] = wide, divided
        limit = np.where(ready[row] & (n >= 5) & ~never_moved, CLIP * width, np.inf)
        cut = np.clip(r, -limit, limit)
        odd = ready[row] & (n >= 10) & (by_self >= CUT) & ~never_moved
        slow = np.where(odd, np.maximum(UNLIKE, 5.0 / (n + 5.0)), 1.0)
        self._learn_self(ids, of, n, np.where(odd, np.sign(r) * width, cut) - r)
        a = (
            np.maximum(1.0 / set_.memory, 4.0 / (n + 5.0)) * slow * ready[row]
        )  # the first looks are the worst
        old = s["width"][ids].astype(np.float64)
        new = np.clip(np.sqrt((1 - a) * (old * old + a * cut * cut)), 1e-3, 6e4)
        run = np.where(found >= CUT, np.minimum(s["run"][ids] + 1.0, 255.0), 0.0)
        settled = run >= set_.relearn
        over = (s["run"][ids] > 0) & ((run == 0) | settled)
        lesson = np.minimum((before - CUT) * beyond / BEYOND, MOST_BEYOND) - beyond
        s["beyond"][ids] = np.where(over, np.maximum(beyond + lesson / BEYOND_TRUST, BEYOND), beyond)
        first_move = never_moved & (s["sd"][ids] > 0)  # it has a scale only now
        offset = np.where(settled, s["offset"][ids] + r, s["offset"][ids] + a * cut)
        new = np.where(settled, np.maximum(old, SETTLED * np.abs(r)), new)
        s["width"][ids] = np.where(first_move, 1.0, np.minimum(new, FARTHEST))
        s["offset"][ids] = np.where(first_move, 0.0, np.clip(offset, -FARTHEST, FARTHEST))
        s["run"][ids] = np.where(settled, 0, run)
        s["stands"][ids] = np.where(settled, 0, s["stands"][ids])

    def _worth(self, ids: Int64s, of: Int64s, n: Floats) -> Floats:
        """The most that may be said of each, decades.

        Of a member that has never moved, that it moves and where to was each never seen in n looks. Where a
        group neither explains what a member does nor is at its level, no more is known than that it never
        happened in the looks there were.
        """
        s, g = self.series, self.group
        mean, own = s["mean"][ids].astype(np.float64), s["sd"][ids].astype(np.float64)
        alike = np.abs(mean - g["level"][of]) <= ALIKE * np.maximum(own, g["scale"][of])
        explained = s["width"][ids] <= EXPLAINED
        seen = np.log10(1.0 + g["looks"][of] * g["live"][of])
        return np.minimum(
            np.where(alike | explained, MOST, seen), np.where(own == 0, 2.0 * np.log10(n + 1.0), MOST)
        )

    def _learn_kind(self, groups: Int64s, ids: Int64s, row: Int64s, ready: Bools) -> None:
        """At what level and of what scale the members are."""
        s, g = self.series, self.group
        scale = order.medians(row, np.log(np.maximum(s["sd"][ids], 1e-37)), len(groups))
        g["scale"][groups] = np.where(ready, np.exp(scale), 0.0)
        level = order.exact_medians(row, s["mean"][ids].astype(np.float64), len(groups))
        g["level"][groups] = np.where(ready, level, 0.0)

    def _learn_self(self, ids: Int64s, of: Int64s, n: Floats, less: Floats) -> None:
        """Mean and scale of each, of its latest value moved by ``less`` scales toward what the group says."""
        s = self.series
        mean, own = s["mean"][ids].astype(np.float64), s["sd"][ids].astype(np.float64)
        less = np.where(less == 0, 0.0, less * scale_of(own, mean, self.group["scale"][of]))
        d = s["last"][ids] + less - mean
        a = np.maximum(1.0 / self.settings.long, 1.0 / (n + 1.0))
        s["mean"][ids] = np.clip(mean + a * d, -LARGEST, LARGEST)
        s["sd"][ids] = np.minimum(np.sqrt((1 - a) * (own * own + a * d * d)), LARGEST)
        s["n"][ids] = np.minimum(n + 1, _MOST_SAMPLES)

    def _away(self, ids: Int64s, of: Int64s) -> Floats:
        """How far each latest value is from its series' mean, in scales."""
        s = self.series
        mean = s["mean"][ids].astype(np.float64)
        away: Floats = (s["last"][ids] - mean) / scale_of(s["sd"][ids], mean, self.group["scale"][of])
        return np.where(s["n"][ids] > 0, np.clip(away, -FARTHEST, FARTHEST), 0.0)

    def _welcome(self, groups: Int64s, ids: Int64s, row: Int64s) -> None:
        """Members at their first look begin at their value, or near where others that are alike are."""
        s = self.series
        new = np.flatnonzero(s["n"][ids] == 0)
        some, place = np.unique(row[new], return_inverse=True)
        lent = self._prior(groups[some])
        at, known = ids[new], lent.members[place] > 0
        weight = lent.weight[place]
        x = s["last"][at].astype(np.float64)
        pulled = x + weight / (weight + 1.0) * (np.where(known, lent.mean[place], x) - x)
        sd = np.where(known, lent.sd[place], 0.0)
        s["mean"][at] = np.clip(pulled - sd * self.group["common"][groups[row[new]]], -LARGEST, LARGEST)
        s["sd"][at] = sd
        s["n"][at] = np.floor(weight)

    def _prior(self, groups: Int64s) -> Prior:
        s = self.series
        ids, row = self.groups.members(groups)
        age = s["age"][ids]
        keep = (age <= self.settings.stale) & (s["n"][ids] >= self.settings.warm)
        ids, row = ids[keep], row[keep]
        count = np.bincount(row, minlength=len(groups))
        own = s["sd"][ids].astype(np.float64)
        now = s["last"][ids].astype(np.float64)
        middle = order.exact_medians(row, now, len(groups))
        mean = s["mean"][ids].astype(np.float64)
        apart = np.abs(mean - order.exact_medians(row, mean, len(groups))[row])
        between = 1.4826 * order.exact_medians(row, apart, len(groups))
        sd = order.exact_medians(row, own, len(groups))
        ratio = np.where(between > 0, sd / np.where(between > 0, between, 1.0), LARGEST)
        weight = np.minimum(ratio * ratio, self.settings.lend)
        none = count < self.settings.least
        middle, sd, between = (np.where(none, np.nan, each) for each in (middle, sd, between))
        return Prior(middle, sd, between, np.where(none, 0.0, weight), np.where(none, 0, count))


def _of_those(ids: Int64s, row: Int64s, which: Bools) -> tuple[Int64s, Int64s]:
    """Members of some of the groups, and the places of their groups among these."""
    keep = which[row]
    return ids[keep], (np.cumsum(which) - 1)[row[keep]]
