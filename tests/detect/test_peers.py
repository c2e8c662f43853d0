"""A node unlike its kind is found; a fleet that moves together, or falls apart, accuses nobody."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.detect.peer_groups import PeerSettings, kind_of
from edgeobs.detect.peers import Peers
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Floats, Identity, Int32s, Int64s, Kind, Labels, Resource, Scores, Source

START = 1_700_000_000 * SECOND
ARM: Labels = (("host.arch", "arm64"),)
anything = st.one_of(
    st.floats(),
    st.sampled_from([1e308, -1e308, 5e-324, 1e-200, 0.0, np.nan, np.inf]),
    st.floats(-10, 10),
)
samples = st.lists(st.tuples(st.integers(0, 9), st.integers(-2, 3), anything), min_size=1, max_size=80)


def table_of(nodes: int, kinds: Sequence[Labels] = (ARM,), metrics: int = 1) -> SeriesTable:
    """Series by metric, then node, of kinds by turns."""
    table = SeriesTable(nodes * metrics)
    for metric in range(metrics):
        for node in range(nodes):
            source = Source(kinds[node % len(kinds)], Resource("c", f"z{node % 3}", f"n{node}"))
            identity = Identity(source, f"m{metric}", (("instance", f"n{node}"),), Kind.GAUGE)
            assert table.intern(identity, 0, 1) == metric * nodes + node
    return table


class Fleet:
    """Nodes of one kind, unlike in level and size, that follow one load."""

    def __init__(self, nodes: int, seed: int = 0, kinds: Sequence[Labels] = (ARM,)) -> None:
        self.rng = np.random.default_rng(seed)
        self.peers = Peers(table_of(nodes, kinds), PeerSettings(every_s=0))
        self.level, self.gain = self.rng.normal(100, 30, nodes), np.exp(self.rng.normal(0, 0.5, nodes))
        self.load, self.now = 0.0, START
        self.ids: Int32s = np.arange(nodes, dtype=np.int32)

    def run(self, steps: int, extra: Floats | float = 0.0, who: Sequence[int] | None = None) -> Floats:
        """Scores by step and node; ``extra`` is added in units of each node's own noise."""
        found = []
        at = self.ids if who is None else np.array(who, np.int32)
        for _ in range(steps):
            self.now += SECOND
            self.load = 0.98 * self.load + float(self.rng.normal())
            noise = self.rng.normal(0, 1, len(self.ids)) + extra
            value = (self.level + self.gain * (3 * self.load + noise))[at]
            found.append(self.peers.score_learn(at, np.full(len(at), self.now), value).score)
        return np.array(found)


def columns(scores: Scores) -> Floats:
    return np.array([scores.score, scores.expected, scores.spread])


def warmed(n: int = 10, every_s: float = 0.0) -> tuple[Peers, Callable[[int], Floats]]:
    rng = np.random.default_rng(7)
    peers = Peers(table_of(n, metrics=1), PeerSettings(warm=5, every_s=every_s))
    for step in range(20):
        peers.score_learn(
            np.arange(n, dtype=np.int32), np.full(n, START + step * SECOND), rng.normal(5, 1, n)
        )
    return peers, lambda k: rng.normal(5, 1, k)


def test_a_lone_deviant_is_found_with_its_second_sample_and_nobody_else() -> None:
    fleet = Fleet(20)
    fleet.run(300)
    extra = np.zeros(20)
    extra[4] = 12.0
    scores = fleet.run(10, extra)
    assert (scores[0] < 4).all()
    assert (scores[1:5, 4] >= 5).all()
    assert (np.delete(scores, 4, axis=1) < 4).all()
    assert fleet.peers.divided() == []


def test_a_movement_of_all_accuses_nobody() -> None:
    fleet = Fleet(20)
    fleet.run(300)
    fleet.load += 100.0
    assert (fleet.run(10) < 5).all()


@pytest.mark.parametrize("failing", [9, 10, 11])
def test_half_of_a_group_accuses_nobody_and_the_group_says_that_it_is_divided(failing: int) -> None:
    fleet = Fleet(20)
    fleet.run(300)
    extra = np.where(np.arange(20) < failing, 15.0, 0.0)
    scores = fleet.run(20, extra)
    assert (scores[:, failing:] < 4).all()
    (text,) = fleet.peers.divided()
    assert text.startswith("m0 of ")
    assert "arm64" in text


def test_a_third_that_fails_is_accused_and_the_rest_is_not() -> None:
    fleet = Fleet(20)
    fleet.run(300)
    scores = fleet.run(10, np.where(np.arange(20) < 6, 20.0, 0.0))
    assert (scores[2:, :6].max(axis=0) >= 5).all()
    assert (scores[2:, :6] >= 2.5).mean() > 0.95
    assert (scores[:, 6:] < 4).all()


