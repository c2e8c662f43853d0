"""What knowing days of rest finds: synthetic weeks with faults, and the same series without weeks.

Shares of faults found at .02 and .1 false alarms a series-day, beside the same detector that knows no weeks.
"""

import numpy as np

from benchmarks.accuracy.alarms import operating_points
from benchmarks.accuracy.data import Series
from benchmarks.measure import Measure
from edgeobs.detect import Settings
from edgeobs.detect.bank import SeriesBank
from edgeobs.signals import SECOND, Bools, Floats, Int64s

START = 1_700_006_400 * SECOND  # a midnight of UTC
EVERY = 300 * SECOND
DAY = 86_400 * SECOND
A_DAY = DAY // EVERY
DAYS, SERIES = 70, 60
RATES = (0.02, 0.1)


def run(quick: bool) -> list[Measure]:
    """Both fleets; of several of each, the mean."""
    seeds = range(1, 2 if quick else 4)
    found = []
    for name, weekly in (("weeks", True), ("days", False)):
        fleets = [_fleet(seed, weekly) for seed in seeds]
        knows, plain = (np.mean([_recalls(f, told) for f in fleets], axis=0) for told in (True, False))
        found += [
            Measure(f"{name}_recall_at_{rate}", one, "", f"no days of rest {other:.3f}", one / other)
            for rate, one, other in zip(RATES, knows.tolist(), plain.tolist(), strict=True)
        ]
    return found


def _recalls(fleet: list[Series], knows: bool) -> list[float]:
    bank = SeriesBank(Settings() if knows else Settings(rest_days=()))
    ids = np.zeros(DAYS * A_DAY, np.int32)
    scores = []
    for one in fleet:
        scores.append(bank.score_learn(ids, one.time_ns, one.value).score)
        bank.forget(ids[:1])
    return [point.recall for point in operating_points(fleet, scores, RATES)]


def _fleet(seed: int, weekly: bool) -> list[Series]:
    rng = np.random.default_rng(seed)
    time = START + EVERY * np.arange(DAYS * A_DAY, dtype=np.int64)
    noise = _noise(rng, len(time))
    fleet = []
    for number in range(SERIES):
        mine = time + rng.integers(0, 7) * DAY  # weeks begin on any day
        resting = (mine // DAY + 3) % 7 >= 5
        value = _usual(rng, mine, resting & weekly) + noise[:, number]
        value *= np.repeat(rng.normal(1.0, 0.03, DAYS), A_DAY)  # no day is quite like the last
        label = _faults(rng, value, resting & weekly)
        fleet.append(Series(f"{'weeks' if weekly else 'days'}/{number}", mine, value, label))
    return fleet


def _usual(rng: np.random.Generator, time: Int64s, resting: Bools) -> Floats:
    """A working day with two waves around 100; a day of rest is lower, flatter and later."""
    hour = time % DAY / (3600 * SECOND)
    peak, size, second = rng.uniform(9, 20), rng.uniform(20, 60), rng.uniform(-3, 3)
    lower, flatter, later = rng.uniform(-60, 10), rng.uniform(0.2, 0.9), rng.uniform(-1, 4)

    def waves(at: float) -> Floats:
        turn = 2 * np.pi * (hour - at) / 24
        return np.asarray(size * (np.cos(turn) + 0.3 * np.cos(2 * turn - second)), np.float64)

    rest = np.maximum(100 + lower + flatter * waves(peak + later), 5.0)
    return np.where(resting, rest, 100 + waves(peak))


def _noise(rng: np.random.Generator, n: int) -> Floats:
    """Of each series, autoregressive."""
    spread, keeps = rng.uniform(1.5, 5, SERIES), rng.choice([0.0, 0.7, 0.9], SERIES)
    noise = rng.normal(0, spread * np.sqrt(1 - keeps**2), (n, SERIES))
    for at in range(1, n):
        noise[at] += keeps * noise[at - 1]
    return noise


def _faults(rng: np.random.Generator, value: Floats, resting: Bools) -> Bools:
    """A few in the later half, every other one on a day of rest; ``value`` is changed."""
    label, places = np.zeros(len(value), np.bool_), np.arange(len(value) // 2, len(value) - 40)
    rests = places[resting[places]]
    for number in range(rng.integers(2, 6)):
        at = rng.choice(rests if number % 2 == 0 and len(rests) else places)
        lasts = slice(at, at + rng.integers(6, 24))
        value[lasts] += rng.choice([-1, 1]) * rng.uniform(15, 50)
        label[lasts] = True
    return label
