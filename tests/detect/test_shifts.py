"""A level that moves is found two blocks after ADWIN at the latest, and noise that hangs together is none."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.detect.shifts import Shifts, ShiftSettings
from edgeobs.signals import Floats, Int32s

SERIES, BEFORE, AFTER = 30, 800, 800


class Found(NamedTuple):
    """Of a step in the middle of noise."""

    false: float  # per 100,000 samples before it
    delay: float  # samples, median; infinite where most missed it


def noise(together: float, steps: int, seed: int = 0) -> Floats:
    """Of unit variance: [steps, series], each sample ``together`` times the one before."""
    fresh = np.random.default_rng(seed).standard_normal((steps, SERIES))
    found = fresh.copy()
    for step in range(1, steps):
        found[step] = together * found[step - 1] + np.sqrt(1 - together**2) * fresh[step]
    return found


def stepped(together: float, size: float) -> Floats:
    return noise(together, BEFORE + AFTER) + np.where(np.arange(BEFORE + AFTER) < BEFORE, 0.0, size)[:, None]


def judged(hits: list[list[int]]) -> Found:
    """From the series found at each step."""
    false = sum(map(len, hits[:BEFORE])) / (BEFORE * SERIES) * 1e5
    first = dict[int, int]()
    for step, found in enumerate(hits[BEFORE:]):
        for series in found:
            first.setdefault(series, step + 1)
    delays = [first.get(series, np.inf) for series in range(SERIES)]
    return Found(false, float(np.median(delays)))


def ours(values: Floats) -> Found:
    shifts, ids = Shifts(ShiftSettings()), np.arange(SERIES, dtype=np.int32)
    return judged([shifts.observe(ids, row).tolist() for row in values])


def rivers(values: Floats) -> Found:
    drift = pytest.importorskip("river.drift", reason="needs River: pip install 'edgeobs[river]'")
    detectors = [drift.ADWIN() for _ in range(SERIES)]
    hits = []
    for row in values:
        for detector, value in zip(detectors, row.tolist(), strict=True):
            detector.update(value)
        hits.append([i for i, detector in enumerate(detectors) if detector.drift_detected])
    return judged(hits)


@pytest.mark.parametrize("size", [1.0, 3.0, 10.0])
def test_in_white_noise_a_step_is_found_hardly_later_than_by_adwin(size: float) -> None:
    one, other = ours(stepped(0.0, size)), rivers(stepped(0.0, size))
    assert one.delay <= other.delay + 32
    assert one.false <= 10


@pytest.mark.parametrize("together", [0.7, 0.9])
def test_noise_that_hangs_together_is_no_change_to_us_but_to_adwin(together: float) -> None:
    one, other = ours(stepped(together, 3.0)), rivers(stepped(together, 3.0))
    assert one.false < other.false / 10
    assert one.delay <= 64


def test_one_burst_is_no_shift() -> None:
    values = noise(0.0, 600)
    values[400:403] += 1000.0
    assert not any(judged_hits(values)[400:480])


def judged_hits(values: Floats) -> list[list[int]]:
    shifts, ids = Shifts(ShiftSettings()), np.arange(SERIES, dtype=np.int32)
    return [shifts.observe(ids, row).tolist() for row in values]


def test_a_constant_that_becomes_another_has_moved() -> None:
    values = np.where(np.arange(600) < 400, 5.0, 6.0)[:, None] * np.ones(SERIES)
    hits = judged_hits(values)
    assert not any(hits[:400])
    (when,) = [step for step, found in enumerate(hits) if found]
    assert when <= 400 + 3 * 16
    assert len(hits[when]) == SERIES


anything = st.one_of(st.floats(), st.sampled_from([1e308, -1e308, 5e-324, 0.0]), st.floats(-10, 10))
streams = st.lists(st.tuples(st.integers(0, 3), anything), min_size=1, max_size=150)


@settings(max_examples=60, deadline=None)
@given(stream=streams, cuts=st.sets(st.integers(1, 449), max_size=6))
def test_any_batching_gives_the_same_and_nothing_that_is_not_finite_stays(
    stream: list[tuple[int, float]], cuts: set[int]
) -> None:
    stream = stream * 3
    few = ShiftSettings(block=2, warm=4)
    whole, parts = Shifts(few), Shifts(few)
    ids: Int32s = np.array([s for s, _ in stream], np.int32)
    value = np.array([v for _, v in stream], np.float64)
    together = whole.observe(ids, value)
    edges = [0, *sorted(c for c in cuts if c < len(stream)), len(stream)]
    apart = np.concatenate([parts.observe(ids[a:b], value[a:b]) for a, b in pairwise(edges)])
    assert sorted(together.tolist()) == sorted(apart.tolist())
    for name, column in whole.state().items():
        np.testing.assert_array_equal(column, parts.state()[name], err_msg=name)
        assert np.isfinite(column.astype(np.float64)).all()


def test_a_snapshot_continues_identically_and_a_bad_one_is_refused() -> None:
    values = stepped(0.5, 4.0)
    one, other, ids = Shifts(ShiftSettings()), Shifts(ShiftSettings()), np.arange(SERIES, dtype=np.int32)
    for row in values[:500]:
        one.observe(ids, row)
    good = one.state()
    assert sum(column.nbytes for column in good.values()) <= 17 * SERIES
    other.restore(good)
    for row in values[500:]:
        np.testing.assert_array_equal(one.observe(ids, row), other.observe(ids, row))
    for name, column in good.items():
        for bad in (column.reshape(-1, 1, 1), column.astype(np.complex128)):
            with pytest.raises(ValueError, match="shifts: "):
                other.restore(good | {name: bad})
    with pytest.raises(ValueError, match="not finite"):
        other.restore(good | {"mean": np.full_like(good["mean"], np.nan)})


def test_a_forgotten_series_is_as_new() -> None:
    shifts, ids = Shifts(ShiftSettings()), np.arange(SERIES, dtype=np.int32)
    for row in noise(0.0, 400):
        shifts.observe(ids, row)
    shifts.forget(np.array([3, 900], np.int32))
    assert all(column[3] == 0 for column in shifts.columns.values())
