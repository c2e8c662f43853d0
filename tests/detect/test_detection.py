"""All detectors as one stage."""

from collections.abc import Callable

import numpy as np
import pytest

from edgeobs.detect import Detection, Settings
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.change_signs import ChangeSettings
from edgeobs.detect.changes import Changes
from edgeobs.detect.contract import State
from edgeobs.detect.feedback import Entry, Feedback, FeedbackSettings, Target
from edgeobs.detect.node import NodeBank
from edgeobs.detect.peer_groups import PeerSettings
from edgeobs.detect.peers import Peers
from edgeobs.detect.shifts import Shifts, ShiftSettings
from edgeobs.detect.whole import LOOK_S
from edgeobs.series import SeriesTable
from edgeobs.signals import (
    SECOND,
    Batch,
    Counts,
    Floats,
    Identity,
    Int32s,
    Int64s,
    Joint,
    Kind,
    Resource,
    Scores,
    Source,
)

START = 1_700_000_000 * SECOND
NAMES = ("cpu", "memory", "disk", "net")


class Broken:
    """Fails at whatever it is asked."""

    def score_learn(self, series: Int32s, time_ns: Int64s, value: Floats) -> Scores:
        raise RuntimeError(f"broken by {len(series)}, {len(time_ns)}, {len(value)}")

    def forget(self, ids: Int32s) -> None:
        """Nothing."""

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        """Nothing."""


class Node:
    """One node with four series that move together, a sample each a second, and what starts it."""

    def __init__(self) -> None:
        self.table, self.counts = SeriesTable(100), Counts()
        source = Source((("host", "n0"),), Resource("c", "a", "n0"))
        names = (*NAMES, "node_boot_time_seconds")
        made = [self.table.intern(Identity(source, name, (), Kind.GAUGE), 0, START) for name in names]
        self.ids = np.array(made, np.int32)
        self.detection = Detection(
            self.table,
            {"series": SeriesBank(Settings()), "broken": Broken()},
            NodeBank(lambda: self.table.node),
            Changes(self.table, ChangeSettings()),
            Feedback(self.table, FeedbackSettings()),
            self.counts,
        )
        self.now, self.rng, self.boot = START, np.random.default_rng(3), 1.0

    def second(self, change: Callable[[Floats], Floats] = lambda x: x, *, late: bool = False) -> Scores:
        self.now += SECOND
        load = self.rng.normal(0, 1)
        value = np.append(change(np.array([50 + 5 * load, 40 + 4 * load, 9 - load, 3 + load])), self.boot)
        value[:4] += self.rng.normal(0, 0.1, 4)
        n = len(self.ids)
        batch = Batch(self.ids, np.full(n, self.now), value, np.full(n, late))
        scores = self.detection.score_learn(batch, self.now)
        assert scores is not None
        self.batch, self.found = batch, self.detection.joint(batch, scores)
        return scores


@pytest.fixture
def node() -> Node:
    return Node()


def test_a_detector_that_raises_is_counted_and_the_others_go_on(node: Node) -> None:
    for _ in range(40):
        scores = node.second()
    assert scores.score.max() > 0
    assert node.counts["edgeobs_detector_errors_total", "broken"] == 40


def test_series_that_each_are_as_ever_may_not_be_so_together(node: Node) -> None:
    """CPU is high and memory low: both were so before, and never at once."""
    for _ in range(1500):
        node.second()
    alone, together, told = 0.0, 0.0, list[Joint]()
    for _ in range(30):
        scores = node.second(lambda x: x + np.array([5.0, -8.0, 0.0, 0.0]))
        alone = max(alone, float(scores.score[:4].max()))
        found = node.found
        if found is not None and len(found.node):
            together = max(together, float(found.score.max()))
            told = node.detection.told(found, np.zeros(1, np.int32), node.batch, scores)
    assert together >= 3 > alone
    assert (told[0].place, told[0].interval_s) == (Resource("c", "a", "n0"), LOOK_S)
    assert {text for text, _ in told[0].parts[:2]} == {"cpu", "memory"}
    assert sum(share for _, share in told[0].parts) == pytest.approx(1, abs=0.05)


