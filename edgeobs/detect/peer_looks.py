"""Looks at groups: where each is, who is unlike, and what that teaches of every member. Columns, in place."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeobs.detect import peer_order as order
from edgeobs.detect.peer_groups import PeerGroups, PeerSettings
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
from edgeobs.signals import Bools, Floats, Int64s

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
_MOST_SAMPLES = 60_000


@dataclass(slots=True)
class Memory:
    """What is known of all series and groups."""

    groups: PeerGroups
    settings: PeerSettings
    series: order.Columns
    group: order.Columns


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


def look(m: Memory, groups: Int64s) -> None:
    """Where these groups are, who is unlike, and what that teaches of each."""
    s, g = m.series, m.group
    ids, row = m.groups.members(groups)
    gap = (g["at_ns"][groups] - g["looked_ns"][groups]) * 1e-9
    paused = (g["looks"][groups] > 1) & (gap > _PAUSE * g["gap"][groups])
    age = s["age"][ids]
    live = (age <= np.where(paused[row], 0, m.settings.stale)) & (age != NEVER)
    s["age"][ids] = np.where(age < NEVER - 1, age + 1, age)
    ids, row, fresh = ids[live], row[live], age[live] == 0
    if (s["n"][ids] == 0).any():
        _welcome(m, groups, ids, row)
    known = s["n"][ids] > 0
    live_count = np.bincount(row[known], minlength=len(groups))
    ready = live_count >= m.settings.least
    away = _away(m, ids, groups[row]) - s["offset"][ids]
    common = np.where(ready, order.medians(row[known], away[known], len(groups)), 0.0)
    g["common"][groups], g["live"][groups], g["heard"][groups] = common, live_count, 0
    _learn(m, groups, ids[fresh], row[fresh], (away - common[row])[fresh], ready)
    usual = g["gap"][groups]
    taught = np.where(usual > 0, usual + 0.2 * (np.minimum(gap, 3 * usual) - usual), gap)
    g["gap"][groups] = np.where(g["looks"][groups] > 0, np.maximum(taught, 1e-3), 0.0)
    g["looked_ns"][groups] = g["at_ns"][groups]
    again = g["looks"][groups] % _LOOKS_AT_SCALE == 0
    if again.any():
        _learn_kind(m, groups[again], *_of_those(ids[known], row[known], again), ready[again])
    g["looks"][groups] += 1


def _learn(m: Memory, groups: Int64s, ids: Int64s, row: Int64s, r: Floats, ready: Bools) -> None:
    """Judge those that spoke since the last look, then learn them."""
    s, g, set_ = m.series, m.group, m.settings
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
    found = np.where(judged & ~divided[row], np.minimum(found, _worth(m, ids, of, n)), 0.0)
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
    _learn_self(m, ids, of, n, np.where(odd, np.sign(r) * width, cut) - r)
    a = np.maximum(1.0 / set_.memory, 4.0 / (n + 5.0)) * slow * ready[row]  # the first looks are the worst
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


def _worth(m: Memory, ids: Int64s, of: Int64s, n: Floats) -> Floats:
    """The most that may be said of each, decades.

    Of a member that has never moved, that it moves and where to was each never seen in n looks. Where a
    group neither explains what a member does nor is at its level, no more is known than that it never
    happened in the looks there were.
    """
    s, g = m.series, m.group
    mean, own = s["mean"][ids].astype(np.float64), s["sd"][ids].astype(np.float64)
    alike = np.abs(mean - g["level"][of]) <= ALIKE * np.maximum(own, g["scale"][of])
    explained = s["width"][ids] <= EXPLAINED
    seen = np.log10(1.0 + g["looks"][of] * g["live"][of])
    return np.minimum(
        np.where(alike | explained, MOST, seen), np.where(own == 0, 2.0 * np.log10(n + 1.0), MOST)
    )


def _learn_kind(m: Memory, groups: Int64s, ids: Int64s, row: Int64s, ready: Bools) -> None:
    """At what level and of what scale the members are."""
    s, g = m.series, m.group
    scale = order.medians(row, np.log(np.maximum(s["sd"][ids], 1e-37)), len(groups))
    g["scale"][groups] = np.where(ready, np.exp(scale), 0.0)
    level = order.exact_medians(row, s["mean"][ids].astype(np.float64), len(groups))
    g["level"][groups] = np.where(ready, level, 0.0)


def _learn_self(m: Memory, ids: Int64s, of: Int64s, n: Floats, less: Floats) -> None:
    """Mean and scale of each, of its latest value moved by ``less`` scales toward what the group says."""
    s = m.series
    mean, own = s["mean"][ids].astype(np.float64), s["sd"][ids].astype(np.float64)
    less = np.where(less == 0, 0.0, less * scale_of(own, mean, m.group["scale"][of]))
    d = s["last"][ids] + less - mean
    a = np.maximum(1.0 / m.settings.long, 1.0 / (n + 1.0))
    s["mean"][ids] = np.clip(mean + a * d, -LARGEST, LARGEST)
    s["sd"][ids] = np.minimum(np.sqrt((1 - a) * (own * own + a * d * d)), LARGEST)
    s["n"][ids] = np.minimum(n + 1, _MOST_SAMPLES)


def _away(m: Memory, ids: Int64s, of: Int64s) -> Floats:
    """How far each latest value is from its series' mean, in scales."""
    s = m.series
    mean = s["mean"][ids].astype(np.float64)
    away: Floats = (s["last"][ids] - mean) / scale_of(s["sd"][ids], mean, m.group["scale"][of])
    return np.where(s["n"][ids] > 0, np.clip(away, -FARTHEST, FARTHEST), 0.0)


def _welcome(m: Memory, groups: Int64s, ids: Int64s, row: Int64s) -> None:
    """Members at their first look begin at their value, or near where others that are alike are."""
    s = m.series
    new = np.flatnonzero(s["n"][ids] == 0)
    some, place = np.unique(row[new], return_inverse=True)
    lent = prior(m, groups[some])
    at, known = ids[new], lent.members[place] > 0
    weight = lent.weight[place]
    x = s["last"][at].astype(np.float64)
    pulled = x + weight / (weight + 1.0) * (np.where(known, lent.mean[place], x) - x)
    sd = np.where(known, lent.sd[place], 0.0)
    s["mean"][at] = np.clip(pulled - sd * m.group["common"][groups[row[new]]], -LARGEST, LARGEST)
    s["sd"][at] = sd
    s["n"][at] = np.floor(weight)


def prior(m: Memory, groups: Int64s) -> Prior:
    """What each of these groups knows, from members that spoke lately and are known for long enough."""
    s = m.series
    ids, row = m.groups.members(groups)
    age = s["age"][ids]
    keep = (age <= m.settings.stale) & (s["n"][ids] >= m.settings.warm)
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
    weight = np.minimum(ratio * ratio, m.settings.lend)
    none = count < m.settings.least
    middle, sd, between = (np.where(none, np.nan, each) for each in (middle, sd, between))
    return Prior(middle, sd, between, np.where(none, 0.0, weight), np.where(none, 0, count))


def _of_those(ids: Int64s, row: Int64s, which: Bools) -> tuple[Int64s, Int64s]:
    """Members of some of the groups, and the places of their groups among these."""
    keep = which[row]
    return ids[keep], (np.cumsum(which) - 1)[row[keep]]
