"""The checks: what they find, what they do not, and what cannot be told."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.node.forecast import EVERY_S, KEPT, Trail, gone_in_s, remembered, slope
from edgeobs.node.health import CHECKS, Facts, Verdict, judged, problems
from edgeobs.node.kernel_log import Event
from edgeobs.node.readings import Labels
from edgeobs.node.settings import Health

Latest = dict[str, dict[Labels, float]]
NOW, SETTINGS = 10_000.0, Health()
ROOT: Labels = (("system.device", "/dev/sda1"), ("system.filesystem.mountpoint", "/"))


def verdict(kind: str, facts: Facts, now: float = NOW) -> Verdict:
    return CHECKS[kind](facts, SETTINGS, now)


def falling(per_hour: float, left: float, minutes: int = 60) -> Trail:
    """Free bytes, a value a minute up to NOW."""
    return tuple((NOW - 60 * back, left + per_hour * back / 60) for back in range(minutes, -1, -1))


def test_nothing_read_is_nothing_known() -> None:
    found = judged(Facts(), SETTINGS, NOW)
    assert {each.status for each in found.values()} == {"Unknown"}
    assert list(problems(found)) == []


@pytest.mark.parametrize(
    ("share", "trail", "status"),
    [
        (0.5, (), "False"),
        (0.96, (), "True"),  # full now
        (0.8, falling(10e9, 20e9), "True"),  # two hours left
        (0.8, falling(10e9, 80e9), "False"),  # eight
        (0.8, falling(-10e9, 20e9), "False"),  # it empties
        (0.8, falling(10e9, 20e9, minutes=5), "False"),  # too short to tell
    ],
)
def test_disk_full_soon(share: float, trail: Trail, status: str) -> None:
    latest = {"system.filesystem.utilization": {ROOT: share}, "edgeobs.node.filesystem.readonly": {ROOT: 0.0}}
    found = verdict("DiskFullSoon", Facts(latest, {"/": trail}))
    assert found.status == status
    image = {**latest, "edgeobs.node.filesystem.readonly": {ROOT: 1.0}}
    assert verdict("DiskFullSoon", Facts(image, {"/": trail})).status == "False"  # an image is always full


def test_the_message_says_where_and_when() -> None:
    latest = {"system.filesystem.utilization": {ROOT: 0.8}}
    found = verdict("DiskFullSoon", Facts(latest, {"/": falling(10e9, 25e9)}))
    assert found.message == "/ is 80% full and will be full in 2 h 30 min"


def test_a_filesystem_that_was_mounted_read_only_is_no_problem() -> None:
    latest = {"edgeobs.node.filesystem.readonly": {ROOT: 1.0}}
    assert verdict("ReadonlyFilesystem", Facts(latest)).status == "False"
    made_so = Event("filesystem_readonly", 5.0, "sda1")  # long ago, and it still is
    assert verdict("ReadonlyFilesystem", Facts(latest, events=(made_so,))).status == "True"
    mended = {"edgeobs.node.filesystem.readonly": {ROOT: 0.0}}
    assert verdict("ReadonlyFilesystem", Facts(mended, events=(made_so,))).status == "False"


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("KernelDeadlock", "hung_task"),
        ("KernelDeadlock", "soft_lockup"),
        ("KernelDeadlock", "rcu_stall"),
        ("OutOfMemoryKills", "oom_kill"),
        ("ThermalThrottling", "thermal"),
    ],
)
def test_what_the_kernel_told_counts_for_a_while(kind: str, what: str) -> None:
    latest: Latest = {"edgeobs.node.kernel.events": {(("event", what),): 1.0}}
    facts = Facts(latest, events=(Event(what, NOW - 60, "this one"),))
    found = verdict(kind, facts)
    assert (found.status, "this one" in found.message) == ("True", True)
    assert verdict(kind, facts, NOW + SETTINGS.event_s).status == "False"
    assert verdict(kind, facts, 10.0).status == "False"  # of a boot before: its clock is ahead
    other = Facts(latest, events=(Event("io_error", NOW - 60, "sda"),))
    assert verdict(kind, other).status == "False"


def test_clock() -> None:
    def clock(synchronised: float, offset: float, worst: float) -> Verdict:
        latest: Latest = {
            "edgeobs.node.clock.synchronized": {(): synchronised},
            "edgeobs.node.clock.offset": {(): offset},
            "edgeobs.node.clock.error.max": {(): worst},
        }
        return verdict("ClockSkew", Facts(latest))

    assert clock(1, 0.001, 0.1).status == "False"
    assert clock(1, -0.25, 0.1).message == "the clock is -0.250 s off"
    assert clock(0, 0, 16).message == "the clock is not synchronised"
    assert clock(1, 0, 9).status == "True"


@pytest.mark.parametrize(
    ("kind", "metric", "labels"),
    [
        ("DNSProblem", "edgeobs.node.dns.up", ("server.address", "192.0.2.1", "192.0.2.2")),
        ("GatewayUnreachable", "edgeobs.node.gateway.up", ("network.peer.address", "192.0.2.1", "192.0.2.2")),
    ],
)
def test_one_of_several_ways_is_enough(kind: str, metric: str, labels: tuple[str, str, str]) -> None:
    name, *both = labels
    for first, second, status in ((1, 1, "False"), (0, 1, "False"), (0, 0, "True")):
        values: dict[Labels, float] = {((name, both[0]),): first, ((name, both[1]),): second}
        assert verdict(kind, Facts({metric: values})).status == status


@pytest.mark.parametrize(
    ("kind", "metric", "label"),
    [
        ("ContainerRuntimeUnhealthy", "edgeobs.node.runtime.up", "container.runtime.name"),
        ("KubeletUnhealthy", "edgeobs.node.service.up", "service.name"),
    ],
)
def test_each_must_answer(kind: str, metric: str, label: str) -> None:
    for first, second, status in ((1, 1, "False"), (0, 1, "True")):
        values: dict[Labels, float] = {((label, "one"),): first, ((label, "two"),): second}
        found = verdict(kind, Facts({metric: values}))
        assert found.status == status
        assert ("one" in found.message) == (status == "True")


def test_wear() -> None:
    disk: Labels = (("hw.id", "mmcblk0"),)
    used = "hw.physical_disk.endurance_utilization"
    assert verdict("StorageWorn", Facts({used: {disk: 0.8}})).status == "False"
    assert verdict("StorageWorn", Facts({used: {disk: 0.9}})).message == "mmcblk0 has used 90% of its life"
    assert verdict("StorageWorn", Facts({"edgeobs.node.disk.reserve_state": {disk: 2}})).status == "True"
    failed: Labels = (*disk, ("hw.state", "failed"))
    assert verdict("StorageWorn", Facts({"hw.status": {failed: 1}})).status == "True"
    assert verdict("StorageWorn", Facts({"hw.status": {failed: 0}})).status == "False"


def test_a_long_list_is_cut_in_the_message() -> None:
    latest: Latest = {"edgeobs.node.kernel.events": {(("event", "oom_kill"),): 9.0}}
    kills = tuple(Event("oom_kill", NOW - 1, f"{n} (x)") for n in range(9))
    assert verdict("OutOfMemoryKills", Facts(latest, events=kills)).message.endswith(
        "killed 2 (x) and 6 more"
    )


def test_problems_are_one_and_the_absence_of_them_nought() -> None:
    found = {
        "A": Verdict("True", "R", "m"),
        "B": Verdict("False", "R", "m"),
        "C": Verdict("Unknown", "R", "m"),
    }
    assert {dict(r.attributes)["k8s.node.condition.type"]: r.value for r in problems(found)} == {
        "A": 1,
        "B": 0,
    }


@given(st.floats(1e6, 1e9), st.floats(1e9, 1e12), st.integers(11, 200))
def test_the_forecast_of_a_straight_line_is_its_end(per_minute: float, left: float, minutes: int) -> None:
    trail: Trail = ()
    for minute in range(minutes):
        trail = remembered(trail, 60.0 * minute, left + per_minute * (minutes - 1 - minute))
    assert len(trail) <= KEPT
    assert slope(trail) == pytest.approx(-per_minute / 60, rel=1e-3)
    assert gone_in_s(trail) == pytest.approx(left / per_minute * 60, rel=1e-3)


def test_a_file_that_is_removed_does_not_hide_the_slope() -> None:
    trail = tuple((60.0 * n, 100e9 - 1e9 * n + (5e9 if n > 30 else 0)) for n in range(60))
    assert slope(trail) == pytest.approx(-1e9 / 60, rel=0.1)
    assert gone_in_s(trail) is not None


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e15)), max_size=80))
def test_a_trail_is_bounded_and_in_order(values: list[tuple[float, float]]) -> None:
    trail: Trail = ()
    for at, value in values:
        trail = remembered(trail, at, value)
    assert len(trail) <= KEPT
    assert all(later[0] - earlier[0] >= EVERY_S for earlier, later in pairwise(trail))
    left = gone_in_s(trail)
    assert left is None or left >= 0
