"""When to send: pure functions of what is known and the time."""

import math

from hypothesis import given
from hypothesis import strategies as st

from edgeobs.uplink import Settings
from edgeobs.uplink.pace import Link, after, judge, pace

SETTINGS = Settings(url="http://core/", rate_kib_per_s=10, spread_s=30, first_pause_s=1, longest_pause_s=60)
RATE = 10 * 1024


def test_what_the_core_read_and_will_not_take_is_not_sent_again() -> None:
    assert [judge(status) for status in (200, 204, 400, 413)] == ["taken", "taken", "refused", "refused"]
    assert {judge(status) for status in (0, 401, 403, 404, 408, 429, 500, 502, 503)} == {"again"}


def test_pauses_double_have_jitter_and_end() -> None:
    link, pauses = Link(), []
    for _ in range(10):
        link = after(link, "rest", 100, 0, None, 50.0, 0.0, SETTINGS)
        pauses.append(pace(link, "first", 50.0, SETTINGS).seconds)
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0], "half of a pause is certain"
    assert pauses[-1] == 30.0
    late = after(Link(), "rest", 100, 0, None, 50.0, 0.999, SETTINGS)
    assert math.isclose(pace(late, "rest", 50.0, SETTINGS).seconds, 1.0, abs_tol=0.01)


def test_what_the_core_asks_for_is_heeded_up_to_the_longest_pause() -> None:
    link = after(Link(), "rest", 100, 503, 7.0, 0.0, 0.0, SETTINGS)
    assert pace(link, "rest", 0.0, SETTINGS).seconds == 7.0
    link = after(Link(), "rest", 100, 503, 7000.0, 0.0, 0.0, SETTINGS)
    assert pace(link, "rest", 0.0, SETTINGS).seconds == 60.0


def test_after_a_cut_incidents_go_at_once_and_the_rest_at_a_time_of_its_own() -> None:
    link = after(Link(), "first", 100, 0, None, 0.0, 0.5, SETTINGS)
    back = after(link, "first", 100, 200, None, 3600.0, 0.5, SETTINGS)
    assert pace(back, "first", 3600.0, SETTINGS).seconds == 0.0
    assert pace(back, "rest", 3600.0, SETTINGS).seconds == 15.0
    assert pace(back, "rest", 3615.0, SETTINGS).seconds == 0.0


def test_a_hiccup_is_no_cut() -> None:
    link = after(Link(), "first", 100, 0, None, 0.0, 0.5, SETTINGS)
    back = after(link, "first", 100, 200, None, 2.0, 0.5, SETTINGS)
    assert pace(back, "rest", 2.0, SETTINGS).seconds == 0.0


@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=60))
def test_the_rest_never_exceeds_its_rate_by_more_than_a_burst_and_a_parcel(sizes: list[int]) -> None:
    link, now, sent = Link(), 1000.0, 0
    for size in sizes:
        now += pace(link, "rest", now, SETTINGS).seconds
        link = after(link, "rest", size, 200, None, now, 0.5, SETTINGS)
        sent += size
        assert sent <= RATE * (now - 1000.0 + 2.0) + max(sizes) + 1


TRY = st.tuples(
    st.sampled_from([0, 200, 400, 503]), st.none() | st.floats(0, 1e6), st.floats(0, 0.999), st.floats(0, 100)
)


@given(st.lists(TRY))
def test_no_pause_exceeds_the_longest_and_the_spread(
    tries: list[tuple[int, float | None, float, float]],
) -> None:
    link, now = Link(), 0.0
    most = SETTINGS.longest_pause_s + 1e-6
    for status, asked, chance, idle in tries:
        now += idle
        link = after(link, "first", 10, status, asked, now, chance, SETTINGS)
        assert 0 <= pace(link, "first", now, SETTINGS).seconds <= most
        assert 0 <= pace(link, "rest", now, SETTINGS).seconds <= most + SETTINGS.spread_s
        assert link.up == (status in {200, 400})
