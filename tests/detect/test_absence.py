"""Who is missed: a node, a zone, all, an exporter; and who is not."""

from collections.abc import Sequence

import numpy as np
import pytest

from edgeobs.detect import Heartbeats, Settings
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Absence, Identity, Kind, Resource, Source

NAMES = ("node_cpu_seconds_total", "node_cpu_mhz", "node_hwmon_temp_celsius")


class Fleet:
    """Nodes n0, n1, … in zones, each with three series; the clock starts anywhere."""

    def __init__(self, zones: Sequence[str], settings: Settings | None = None) -> None:
        self.table = SeriesTable(1000)
        self.series: list[list[int]] = []
        for i, zone in enumerate(zones):
            source = Source((("host", f"n{i}"),), Resource("c", zone, f"n{i}"))
            ids = [self.table.intern(Identity(source, name, (), Kind.GAUGE), 0, 1) for name in NAMES]
            self.series.append([number for number in ids if number is not None])
        self.settings = settings or Settings()
        self.beats = Heartbeats(self.table, self.settings)
        self.now = 1_700_000_000 * SECOND

    def run(
        self, seconds: int, *, without: Sequence[int] = (), mute: Sequence[int] = ()
    ) -> list[list[Absence]]:
        """What was absent each second. ``without`` nodes send nothing; ``mute`` ones no temperatures."""
        found = []
        for _ in range(seconds):
            self.now += SECOND
            for node, ids in enumerate(self.series):
                if node not in without:
                    sent = ids[:2] if node in mute else ids
                    self.beats.heard(np.array(sent, np.int32), self.now + node * SECOND // 1000)
            found.append(self.beats.absences(self.now + SECOND // 2))
        return found

    def states(self) -> list[str]:
        return [beat.state for beat in self.beats.beats(self.now + SECOND // 2)]


@pytest.fixture
def fleet() -> Fleet:
    return Fleet(["a"] * 4 + ["b"] * 4 + ["c"] * 4)


def scopes(found: Sequence[Absence]) -> list[tuple[str, str, str]]:
    return [(a.scope, a.place.zone, a.place.node) for a in found]


def test_nobody_is_missed_while_all_speak(fleet: Fleet) -> None:
    assert not any(fleet.run(120))
    beat = fleet.beats.beats(fleet.now)[0]
    assert beat.state == "alive"
    assert beat.interval_ns == pytest.approx(SECOND, rel=0.01)
    assert beat.heard_ns == pytest.approx(fleet.now, abs=1000)


def test_a_node_is_silent_after_five_intervals(fleet: Fleet) -> None:
    fleet.run(30)
    went = fleet.now
    found = [scopes(f) for f in fleet.run(12, without=[5])]
    assert found[3] == []
    assert found[6] == [("node", "b", "n5")]
    assert fleet.beats.absences(fleet.now)[0].since_ns == pytest.approx(went, abs=SECOND / 10)
    assert fleet.states().count("silent") == 1
    assert fleet.run(2)[-1] == []


def test_half_a_zone_is_a_zone_and_never_its_nodes(fleet: Fleet) -> None:
    fleet.run(30)
    seen = {entry for f in fleet.run(20, without=[4, 5, 6]) for entry in scopes(f)}
    assert seen == {("zone", "b", "")}
    assert fleet.beats.absences(fleet.now)[0].detail == "3 of 4 nodes silent"


def test_a_zone_that_goes_dark_node_by_node_is_one_zone(fleet: Fleet) -> None:
    fleet.run(30)
    fleet.run(1, without=[4])
    seen = {entry for f in fleet.run(20, without=[4, 5, 6, 7]) for entry in scopes(f)}
    assert seen == {("zone", "b", "")}


def test_most_zones_dark_is_us(fleet: Fleet) -> None:
    fleet.run(30)
    assert scopes(fleet.run(20, without=range(8))[-1]) == [("cluster", "", "")]


def test_all_nodes_of_no_known_zone_are_us() -> None:
    fleet = Fleet([""] * 4)
    fleet.run(30)
    assert scopes(fleet.run(20, without=range(4))[-1]) == [("cluster", "", "")]


def test_an_exporter_of_a_node_that_speaks(fleet: Fleet) -> None:
    fleet.run(30)
    found = fleet.run(40, mute=[2])
    assert not any(found[:14])
    assert scopes(found[-1]) == [("exporter", "a", "n2")]
    assert found[-1][0].detail == "node_hwmon (1 series) of a node that otherwise speaks"
    assert fleet.states()[2] == "alive"


def worker(fleet: Fleet, pod: str, workload: str = "web") -> int:
    """A series of a pod on the first node."""
    source = Source((("service.name", workload),), Resource("c", "a", "n0", "ns", workload, pod))
    number = fleet.table.intern(Identity(source, "http_requests", (), Kind.GAUGE), 0, fleet.now)
    assert number is not None
    return number


@pytest.mark.parametrize(
    ("case", "missed"), [("rollout", 0), ("another workload", 1), ("a replica goes on", 1), ("later", 1)]
)
def test_a_pod_whose_place_another_takes_is_not_missed(fleet: Fleet, case: str, missed: int) -> None:
    """A new pod begins 20 s before the old one ends; or that other one is no replacement."""
    old = worker(fleet, "web-1")
    new = worker(fleet, "web-2", "shop" if case == "another workload" else "web")
    begins, ends = {"a replica goes on": 0, "later": 900}.get(case, 480), 500
    found = list[Absence]()
    for second in range(800):
        found = fleet.run(1)[-1]
        speak = [old] * (second < ends) + [new] * (second >= begins)
        fleet.beats.heard(np.array(speak, np.int32), fleet.now)
    assert len(found) == missed


def test_a_silent_node_is_not_its_exporters_too_nor_once_it_is_back(fleet: Fleet) -> None:
    fleet.run(30)
    silent = fleet.run(60, without=[2])
    assert {scope for f in silent for scope, *_ in scopes(f)} == {"node"}
    back = fleet.run(40, mute=[2])
    assert not any(back[1:14])
    assert scopes(back[-1]) == [("exporter", "a", "n2")]


def test_a_retired_series_is_no_dead_exporter(fleet: Fleet) -> None:
    fleet.run(30)
    fleet.run(30, mute=[2])
    gone = fleet.series[2][2]
    fleet.table.drop([gone])
    fleet.beats.forget(np.array([gone], np.int32))
    assert fleet.run(5, mute=[2])[-1] == []


def test_our_own_pause_is_nobodys_silence(fleet: Fleet) -> None:
    fleet.run(30)
    fleet.now += 3600 * SECOND
    assert fleet.beats.absences(fleet.now) == []
    assert not any(fleet.run(30))
    fleet.now += 3600 * SECOND
    assert scopes(fleet.run(12, without=[0])[-1]) == [("node", "a", "n0")]


def test_a_clock_of_ours_that_jumps_back_accuses_nobody(fleet: Fleet) -> None:
    fleet.run(30)
    fleet.now -= 3600 * SECOND
    assert not any(fleet.run(30))
    assert scopes(fleet.run(12, without=[0])[-1]) == [("node", "a", "n0")]


def test_a_node_that_hardly_spoke_is_young_and_not_missed(fleet: Fleet) -> None:
    fleet.run(2, without=[0])
    fleet.run(1)
    assert not any(fleet.run(30, without=[0]))
    assert fleet.states()[0] == "young"


def test_a_silence_of_a_day_is_retirement() -> None:
    fleet = Fleet(["a"] * 5, Settings(retired_s=100))
    fleet.run(30)
    assert scopes(fleet.run(50, without=[0])[-1]) == [("node", "a", "n0")]
    assert fleet.run(60, without=[0])[-1] == []
    assert fleet.states()[0] == "retired"


def test_requests_in_one_interval_are_one_beat(fleet: Fleet) -> None:
    ids = np.array(fleet.series[0], np.int32)
    for second in range(60):
        for part in range(4):
            fleet.beats.heard(ids, fleet.now + second * SECOND + part * SECOND // 100)
    assert fleet.beats.beats(fleet.now + 60 * SECOND)[0].interval_ns == pytest.approx(SECOND, rel=0.05)


def test_slow_senders_are_given_their_own_time(fleet: Fleet) -> None:
    ids = np.array(fleet.series[0], np.int32)
    for second in range(600):
        if second % 60 == 0:
            fleet.beats.heard(ids, fleet.now + second * SECOND)
        assert fleet.beats.absences(fleet.now + second * SECOND) == []


def test_a_snapshot_continues_and_its_downtime_counts_for_nobody(fleet: Fleet) -> None:
    fleet.run(30, mute=[1])
    fleet.run(10)
    fleet.run(12, without=[3], mute=[2])
    other = Heartbeats(fleet.table, fleet.settings)
    other.restore(fleet.beats.state())
    fleet.beats = other
    fleet.now += 600 * SECOND
    assert scopes(fleet.run(2, without=[3], mute=[2])[-1]) == [("node", "a", "n3")]
    assert scopes(fleet.run(8, without=[3], mute=[2])[-1]) == [("node", "a", "n3"), ("exporter", "a", "n2")]


@pytest.mark.parametrize("spoil", ["schema", "nodes", "exporters", "clock"])
def test_a_bad_snapshot_is_refused_whole(fleet: Fleet, spoil: str) -> None:
    fleet.run(30)
    for bad in ({}, fleet.beats.state() | {spoil: np.full((3, 1), np.nan)}):
        with pytest.raises(ValueError, match="heartbeats"):
            fleet.beats.restore(bad)
    assert set(fleet.states()) == {"alive"}


def test_groups_of_series_that_come_and_go_are_let_go() -> None:
    table, now = SeriesTable(100), 1_700_000_000 * SECOND
    beats = Heartbeats(table, Settings())
    for i in range(500):
        source = Source((("pod", f"p{i}"),), Resource("c", "a", "n0"))
        number = table.intern(Identity(source, "http_requests_total", (), Kind.COUNTER), 0, now)
        assert number is not None
        ids = np.array([number], np.int32)
        beats.heard(ids, now + i * SECOND)
        if i >= 1:
            table.drop([number])
            beats.forget(ids)
    assert len(beats.state()["exporters"]) < 300
    assert beats.absences(now + 500 * SECOND) == []
