"""What is normal jointly: the series of a node given one another and their recent pasts.

The mathematics is in docs/detection.md; in short, for the series on seat j of D,

- U = (x − mean)/sd of its own level, cut at ±50; features are U and two exponential means of its past;
- the inverse P of their shrunk covariance gives the residual given all others, E = (P(features − μ))ⱼ/√Pⱼⱼ;
- surprise s = f(|E|)·n/(n + 3D) + f(|change of U|/its usual)/5 with f(x) = x + √x, smoothed with several
  memories; a node's is the mean over its series, on the scale of its own past.

Functions of scalars and of a tick, which compiled code calls too (`joint_kernel`); `algebra` has the rest.
"""

from math import log, log10, sqrt

import numpy as np

from edgeobs.detect import algebra, ticks
from edgeobs.detect.seats import COMMON, Found, Node, Scratch
from edgeobs.detect.ticks import (
    BASE,
    CLOSED_NS,
    EXCESS,
    FAST,
    INVERTED,
    LAST,
    LEFT,
    LIVE,
    MEAN,
    NOW,
    OPEN_NS,
    PEAK,
    PRECISION,
    R0,
    R1,
    R2,
    RUNS,
    SEEN,
    SERIES,
    SIZE,
    SLOW,
    STEP,
    THRESHOLD,
    TICKS,
    TURN,
    TURNS,
    VALUE,
    VARIANCE,
    WEIGHT,
    N,
)  # fmt: skip
from edgeobs.signals import Floats, Int64s

SHORT_S, LONG_S = 12 * 3600.0, 60 * 86_400.0  # what is older is forgotten, however few samples it is
LEVEL, CUT, FLOOR = 5000.0, 50.0, 1e-3  # samples of memory; standard deviations; relative
YOUNG, GROWN = 5, 10  # samples before the value is standardised; before it may surprise by itself
STEP_FLOOR, STEP_CUT = 0.1, 3.0  # standard deviations of the value; of the change
STEP_SHARE, STEP_MOST = 0.2, 100.0
RATE_FAST, RATE_SLOW = 0.5, 0.1  # of the two recent pasts
SMOOTH_0, SMOOTH_1, SMOOTH_2 = 0.3, 0.1, 0.02  # rates; the sample itself counts half, the last twice
MEMORY, RIDGE, SHRINK = 5e4, 0.1, 0.3  # ticks of the covariance; added to its diagonal, always; while young
LEARN = 0.3  # residual (root mean square) up to which a tick teaches fully
DOUBT = 3.0  # ticks a series of doubt in the residuals while young
WARM, FIRST = 15, 32  # ticks before the first score; before the first inverse is begun
USUAL, FEW = 1.1, 0.7  # what a node's surprise is 1 % of the time: USUAL + FEW/√D
LOW = 0.2  # which quantile of a node's surprise is its base
BASE_STEP, BASE_PRIOR, BASE_MEMORY = 3.0, 60.0, 5000.0  # how fast that is learned, by ticks seen
SHARE, PRIOR = 0.02, 20.0  # runs a tick that reach into its tail; trust in the prior excess, runs
SPEED, STRIDE = 1e4, 0.2  # trust in the prior threshold, ticks; how fast that moves, relative
DECADE = log(10.0)
BEGIN = -log10(SHARE)  # decades at the threshold
MOST_PEAK = 2 * DECADE  # mean excesses: no run teaches the tail more than two decades beyond
MOST = 20.0
LEAST = 1e-150
MOST_SAMPLES = 1e6


def run(
    node: Node, scratch: Scratch, seat: Int64s, time_ns: Int64s, value: Floats, start: int, end: int,
    found: Found, at: int, row: int,
) -> tuple[int, int]:  # fmt: skip
    """Samples ``start`` to ``end`` of one node in order of time; how far ``found`` is filled then."""
    for i in range(start, end):
        if ticks.ends(node.stamps, node.clock, seat[i], time_ns[i]):
            row = close(node, scratch, found, at, row)
            at += 1
        if ticks.admit(node.reals, node.stamps, node.clock, node.own, seat[i], time_ns[i], value[i]):
            row = close(node, scratch, found, at, row)
            at += 1
    return at, row