def test_being_unlike_for_ever_is_no_deviation() -> None:
    fleet = Fleet(12)
    fleet.level[3] += 1e4
    fleet.run(100)
    assert (fleet.run(200) < 5).all()


def test_what_lasts_becomes_the_new_offset() -> None:
    fleet = Fleet(12)
    fleet.run(300)
    extra = np.zeros(12)
    extra[2] = 10.0
    assert fleet.run(5, extra)[-1, 2] >= 4
    fleet.run(400, extra)
    assert (fleet.run(20, extra) < 4).all()


@pytest.mark.parametrize("nodes", [1, 2])
def test_one_or_two_say_nothing(nodes: int) -> None:
    fleet = Fleet(nodes)
    fleet.run(200)
    assert not fleet.run(20, np.array([50.0, 0.0])[:nodes]).any()


def test_who_has_been_silent_for_long_does_not_count() -> None:
    fleet = Fleet(4)
    fleet.run(200)
    fleet.run(40, who=[0, 1])
    extra = np.array([50.0, 0, 0, 0])
    assert not fleet.run(20, extra, who=[0, 1]).any()


def test_kinds_are_compared_apart() -> None:
    fleet = Fleet(12, kinds=[ARM, (("host.arch", "amd64"),)])
    fleet.run(300)
    of_arm = np.where(np.arange(12) % 2 == 0, 15.0, 0.0)
    assert (fleet.run(10, of_arm) < 5).all()
    assert len(fleet.peers.groups) == 2


def test_what_tells_a_kind() -> None:
    attributes = (
        ("device.model.identifier", "box-3"),
        ("k8s.node.label.node-role.kubernetes.io/edge", ""),
        ("k8s.node.label.node.kubernetes.io/instance-type", "k3s"),
    )
    by = (
        "zone",
        "node.kubernetes.io/instance-type",
        "device.model.identifier",
        "node-role.kubernetes.io/",
        "none",
    )
    found = kind_of(Source(attributes, Resource(zone="north")), by)
    assert found == ("north", "k3s", "box-3", "node-role.kubernetes.io/edge=", "")


def test_a_large_kind_is_parted() -> None:
    peers = Peers(table_of(50), PeerSettings(most=20))
    group = peers.groups.find(np.arange(50, dtype=np.int32))
    assert np.bincount(group).tolist() == [20, 20, 10]


def test_a_new_node_is_judged_by_its_fifth_sample() -> None:
    rng = np.random.default_rng(3)
    peers = Peers(table_of(12), PeerSettings(every_s=0))
    everyone: Int32s = np.arange(12, dtype=np.int32)
    for step in range(200):
        who = everyone[:10]
        peers.score_learn(who, np.full(10, START + step * SECOND), rng.normal(40, 2, 10))
    good, bad = [], []
    for step in range(200, 205):
        value = rng.normal(40, 2, 12)
        value[11] += 40
        scores = peers.score_learn(everyone, np.full(12, START + step * SECOND), value).score
        good.append(scores[10])
        bad.append(scores[11])
    assert max(bad) >= 5
    assert max(good) < 4


def test_what_a_group_lends() -> None:
    rng = np.random.default_rng(3)
    peers = Peers(table_of(12, metrics=3), PeerSettings(every_s=0))
    level = np.r_[np.full(10, 40.0), np.linspace(0, 900, 10)]
    ids = np.r_[np.arange(10), 12 + np.arange(10)].astype(np.int32)
    for step in range(300):
        peers.score_learn(ids, np.full(20, START + step * SECOND), level + rng.normal(0, 2, 20))
    found = peers.prior(np.array([11, 23, 35, 10], np.int32))
    assert found.mean[0] == pytest.approx(40, abs=2)
    assert found.mean[1] == pytest.approx(450, abs=10)
    assert found.between[1] == pytest.approx(1.4826 * 250, rel=0.05)
    np.testing.assert_allclose(found.sd[[0, 1]], [2, 2], rtol=0.2)
    assert found.weight[0] > 10  # all alike: worth many samples
    assert found.weight[1] < 0.1  # each its own: worth none
    assert found.members.tolist() == [10, 10, 0, 10]
    assert np.isnan([found.mean[2], found.sd[2], found.between[2]]).all()
    assert found.weight[2] == 0
    assert found.mean[3] == found.mean[0]


