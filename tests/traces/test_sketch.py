"""Quantiles keep their promise whatever the durations are, and merging loses nothing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.traces import sketch
from edgeobs.traces.sketch import ALPHA, QUANTILES, Sketch

durations = st.one_of(st.integers(0, 2**63 - 1), st.integers(0, 10**4), st.integers(10**6, 10**10))
calls = st.lists(st.tuples(st.integers(0, 3), durations | st.just(-1), st.booleans()), max_size=60)


def made(found: list[tuple[int, int, bool]]) -> Sketch:
    """Of (unit, duration, failed)."""
    unit, duration, failed = zip(*found, strict=True) if found else ((), (), ())
    return sketch.counted(
        sketch.keys(np.array(unit, np.int64), np.array(duration, np.int64), np.array(failed, np.bool_))
    )


@given(calls)
@settings(max_examples=300, deadline=None)
def test_every_unit_is_told_within_the_error_promised(found: list[tuple[int, int, bool]]) -> None:
    told = sketch.summary(made(found))
    assert told.unit.tolist() == sorted({unit for unit, _, _ in found})
    for k, unit in enumerate(told.unit.tolist()):
        own = [(duration, failed) for one, duration, failed in found if one == unit]
        known = sorted(duration for duration, _ in own if duration >= 0)
        assert told.calls[k] == len(own)
        assert told.failed[k] == sum(failed for _, failed in own)
        assert told.timed[k] == len(known)
        for q, seconds in zip(QUANTILES, told.seconds, strict=True):
            if not known:
                assert math.isnan(seconds[k])
                continue
            true = known[math.floor(q * (len(known) - 1))] / 1e9
            assert abs(seconds[k] - true) <= ALPHA * true * (1 + 1e-9)


@given(st.lists(calls, max_size=4))
@settings(max_examples=100, deadline=None)
def test_merged_is_as_if_counted_together(parts: list[list[tuple[int, int, bool]]]) -> None:
    together = made([call for part in parts for call in part])
    merged = sketch.merged([made(part) for part in parts])
    assert merged.key.tolist() == together.key.tolist()
    assert merged.calls.tolist() == together.calls.tolist()


@given(calls)
@settings(max_examples=100, deadline=None)
def test_units_that_become_one_are_as_if_they_had_been(found: list[tuple[int, int, bool]]) -> None:
    one = made([(7, duration, failed) for _, duration, failed in found])
    several = made(found)
    moved = sketch.moved(several, np.full(len(several.key), 7))
    assert moved.key.tolist() == one.key.tolist()
    assert moved.calls.tolist() == one.calls.tolist()


@pytest.mark.parametrize("duration", [0, 1, 2, 99, 100, 10**9, 2**62, 2**63 - 1])
def test_extremes(duration: int) -> None:
    (p50, *_) = sketch.summary(made([(2**31, duration, False)])).seconds
    assert p50[0] == pytest.approx(duration / 1e9, rel=ALPHA)
