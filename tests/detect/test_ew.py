"""What the bank makes of series as they are: constant, sparse, shifted, spoilt."""

import numpy as np
import pytest

from edgeobs.detect import Settings
from edgeobs.detect.ew import EwBank
from edgeobs.signals import SECOND, Floats, Scores


class One:
    """A bank with one series, a sample a second."""

    def __init__(self) -> None:
        self.bank, self.now = EwBank(Settings()), 0

    def feed(self, values: Floats) -> Scores:
        parts = []
        for value in values.tolist():
            self.now += SECOND
            parts.append(
                self.bank.score_learn(np.zeros(1, np.int32), np.array([self.now]), np.array([value]))
            )
        return Scores(
            *(np.concatenate([getattr(p, f) for p in parts]) for f in ("score", "expected", "spread"))
        )


@pytest.fixture
def one() -> One:
    return One()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_a_constant_is_calm_and_a_change_of_it_is_as_rare_as_it_was_long(one: One) -> None:
    assert one.feed(np.zeros(500)).score.max() == 0
    changed = one.feed(np.full(20, 5.0)).score
    assert (changed >= 2 * np.log10(500)).all()
    assert (changed <= 6).all()


def test_a_near_constant_neither_explodes_nor_goes_blind(one: One, rng: np.random.Generator) -> None:
    calm = one.feed(50.0 + 0.001 * rng.integers(-1, 2, 600).astype(np.float64)).score
    assert calm.max() < 2
    assert one.feed(np.array([50.01])).score[0] < 2  # a fifth of a thousandth of its size
    assert one.feed(np.array([60.0])).score[0] > 12


def test_steps_of_the_smallest_size_are_no_news(one: One) -> None:
    rare = np.zeros(900)
    rare[100::100] = 1.0
    scores = one.feed(rare).score
    assert scores[100] > 3  # it had never moved
    assert scores[101:].max() < 1
    assert one.feed(np.array([40.0])).score[0] > 6


def test_a_lasting_shift_is_abnormal_for_minutes_and_then_normal(one: One, rng: np.random.Generator) -> None:
    one.feed(rng.normal(10, 1, 600))
    shifted = one.feed(rng.normal(200, 1, 700))
    assert (shifted.score[:240] >= 6).all()
    assert shifted.score[400:].max() < 3
    assert shifted.expected[-1] == pytest.approx(200, abs=1)
    assert one.feed(np.array([10.0])).score[0] > 6


def test_a_constant_that_moves_for_good_is_learned_anew(one: One) -> None:
    one.feed(np.zeros(400))
    assert one.feed(np.full(400, 3.0)).score[340:].max() == 0


def test_an_outlier_teaches_next_to_nothing(one: One, rng: np.random.Generator) -> None:
    before = one.feed(rng.normal(10, 1, 300)).spread[-1]
    assert one.feed(np.array([1e12])).score[0] == 20
    after = one.feed(rng.normal(10, 1, 10))
    assert after.spread[-1] < 1.1 * before
    assert after.score.max() < 3


def test_a_spike_while_young_does_not_blind(one: One, rng: np.random.Generator) -> None:
    values = rng.normal(10, 1, 60)
    values[5] = 1e6
    one.feed(values)
    assert one.feed(np.array([60.0])).score[0] > 4


def test_heavy_tails_are_learned(one: One, rng: np.random.Generator) -> None:
    values = np.asarray(rng.standard_t(2, 20_000), np.float64)
    scores = one.feed(values).score
    assert (scores[10_000:] >= 6).mean() < (scores[:2000] >= 6).mean() + 1e-3
    assert (scores[10_000:] >= 6).mean() < 2e-3


def test_healthy_noise_rarely_scores_high(rng: np.random.Generator) -> None:
    """An hour of 300 series: gaussian, log-normal as disk I/O, and per cent near a bound as CPU."""
    bank, ids = EwBank(Settings()), np.arange(300, dtype=np.int32)
    high, run, longest = 0, np.zeros(300), 0.0
    for t in range(3600):
        value = np.concatenate(
            [rng.normal(50, 5, 100), np.exp(rng.normal(0, 0.5, 100)), np.clip(rng.normal(3, 4, 100), 0, 100)]
        )
        score = bank.score_learn(ids, np.full(300, (t + 1) * SECOND), value).score
        high += int((score >= 6).sum())
        run = np.where(score >= 6, run + 1, 0)
        longest = max(longest, float(run.max()))
    assert high <= 60  # of a million
    assert longest <= 2


def test_the_expected_range_is_where_values_fall(one: One, rng: np.random.Generator) -> None:
    scores = one.feed(rng.normal(10, 1, 500))
    assert scores.expected[-1] == pytest.approx(10, abs=0.5)
    assert scores.spread[-1] == pytest.approx(1, rel=0.3)
