"""What an answer means."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.node.retry import Answer, judge, seconds
from edgeobs.node.settings import Sending

SETTINGS = Sending(first_pause_s=0.5, longest_pause_s=30)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_success(status: int) -> None:
    assert judge(Answer(status), 0, SETTINGS, 0, 0).what == "sent"


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 415, 500, 501])
def test_what_will_never_be_taken_is_not_repeated(status: int) -> None:
    assert judge(Answer(status, "1"), 0, SETTINGS, 0, 0).what == "refused"


@pytest.mark.parametrize("status", [0, 429, 502, 503, 504])
def test_what_may_pass_is_repeated(status: int) -> None:
    assert judge(Answer(status), 0, SETTINGS, 0, 0).what == "again"


def test_retry_after_is_heeded_up_to_the_longest_pause() -> None:
    assert judge(Answer(429, "7"), 9, SETTINGS, 0, 0.9).pause_s == 7
    assert judge(Answer(503, formatdate(1000 + 4, usegmt=True)), 9, SETTINGS, 1000, 0.9).pause_s == 4
    assert judge(Answer(503, "86400"), 0, SETTINGS, 0, 0).pause_s == 30


def test_pauses_double() -> None:
    pauses = [judge(Answer(503), attempt, SETTINGS, 0, 0.0).pause_s for attempt in range(4)]
    assert pauses == [0.25, 0.5, 1.0, 2.0]


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True), st.text(max_size=30), st.floats(0, 2e9))
def test_a_pause_is_always_bounded(attempt: int, chance: float, text: str, now: float) -> None:
    verdict = judge(Answer(503, text), attempt, SETTINGS, now, chance)
    assert verdict.what == "again"
    assert 0 <= verdict.pause_s <= SETTINGS.longest_pause_s


def test_retry_after_that_says_nothing() -> None:
    assert [seconds(text, 0) for text in ("", "soon", "-1", "٣", "1.5")] == [None] * 5
    assert seconds("0", 0) == 0
    assert seconds(formatdate(1000, usegmt=True), 2000) == 0