def close(node: Node, scratch: Scratch, found: Found, at: int, row: int) -> int:
    """Score the open tick by what was known before it, then learn it; where the next row goes."""
    clock, live, gone = node.clock, node.clock[LIVE], 0.0
    if clock[CLOSED_NS] > 0:
        gone = max(clock[OPEN_NS] - clock[CLOSED_NS], 0) * 1e-9
    short, long = gone / (gone + SHORT_S), gone / (gone + LONG_S)
    count = features(node, scratch, short, long)
    which = clock[INVERTED] % 2
    algebra.solve(node.inverses[which], node.scales[which], scratch.u, scratch.solved, live)
    weight = surprise(node, scratch, count, short)
    total = 0.0
    for j in range(live):
        if ticks.fresh(node.stamps, clock, j):
            total += smooth(node.reals, j)
    raw = beside_base(node.own, total / count, clock[TICKS]) / (USUAL + FEW / sqrt(count))
    score = calibrate(node.own, raw) if clock[TICKS] >= WARM else 0.0
    after = tell(node, scratch, found, score / total if total > 0 else 0.0, row)
    found.when[at, 0], found.when[at, 1] = clock[OPEN_NS], after - row
    found.score[at, 0], found.score[at, 1] = score, raw
    node.own[WEIGHT] += 1.0
    rate = max(1.0 / MEMORY, 1.0 / node.own[WEIGHT], long) * weight
    algebra.learn(node.triangle, node.center, scratch.u, 3 * live, rate)
    invert(node, scratch)
    ticks.done(node.stamps, clock)
    return after


def features(node: Node, scratch: Scratch, short: float, long: float) -> int:
    """Of every seat, learning the values that are new; how many seats still hold."""
    s, u, count = node.reals, scratch.u, 0
    for j in range(node.clock[LIVE]):
        u[3 * j] = u[3 * j + 1] = u[3 * j + 2] = 0.0
        if not ticks.fresh(node.stamps, node.clock, j):
            continue
        fast, slow, center = s[j, FAST], s[j, SLOW], node.center
        if ticks.spoke(node.stamps, j):
            standardise(s, j, scratch.known, short, long)
        u[3 * j] = s[j, LAST] - center[3 * j]
        u[3 * j + 1] = fast - center[3 * j + 1]
        u[3 * j + 2] = slow - center[3 * j + 2]
        count += 1
    return count


def standardise(s: Floats, j: int, known: Floats, short: float, long: float) -> None:
    """Learn the value of a seat; ``known``: mean and spread before, and the surprise of its change."""
    n, x, mean = s[j, N], s[j, VALUE], s[j, MEAN]
    away, floor = x - mean, FLOOR * s[j, SIZE]
    spread = sqrt(s[j, VARIANCE] + floor * floor)
    value = 0.0
    if n > YOUNG:
        if spread > 0:
            value = min(max(away / spread, -CUT), CUT)
        elif away != 0:
            value = CUT if away > 0 else -CUT
    change, usual = abs(value - s[j, FAST]), sqrt(s[j, STEP] + STEP_FLOOR * STEP_FLOOR)
    alone = 0.0
    if n >= GROWN:
        alone = STEP_SHARE * rise(min(change / usual, STEP_MOST))
    known[j, 0], known[j, 1], known[j, 2] = mean, spread, alone
    every = max(1.0 / (n + 1.0), 1.0 / LEVEL, long)
    s[j, MEAN] = mean + every * away
    s[j, VARIANCE] += every * (away * (x - s[j, MEAN]) - s[j, VARIANCE])
    s[j, SIZE] += every * (abs(x) - s[j, SIZE])
    cut = min(change, STEP_CUT * usual) if n >= YOUNG else change
    s[j, STEP] += every * (cut * cut - s[j, STEP])
    s[j, FAST] += max(RATE_FAST, short) * (value - s[j, FAST])
    s[j, SLOW] += max(RATE_SLOW, short) * (value - s[j, SLOW])
    s[j, LAST], s[j, N] = value, min(n + 1.0, MOST_SAMPLES)


def rise(x: float) -> float:
    """Few large surprises and many small ones both count."""
    return x + sqrt(x)


def surprise(node: Node, scratch: Scratch, count: int, short: float) -> float:
    """Of every series that spoke, smoothed too; how much of this tick may be learned."""
    s, squares, here = node.reals, 0.0, 0
    for j in range(node.clock[LIVE]):
        if not ticks.spoke(node.stamps, j):
            continue
        residual = 0.0
        if node.clock[INVERTED] > 0:
            if s[j, PRECISION] > 0:
                residual = abs(float(scratch.solved[j])) / sqrt(s[j, PRECISION])
            else:
                residual = abs(float(scratch.u[3 * j])) / sqrt(ridge(node))
        squares += residual * residual
        here += 1
        now = rise(residual) * (s[j, N] / (s[j, N] + DOUBT * count)) + scratch.known[j, 2]
        s[j, NOW] = now
        s[j, R0] += max(SMOOTH_0, short) * (now - s[j, R0])
        s[j, R1] += max(SMOOTH_1, short) * (now - s[j, R1])
        s[j, R2] += max(SMOOTH_2, short) * (now - s[j, R2])
    if node.clock[INVERTED] == 0:
        return 1.0
    return float(min(1.0, LEARN / sqrt(squares / here + 1e-9)))


