"""A node as a whole: its ticks, what is normal jointly, who is to blame."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs import jit
from edgeobs.detect import algebra, joint
from edgeobs.detect import ticks as t
from edgeobs.detect.node import NodeBank, NodeScores
from edgeobs.signals import SECOND, Floats, Int32s

START = 1_700_000_000 * SECOND
Sample = tuple[int, float, float]  # series, seconds, value

needs_numba = pytest.mark.skipif(not jit.available(), reason="Numba is not installed")
both = pytest.mark.parametrize("fast", [False, pytest.param(True, marks=needs_numba)], ids=["numpy", "numba"])
anything = st.one_of(
    st.floats(), st.floats(-10, 10), st.sampled_from([1e308, -1e308, 5e-324, 1e-200, 0.0, np.nan, np.inf])
)
streams = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from([0.0, 0.0, 0.1, 1.0, 1.0, 10.0, -3.0, 1e6]), anything),
    min_size=1, max_size=80,
)  # fmt: skip


def bank(series: int = 8, nodes: int = 2, *, fast: bool | None = None) -> NodeBank:
    """Series in turn on each of some nodes."""
    node_of = (np.arange(series) % nodes).astype(np.int32)
    return NodeBank(lambda: node_of, fast)


def feed(nodes: NodeBank, samples: Sequence[Sample]) -> NodeScores:
    series, seconds, value = zip(*samples, strict=True) if samples else ((), (), ())
    time = START + (np.array(seconds, np.float64) * SECOND).astype(np.int64)
    return nodes.score_learn(np.array(series, np.int32), time, np.array(value, np.float64))


def table(values: Floats, first: int = 0, every: float = 10.0) -> list[Sample]:
    """Rows of values, one column a series, a row every so many seconds."""
    return [
        (series, (first + row) * every, float(value))
        for row, line in enumerate(values) for series, value in enumerate(line)
    ]  # fmt: skip


def alike(n: int, series: int = 8, seed: int = 0) -> Floats:
    """Series that follow two hidden causes, and a little noise."""
    random = np.random.default_rng(seed)
    causes = random.standard_normal((n, 2))
    for row in range(1, n):
        causes[row] += 0.7 * causes[row - 1]
    mix = np.random.default_rng(7).standard_normal((2, series))
    found: Floats = 100 + 10 * (causes @ mix) + random.standard_normal((n, series))
    return found


def by_node(scores: NodeScores, node: int) -> list[tuple[object, ...]]:
    """Everything said of one node, tick by tick."""
    found: list[tuple[object, ...]] = []
    for i in np.flatnonzero(scores.node == node).tolist():
        rows = slice(scores.first[i], scores.first[i + 1])
        columns = [c[rows].tolist() for c in (scores.series, scores.share, scores.expected, scores.spread)]
        found.append((scores.time_ns[i], scores.score[i], scores.raw[i], *map(str, columns)))
    return found


def walked(stream: Sequence[Sample]) -> list[Sample]:
    """The third of each is not the time, but how much later it is."""
    now, found = 0.0, []
    for series, step, value in stream:
        now = max(now + step, 0.0)
        found.append((series, now, value))
    return found


@both
@settings(max_examples=40, deadline=None)
@given(stream=streams)
def test_nothing_that_is_not_finite_goes_in_or_out(fast: bool, stream: list[Sample]) -> None:
    nodes = bank(fast=fast)
    feed(nodes, table(alike(60)))
    scores = feed(nodes, [(s, 600 + when, value) for s, when, value in walked(stream)])
    assert ((scores.score >= 0) & (scores.score <= 20)).all()
    assert (np.isfinite(scores.raw) & (scores.raw >= 0)).all()
    assert np.isfinite(scores.share).all()
    assert not np.isinf(scores.expected).any()
    assert (np.isnan(scores.spread) | ((scores.spread > 0) & np.isfinite(scores.spread))).all()
    for name, array in nodes.state().items():
        assert np.isfinite(array.astype(np.float64)).all(), name


@both
@settings(max_examples=40, deadline=None)
@given(stream=streams, cuts=st.sets(st.integers(1, 400), max_size=6))
def test_any_batching_gives_the_same(fast: bool, stream: list[Sample], cuts: set[int]) -> None:
    onward = walked([(series, abs(step), value) for series, step, value in stream])
    samples = table(alike(40)) + [(s, 400 + when, v) for s, when, v in onward]
    edges = [0, *sorted(c for c in cuts if c < len(samples)), len(samples)]
    whole, parts = bank(fast=fast), bank(fast=fast)
    together = feed(whole, samples)
    apart = [feed(parts, samples[a:b]) for a, b in pairwise(edges)]
    for node in (0, 1):
        assert by_node(together, node) == [tick for scores in apart for tick in by_node(scores, node)]
    for name, array in whole.state().items():
        np.testing.assert_array_equal(array, parts.state()[name])


@needs_numba
@settings(max_examples=40, deadline=None)
@given(stream=streams)
def test_compiled_and_numpy_agree(stream: list[Sample]) -> None:
    samples = (
        table(alike(150))
        + [(s, 1500 + when, v) for s, when, v in walked(stream)]
        + table(alike(30), 1_000_000)
    )
    one, two = feed(bank(fast=True), samples), feed(bank(fast=False), samples)
    np.testing.assert_array_equal(one.time_ns, two.time_ns)
    np.testing.assert_array_equal(one.series, two.series)
    np.testing.assert_allclose(one.raw, two.raw, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(one.score, two.score, rtol=2e-3, atol=1e-3)
    known = np.isfinite(one.spread)
    np.testing.assert_array_equal(known, np.isfinite(two.spread))
    assert (np.abs(one.expected - two.expected)[known] <= 2e-3 * one.spread[known] * joint.CUT).all()


@both
def test_series_of_their_own_pace_and_missing_values_agree_too(fast: bool) -> None:
    random, values = np.random.default_rng(3), alike(600)
    samples = [
        s for i, s in enumerate(table(values)) if (i // 8) % (1 + s[0] % 3) == 0 and random.random() < 0.9
    ]
    scores = feed(bank(nodes=1, fast=fast), samples)
    late = scores.time_ns > START + 3000 * SECOND
    assert len(scores.score) > 500
    assert (scores.score[late] >= 4).mean() < 0.02
    assert np.isfinite(scores.expected[-20:]).all()


@both
def test_ids_and_their_order_are_names_only(fast: bool) -> None:
    random, values = np.random.default_rng(1), alike(120)
    ids = random.permutation(1000)[:8]
    plain, renamed = bank(nodes=1, fast=fast), NodeBank(lambda: np.zeros(1000, np.int32), fast)
    for row, line in enumerate(values):
        order = random.permutation(8)
        one = feed(plain, table(line[None], row))
        two = feed(renamed, [(int(ids[s]), row * 10.0, float(line[s])) for s in order])
        np.testing.assert_allclose(one.score, two.score, rtol=1e-3, atol=1e-3)
        place = [int(np.flatnonzero(two.series == ids[s])[0]) for s in one.series]
        np.testing.assert_allclose(one.share, two.share[place], rtol=1e-2, atol=1e-3)
        np.testing.assert_allclose(one.expected, two.expected[place], rtol=1e-3)


@both
def test_no_score_knows_a_later_sample_and_no_expectation_its_own(fast: bool) -> None:
    values = alike(200)
    other = values.copy()
    other[150, 3] += 40.0
    one, two = feed(bank(nodes=1, fast=fast), table(values)), feed(bank(nodes=1, fast=fast), table(other))
    tick = int(np.flatnonzero(one.time_ns == START + 1500 * SECOND)[0])
    np.testing.assert_array_equal(one.score[:tick], two.score[:tick])
    assert two.score[tick] > one.score[tick]
    row = one.first[tick] + 3
    assert one.series[row] == 3
    assert abs(one.expected[row] - two.expected[row]) < 0.01 * one.spread[row] * 40.0


@both
def test_what_is_normal_alone_but_not_jointly_is_seen_and_named(fast: bool) -> None:
    values = alike(1500)
    true = values[1400:1420, 5].copy()
    values[1400:1420, 5] = values[700:720, 5]  # its own past, but not what the others do now
    scores = feed(bank(nodes=1, fast=fast), table(values))
    at = np.flatnonzero(scores.time_ns >= START + 14_000 * SECOND)[:20]
    worst = int(at[scores.score[at].argmax()])
    assert scores.score[worst] > 1.2 * scores.score[500:1300].max()
    rows = slice(scores.first[worst], scores.first[worst + 1])
    assert scores.series[rows].tolist() == list(range(8))
    assert scores.share[rows].argmax() == 5
    assert scores.share[rows][5] > 1.5 * scores.share[rows].mean()
    assert scores.share[rows].sum() == pytest.approx(scores.score[worst])
    expected, spread = (
        np.array([c[scores.first[i] + 5] for i in at]) for c in (scores.expected, scores.spread)
    )
    assert (np.abs(expected - true) < 3 * spread).all()  # what it would have been
    assert (np.abs(expected - values[1400:1420, 5]) > 3 * spread).any()


@both
def test_noise_is_calm_and_a_threshold_is_kept(fast: bool) -> None:
    kept, ticks = 0, 0
    for seed in range(10):
        scores = feed(bank(nodes=1, fast=fast), table(alike(1200, seed=seed)))
        kept, ticks = kept + int((scores.score >= 3).sum()), ticks + len(scores.score)
    assert kept <= 2 * 1e-3 * ticks


@both
def test_a_tick_closes_when_all_that_are_due_have_spoken(fast: bool) -> None:
    nodes, values = bank(nodes=1, fast=fast), alike(20)
    feed(nodes, table(values[:-1]))
    last = table(values[-1:], 19)
    assert len(feed(nodes, last[:-1]).score) == 0
    closed = feed(nodes, last[-1:])
    assert closed.time_ns.tolist() == [START + 190 * SECOND]
    assert sorted(closed.series.tolist()) == list(range(8))


@both
def test_who_does_not_speak_delays_a_tick_and_not_for_ever(fast: bool) -> None:
    nodes, values = bank(nodes=1, fast=fast), alike(40)
    feed(nodes, table(values[:20]))
    without = [s for s in table(values[20:], 20) if s[0] != 4]
    lags = []
    for row in range(20):
        closed = feed(nodes, without[7 * row : 7 * row + 7])
        lags += [(START + (20 + row) * 10 * SECOND - at) // SECOND for at in closed.time_ns.tolist()]
    assert lags[0] == 10  # it was waited for
    assert lags[-5:] == [0] * 5


@both
def test_a_late_joiner_waits_for_the_next_tick(fast: bool) -> None:
    nodes, values = bank(series=9, nodes=1, fast=fast), alike(30, 9)
    feed(nodes, [s for s in table(values[:20]) if s[0] < 8] + [(8, 40.0, 1.0)])
    row = table(values[20:21], 20)
    first = feed(nodes, row)  # the ninth moves for the first time, when the others have closed the tick
    assert 8 not in first.series
    second = feed(nodes, table(values[21:22, :8], 21))
    assert 8 not in feed(nodes, []).series
    third = feed(nodes, table(values[22:24], 22))
    assert 8 in np.concatenate([second.series, third.series])


@both
def test_a_node_seats_so_many_series_and_a_free_seat_is_given_away(fast: bool) -> None:
    wide = t.SEATS + 6
    nodes = NodeBank(lambda: np.zeros(wide, np.int32), fast)
    values = np.random.default_rng(0).standard_normal((40, wide))
    found = feed(nodes, table(values[:20]))
    assert set(found.series.tolist()) == set(range(t.SEATS))
    nodes.forget(np.array([3, 500], np.int32))
    later = feed(nodes, table(np.delete(values[20:], 3, axis=1), 20))
    seen = {s if s < 3 else s + 1 for s in later.series.tolist()}
    assert len(seen) == t.SEATS


@both
def test_constants_and_series_without_a_node_take_no_seat(fast: bool) -> None:
    values = alike(50)
    values[:, 2] = 7.0
    nodes = NodeBank(lambda: np.array([0, 0, 0, 0, -1, 0, 0, 0], np.int32), fast)
    assert {2, 4}.isdisjoint(feed(nodes, table(values)).series.tolist())
    moved = alike(10)
    assert 2 in feed(nodes, table(moved, 50)).series


@both
def test_a_snapshot_continues_identically(fast: bool) -> None:
    nodes, other, values = bank(fast=fast), bank(fast=fast), alike(300)
    feed(nodes, table(values[:200]))
    other.restore(nodes.state())
    rest = table(values[200:], 200)
    one, two = feed(nodes, rest), feed(other, rest)
    for node in (0, 1):
        assert by_node(one, node) == by_node(two, node)
    for name, array in nodes.state().items():
        np.testing.assert_array_equal(array, other.state()[name])


def test_a_snapshot_is_a_copy() -> None:
    nodes, values = bank(), alike(80)
    feed(nodes, table(values[:60]))
    state = nodes.state()
    before = {name: array.copy() for name, array in state.items()}
    feed(nodes, table(values[60:], 60))
    for name, array in state.items():
        np.testing.assert_array_equal(array, before[name])


@both
def test_a_snapshot_of_schema_1_goes_on(fast: bool) -> None:
    """Its inverse in the making is lost: the one that held does so for up to a cycle longer."""
    nodes, old, values = bank(fast=fast), bank(fast=fast), alike(400)
    feed(nodes, table(values[:300]))
    state = nodes.state()
    first = {name: array for name, array in state.items() if name not in {"triangle", "inverses", "scales"}}
    squares: list[algebra.Singles] = []
    inverses: list[algebra.Singles] = []
    for node in nodes.nodes.values():
        wide, which = len(node.center), int(node.clock[t.INVERTED]) % 2
        square = np.full((wide, wide), 7.0, np.float32)
        square[algebra.places(wide)] = node.triangle
        squares.append(square.reshape(-1))
        inverses.append((node.inverses[which] * node.scales[which]).reshape(-1))
    clock = state["clock"].reshape(-1, t.CLOCK).copy()
    clock[:, [t.LEFT, t.TURN]] = 5, 24  # they were PIVOT and CYCLE
    first |= {"schema": np.array([1]), "pivots": state["center"], "clock": clock.reshape(-1)}
    first |= {"square": np.concatenate(squares), "inverse": np.concatenate(inverses)}
    old.restore(first)
    np.testing.assert_array_equal(old.state()["triangle"], state["triangle"])
    row = table(values[300:301], 300)
    one, two = feed(nodes, row), feed(old, row)
    np.testing.assert_allclose(one.expected, two.expected, atol=1e-3 * one.spread.max())
    np.testing.assert_allclose(one.score, two.score, rtol=1e-3)
    for name in ("nodes", "clock", "square", "inverse", "reals", "stamps"):
        for bad in (first[name].reshape(-1)[: first[name].size // 2], np.zeros((0, 1, 1))):
            with pytest.raises(ValueError, match=r"^nodes: .+"):
                old.restore(first | {name: bad})
        with pytest.raises(ValueError, match=r"^nodes: .+"):
            old.restore({key: kept for key, kept in first.items() if key != name})


def test_a_bad_snapshot_is_refused_and_changes_nothing() -> None:
    nodes = bank()
    feed(nodes, table(alike(60)))
    good = nodes.state()
    for name, array in good.items():
        squares = name in {"triangle", "inverses", "center"}  # these may be negative
        wrong = np.full(array.shape, np.nan if squares or array.dtype.kind == "f" else -7)
        negative = np.full(array.shape, -7).astype(array.dtype)
        halves = [array.reshape(-1)[: array.size // 2].reshape(-1, 1, 1)]
        for bad in (wrong, *halves, *([] if squares else [negative])):
            with pytest.raises(ValueError, match=r"^nodes: .+"):
                nodes.restore(good | {name: bad})
        with pytest.raises(ValueError, match=r"^nodes: .+"):
            nodes.restore({key: kept for key, kept in good.items() if key != name})
    for name, array in nodes.state().items():
        np.testing.assert_array_equal(array, good[name])


@both
def test_a_forgotten_series_is_as_new(fast: bool) -> None:
    values = alike(120)
    nodes, fresh = bank(nodes=1, fast=fast), bank(nodes=1, fast=fast)
    feed(nodes, table(values[:60]))
    nodes.forget(np.arange(8, dtype=np.int32))
    assert not nodes.nodes
    again, first = feed(nodes, table(values[60:], 60)), feed(fresh, table(values[60:], 60))
    assert by_node(again, 0) == by_node(first, 0)


@both
def test_a_series_may_be_forgotten_while_its_tick_is_open(fast: bool) -> None:
    values = alike(60)
    for spoken in range(1, 8):
        nodes = bank(nodes=1, fast=fast)
        feed(nodes, table(values[:40]))
        row = table(values[40:41], 40)
        assert len(feed(nodes, row[:spoken]).score) == 0
        nodes.forget(np.arange(spoken, dtype=np.int32))
        later = feed(nodes, [*row[spoken:], *table(values[41:], 41)])
        assert np.isfinite(later.raw).all()
        assert len(later.score) >= 18
        again = bank(nodes=1, fast=fast)
        again.restore(nodes.state())


@both
def test_after_a_change_that_was_meant_it_learns_anew_at_once(fast: bool) -> None:
    values = alike(1400)
    values[1000:] = 500.0 + 3.0 * alike(400, seed=5)[:, ::-1]
    told, untold = bank(nodes=1, fast=fast), bank(nodes=1, fast=fast)
    for nodes in (told, untold):
        feed(nodes, table(values[:1000]))
    told.relearn(np.array([0, 17], np.int32))
    spreads = [feed(nodes, table(values[1000:], 1000)).spread[-8:] for nodes in (told, untold)]
    assert (spreads[0] < 0.5 * spreads[1]).all()  # to whom nobody told it, all that is new is wide


def test_memory_depends_on_series_and_not_on_samples() -> None:
    nodes, values = bank(series=32, nodes=1), np.random.default_rng(0).standard_normal((300, 32))
    feed(nodes, table(values[:10]))
    held = sum(array.nbytes for array in nodes.state().values())
    feed(nodes, table(values[10:], 10))
    assert sum(array.nbytes for array in nodes.state().values()) == held
    assert held <= 1200 * 32


@both
@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 12), spare=st.integers(0, 3), seed=st.integers(0, 99))
def test_the_inverse_is_one_and_its_whole_numbers_are_fine_enough(
    fast: bool, size: int, spare: int, seed: int
) -> None:
    wide, room, random = 3 * size, 3 * (size + spare), np.random.default_rng(seed)
    data = random.standard_normal((50, wide)) @ random.standard_normal((wide, wide))
    whole = np.zeros((room, room), np.float32)
    whole[:wide, :wide] = data.T @ data / 50 / wide
    invert, keep, solve = algebra.invert, algebra.keep, algebra.solve
    if fast:
        from edgeobs.detect import joint_kernel as kernel  # needs Numba

        invert, keep, solve = kernel._invert, kernel._keep, kernel._solve
    square, inverse = np.zeros((room, room), np.float32), np.zeros((room, size), np.int16)
    scales, free, too = np.zeros((3, room), np.float32)
    assert invert(whole[algebra.places(room)], room, wide, 0.1, square, free, too)
    keep(square, inverse, scales, wide)
    true = np.linalg.inv(whole[:wide, :wide].astype(np.float64) + 0.1 * np.eye(wide))[:, ::3]
    np.testing.assert_allclose(inverse[:wide] * scales[:size], true, atol=1e-3 * np.abs(true).max())
    u, solved = random.standard_normal(wide).astype(np.float32), np.zeros(size, np.float32)
    solve(inverse, scales, u, solved, size)
    np.testing.assert_allclose(solved, u @ true, atol=2e-3 * np.abs(true).max() * np.sqrt(wide))


@both
def test_nodes_take_turns_with_their_inverses(fast: bool) -> None:
    nodes, values = bank(series=32, nodes=4, fast=fast), np.random.default_rng(0).standard_normal((120, 32))
    feed(nodes, table(values[:2]))  # their first tick
    made = [[0] * 4]
    for row, line in enumerate(values[2:], 2):
        feed(nodes, table(line[None], row))
        made.append([int(node.clock[t.INVERTED]) for _, node in sorted(nodes.nodes.items())])
    steps, first = np.diff(np.array(made), axis=0), joint.FIRST + 3 * 8 - 2
    assert np.flatnonzero(steps.all(axis=1)).tolist() == [first]
    assert np.flatnonzero(steps[:, 0]).tolist() == [first, first + 25, first + 50]
    assert (steps[first + 1 :].sum(axis=1) <= 1).all()
    assert (steps[first + 1 :].sum(axis=0) >= 2).all()


def test_nothing_sent_nothing_scored() -> None:
    scores = feed(bank(), [])
    assert len(scores.score) == 0
    assert scores.first.tolist() == [0]


def test_a_million_samples_of_one_instant_are_one_tick() -> None:
    nodes = bank(nodes=1)
    feed(nodes, table(alike(30)))
    ids: Int32s = np.zeros(100_000, np.int32)
    found = nodes.score_learn(ids, np.full(len(ids), START + 300 * SECOND), np.arange(1e5))
    assert len(found.score) <= 1