def test_five_samples_beside_what_peers_lend() -> None:
    """A new series that starts with what its group lends: within the range from the first sample on."""
    rng = np.random.default_rng(11)
    peers = Peers(table_of(12), PeerSettings(every_s=0))
    for step in range(300):
        peers.score_learn(
            np.arange(11, dtype=np.int32), np.full(11, START + step * SECOND), rng.normal(40, 2, 11)
        )
    lent = peers.prior(np.array([11], np.int32))
    mean, n = float(lent.mean[0]), float(lent.weight[0])
    for value in rng.normal(40, 2, 5):
        width = float(np.sqrt(lent.sd[0] ** 2 * (1 + 1 / n)))
        assert abs(value - mean) < 4 * width
        assert abs(value + 30 - mean) > 8 * width
        mean, n = mean + (value - mean) / (n + 1), n + 1


@settings(max_examples=60, deadline=None)
@given(stream=samples)
def test_nothing_that_is_not_finite_goes_in_or_out(stream: list[tuple[int, int, float]]) -> None:
    peers, _ = warmed()
    scores = feed(peers, stream * 2)
    assert np.isfinite(scores.score).all()
    assert ((scores.score >= 0) & (scores.score <= 20)).all()
    assert not np.isinf(scores.expected).any()
    assert (np.isnan(scores.spread) | (scores.spread > 0)).all()
    assert (np.isnan(scores.expected) == np.isnan(scores.spread)).all()
    for name, array in peers.state().items():
        assert np.isfinite(array.astype(np.float64)).all(), name


def feed(peers: Peers, stream: Sequence[tuple[int, int, float]], time: Int64s | None = None) -> Scores:
    """One call; clocks that stand still, jump and run back."""
    moved = times(stream) if time is None else time
    series = np.array([s for s, _, _ in stream], np.int32)
    return peers.score_learn(series, moved, np.array([v for _, _, v in stream], np.float64))


def times(stream: Sequence[tuple[int, int, float]]) -> Int64s:
    return START + 20 * SECOND + np.cumsum([d for _, d, _ in stream], dtype=np.int64) * SECOND // 2


@settings(max_examples=100, deadline=None)
@given(stream=samples, cuts=st.sets(st.integers(1, 159), max_size=8), every_s=st.sampled_from([0, 1, 5]))
def test_any_batching_gives_the_same(
    stream: list[tuple[int, int, float]], cuts: set[int], every_s: float
) -> None:
    stream = stream * 2
    time = times(stream)
    whole, parts = warmed(every_s=every_s)[0], warmed(every_s=every_s)[0]
    edges = [0, *sorted(c for c in cuts if c < len(stream)), len(stream)]
    together = columns(feed(whole, stream, time))
    apart = np.concatenate([columns(feed(parts, stream[a:b], time[a:b])) for a, b in pairwise(edges)], axis=1)
    np.testing.assert_array_equal(together, apart)
    for name, array in whole.state().items():
        np.testing.assert_array_equal(array, parts.state()[name], err_msg=name)


