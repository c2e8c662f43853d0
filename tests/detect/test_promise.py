"""What a threshold promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.detect.promise import promised


def test_one_in_a_million_seconds_is_about_one_in_eleven_days() -> None:
    assert promised(6.0, 1.0) == pytest.approx(0.0864)
    assert promised(0.0, 60.0) == 1440.0, "a threshold of 0 counts every sample"


@given(st.floats(0, 20), st.floats(0.001, 1e6))
def test_a_decade_more_is_a_tenth_and_twice_as_often_is_twice_as_many(
    decades: float, interval_s: float
) -> None:
    base = promised(decades, interval_s)
    assert promised(decades + 1, interval_s) == pytest.approx(base / 10)
    assert promised(decades, interval_s / 2) == pytest.approx(2 * base)


@pytest.mark.parametrize("interval_s", [0.0, -1.0, float("nan")])
def test_no_interval_is_an_error(interval_s: float) -> None:
    with pytest.raises(ValueError, match="interval_s: expected seconds above 0"):
        promised(6.0, interval_s)
