"""Right and wrong, strictly."""

from collections.abc import Sequence

import pytest

from edgeobs.demo.faults import Fault
from edgeobs.demo.verdict import COOLDOWN, ZONE_HOLD, Decided, Record, Seen, close, settled

BURN = Fault("burn", "host", 1000.0, 1025.0)
DISK = Fault("disk", "edge-17", 1012.0, 1087.0)
DARK = Fault("dark", "b", 1058.0, 1098.0)
FAULTS = (BURN, DISK, DARK)

INCIDENTS = (
    Seen("i-burn", "node", "here", "host", 1003.0, None),
    Seen("i-disk", "node", "c", "edge-17", 1020.0, None),
    Seen("i-dark", "zone", "b", "", 1064.0, None),
)
TAINT = Decided(
    "d1", "i-burn", "taint", "here", "host", "allowed", "all", True, 1003.1, "would taint host", 4.5
)
CORDON = Decided("d2", "i-disk", "cordon", "c", "edge-17", "allowed", "all", True, 1020.1, "would cordon")
HELD = Decided(
    "d3", "i-dark", "cordon", "b", "edge-01", "held", ZONE_HOLD, True, 1064.1, "held: all of zone b"
)
DECISIONS = (TAINT, CORDON, HELD)


def swap(old: Decided, new: Decided) -> Sequence[Decided]:
    return [new if each is old else each for each in DECISIONS]


def test_a_run_in_which_all_was_right() -> None:
    closing = close(Record(FAULTS, INCIDENTS, DECISIONS))
    assert closing.problems == ()
    burn, disk, dark, none = closing.rows
    assert (burn.noticed_s, disk.noticed_s, dark.noticed_s) == (3.0, 8.0, 6.0)
    assert (burn.decision, burn.latency_ms) == ("would taint host", 4.5)
    assert disk.latency_ms is None
    assert dark.decision == "held: all of zone b"
    assert [row.false_actions for row in closing.rows] == [0, 0, 0, 0]
    assert none.fault == "none (healthy nodes)"
    assert all(settled(fault, Record(FAULTS, INCIDENTS, DECISIONS)) for fault in FAULTS)


def test_a_run_in_which_nothing_was_seen() -> None:
    closing = close(Record(FAULTS, [], []))
    assert len(closing.problems) == 6
    assert [row.noticed_s for row in closing.rows] == [None] * 4
    assert not any(settled(fault, Record(FAULTS, [], [])) for fault in FAULTS)


def test_a_node_that_is_cut_off_must_be_noticed_and_may_be_cordoned() -> None:
    cut = Fault("cut", "edge-09", 1006.0, 1056.0)
    silent = Seen("i-cut", "node", "a", "edge-09", 1026.0, None)
    cordon = Decided("d4", "i-cut", "cordon", "a", "edge-09", "allowed", "all", True, 1050.0, "would cordon")
    assert "not noticed" in close(Record([cut], [], [])).problems[0]
    (row, _) = close(Record([cut], [silent], [])).rows
    assert (row.noticed_s, row.decision, row.problems) == (20.0, "none: it may be its link alone", ())
    assert close(Record([cut], [silent], [cordon])).problems == ()
    for wrong in (
        cordon._replace(verb="drain"),
        cordon._replace(decided_s=1001.0),
        cordon._replace(node="edge-10"),
    ):
        assert "false action" in close(Record([cut], [silent], [wrong])).problems[0]


@pytest.mark.parametrize("missing", range(3))
def test_every_fault_must_be_noticed(missing: int) -> None:
    incidents = [each for number, each in enumerate(INCIDENTS) if number != missing]
    problems = close(Record(FAULTS, incidents, DECISIONS)).problems
    assert len(problems) == 1
    assert "not noticed" in problems[0]


@pytest.mark.parametrize("missing", range(3))
def test_every_fault_needs_its_decision(missing: int) -> None:
    decisions = [each for number, each in enumerate(DECISIONS) if number != missing]
    problems = close(Record(FAULTS, INCIDENTS, decisions)).problems
    assert len(problems) == 1
    assert "no right decision" in problems[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (CORDON, CORDON._replace(verdict="held", rule="zone_budget")),
        (CORDON, CORDON._replace(verdict="denied", rule="opt_in")),
        (CORDON, CORDON._replace(verb="taint")),
        (CORDON, CORDON._replace(node="edge-18", zone="a")),
        (CORDON, CORDON._replace(dry_run=False)),
        (CORDON, CORDON._replace(decided_s=1005.0)),
        (TAINT, TAINT._replace(verb="cordon")),
        (TAINT, TAINT._replace(verdict="held", rule="cluster_budget")),
        (TAINT, TAINT._replace(dry_run=False)),
        (TAINT, TAINT._replace(decided_s=990.0)),
        (HELD, HELD._replace(verdict="allowed", rule="all")),
        (HELD, HELD._replace(rule="zone_budget")),
        (HELD, HELD._replace(verdict="denied")),
        (HELD, HELD._replace(zone="a", node="edge-03")),
    ],
)
def test_another_decision_is_not_right(old: Decided, new: Decided) -> None:
    assert any("no right decision" in p for p in close(Record(FAULTS, INCIDENTS, swap(old, new))).problems)


