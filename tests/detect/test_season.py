"""What is usual at a time of day and on days of rest, wherever a series lives."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs import jit
from edgeobs.detect import Settings, daytime, season
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.daytime import Calendar
from edgeobs.detect.settings import SiteSettings
from edgeobs.detect.sites import Sites, calendar
from edgeobs.signals import SECOND, VIEWS, Bools, Floats, Int64s, Resource, Scores

MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
MONDAY = 1_700_438_400 * SECOND  # a midnight of UTC
EVERY = 10 * MINUTE
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]
needs_numba = pytest.mark.skipif(
    not jit.available(), reason="Numba is not installed: pip install edgeobs[accel]"
)


def times(weeks: float, begin: int = MONDAY) -> Int64s:
    return begin + EVERY * np.arange(int(weeks * 7 * DAY // EVERY), dtype=np.int64)


def office(time_ns: Int64s, resting: Bools, seed: int = 0) -> Floats:
    """Busy by day, half as much and later on days of rest."""
    at = time_ns % DAY / DAY
    busy, calm = 60 - 40 * np.cos(2 * np.pi * at), 25 - 12 * np.cos(2 * np.pi * (at - 0.15))
    noise = np.random.default_rng(seed).normal(0, 1.5, len(at))
    return np.asarray(np.where(resting, calm, busy) + noise, np.float64)


def weekend(time_ns: Int64s, holidays: frozenset[int] = frozenset()) -> Bools:
    plain = Calendar(holidays=holidays)
    return np.array([plain.rests(day) for day in (time_ns // DAY).tolist()], np.bool_)


def fed(time_ns: Int64s, value: Floats, told: Settings | None = None) -> tuple[SeriesBank, Scores]:
    bank = SeriesBank(told or Settings())
    return bank, bank.score_learn(np.zeros(len(value), np.int32), time_ns, value)


def differs(bank: SeriesBank) -> bool:
    return bool(season.pays(bank.memory.days[:1])[0])


@settings(max_examples=60)
@given(
    zone=st.sampled_from(ZONES),
    seconds=st.lists(st.integers(0, 2 * 10**9), min_size=1, max_size=6),
    spread=st.sampled_from([1, 3600, 10**9]),
)
def test_it_is_what_the_clock_on_the_wall_says(zone: str, seconds: list[int], spread: int) -> None:
    seconds = [seconds[0] + s % spread for s in seconds]
    found = daytime.phase(np.array(seconds, np.int64) * SECOND, calendar(Settings(timezone=zone)))
    for second, hours in zip(seconds, found.tolist(), strict=True):
        wall = datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo(zone))
        since = timedelta(hours=wall.hour, minutes=wall.minute, seconds=wall.second)
        rest = 24 if wall.weekday() >= 5 else 0
        assert hours == pytest.approx(since / timedelta(hours=1) + rest, abs=1e-9)


def test_clocks_are_set_within_one_batch() -> None:
    berlin = calendar(Settings(timezone="Europe/Berlin"))
    forth = int(datetime(2026, 3, 29, 0, 30, tzinfo=UTC).timestamp()) * SECOND  # a Sunday
    back = int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()) * SECOND
    hours = [daytime.phase(at + HOUR * np.arange(3, dtype=np.int64), berlin) - 24 for at in (forth, back)]
    assert [each.tolist() for each in hours] == [[1.5, 3.5, 4.5], [2.5, 2.5, 3.5]]
    assert daytime.phase(np.array([2**62]), berlin) < 48
    assert len(daytime.phase(np.zeros(0, np.int64), berlin)) == 0


def test_a_holiday_is_a_day_of_rest_by_local_date_and_weekdays_of_rest_are_data() -> None:
    told = Settings(
        timezone="Asia/Tokyo", rest_days=("friday",), holidays=(date(2026, 11, 25), date(1969, 7, 20))
    )
    start = int(datetime(2026, 11, 24, 14, tzinfo=UTC).timestamp()) * SECOND  # 23 o'clock on Tuesday in Tokyo
    hours = daytime.phase(start + 12 * HOUR * np.arange(8, dtype=np.int64), calendar(told))
    assert hours.tolist() == [23, 24 + 11, 24 + 23, 11, 23, 24 + 11, 24 + 23, 11]


def test_each_series_lives_where_its_node_is() -> None:
    where = {
        0: Resource(zone="berlin-1", node="a"),
        1: Resource(zone="tokyo", node="b"),
        2: Resource(zone="", node="roof-7"),
        3: Resource(zone="elsewhere", node="c"),
    }
    told = Settings(
        timezone="America/New_York",
        sites={
            "berlin-*": SiteSettings(timezone="Europe/Berlin"),
            "tokyo": SiteSettings(timezone="Asia/Tokyo", rest_days=("wednesday",)),
            "roof-*": SiteSettings(holidays=(date(2026, 11, 25),)),
        },
    )
    sites = Sites(told, where.__getitem__)
    noon = int(datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()) * SECOND  # a Wednesday
    ids = np.array([3, 1, 0, 2, 1, 9], np.int32)
    assert sites.phase(ids, np.full(6, noon)).tolist() == [7, 24 + 21, 13, 24 + 7, 24 + 21, 7]
    where[1] = where[0]  # the id went to another series
    sites.forget(np.array([1, 500], np.int32))
    assert sites.phase(ids, np.full(6, noon)).tolist() == [7, 13, 13, 24 + 7, 13, 7]
    assert Sites(told).phase(ids[:1], np.full(1, noon)).tolist() == [7]


def test_days_of_rest_are_known_once_two_weeks_agree_and_not_before() -> None:
    time = times(5)
    resting = weekend(time)
    value = office(time, resting)
    first, second, fourth = (int(weeks * 7 * DAY // EVERY) for weeks in (1, 2, 4))
    young, _ = fed(time[:first], value[:first])
    assert not differs(young)
    bank, scores = fed(time, value)
    assert differs(bank)
    away = np.abs(scores.expected - value)
    later = np.arange(len(value)) >= fourth
    assert np.median(away[later & resting]) < 2.0
    assert np.median(away[later & ~resting]) < 2.5
    assert scores.score[second:].max() < 5


def test_a_busy_sunday_is_found_only_by_who_knows_sundays() -> None:
    time = times(5)
    resting = weekend(time)
    sunday = times(1 / 7, MONDAY + 34 * DAY)
    assert weekend(sunday).all()
    usual = office(time[time < sunday[0]], resting[time < sunday[0]])
    busy = 60 - 40 * np.cos(2 * np.pi * (sunday % DAY / DAY))
    at_noon = (sunday % DAY > 11 * HOUR) & (sunday % DAY < 13 * HOUR)
    found = {}
    for name, told in (("knows", Settings()), ("plain", Settings(rest_days=()))):
        bank, _ = fed(time[time < sunday[0]], usual, told)
        assert differs(bank) == (name == "knows")
        calm = office(sunday, weekend(sunday), seed=5)
        scores = bank.score_learn(np.zeros(144, np.int32), sunday, np.where(at_noon, busy, calm))
        found[name] = scores.score[at_noon].max()
        if name == "knows":
            assert VIEWS[int(np.median(scores.view[at_noon]))] == "time of day"
            assert scores.score[~at_noon & (sunday % DAY < 11 * HOUR)].max() < 3
    assert found["knows"] > 3.5
    assert found["knows"] > found["plain"] + 1


@pytest.mark.parametrize("seed", range(6))
def test_what_has_no_week_learns_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    time = times(10)
    none = np.zeros(len(time), np.bool_)
    noise = rng.normal(0, 1, len(time))
    kinds = {
        "daily": office(time, none, seed),
        "white": noise,
        "a level that moved on a Friday": noise + 30.0 * (time > MONDAY + 18 * DAY),
        "constant": np.full(len(time), 3.0),
    }
    for name, value in kinds.items():
        bank, scores = fed(time, value)
        assert not differs(bank), name
        other, alike = fed(time, value, Settings(rest_days=()))  # as if there were no weeks at all
        np.testing.assert_allclose(scores.score, alike.score, atol=1e-3, err_msg=name)
        np.testing.assert_allclose(bank.memory.hours, other.memory.hours, atol=1, err_msg=name)


def test_a_week_that_ends_is_unlearned() -> None:
    time = times(12)
    resting = weekend(time) & (time < MONDAY + 5 * 7 * DAY)
    bank, scores = fed(time, office(time, resting))
    assert not differs(bank)
    assert scores.score[-7 * 144 :].max() < 4


def test_a_holiday_is_expected_to_be_one() -> None:
    time = times(5.5)  # a Wednesday is over
    holiday = int(time[-1]) // DAY + 1
    assert not Calendar().rests(holiday)
    eve = office(time, weekend(time))
    later = times(1 / 7, holiday * DAY)
    calm = office(later, np.ones(len(later), np.bool_), seed=5)
    found = {}
    for name, dates in (("told", (date.fromordinal(holiday + date(1970, 1, 1).toordinal()),)), ("not", ())):
        bank, _ = fed(time, eve, Settings(holidays=dates))
        expected, spread = bank.forecast(np.zeros(144, np.int32), later)
        why = bank.explain(0, int(later[72]), float(calm[72]))
        scores = bank.score_learn(np.zeros(144, np.int32), later, calm)
        found[name] = scores.score.max()
        hours_ahead = later - later[0] > 2 * HOUR
        near = np.abs(expected - calm) < np.maximum(3 * spread, 4.0)
        assert near[hours_ahead].mean() > 0.9 if name == "told" else near[hours_ahead].mean() < 0.5
        hour = why.views[2]
        assert (abs(hour.expected - calm[72]) < 6) == (name == "told")
    assert found["told"] < 3 < found["not"]


@needs_numba
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([1.0, 1e-20, 1e30]),
    odd=st.lists(st.tuples(st.integers(0, 3999), st.sampled_from([0.0, 1e37, -1e12])), max_size=4),
    zone=st.sampled_from(["UTC", "America/St_Johns"]),
)
def test_columns_and_compiled_code_know_the_same_weeks(
    seed: int, scale: float, odd: list[tuple[int, float]], zone: str
) -> None:
    rng = np.random.default_rng(seed)
    time = times(8)[:: rng.integers(1, 7)][:4000]
    value = office(time, weekend(time), seed) * scale
    for at, what in odd:
        value[at % len(value)] = what
    told = Settings(timezone=zone)
    fast, slow = SeriesBank(told, fast=True), SeriesBank(told, fast=False)
    ids = np.zeros(len(time), np.int32)
    one, two = fast.score_learn(ids, time, value), slow.score_learn(ids, time, value)
    for name in ("score", "expected", "spread"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-5, atol=1e-6, err_msg=name)
    for name, array in fast.state().items():
        np.testing.assert_allclose(
            array.astype(np.float64), slow.state()[name].astype(np.float64), rtol=1e-5, atol=1, err_msg=name
        )


def test_a_unit_fits_again_when_what_was_wild_is_over() -> None:
    time = times(6)
    value = office(time, weekend(time))
    value[:12] = 0.0  # nothing to take a scale from
    value[1000:1010] = 1e9
    bank, _ = fed(time, value)
    hours = bank.memory.hours[0].astype(np.int64)
    assert season.COARSE / 2 <= np.abs(hours).max() <= season.MOST
