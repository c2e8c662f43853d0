"""A restart loses neither what is counted nor who is who; what does not fit changes nothing."""

import json
from typing import Any

import numpy as np
import pytest

from edgeobs.signals import SECOND
from edgeobs.traces import Settings
from tests.traces.making import MS, SERVER, T0, Bench, Span
from tests.traces.test_stage import TRACE


def later(at: int, trace: int) -> list[Span]:
    """The same trace, so many seconds later."""
    return [s._replace(trace=trace, start=s.start + at * SECOND, end=s.end + at * SECOND) for s in TRACE]


def test_open_intervals_go_on() -> None:
    one, two = Bench(), Bench()
    one.take(*TRACE, at=1)
    one.until(7)  # counted, not closed
    two.stage.restore(one.stage.state())
    two.take(*later(8, 2), at=9)
    two.until(40)
    assert two.value("calls orders@n2 gateway orders n1") == 2
    assert two.value("duration_seconds:p50 orders@n2") == pytest.approx(0.03, rel=0.01)


def test_who_fell_silent_over_the_restart_is_told_so() -> None:
    one, two = Bench(), Bench()
    one.take(*TRACE, at=1)
    one.until(30)
    two.stage.restore(one.stage.state())
    two.close(35)
    two.until(43)
    two.take(Span("gateway", "x", 9, 0, SERVER, 42 * SECOND, 42 * SECOND, trace=9), at=43)
    two.take(Span("orders", "x", 9, 0, SERVER, 42 * SECOND, 42 * SECOND, node="n2", trace=8), at=43)
    two.until(80)
    assert two.value("calls orders@n2 gateway orders n1", end=50) == 0
    assert two.value("calls orders@n2 GET /orders", end=50) == 0


def test_clocks_late_intervals_and_kept_traces_are_remembered() -> None:
    one, two = Bench(), Bench()
    one.take(*TRACE, at=1)
    points = one.close(30)
    one.stage.surprising(points.series, points.time_ns, np.full(len(points.series), 9.0))
    two.stage.restore(one.stage.state())
    assert two.stage.offsets(T0) == one.stage.offsets(T0)
    two.take(*(s._replace(trace=2) for s in TRACE), at=31)
    two.take(*later(32, 3), at=33)
    two.until(60)
    assert two.dropped("late") == 4
    (edge,) = (e for e in two.stage.edges(T0 + 60 * SECOND) if e.caller)
    assert edge.traces == (f"{7:016x}{1:016x}",)


def test_a_state_is_a_copy() -> None:
    bench = Bench()
    bench.take(*TRACE, at=1)
    bench.until(7)
    state = bench.stage.state()
    before = {name: array.tobytes() for name, array in state.items()}
    bench.take(*later(8, 2), at=9)
    bench.until(40)
    assert {name: array.tobytes() for name, array in state.items()} == before


@pytest.mark.parametrize(
    "broken",
    [
        {"schema": np.array([99])},
        {"last_ns": np.full(10_000, 7)},
        {"names": np.frombuffer(b"{", np.uint8)},
        {"names": np.frombuffer(b'{"sources": [[1]]}', np.uint8)},
        {"names": np.frombuffer(b"\xff", np.uint8)},
        {"operations_owner": np.zeros(0, np.int64)},
        {"edges_heard": np.zeros((2, 2))},
        {"clocks": np.zeros(3, np.int64)},
        {"open_key": np.zeros(0, np.int64)},
        {"open_key": np.full(100, 2**40)},
        {"open": np.array([[0, 0, 10**6]])},
        {"schema": None},
    ],
)
def test_what_does_not_fit_changes_nothing(broken: dict[str, Any]) -> None:
    one, two = Bench(), Bench()
    one.take(*TRACE, at=1)
    one.until(7)
    state: dict[str, Any] = one.stage.state() | broken
    state = {name: array for name, array in state.items() if array is not None}
    two.take(Span("calm", "x", 1, 0, SERVER, 0, MS), at=1)
    with pytest.raises(ValueError, match=r"^traces: "):
        two.stage.restore(state)
    two.until(40)
    assert two.value("calls calm@n1") == 1
    assert two.value("calls orders@n2") is None


def test_a_state_of_other_bounds_is_left_whole() -> None:
    one, two = Bench(), Bench(Settings(most=16))
    for n in range(30):
        one.take(Span(f"s{n}", "x", 1, 0, SERVER, trace=n + 1), at=1)
    two.stage.restore(one.stage.state())
    assert len(two.stage.units.sources) == 0


def test_a_state_of_other_intervals_gives_what_still_fits() -> None:
    one, two = Bench(), Bench(Settings(interval_s=7))
    one.take(*TRACE, at=1)
    one.until(7)
    two.stage.restore(one.stage.state())
    assert not two.stage.tally.open
    assert len(two.stage.units.sources) == 2
    assert two.stage.offsets(T0) == one.stage.offsets(T0)


def test_operations_of_sources_that_are_not_there_are_refused() -> None:
    one, two = Bench(), Bench()
    one.take(*TRACE, at=1)
    state = one.stage.state()
    names = json.loads(state["names"].tobytes())
    names["operations"][0][0] = 77
    state["names"] = np.frombuffer(json.dumps(names).encode(), np.uint8)
    with pytest.raises(ValueError, match="traces"):
        two.stage.restore(state)
