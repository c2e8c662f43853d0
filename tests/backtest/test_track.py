"""What an observer keeps is what it was told, series by series."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.backtest import track
from edgeobs.backtest.track import Observer
from edgeobs.series import SeriesTable
from edgeobs.signals import Batch, Identity, Kind, Resource, Scores, Source


def identity(name: str) -> Identity:
    return Identity(Source((), Resource(node="n")), name, (), Kind.GAUGE)


def told(observer: Observer, ids: list[int], values: list[float], late: list[bool]) -> None:
    n = len(ids)
    batch = Batch(
        np.array(ids, np.int32), np.arange(n, dtype=np.int64), np.array(values), np.array(late, bool)
    )
    observer(batch, Scores(np.array(values) / 2, np.array(values), np.full(n, np.inf)))


steps = st.lists(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 20, width=16), st.booleans()), max_size=5), max_size=12
)


@given(steps, st.integers(1, 5))
def test_every_timely_sample_is_kept_in_order(
    given_steps: list[list[tuple[int, float, bool]]], join: int
) -> None:
    table = SeriesTable(10)
    ids = [table.intern(identity(f"s{number}"), 0, 1) for number in range(4)]
    observer = Observer(table)
    expected: dict[str, list[float]] = {}
    before, track._JOIN = track._JOIN, join
    try:
        for step in given_steps:
            rows = [(ids[number] or 0, value, late) for number, value, late in step]
            told(observer, [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])
            for number, value, late in step:
                if not late:
                    expected.setdefault(f"s{number}", []).append(value)
    finally:
        track._JOIN = before
    found = observer.tracks()
    assert {each.identity.name: each.value.tolist() for each in found} == expected
    assert all(each.score.tolist() == (each.value / 2).tolist() for each in found)
    assert all(np.isfinite(each.spread).all() for each in found)
    assert observer.late == sum(late for step in given_steps for _, _, late in step)
    assert observer.tracks() == []


def test_an_id_that_is_given_away_is_another_series() -> None:
    table = SeriesTable(1)
    observer = Observer(table)
    for name, value in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
        number = table.intern(identity(name), 0, 1)
        assert number == 0
        told(observer, [0], [value], [False])
        table.expire(10)
    assert {each.identity.name: each.value.tolist() for each in observer.tracks()} == {
        "a": [1.0, 3.0],
        "b": [2.0],
    }