def test_a_long_batch_is_as_many_short_ones() -> None:
    rng = np.random.default_rng(5)
    n, steps = 12, 200
    whole, parts = (Peers(table_of(n // 2, metrics=2), PeerSettings(every_s=0)) for _ in range(2))
    ids = np.tile(np.arange(n, dtype=np.int32), steps)
    time = START + np.repeat(np.arange(steps), n) * SECOND + np.tile(rng.integers(0, SECOND, n), steps)
    value = rng.normal(5, 1, n * steps)
    value[1500:1560:6] += 20
    together = columns(whole.score_learn(ids, time, value))
    apart = [
        columns(parts.score_learn(ids[i : i + 7], time[i : i + 7], value[i : i + 7]))
        for i in range(0, len(ids), 7)
    ]
    np.testing.assert_array_equal(together, np.concatenate(apart, axis=1))
    assert together[0].max() > 4


@settings(max_examples=40, deadline=None)
@given(stream=samples, at=st.integers(0, 79), other=st.floats(-1e6, 1e6))
def test_no_score_knows_a_later_sample(stream: list[tuple[int, int, float]], at: int, other: float) -> None:
    at = min(at, len(stream) - 1)
    changed = [*stream[:at], (stream[at][0], stream[at][1], other), *stream[at + 1 :]]
    one, two = feed(warmed()[0], stream), feed(warmed()[0], changed)
    np.testing.assert_array_equal(columns(one)[:, :at], columns(two)[:, :at])


def test_ids_and_their_order_are_names_only() -> None:
    rng = np.random.default_rng(1)
    order = rng.permutation(40)
    plain, renamed = (
        Peers(table_of(40), PeerSettings(every_s=0)),
        Peers(table_of(40), PeerSettings(every_s=0)),
    )
    for step in range(80):
        value = rng.normal(5, 1, 40)
        value[3] += 12 * (step > 75)
        time = np.full(40, START + step * SECOND)
        one = columns(plain.score_learn(np.arange(40, dtype=np.int32), time, value))
        two = columns(renamed.score_learn(order.astype(np.int32), time, value))
        np.testing.assert_array_equal(one, two)
    assert one[0, 3] > 4


def test_a_snapshot_continues_identically_and_is_a_copy() -> None:
    peers, more = warmed()
    state = peers.state()
    before = {name: array.copy() for name, array in state.items()}
    other = Peers(peers.groups.table, peers.settings)
    other.restore(state)
    for step in range(20, 60):
        value = more(10)
        value[2] += 20 * (step > 40)
        args = np.arange(10, dtype=np.int32), np.full(10, START + step * SECOND), value
        one, two = columns(peers.score_learn(*args)), columns(other.score_learn(*args))
        np.testing.assert_array_equal(one, two)
    assert one[0, 2] > 4
    for name, array in state.items():
        np.testing.assert_array_equal(array, before[name])


def test_a_bad_snapshot_is_refused_and_changes_nothing() -> None:
    peers, _ = warmed()
    good = peers.state()
    for name, array in good.items():
        for bad in (array.reshape(-1, 1, 1), array.astype(np.complex128), array[:0]):
            with pytest.raises(ValueError, match="peers: "):
                peers.restore(good | {name: bad})
    for name in ("series.mean", "group.common"):
        with pytest.raises(ValueError, match="not finite"):
            peers.restore(good | {name: np.full_like(good[name], np.nan)})
    with pytest.raises(ValueError, match="schema"):
        peers.restore({})
    for name, array in peers.state().items():
        np.testing.assert_array_equal(array, good[name])


def test_a_forgotten_series_is_as_new_and_its_group_ends_with_its_last_member() -> None:
    peers, _ = warmed()
    peers.forget(np.array([3, 500], np.int32))
    assert peers.series["n"][3] == 0
    assert len(peers.groups) == 1
    peers.forget(np.arange(10, dtype=np.int32))
    assert peers.group["looks"][0] == 0
    peers.groups.find(np.arange(10, dtype=np.int32))
    assert len(peers.groups) == 1  # its number is used again


def test_bytes_a_series_do_not_grow_with_samples() -> None:
    peers = Peers(table_of(200, metrics=10), PeerSettings(every_s=0))
    ids: Int32s = np.arange(2000, dtype=np.int32)
    rng = np.random.default_rng(0)

    def held() -> int:
        columns = sum(array.nbytes for array in peers.state().values())
        return columns + peers.groups._sorted.nbytes

    for step in range(30):
        peers.score_learn(ids, np.full(2000, START + step * SECOND), rng.normal(size=2000))
        if step == 20:
            first = held()
    assert held() == first
    assert first < 32 * 2000


def test_of_constants_one_that_moves_is_no_certainty() -> None:
    peers = Peers(table_of(10), PeerSettings(every_s=0))
    ids: Int32s = np.arange(10, dtype=np.int32)
    for step in range(100):
        scores = peers.score_learn(ids, np.full(10, START + step * SECOND), np.zeros(10)).score
        assert not scores.any()
    for step in range(100, 103):
        value = np.where(ids == 4, 1.0, 0.0)
        scores = peers.score_learn(ids, np.full(10, START + step * SECOND), value).score
        assert not np.delete(scores, 4).any()
    assert 3 < scores[4] < 10


def test_nothing_sent_nothing_scored() -> None:
    peers, _ = warmed()
    assert len(feed(peers, []).score) == 0
    assert len(peers.prior(np.zeros(0, np.int32)).mean) == 0


def test_a_look_at_most_every_so_often_finds_the_same_a_little_later() -> None:
    fleet = Fleet(20)
    fleet.peers = Peers(fleet.peers.groups.table, PeerSettings(every_s=5))
    fleet.run(1500)
    assert 290 <= fleet.peers.group["looks"][0] <= 301
    extra = np.zeros(20)
    extra[4] = 12.0
    scores = fleet.run(15, extra)
    assert (scores[10:, 4] >= 4).all()
    assert (np.delete(scores, 4, axis=1) < 4).all()


def test_bursts_surprise_by_their_size_no_more() -> None:
    rng = np.random.default_rng(2)
    peers, ids = Peers(table_of(10), PeerSettings(every_s=0)), np.arange(10, dtype=np.int32)
    highest = []
    for step in range(2400):
        value = rng.normal(5, 1, 10)
        value[4] += 60 * (step >= 300 and step % 100 < 4)
        scores = peers.score_learn(ids, np.full(10, START + step * SECOND), value).score
        highest.append(scores[4])
    assert max(highest[300:304]) >= 6
    assert max(highest[2000:]) < 5
