"""Joules: wraps, gaps, and whose they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.node.meters import LONGEST_S, MOST_W, Ledger, Meter, counted, integrated, shares

SPAN = 262_143_328_850.0


@given(st.integers(0, int(SPAN)), st.lists(st.tuples(st.floats(0.1, 600), st.floats(0, 300)), max_size=50))
def test_a_counter_that_wraps_loses_nothing(level: int, steps: list[tuple[float, float]]) -> None:
    """Whatever is drawn between two readings that are nearer than one wrap."""
    meter, truth, now = counted(None, level, SPAN, 0.0), 0.0, 0.0
    for passed, watts in steps:
        grown = int(watts * passed * 1e6)
        level = (level + grown) % int(SPAN + 1)
        truth += grown * 1e-6
        now += passed
        meter = counted(meter, level, SPAN, now)
    assert meter.joules == pytest.approx(truth, abs=1e-3)


@given(st.lists(st.tuples(st.floats(0, 1e12), st.floats(-5, 1e5)), max_size=30), st.sampled_from([0.0, SPAN]))
def test_a_counter_never_gives_more_than_a_node_can_draw(
    steps: list[tuple[float, float]], span: float
) -> None:
    """Nor falls, whatever the sensor and the clock do."""
    meter: Meter | None = None
    now, most = 0.0, 0.0
    for level, passed in steps:
        before = meter.joules if meter else 0.0
        most += MOST_W * max(passed, 1.0)
        now += passed
        meter = counted(meter, level, span, now)
        assert before <= meter.joules <= most + 1e-6


def test_a_counter_that_began_anew() -> None:
    meter = counted(counted(None, 9e6, 0.0, 0.0), 2e6, 0.0, 1.0)
    assert meter.joules == 2.0
    unlikely = counted(counted(None, 9e6, SPAN, 0.0), 2e6, SPAN, 1.0)
    assert unlikely.joules == 0.0  # 262 kJ within a second is no wrap


@given(st.floats(0, 500), st.lists(st.floats(0.01, LONGEST_S - 1), max_size=30))
def test_a_steady_power_gives_its_product_with_time(watts: float, steps: list[float]) -> None:
    meter, now = integrated(None, watts, 0.0), 0.0
    for passed in steps:
        now += passed
        meter = integrated(meter, watts, now)
    assert meter.joules == pytest.approx(watts * now, rel=1e-9, abs=1e-9)


def test_a_gap_counts_for_nothing() -> None:
    meter = integrated(integrated(None, 10.0, 0.0), 10.0, LONGEST_S + 1)
    assert meter.joules == 0.0
    assert integrated(meter, 10.0, LONGEST_S + 3).joules == 20.0
    assert integrated(meter, 10.0, 0.0).joules == 0.0  # a clock that went back


NUMBERS = st.floats(-10, 1e6)


@given(st.dictionaries(st.text(max_size=3), NUMBERS, max_size=8), NUMBERS)
def test_shares_are_shares(used: dict[str, float], offered: float) -> None:
    found = shares(used, offered)
    assert found.keys() == used.keys()
    assert all(0 <= share <= 1 for share in found.values())
    assert sum(found.values()) <= 1 + 1e-9
    assert all(found[name] == 0 for name, seconds in used.items() if seconds <= 0)


STEPS = st.lists(
    st.tuples(
        st.floats(0, 1e4), st.dictionaries(st.sampled_from("abcd"), st.floats(0, 100)), st.floats(0.1, 60)
    ),
    max_size=20,
)


@given(STEPS)
def test_pods_never_get_more_than_the_node_used(steps: list[tuple[float, dict[str, float], float]]) -> None:
    """While pods come and go, and their counters rise or begin anew."""
    ledger, now, given_away = Ledger(), 0.0, 0.0
    for joules, cpu_s, passed in steps:
        now += passed
        before = {uid: account.joules for uid, account in ledger.pods.items()}
        ledger.spend(joules, now)
        ledger.split(cpu_s, 4, now)
        assert ledger.pods.keys() == cpu_s.keys()
        gained = [account.joules - before.get(uid, 0.0) for uid, account in ledger.pods.items()]
        assert all(gain >= 0 for gain in gained)
        given_away += sum(gained)
        assert given_away <= ledger.host_j + 1e-6


def test_what_nobody_used_stays_the_nodes() -> None:
    ledger = Ledger()
    ledger.spend(0, 0.0)
    ledger.split({"a": 0.0, "b": 5.0}, 4, 0.0)
    assert ledger.spend(100.0, 10.0) == 10.0
    ledger.split({"a": 10.0, "b": 7.0}, 4, 10.0)  # of 40 s: 10 and 2
    assert {uid: account.joules for uid, account in ledger.pods.items()} == pytest.approx({"a": 25, "b": 5})
