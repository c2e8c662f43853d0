"""Whatever part of detection raises, the rest goes on, and it is known which and why."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgeobs.detect import Detection, Settings
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.change_signs import ChangeSettings
from edgeobs.detect.changes import Changes
from edgeobs.detect.feedback import Entry, Feedback, FeedbackSettings, Target
from edgeobs.detect.node import NodeBank
from edgeobs.detect.parts import ERRORS, Parts
from edgeobs.detect.peer_groups import PeerSettings
from edgeobs.detect.peers import Peers
from edgeobs.detect.shifts import Shifts, ShiftSettings
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Batch, Counts, Identity, Joint, Kind, Resource, Scores, Source

START = 1_700_000_000 * SECOND
NAMES = ("cpu", "memory", "disk", "node_boot_time_seconds")
NODES = 4


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("broken")


class Fleet:
    """Four nodes of four series a second, everything switched on; one reboots at second 60."""

    def __init__(self) -> None:
        self.table, self.counts, self.rng = SeriesTable(100), Counts(), np.random.default_rng(3)
        self.ids = np.array([self.add(f"n{i}", name) for i in range(NODES) for name in NAMES], np.int32)
        self.bank, self.peers = SeriesBank(Settings()), Peers(self.table, PeerSettings(every_s=0))
        self.nodes, self.shifts = NodeBank(lambda: self.table.node), Shifts(ShiftSettings())
        self.changes = Changes(self.table, ChangeSettings())
        self.feedback = Feedback(self.table, FeedbackSettings())
        self.feedback.hear([Entry(Target("cpu"), "fine", START)])
        self.detection = Detection(
            self.table, {"series": self.bank, "peers": self.peers}, self.nodes, self.changes, self.feedback,
            self.counts, self.shifts,
        )  # fmt: skip
        self.now = START

    def add(self, node: str, name: str) -> int:
        source = Source((("host", node),), Resource("c", "a", node))
        number = self.table.intern(Identity(source, name, (), Kind.GAUGE), 0, START)
        assert number is not None
        return number

    def second(self) -> tuple[Scores, list[Joint]]:
        self.now += SECOND
        value = self.rng.normal(50, 1, len(self.ids))
        value[3::4] = 1e9 + 1000 * (self.now >= START + 60 * SECOND)
        n = len(self.ids)
        batch = Batch(self.ids, np.full(n, self.now), value, np.zeros(n, np.bool_))
        scores = self.detection.score_learn(batch, self.now)
        assert scores is not None
        found = self.detection.joint(batch, scores)
        if found is None:
            return scores, []
        return scores, self.detection.told(found, np.arange(len(found.node), dtype=np.int32), batch, scores)


def raising(part: str, attribute: str) -> Callable[[Fleet], None]:
    return lambda fleet: setattr(getattr(fleet, part), attribute, broken)


PARTS = {
    "changes, seen": ("changes", raising("changes", "observe")),
    "changes, held back": ("changes", raising("changes", "shifted")),
    "shifts": ("shifts", raising("shifts", "observe")),
    "a bank that scores": ("series", raising("bank", "score_learn")),
    "a bank that relearns": ("series", raising("bank", "relearn")),
    "peers that score": ("peers", raising("peers", "score_learn")),
    "what peers know": ("peers.prior", raising("peers", "prior")),
    "feedback": ("feedback", raising("feedback", "apply")),
    "nodes that score": ("node", raising("nodes", "score_learn")),
    "nodes that relearn": ("node", raising("nodes", "relearn")),
}


@pytest.mark.parametrize("case", PARTS)
def test_a_part_that_raises_stops_no_other(case: str) -> None:
    part, spoil = PARTS[case]
    fleet = Fleet()
    spoil(fleet)
    told = 0
    for _ in range(100):
        scores, joints = fleet.second()
        told += len(joints)
    assert np.isfinite(scores.expected).any(), "somebody knows what to expect"
    assert (told > 0) == (case != "nodes that score")
    assert fleet.counts[ERRORS, part] > 0
    assert {key for key in fleet.counts if key[0] == ERRORS} == {(ERRORS, part)}
    assert fleet.detection.failing(fleet.now) == {part: "RuntimeError: broken"}
    assert not fleet.detection.failing(fleet.now + 3600 * SECOND)


def test_nothing_fails_when_nothing_is_broken() -> None:
    fleet = Fleet()
    for _ in range(100):
        fleet.second()
    assert fleet.counts["edgeobs_series_relearned_total",] >= NODES
    assert not fleet.detection.failing(fleet.now)
    assert not any(key[0] == ERRORS for key in fleet.counts)


def test_ids_are_forgotten_and_the_rest_is_saved_whoever_raises() -> None:
    fleet = Fleet()
    for _ in range(50):
        fleet.second()
    whole = fleet.detection.state()
    for name in ("forget", "state"):
        setattr(fleet.shifts, name, broken)
        setattr(fleet.peers, name, broken)
    fleet.detection.forget(fleet.ids[:4])
    after = fleet.detection.state()
    assert whole.keys() - after.keys() == {"shifts", "detect.peers"}
    assert fleet.bank.unseen(fleet.ids[:5]).tolist() == [True, True, True, True, False]
    assert fleet.detection.failing(fleet.now).keys() == {"shifts", "peers"}


def test_our_own_act_goes_on_when_nobody_can_tell_whom_it_changes() -> None:
    fleet = Fleet()
    fleet.second()
    setattr(fleet.changes, "announce", broken)  # noqa: B010  a method is replaced
    fleet.detection.announce(Resource("c", "a", "n1"), fleet.now)
    assert fleet.counts[ERRORS, "changes"] == 1


def test_too_few_scores_are_a_failure_of_who_gave_them() -> None:
    fleet = Fleet()
    none = np.zeros(0)
    setattr(fleet.peers, "score_learn", lambda *_: Scores(none, none, none))  # noqa: B010  as above
    fleet.second()
    assert fleet.detection.failing(fleet.now) == {"peers": "ValueError: 0 scores of 16 samples"}


def test_a_failure_is_logged_once_a_minute_with_how_often(caplog: pytest.LogCaptureFixture) -> None:
    parts = Parts(Counts())
    with caplog.at_level(logging.ERROR, "edgeobs.detect"):
        for second in range(150):
            assert parts.ask("one", second * SECOND, broken, second) == second
            assert parts.ask("other", second * SECOND, lambda: 1, 0) == 1
    told = [(record.__dict__["part"], record.__dict__["times"]) for record in caplog.records]
    assert told == [("one", 1), ("one", 60), ("one", 60)]
    assert caplog.records[0].exc_info is not None
    assert parts.counts[ERRORS, "one"] == 150
