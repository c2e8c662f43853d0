"""What a change is about is learned anew at once, and nothing else, and not for ever."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.detect.change_signs import ChangeSettings, carries_version, watched
from edgeobs.detect.changes import Changes
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Identity, Int32s, Kind, Labels, Resource, Source

START = 1_700_000_000 * SECOND
HOUR = 3600 * SECOND
SIGNS = ChangeSettings()


class World:
    """Senders that tell a start time, a load and a temperature, on two nodes."""

    def __init__(self) -> None:
        self.table = SeriesTable(500)
        self.changes = Changes(self.table, ChangeSettings())
        self.app = [self.sender("n1", "app", "1.0"), self.sender("n2", "app", "1.0")]
        self.other = self.sender("n1", "other", "7")
        self.node = Source((), Resource("c", "z", "n1"))
        self.boot, self.heat = (
            self.add(self.node, "node_boot_time_seconds"),
            self.add(self.node, "node_temperature"),
        )
        self.everything({self.boot: 1e9})

    def sender(self, node: str, workload: str, version: str) -> list[int]:
        source = Source(
            (("service.version", version),), Resource("c", "z", node, "ns", workload, f"{workload}-x")
        )
        names = ("process_start_time_seconds", "load", "temperature")
        return [self.add(source, name) for name in names]

    def add(self, source: Source, name: str, labels: Labels = ()) -> int:
        number = self.table.intern(Identity(source, name, labels, Kind.GAUGE), 0, START)
        assert number is not None
        return number

    def everything(self, values: dict[int, float], now: int = START) -> set[int]:
        """A sample of every series: 5 but where it is told."""
        ids: Int32s = np.arange(len(self.table), dtype=np.int32)
        return self.some({int(i): values.get(int(i), 5.0) for i in ids}, now)

    def some(self, values: dict[int, float], now: int = START) -> set[int]:
        ids, value = np.array(list(values), np.int32), np.array(list(values.values()), np.float64)
        return set(self.changes.observe(ids, value, now).ids.tolist())


@pytest.fixture
def world() -> World:
    return World()


def test_a_process_that_started_anew_changes_what_it_sends(world: World) -> None:
    assert world.some({world.app[0][0]: 500.0}, START + HOUR) == set(world.app[0])
    assert world.some({world.app[0][0]: 501.0}, START + 9 * HOUR) == set()  # a clock that is set


def test_a_reboot_changes_all_of_the_node(world: World) -> None:
    found = world.some({world.boot: 2e9}, START + HOUR)
    assert found == {*world.app[0], *world.other, world.boot, world.heat}


def test_the_reason_names_who_and_what(world: World) -> None:
    found = world.changes.observe(np.array([world.boot], np.int32), np.array([2e9]), START)
    assert found.reasons == ("n1: node_boot_time_seconds 1000000000 became 2000000000",)
    assert found.since_ns == START


def test_a_new_version_of_a_workload_changes_it_on_its_node(world: World) -> None:
    new = world.sender("n1", "app", "1.1")
    assert world.some({new[1]: 1.0}, START + HOUR) == {*world.app[0], new[1]}
    assert world.some({new[2]: 1.0}, START + 9 * HOUR) == set()  # the same sender
    again = world.sender("n2", "app", "1.0")
    assert world.some({again[1]: 1.0}, START + HOUR) == set()


def test_kube_state_metrics_speaks_of_others(world: World) -> None:
    ksm = Source((), Resource("c", "z", "n2", "kube-system", "ksm"))
    labels = (("deployment", "app"), ("namespace", "ns"))
    generation = world.add(ksm, "kube_deployment_status_observed_generation", labels)
    unrelated = world.add(ksm, "kube_deployment_status_replicas", (("deployment", "db"), ("namespace", "ns")))
    about = world.add(ksm, "kube_deployment_status_replicas", labels)
    world.some({generation: 4.0, unrelated: 1.0, about: 1.0})
    found = world.some({generation: 5.0}, START + HOUR)
    assert found == {*world.app[0], *world.app[1], generation, about}


def test_an_info_metric_with_another_version_changes_its_sender(world: World) -> None:
    source = world.table[world.other[0]].source
    old = world.add(source, "other_build_info", (("branch", "main"), ("version", "7")))
    assert world.some({old: 1.0}) == set()
    new = world.add(source, "other_build_info", (("branch", "main"), ("version", "8")))
    assert world.some({new: 1.0}, START + HOUR) == {*world.other, old, new}


def test_another_version_of_a_scope_changes_its_sender_and_is_remembered_once(world: World) -> None:
    source = world.table[world.other[0]].source
    old, new = (
        [
            world.add(source, f"scoped_{n}", (("otel_scope_name", "agent"), ("otel_scope_version", version)))
            for n in range(9)
        ]
        for version in ("1", "2")
    )
    assert world.some(dict.fromkeys(old, 1.0)) == set()
    assert len(world.changes._labels) == 1
    assert world.some({new[0]: 1.0}, START + HOUR) == {*world.other, *old, new[0]}
    assert world.some(dict.fromkeys(new, 1.0), START + 9 * HOUR) == set()


def test_counters_that_began_anew(world: World) -> None:
    ids = np.array([world.app[1][1]], np.int32)
    assert set(world.changes.restarted(ids, START).ids.tolist()) == set(world.app[1])
    assert not len(world.changes.restarted(ids[:0], START).ids)


def test_one_counter_of_many_that_began_anew_is_no_restart(world: World) -> None:
    source = world.table[world.app[0][0]].source
    identities = [Identity(source, f"count_{i}_total", (), Kind.COUNTER) for i in range(4)]
    counters = [world.table.intern(each, 0, START + HOUR) for each in identities]
    ids = np.array(counters, np.int32)
    world.changes.observe(ids, np.ones(4), START + HOUR)
    assert not len(world.changes.restarted(ids[:1], START + HOUR).ids)
    assert set(world.changes.restarted(ids[:2], START + HOUR).ids.tolist()) == {*world.app[0], *counters}


def test_a_start_that_moves_all_the_time_is_asked_about_no_more(world: World) -> None:
    ids = np.array([world.app[1][1]], np.int32)
    found = [world.changes.restarted(ids, START + second * SECOND) for second in range(100)]
    assert [len(each.ids) > 0 for each in found] == [True] + [False] * 99


def test_what_we_did_ourselves(world: World) -> None:
    found = world.changes.announce(Resource(node="n1"), START)
    assert set(found.ids.tolist()) == {*world.app[0], *world.other, world.boot, world.heat}
    assert set(world.changes.announce(Resource(workload="app", node="n2"), START).ids.tolist()) == set(
        world.app[1]
    )
    assert not len(world.changes.announce(Resource(), START).ids)
    assert not len(world.changes.announce(Resource(node="n9"), START).ids)


def test_a_level_that_moved_unannounced_counts_for_that_series_alone_and_not_too_often(world: World) -> None:
    ids = np.array([3, 1, 3], np.int32)
    assert world.changes.shifted(ids, START).ids.tolist() == [1, 3]
    again = world.changes.shifted(ids, START + 60 * SECOND)
    assert (again.ids.tolist(), again.held) == ([], 2)


def test_what_flaps_blinds_nobody(world: World) -> None:
    """A start time that is another one every minute for a week."""
    minutes, relearned, held = 7 * 24 * 60, 0, 0
    ids = np.array([world.app[0][0]], np.int32)
    for minute in range(minutes):
        found = world.changes.observe(ids, np.array([1e6 * (minute % 2 + 1)]), START + minute * 60 * SECOND)
        relearned += len(found.ids) > 0
        held += found.held
    assert 5 <= relearned <= 12
    assert held == 3 * (minutes - relearned)


def test_after_a_long_calm_a_change_counts_at_once_again(world: World) -> None:
    first = world.app[0][0]
    for k, hours in enumerate([0, 1, 2, 100]):
        found = world.some({first: 1e6 * (k + 1)}, START + hours * HOUR)
    assert found
    assert world.changes._times[first] == 0


def test_names_that_tell() -> None:
    starts, versions = SIGNS.starts, SIGNS.versions
    for name in ("process_start_time_seconds", "node_boot_time_seconds", "k8s_pod_start_time", "start_time"):
        assert watched(name, starts)
    assert not watched("restart_time_seconds_total", starts)
    assert not watched("startup_latency_seconds", starts)
    for key in ("service.version", "container.image.tag", "app.kubernetes.io/version", "pod-template-hash"):
        assert carries_version(key, versions)
    assert not carries_version("versions_seen", versions)
    assert not carries_version("mountpoint", versions)


def test_forgotten_ids_mean_nothing(world: World) -> None:
    gone = np.array(world.app[0], np.int32)
    world.changes.forget(gone)
    world.table.drop(gone.tolist())
    assert not set(world.changes.announce(Resource(node="n1"), START).ids.tolist()) & set(world.app[0])
    reused = world.sender("n3", "new", "1")
    assert set(reused) == set(world.app[0])
    assert world.some({reused[0]: 9e9}, START + HOUR) == set()  # nothing to compare it with
    assert world.some({reused[0]: 1.0}, START + HOUR) == {reused[0]}


def test_memory_is_bounded_by_what_lives() -> None:
    table = SeriesTable(50)
    changes = Changes(table, ChangeSettings(most=20))
    for round_ in range(300):
        source = Source((("service.version", str(round_)),), Resource("c", "z", f"n{round_}", "ns", "w"))
        labels = (("node", f"m{round_}"), ("version", "1"))
        number = table.intern(Identity(source, "x_start_time_seconds", labels, Kind.GAUGE), 0, START)
        assert number is not None
        changes.observe(np.array([number], np.int32), np.array([1.0]), START)
        changes.forget(np.array([number], np.int32))
        table.drop([number])
        table.drop_nodes([table.by_place[source.resource.place()]])
    assert len(changes._sources.items) <= 66
    assert len(changes._places.items) <= 66
    assert len(changes._versions) <= 20
    assert len(changes._labels) <= 20
    assert not changes._started


def test_a_restart_of_our_own_is_no_change_and_one_meanwhile_is(world: World) -> None:
    world.some({world.app[0][0]: 500.0}, START)
    new = world.sender("n1", "app", "1.1")
    world.some({new[1]: 1.0}, START + HOUR)
    world.table.seen_ns[new[1]] = START + HOUR
    world.changes.restore(world.changes.state())
    assert world.everything({world.app[0][0]: 500.0, world.boot: 1e9}, START + 9 * HOUR) == set()
    world.changes.restore(world.changes.state())
    assert world.heat in world.everything({world.app[0][0]: 500.0, world.boot: 2e9}, START + 9 * HOUR)


def test_a_bad_snapshot_is_refused_and_changes_nothing(world: World) -> None:
    good = world.changes.state()
    for name, array in good.items():
        for bad in (array.reshape(-1, 1, 1), array.astype(np.complex128)):
            with pytest.raises(ValueError, match="changes: "):
                world.changes.restore(good | {name: bad})
    with pytest.raises(ValueError, match="changes: "):
        world.changes.restore({})
    with pytest.raises(ValueError, match="start times"):
        world.changes.restore(good | {"started": np.full_like(good["started"], np.nan)})
    for name, array in world.changes.state().items():
        np.testing.assert_array_equal(array, good[name])


@settings(max_examples=50, deadline=None)
@given(
    told=st.lists(st.tuples(st.integers(0, 10), st.floats()), max_size=60),
    cuts=st.sets(st.integers(1, 59), max_size=5),
)
def test_any_batching_finds_the_same(told: list[tuple[int, float]], cuts: set[int]) -> None:
    one, two = World(), World()
    ids, value = np.array([i for i, _ in told], np.int32), np.array([v for _, v in told], np.float64)
    whole = set(one.changes.observe(ids, value, START + HOUR).ids.tolist())
    apart = set[int]()
    for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 99], strict=True):
        apart |= set(two.changes.observe(ids[a:b], value[a:b], START + HOUR).ids.tolist())
    assert whole == apart
    np.testing.assert_array_equal(one.changes.state()["started"], two.changes.state()["started"])