def test_a_node_is_looked_at_every_five_seconds_however_often_it_speaks(node: Node) -> None:
    looks = 0
    for _ in range(60):
        node.second()
        looks += 0 if node.found is None else len(node.found.node)
    assert 9 <= looks <= 12


def test_what_is_late_belongs_to_no_tick(node: Node) -> None:
    for _ in range(50):
        node.second()
    for _ in range(10):
        node.second(late=True)
        assert node.found is None


def test_a_node_that_started_anew_has_a_new_normal(node: Node) -> None:
    for _ in range(300):
        node.second()
    node.boot = 1000.0
    after = [node.second(lambda x: x * 3) for _ in range(200)]
    assert max(float(scores.score.max()) for scores in after) < 6
    assert node.counts["edgeobs_series_relearned_total",] >= 4
    other = Node()
    for _ in range(300):
        other.second()
    assert max(float(other.second(lambda x: x * 3).score.max()) for _ in range(20)) > 6, (
        "without notice it is news"
    )


def test_an_act_of_our_own_is_a_notice_too(node: Node) -> None:
    for _ in range(300):
        node.second()
    node.detection.announce(Resource("c", "a", "n0"), node.now)
    assert max(float(node.second(lambda x: x * 3).score.max()) for _ in range(100)) < 6


def test_what_was_fine_counts_less_from_then_on(node: Node) -> None:
    for _ in range(300):
        node.second()
    target = Target.of(node.table[int(node.ids[0])])
    twin = Node()
    for _ in range(300):
        twin.second()
    twin.detection.feedback.hear([Entry(target, "fine", twin.now)])
    one, two = (float(each.second(lambda x: x * 3).score[0]) for each in (node, twin))
    assert 0 < two < one


def test_a_snapshot_continues(node: Node) -> None:
    for _ in range(100):
        node.second()
    other = Node()
    other.detection.restore(node.detection.state())
    other.now, other.rng = node.now, np.random.default_rng(9)
    node.rng = np.random.default_rng(9)
    for _ in range(10):
        np.testing.assert_array_equal(node.second().score, other.second().score)
        assert (node.found is None) == (other.found is None)
        if node.found is not None and other.found is not None:
            np.testing.assert_array_equal(node.found.score, other.found.score)


def test_a_node_that_is_new_begins_with_what_its_peers_know() -> None:
    table, rng = SeriesTable(100), np.random.default_rng(5)

    def join(node: str) -> int:
        source = Source((("host", node),), Resource("c", "a", node))
        number = table.intern(Identity(source, "cpu", (), Kind.GAUGE), 0, START)
        assert number is not None
        return number

    fleet = [join(f"n{i}") for i in range(8)]
    bank = SeriesBank(Settings())
    detection = Detection(
        table, {"series": bank, "peers": Peers(table, PeerSettings())}, None,
        Changes(table, ChangeSettings()), Feedback(table, FeedbackSettings()), Counts(),
    )  # fmt: skip

    def second(now: int, ids: list[int], value: Floats) -> Scores:
        n = len(ids)
        batch = Batch(np.array(ids, np.int32), np.full(n, now), value, np.zeros(n, np.bool_))
        scores = detection.score_learn(batch, now)
        assert scores is not None
        return scores

    for i in range(300):
        second(START + i * SECOND, fleet, 20 + rng.normal(0, 1, 8))
    newcomers = [join("new"), join("bad")]
    for i in range(300, 305):
        scores = second(START + i * SECOND, fleet + newcomers, np.append(20 + rng.normal(0, 1, 9), 80.0))
    assert scores.score[-1] >= 3, "the fifth sample of a node that is unlike all others"
    assert scores.score[:-1].max() < 3


@pytest.mark.parametrize("on", [True, False])
def test_a_level_that_moved_is_learned_anew_at_once_where_that_is_asked_for(on: bool) -> None:
    node = Node()
    node.detection.shifts = Shifts(ShiftSettings()) if on else None
    for _ in range(600):
        node.second()
    after = [float(node.second(lambda x: x * 3).score.max()) for _ in range(150)]
    assert max(after[:20]) > 6, "it is news at first"
    assert (node.counts["edgeobs_series_relearned_total",] > 0) == on
    other = Node()
    other.detection.shifts = Shifts(ShiftSettings()) if on else None
    other.detection.restore(node.detection.state())
    assert ("shifts" in node.detection.state()) == on