def smooth(s: Floats, j: int) -> float:
    """The surprise of a seat over several memories."""
    return float((0.5 * s[j, NOW] + s[j, R0] + s[j, R1] + 2.0 * s[j, R2]) / 4.5)


def ridge(node: Node) -> float:
    """What is added to the variances: more while there are fewer ticks than features."""
    return float(RIDGE + SHRINK * 3 * node.clock[LIVE] / (node.clock[TICKS] + 1.0))


def tell(node: Node, scratch: Scratch, found: Found, part: float, row: int) -> int:
    """A row for every series that spoke; where the next goes."""
    s, known = node.reals, scratch.known
    for j in range(node.clock[LIVE]):
        if not ticks.spoke(node.stamps, j):
            continue
        found.row[row, 0] = node.stamps[j, SERIES]
        found.row[row, 1] = smooth(s, j) * part
        found.row[row, 2] = found.row[row, 3] = np.nan
        if s[j, N] - 1.0 > YOUNG:
            given, precision = 0.0, 1.0
            if s[j, PRECISION] > 0:
                precision = s[j, PRECISION]
                given = s[j, LAST] - float(scratch.solved[j]) / precision
            found.row[row, 2] = known[j, 0] + known[j, 1] * given
            found.row[row, 3] = max(known[j, 1] / sqrt(precision), LEAST)
        row += 1
    return row


def invert(node: Node, scratch: Scratch) -> None:
    """Make an inverse, all at once, or take up the one that has waited for as many ticks as features.

    So that what is abnormal now does not yet know itself as normal; and nodes take turns.
    """
    clock, wide, other = node.clock, 3 * node.clock[LIVE], 1 - node.clock[INVERTED] % 2
    inverse, scales = node.inverses[other], node.scales[other]
    if clock[LEFT] > 0:
        clock[LEFT] -= 1
        if clock[LEFT] == 0:
            for j in range(clock[LIVE]):
                node.reals[j, PRECISION] = float(inverse[3 * j, j]) * float(scales[j])
            clock[INVERTED] += 1
    elif clock[TICKS] + 1 >= FIRST:
        free, too, square = scratch.u, scratch.solved, scratch.square  # nobody needs them in this tick now
        if algebra.invert(node.triangle, len(node.center), wide, ridge(node), square, free, too):
            algebra.keep(square, inverse, scales, wide)
            clock[LEFT] = wide - (wide * clock[TURN] // TURNS if clock[INVERTED] == 1 else 0)


def beside_base(own: Floats, mean: float, seen: int) -> float:
    """A node's surprise less what is more than common in its lowest fifth, which is learned.

    Series that nothing predicts always surprise a little; that is no news. A low quantile, so that what is
    abnormal for long does not become the base of what is to come.
    """
    step = BASE_STEP / (min(seen, BASE_MEMORY) + BASE_PRIOR)
    base = own[BASE]
    own[BASE] = max(base + step * base * (LOW if mean > base else LOW - 1.0), COMMON)
    return float(max(mean - (base - COMMON), 0.0))


def calibrate(own: Floats, raw: float) -> float:
    """Decades of a node's surprise by the tail of its own past, which then learns it; a run counts once.

    Beyond the threshold it falls off as a power, whose index is Hill's (1975): the mean of the logarithms.
    """
    threshold, excess, over = own[THRESHOLD], own[EXCESS], 0.0
    score = BEGIN * raw / threshold
    if raw > threshold:
        over = log(raw / threshold)
        score = BEGIN + over / excess / DECADE
    own[SEEN] += 1.0
    step = STRIDE * threshold / (own[SEEN] + SPEED)
    if over > 0:
        if own[PEAK] < 0:
            own[THRESHOLD] += step * (1.0 / SHARE - 1.0)
        own[PEAK] = max(own[PEAK], over)
    else:
        own[THRESHOLD] = max(threshold - step, 1e-3)
        if own[PEAK] >= 0:
            own[RUNS] += 1.0
            own[EXCESS] += (min(own[PEAK], MOST_PEAK * excess) - excess) / (own[RUNS] + PRIOR)
            own[PEAK] = -1.0
    return float(min(max(score, 0.0), MOST))
