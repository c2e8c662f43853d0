"""What series will be: expected values and spreads at times to come, from what the bank remembers of them."""

from typing import NamedTuple

import numpy as np

from edgeobs.detect import law, season
from edgeobs.detect.daytime import Phase
from edgeobs.detect.memory import BUCKET, NO_BUCKET, SUM, Memory
from edgeobs.detect.sample import (
    INTERVAL,
    RESOLUTION,
    SEASON_N,
    SEASON_SD,
    SHORT_MEAN,
    SHORT_SD,
    SIZE,
    WHOLE,
    WHOLE_SD,
    N,
)
from edgeobs.signals import Bools, Floats, Int32s, Int64s


class Forecast(NamedTuple):
    """One standard deviation ``spread`` > 0 around ``expected``, float64[n]; NaN: too young, or not known."""

    expected: Floats
    spread: Floats


def forecast(memory: Memory, ids: Int32s, time_ns: Int64s, phase: Phase) -> Forecast:
    """Expected value and spread of series ``ids[i]`` at ``time_ns[i]``; nothing is learned.

    Of two answers the narrower counts, step by step ahead:

    - the short level; its spread grows from the recent one towards the whole past's distance from it,
    - the usual value at that time of day, once known, and how far the hour that goes on is from its own usual
      value; that fades, and what has faded of it widens the spread.

    What is left of the present after h usual intervals is exp(−h/`law.SHORT`), h counted from the last sample
    of the series; a time before that is answered as of it.

    Parameters
    ----------
    memory
        Of a bank; read only.
    ids, time_ns
        int32[n], int64[n] Unix nanoseconds. A series may occur several times.
    phase
        Of series at times, as `daytime.phase` has it.

    Returns
    -------
    Forecast
        float64[n] each; NaN for series of fewer than `law.WARM` samples, and for those not known.

    """
    expected, spread = np.full(len(ids), np.nan), np.full(len(ids), np.nan)
    known = np.flatnonzero((ids >= 0) & (ids < len(memory)))
    at = known[memory.reals[ids[known], N] >= law.WARM]
    if len(at):
        rows = Memory(memory.rows[ids[at]])
        phases = phase(ids[at], time_ns[at]), phase(ids[at], rows.at_ns)
        expected[at], spread[at] = _warm(rows, time_ns[at], phases)
    return Forecast(expected, spread)


def _warm(rows: Memory, time_ns: Int64s, phases: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    r = rows.reals.astype(np.float64)
    least = law.floor(r[:, SIZE], r[:, RESOLUTION])
    stays = _stays(time_ns - rows.at_ns, r[:, INTERVAL])
    expected, spread = _level(r, least, stays)
    usual, daily, known = _time_of_day(rows, r, least, stays, *phases)
    better = known & (daily < spread)
    spread = np.where(better, daily, spread)
    return np.where(better, usual, expected), np.maximum(spread, law.NARROWEST)


def _stays(ahead_ns: Int64s, interval: Floats) -> Floats:
    """Share of the present that is left after that time, in [0, 1]."""
    ahead = np.maximum(ahead_ns, 0) * 1e-9
    steps = np.where(ahead > 0.0, ahead / np.maximum(interval, 1e-9), 0.0)
    stays: Floats = np.exp(-steps / law.SHORT)
    return stays


def _level(r: Floats, least: Floats, stays: Floats) -> tuple[Floats, Floats]:
    mean, whole_sd = r[:, SHORT_MEAN], r[:, WHOLE_SD]
    recent = law.spread(r[:, SHORT_SD], law.SHORT_SHARE, whole_sd, least)
    far = law.spread(whole_sd, 1.0, mean - r[:, WHOLE], least)
    return mean, np.sqrt(stays * recent**2 + (1.0 - stays) * np.maximum(far, recent) ** 2)


def _time_of_day(
    rows: Memory, r: Floats, least: Floats, stays: Floats, phase: Floats, phase_now: Floats
) -> tuple[Floats, Floats, Bools]:
    """Usual value with what is left of the present deviation, its spread, and whether they are known."""
    usual, _, known = season.usual(rows, phase)
    known &= r[:, SEASON_N] >= law.WARM
    daily = law.spread(r[:, SEASON_SD], 0.0, r[:, WHOLE_SD], least)
    away = np.clip(_present(rows, phase_now), -law.SEASON_CLIP * daily, law.SEASON_CLIP * daily)
    return usual + stays * away, law.spread(daily, 1.0, (1.0 - stays) * away, 0.0), known


def _present(rows: Memory, phase: Floats) -> Floats:
    """How far the hour that goes on is from its usual value, as if it had one sample more, a usual one.

    ``phase`` is that of the last sample: what was seen of the hour lies around the middle between its
    beginning and that.
    """
    bucket = rows.days[:, BUCKET]
    seen = (bucket != NO_BUCKET) & (bucket == phase.astype(np.int64))
    middle = np.where(seen, 0.5 * (bucket + phase), phase)
    usual, _, known = season.usual(rows, middle)
    mean, count = rows.day[:, SUM].astype(np.float64), rows.count.astype(np.float64)
    return np.where(known & seen, (mean - usual) * count / (count + 1.0), 0.0)
