"""What the default bank makes of series as they are, and that its two forms are one."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs import jit
from edgeobs.detect import Settings, law, sample
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.memory import ROW, UNSEEN
from edgeobs.signals import SECOND, VIEWS, Floats, Scores

MINUTE, DAY = 60 * SECOND, 86_400 * SECOND
START = 1_700_006_400 * SECOND  # a midnight of UTC
needs_numba = pytest.mark.skipif(
    not jit.available(), reason="Numba is not installed: pip install edgeobs[accel]"
)


class One:
    """A bank with one series."""

    def __init__(self, every_ns: int = SECOND, fast: bool | None = None, **told: str) -> None:
        self.bank = SeriesBank(Settings(**told), fast)  # type: ignore[arg-type]  # names are checked by Settings
        self.now, self.every_ns = START - every_ns, every_ns

    def feed(self, values: Floats) -> Scores:
        time = self.now + self.every_ns * (1 + np.arange(len(values), dtype=np.int64))
        self.now += self.every_ns * len(values)
        return self.bank.score_learn(np.zeros(len(values), np.int32), time, values)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def wave(days: int, rng: np.random.Generator, every: int = 600) -> Floats:
    """A day that rises and falls between 0 and 100, a sample every ten minutes."""
    at = np.arange(days * 86_400 // every) * every / 86_400
    return np.asarray(50 - 50 * np.cos(2 * np.pi * at) + rng.normal(0, 1, len(at)), np.float64)


@needs_numba
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    odd=st.lists(
        st.tuples(st.integers(0, 599), st.floats(width=32, allow_nan=False, allow_infinity=False)), max_size=8
    ),
    every_s=st.sampled_from([1, 60, 3600]),
    grain=st.sampled_from([0.0, 1.0]),
)
def test_columns_and_compiled_code_do_the_same(
    seed: int, odd: list[tuple[int, float]], every_s: int, grain: float
) -> None:
    made = np.random.default_rng(seed)
    value = made.normal(10, 3, 600)
    value = np.round(value) if grain else value
    for at, what in odd:
        value[at] = what
    series = made.integers(0, 3, 600).astype(np.int32)
    time = START + np.cumsum(made.integers(1, 3, 600)) * every_s * SECOND
    fast, slow = SeriesBank(Settings(), fast=True), SeriesBank(Settings(), fast=False)
    for part in (slice(0, 400), slice(400, 600)):
        one = fast.score_learn(series[part], time[part], value[part])
        two = slow.score_learn(series[part], time[part], value[part])
        for name in ("score", "expected", "spread", "interval_s"):
            np.testing.assert_allclose(
                getattr(one, name), getattr(two, name), rtol=1e-5, atol=1e-6, err_msg=name
            )
    for name, array in fast.state().items():
        np.testing.assert_allclose(
            array.astype(np.float64), slow.state()[name].astype(np.float64), rtol=1e-5, atol=1, err_msg=name
        )


@pytest.mark.parametrize("fast", [pytest.param(True, marks=needs_numba), False])
def test_a_look_learns_nothing_and_says_what_the_next_sample_would_score(
    fast: bool, rng: np.random.Generator
) -> None:
    one = One(fast=fast)
    one.feed(rng.normal(10, 1, 300))
    before = one.bank.state()
    ids, at = np.zeros(1, np.int32), np.array([one.now + 60 * SECOND])  # after a gap
    looked = one.bank.score(ids, at, np.array([25.0]))
    for name, array in one.bank.state().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    scored = one.bank.score_learn(ids, at, np.array([25.0]))
    assert looked.score == scored.score
    assert looked.view == scored.view


def test_a_series_costs_256_bytes_and_69_of_them_are_its_season() -> None:
    one = One()
    one.bank.score_learn(np.arange(1000, dtype=np.int32), np.full(1000, START), np.ones(1000))
    assert one.bank.memory.rows.nbytes == 256 * 1000
    fields = ROW.fields
    assert fields is not None
    season = sum(fields[name][0].itemsize for name in ("hours", "day", "count", "days", "rest"))
    assert ROW.itemsize - season <= 192


def test_the_first_score_comes_after_thirty_samples(rng: np.random.Generator) -> None:
    scores = One().feed(rng.normal(10, 1, 40)).score
    assert (scores[:30] == 0).all()
    assert (scores[30:] > 0).any()


@pytest.mark.parametrize(
    ("before", "after", "view"),
    [
        (lambda r: r.normal(10, 1, 400), lambda _: np.array([40.0]), {"level", "drift", "shape"}),
        (
            lambda r: np.tile([0.0, 8.0, 2.0, 6.0], 150) + r.normal(0, 0.05, 600),
            lambda _: np.full(3, 6.0),
            {"shape"},
        ),
        (lambda r: r.normal(10, 1, 3000), lambda _: np.full(40, 10.0), {"flatline"}),
    ],
    ids=["a level", "an order that never was", "a sensor that is stuck"],
)
def test_each_view_has_its_faults(
    before: Callable[[np.random.Generator], Floats],
    after: Callable[[np.random.Generator], Floats],
    view: set[str],
    rng: np.random.Generator,
) -> None:
    one = One()
    calm = one.feed(before(rng)).score[-100:].max()
    found = one.feed(after(rng))
    assert found.score.max() > 1.5 * calm
    assert VIEWS[found.view[int(found.score.argmax())]] in view


def test_what_is_usual_at_noon_is_not_at_midnight(rng: np.random.Generator) -> None:
    one = One(every_ns=600 * SECOND)
    one.feed(wave(8, rng))
    found = one.feed(np.array([100.0]))  # at midnight: a value that every noon has
    assert found.score[0] > 4
    assert VIEWS[found.view[0]] in {"time of day", "shape"}
    assert found.expected[0] == pytest.approx(0, abs=5)
    plain = One(every_ns=600 * SECOND)
    plain.feed(wave(2, rng))  # too young to know the time of day
    assert plain.feed(np.array([100.0])).score[0] < found.score[0]


def test_a_scale_that_was_too_small_for_the_day_grows(rng: np.random.Generator) -> None:
    one = One(every_ns=600 * SECOND)
    quiet = wave(8, rng)
    quiet[:12] = 0.0  # the first hours are constant: nothing to take a scale from
    one.feed(quiet * 1e6)
    assert one.feed(np.array([100e6])).score[0] > 4


def test_what_lasts_becomes_normal_and_an_outlier_does_not(rng: np.random.Generator) -> None:
    one = One()
    one.feed(rng.normal(10, 1, 600))
    shifted = one.feed(rng.normal(200, 1, 900))
    assert (shifted.score[5:60] >= 6).all()
    assert shifted.score[500:].max() < 6
    assert shifted.expected[-1] == pytest.approx(200, abs=3 * shifted.spread[-1])
    other = One()
    before = other.feed(rng.normal(10, 1, 300)).spread[-1]
    assert other.feed(np.array([1e12])).score[0] == law.MOST
    after = other.feed(rng.normal(10, 1, 100))
    assert after.spread[-1] < 1.3 * before
    assert after.score[-20:].max() < 4


def test_a_constant_that_moves_is_as_surprising_as_it_was_long() -> None:
    for value in (0.0, 5.0, -3e20):
        short, long = One(), One()
        short.feed(np.full(60, value))
        long.feed(np.full(5000, value))
        step = np.array([value + max(1.0, abs(value))])
        young, old = short.feed(step).score[0], long.feed(step).score[0]
        assert 1 < young < old < law.MOST


def test_a_fault_hardly_teaches_the_tails_by_which_it_is_told(rng: np.random.Generator) -> None:
    one = One()
    one.feed(rng.normal(10, 1, 1000))
    excess = [sample.SHORT_E, sample.LONG_E, sample.JOINED_E]
    before = one.bank.memory.reals[0, excess].copy()
    assert one.feed(rng.normal(30, 1, 60)).score[:20].min() > 6
    after = one.bank.memory.reals[0, excess]
    assert (after > before).all(), "it teaches something"
    assert (after < 1.5 * before).all(), "not three times as much, as it would in full"


def test_a_long_gap_is_no_shape_and_no_run(rng: np.random.Generator) -> None:
    one = One()
    one.feed(rng.normal(10, 1, 400))
    one.feed(np.full(1, 10.0))
    one.now += 3600 * SECOND
    assert one.feed(np.full(1, 10.0)).score[0] < 2


KINDS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "gaussian": lambda r, n: r.normal(50, 5, n),
    "counts": lambda r, n: r.poisson(3, n).astype(np.float64),
    "ratio": lambda r, n: np.clip(r.normal(0.3, 0.1, n), 0, 1),
    "seasonal": lambda r, n: 50 + 10 * np.sin(np.arange(n) / 1440 * 2 * np.pi) + r.normal(0, 2, n),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousandth_is_a_thousandth(kind: str, rng: np.random.Generator) -> None:
    """Two weeks of forty normal series, a sample a minute: of 800,000 scores, three decades and more."""
    series, n = 40, 20_160
    bank = SeriesBank(Settings())
    values = np.column_stack([KINDS[kind](rng, n) for _ in range(series)])
    ids = np.tile(np.arange(series, dtype=np.int32), n)
    time = np.repeat(START + np.arange(n, dtype=np.int64) * MINUTE, series)
    score = bank.score_learn(ids, time, values.ravel()).score.reshape(n, series)
    assert (score[1000:] >= 3).mean() < 2e-3
    assert (score[1000:] >= 2).mean() > 0.5e-2
    assert (score[:1000] >= 3).mean() < 2e-3, "honest when young"


def test_a_series_that_begins_with_what_others_know_scores_its_fifth_sample(rng: np.random.Generator) -> None:
    one = One()
    ids = np.array([0, 1, 2], np.int32)
    one.bank.adopt(ids, np.array([10.0, np.nan, 5.0]), np.array([1.0, np.nan, 0.0]), np.full(3, START))
    assert one.bank.unseen(ids).tolist() == [False, True, False]
    scores = one.feed(np.append(rng.normal(10, 1, 4), 40.0)).score
    assert scores[:4].max() < 1
    assert scores[4] > 3
    before = one.bank.state()
    one.bank.adopt(ids[:1], np.zeros(1), np.ones(1), np.full(1, START))
    np.testing.assert_array_equal(one.bank.state()["reals"], before["reals"], "who was seen is not new")


def test_what_is_learned_anew_scores_nothing_until_it_is_known_again(rng: np.random.Generator) -> None:
    one = One(every_ns=600 * SECOND)
    one.feed(wave(8, rng))
    one.bank.relearn(np.array([0, 500], np.int32))
    assert one.feed(np.full(30, 1e6)).score.max() == 0
    assert (one.bank.memory.hours[0] == UNSEEN).all() | (one.bank.memory.days[0, 1] == 0)
