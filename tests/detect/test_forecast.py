"""What the bank expects of times to come: how often it comes so, and that asking teaches nothing."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.detect import Settings, law
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.sample import N
from edgeobs.signals import SECOND, Floats, Int64s

KPI = Path(__file__).parents[3] / "shared/data/kpi"
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
START = 1_700_006_400 * SECOND  # a midnight of UTC
ANY = st.floats(width=32, allow_nan=True, allow_infinity=True)


def fed(value: Floats, every_ns: int = SECOND, start_ns: int = START, **told: str) -> SeriesBank:
    bank = SeriesBank(Settings(**told))  # type: ignore[arg-type]  # names are checked by Settings
    feed(bank, value.reshape(-1, 1), start_ns + every_ns * np.arange(len(value), dtype=np.int64))
    return bank


def feed(bank: SeriesBank, rows: Floats, time_ns: Int64s) -> None:
    """A row a moment, a column a series."""
    moments, width = rows.shape
    ids = np.tile(np.arange(width, dtype=np.int32), moments)
    bank.score_learn(ids, np.repeat(time_ns, width), rows.ravel())


def coverage(rows: Floats, every_ns: int, start_ns: int = START) -> dict[int, float]:
    """Steps ahead → share of values within two spreads of what was expected, asked in the later half."""
    time = start_ns + every_ns * np.arange(len(rows), dtype=np.int64)
    bank, done = SeriesBank(Settings()), 0
    ids = np.arange(rows.shape[1], dtype=np.int32)
    within: dict[int, list[Floats]] = {1: [], 10: [], 100: []}
    for last in np.linspace(len(rows) // 2, len(rows) - 101, 60).astype(int).tolist():
        feed(bank, rows[done : last + 1], time[done : last + 1])
        done = last + 1
        for ahead, found in within.items():
            there = rows[last + ahead]
            expected, spread = bank.forecast(ids, np.full(len(ids), time[last + ahead]))
            found.append((np.abs(there - expected) <= 2 * spread)[np.isfinite(there)])
    return {ahead: float(np.concatenate(found).mean()) for ahead, found in within.items()}


def autoregressive(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    noise = rng.normal(0, 1, shape)
    for at in range(1, len(noise)):
        noise[at] += 0.9 * noise[at - 1]
    return noise


def wave(days: int, rng: np.random.Generator, width: int = 1) -> Floats:
    """A day that rises and falls between 0 and 100, a sample every ten minutes."""
    at = np.arange(days * 144) / 144
    usual = 50 - 50 * np.cos(2 * np.pi * at)
    return np.asarray(usual[:, None] + rng.normal(0, 1, (len(at), width)), np.float64)


def test_two_spreads_hold_what_comes() -> None:
    rng = np.random.default_rng(7)
    found = {
        "white": coverage(rng.normal(10, 3, (1200, 40)), SECOND),
        "autoregressive": coverage(autoregressive((1200, 40), rng), SECOND),
        "walk": coverage(np.cumsum(rng.normal(0, 1, (1200, 40)), axis=0), SECOND),
        "wave": coverage(wave(14, rng, 40), 600 * SECOND),
    }
    for name, shares in found.items():
        for ahead, share in shares.items():
            assert 0.85 <= share <= 0.999, (name, ahead, share)


def test_two_spreads_hold_what_comes_of_real_series() -> None:
    pl = pytest.importorskip("polars")
    files = sorted(KPI.glob("*.parquet"))[:8]
    if not files:
        pytest.skip("no ../shared/data/kpi beside the checkout")
    frames = [pl.read_parquet(file).head(12_000) for file in files]
    rows = np.stack([f["value"].cast(float).fill_null(float("nan")).to_numpy() for f in frames], axis=1)
    for ahead, share in coverage(rows, MINUTE, int(frames[0]["timestamp"][0]) * SECOND).items():
        assert 0.85 <= share <= 0.999, (ahead, share)


def test_the_wave_is_known_hours_ahead() -> None:
    bank = fed(wave(10, np.random.default_rng(1))[:, 0], 600 * SECOND)
    hours = np.arange(1, 25)
    last = START + 10 * DAY - 600 * SECOND
    expected, spread = bank.forecast(np.zeros(24, np.int32), last + hours * HOUR)
    usual = 50 - 50 * np.cos(2 * np.pi * (hours - 1 / 6) / 24)
    assert np.abs(expected - usual).max() < 4.0
    assert spread.max() < 4.0  # of the whole past it is 35


def test_a_day_that_runs_higher_does_so_for_a_while() -> None:
    value = wave(10, np.random.default_rng(1))[:, 0]
    plain, higher = (
        fed(value, 600 * SECOND),
        fed(value + np.r_[np.zeros(1434), np.full(6, 3.0)], 600 * SECOND),
    )
    ask = START + 10 * DAY + np.array([0, 6, 24, 2400]) * HOUR
    more = higher.forecast(np.zeros(4, np.int32), ask).expected
    more = more - plain.forecast(np.zeros(4, np.int32), ask).expected
    assert 1.5 < more[0] < 3.5
    assert (np.diff(more) < 0).all()
    assert abs(more[-1]) < 0.1


def test_farther_ahead_is_less_sure() -> None:
    rng = np.random.default_rng(3)
    bank = fed(np.r_[rng.normal(0, 20, 3000), rng.normal(0, 1, 1000)])
    last = START + 3999 * SECOND
    ahead = np.array([0, 1, 10, 100, 1000, 100_000], np.int64)
    expected, spread = bank.forecast(np.zeros(6, np.int32), last + ahead * SECOND)
    assert (np.diff(spread) > 0).all()
    assert spread[0] < 5.0
    assert 10.0 < spread[-1] < 25.0
    assert np.ptp(expected) == 0.0
    before = bank.forecast(np.zeros(1, np.int32), np.array([START]))
    assert before.spread[0] == spread[0]


def test_the_next_step_of_the_short_level_is_what_scoring_expects() -> None:
    bank = fed(np.random.default_rng(5).normal(10, 3, 500))
    now = np.array([START + 500 * SECOND])
    scores = bank.score(np.zeros(1, np.int32), now, np.array([10.0]))
    found = bank.forecast(np.zeros(1, np.int32), now)
    assert found.expected[0] == scores.expected[0]
    assert found.spread[0] == pytest.approx(scores.spread[0], rel=0.01)


def test_local_midnight_is_where_the_series_lives() -> None:
    times = START + HOUR * np.arange(10 * 24, dtype=np.int64)
    summer_ns = int(datetime(2024, 7, 1, tzinfo=UTC).timestamp()) * SECOND
    value = np.where(((times - START) // HOUR + 1) % 24 == 8, 100.0, 1.0)  # 8 o'clock in Berlin's winter
    value = value + np.random.default_rng(2).normal(0, 0.1, len(value))
    bank = fed(value, HOUR, timezone="Europe/Berlin")
    half_past = summer_ns + np.array([5, 6, 7]) * HOUR + HOUR // 2  # summer: an hour earlier by UTC
    expected = bank.forecast(np.zeros(3, np.int32), half_past).expected
    assert expected[1] > 50
    assert max(expected[0], expected[2]) < 50


def test_young_and_unknown_series_have_no_forecast() -> None:
    bank = fed(np.random.default_rng(1).normal(0, 1, int(law.WARM) - 1))
    ids = np.array([0, 7, -1, 10**6], np.int32)
    asked = np.full(4, START + DAY)
    assert all(np.isnan(column).all() for column in bank.forecast(ids, asked))
    feed(bank, np.ones((1, 1)), np.array([START + MINUTE]))
    assert [np.isfinite(column).tolist() for column in bank.forecast(ids, asked)] == [
        [True] + [False] * 3
    ] * 2
    assert [len(column) for column in bank.forecast(ids[:0], asked[:0])] == [0, 0]


@settings(max_examples=60)
@given(
    value=st.lists(ANY | st.sampled_from([0.0, 1.0]), min_size=40, max_size=120),
    every_s=st.sampled_from([0, 1, 3600]),
    ahead_s=st.lists(st.integers(-(10**9), 7 * 10**9), min_size=1, max_size=5),
)
def test_whatever_was_sent_it_is_finite_and_asking_teaches_nothing(
    value: list[float], every_s: int, ahead_s: list[int]
) -> None:
    sent = np.array(value, np.float64)
    bank = fed(sent, every_s * SECOND)
    before = bank.memory.rows.tobytes()
    last = START + every_s * (len(sent) - 1) * SECOND
    asked = last + np.array(ahead_s, np.int64) * SECOND
    expected, spread = bank.forecast(np.zeros(len(asked), np.int32), asked)
    assert bank.memory.rows.tobytes() == before
    if len(bank.memory) and bank.memory.reals[0, N] >= law.WARM:
        assert np.isfinite(expected).all()
        assert np.isfinite(spread).all()
        assert (spread > 0).all()
        assert np.abs(expected).max() < 1e39
