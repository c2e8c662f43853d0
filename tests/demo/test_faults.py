"""The schedule, and how a disk goes bad."""

from hypothesis import given
from hypothesis import strategies as st

from edgeobs.demo.burn import memory_bytes
from edgeobs.demo.faults import SLOWLY_S, Fault, Plan, wear

DISK = Fault("disk", "n", 100.0, 200.0)


def test_the_four_faults_fit_into_the_time_of_a_single_run() -> None:
    plan = Plan()
    assert plan.warm_s <= 60
    assert max(f.end_s for f in plan.faults(plan.warm_s, "me")) <= 160
    assert {f.kind for f in plan.faults(0, "me")} == {"burn", "disk", "cut", "dark"}


def test_slowly_then_fast() -> None:
    slower = [wear(DISK, 100 + age).slower for age in range(60)]
    slow, fast = slower[int(SLOWLY_S)] - slower[0], slower[int(SLOWLY_S) + 10] - slower[int(SLOWLY_S)]
    assert slower == sorted(slower)
    assert fast / 10 > 20 * slow / SLOWLY_S


@given(st.floats(0, 300))
def test_healthy_outside_the_fault(t: float) -> None:
    now = wear(DISK, t)
    assert (now == (1.0, 0.0)) or DISK.on(t)
    assert now.slower >= 1
    assert now.errors >= 0


def test_the_burn_takes_a_quarter_of_what_is_free_and_never_more_than_3_gib() -> None:
    assert memory_bytes(4 << 30) == 1 << 30
    assert memory_bytes(64 << 30) == 3 << 30
    assert memory_bytes(0) == 0