@pytest.mark.parametrize(
    ("extra", "row"),
    [
        (CORDON._replace(id="x", node="edge-05"), 3),
        (CORDON._replace(id="x", node="edge-05", dry_run=False), 3),
        (CORDON._replace(id="x", verb="failover"), 1),
        (CORDON._replace(id="x", dry_run=False), 1),
        (CORDON._replace(id="x", decided_s=1001.0), 1),
        (CORDON._replace(id="x", decided_s=1200.0), 1),
        (CORDON._replace(id="x", node="host", zone="here"), 0),
        (TAINT._replace(id="x", node="edge-17", zone="c"), 1),
        (HELD._replace(id="x", verdict="allowed"), 2),
        (HELD._replace(id="x", verdict="allowed", decided_s=1000.0), 2),
    ],
)
def test_any_other_allowed_action_is_false(extra: Decided, row: int) -> None:
    closing = close(Record(FAULTS, INCIDENTS, [*DECISIONS, extra]))
    assert [r.false_actions for r in closing.rows] == [int(n == row) for n in range(4)]
    assert len(closing.problems) == 1
    assert "false action" in closing.problems[0]


def test_what_is_held_or_denied_for_a_healthy_node_is_no_action() -> None:
    extra = [CORDON._replace(id=v, node="edge-05", verdict=v) for v in ("held", "denied")]
    assert close(Record(FAULTS, INCIDENTS, [*DECISIONS, *extra])).problems == ()


def test_a_machine_that_was_abnormal_before_the_burn_may_be_tainted_before_it() -> None:
    before = Seen("i-burn", "node", "here", "host", 980.0, None)
    early = TAINT._replace(decided_s=981.0)
    incidents = (before, *INCIDENTS[1:])
    closing = close(Record(FAULTS, incidents, swap(TAINT, early)))
    assert closing.problems == ()
    assert closing.rows[0].noticed_s == 0.0
    assert closing.rows[0].decision.endswith("(it was busy already: 19 s before)")
    over = (before._replace(resolved_s=990.0), *INCIDENTS[1:])
    problems = close(Record(FAULTS, over, swap(TAINT, early))).problems
    assert any("false action" in p for p in problems)
    assert any("not noticed" in p for p in problems)


def test_a_machine_that_was_really_busy_may_be_tainted_and_then_cools_down() -> None:
    early, before = TAINT._replace(decided_s=960.0), Seen("i-0", "node", "here", "host", 950.0, 970.0)
    cooling = TAINT._replace(id="x", verdict="held", rule=COOLDOWN)
    incidents, decisions = (before, *INCIDENTS), [early, cooling, CORDON, HELD]
    assert close(Record(FAULTS, incidents, decisions, busy_s=[955.0])).problems == ()
    idle = close(Record(FAULTS, incidents, decisions, busy_s=[900.0])).problems
    assert any("false action" in p for p in idle)
    assert any("no right decision" in p for p in idle)
    never = close(Record(FAULTS, incidents, [cooling, CORDON, HELD], busy_s=[955.0])).problems
    assert len(never) == 1


def test_where_others_kept_this_machine_busy_the_burn_must_be_noticed_and_no_more() -> None:
    closing = close(Record(FAULTS, INCIDENTS, DECISIONS[1:], noisy=True))
    assert closing.problems == ()
    assert closing.rows[0].decision == "none: this machine was busy before"
    assert len(close(Record(FAULTS, INCIDENTS[1:], DECISIONS[1:], noisy=True)).problems) == 1
    assert len(close(Record(FAULTS, INCIDENTS, DECISIONS[:1], noisy=True)).problems) == 2


def test_being_busy_excuses_nothing_but_the_taint_of_this_machine() -> None:
    for wrong in (
        TAINT._replace(node="edge-05"),
        TAINT._replace(verb="cordon"),
        TAINT._replace(dry_run=False),
    ):
        extra = wrong._replace(id="x", decided_s=990.0)
        assert len(close(Record(FAULTS, INCIDENTS, [*DECISIONS, extra], busy_s=[990.0])).problems) == 1


def test_a_simulated_node_that_was_abnormal_before_may_not_be_cordoned_before() -> None:
    incidents = (INCIDENTS[0], INCIDENTS[1]._replace(opened_s=990.0), INCIDENTS[2])
    early = swap(CORDON, CORDON._replace(decided_s=991.0))
    assert any("false action" in p for p in close(Record(FAULTS, incidents, early)).problems)
    closing = close(Record(FAULTS, incidents, DECISIONS))
    assert closing.problems == ()
    assert closing.rows[1].noticed_s == pytest.approx(8.1)


def test_incidents_of_healthy_nodes_are_told() -> None:
    healthy = Seen("i", "node", "a", "edge-03", 1010.0, None)
    silent = Seen("j", "node", "b", "edge-01", 1060.0, None)
    closing = close(Record(FAULTS, [*INCIDENTS, healthy, silent], DECISIONS))
    assert closing.healthy_incidents == 1
    assert closing.problems == ()


LIVE = [each._replace(dry_run=False) for each in DECISIONS]
MOVED = LIVE[1]._replace(id="d4", verb="reschedule")
BACK = LIVE[1]._replace(id="d5", verb="uncordon", decided_s=1110.0)


def test_with_a_real_cluster_actions_are_live_and_taken_back() -> None:
    record = Record(FAULTS, INCIDENTS, [*LIVE, MOVED, BACK], live=True)
    closing = close(record)
    assert closing.problems == ()
    assert [row.false_actions for row in closing.rows] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "extra",
    [
        MOVED._replace(node="edge-05"),
        MOVED._replace(dry_run=True),
        BACK._replace(node="edge-05"),
        BACK._replace(verb="drain"),
        BACK._replace(decided_s=1011.0),
    ],
)
def test_with_a_real_cluster_whatever_else_is_done_is_false(extra: Decided) -> None:
    closing = close(Record(FAULTS, INCIDENTS, [*LIVE, extra], live=True))
    assert sum(row.false_actions for row in closing.rows) == 1


def test_a_dry_run_is_not_right_where_actions_are_live() -> None:
    closing = close(Record(FAULTS, INCIDENTS, DECISIONS, live=True))
    assert sum("no right decision" in problem for problem in closing.problems) == 2
