"""List, then watch: whatever a server does, the mirror ends as the server is, and never goes back."""

import random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edgeobs.kube.mirror import NEVER_NS, Mirror
from edgeobs.kube.resources import WATCHED
from edgeobs.kube.trim import Beat
from edgeobs.kube.watching import (
    CEILING_S,
    FIRST_S,
    Change,
    Ended,
    Event,
    Failed,
    Heard,
    List,
    Next,
    Open,
    Opened,
    Page,
    Read,
    State,
    newer,
    step,
    takes,
)
from edgeobs.objects import Node

NODES = [watched for watched in WATCHED if watched.kind == "Node"]
NAMES = ["a", "b", "c", "d", "e"]
PAGE = 2


class Server:
    """A collection of nodes with versions, a history that is forgotten from the front, and lists in pages."""

    def __init__(self) -> None:
        self.version, self.oldest, self.made = 1, 1, 0
        self.objects: dict[str, Change] = {}
        self.history: list[Change] = []

    def put(self, name: str, *, anew: bool = False) -> None:
        self.version += 1
        self.made += 1
        known = self.objects.get(name)
        uid = known.uid if known and not anew else f"{name}-{self.made}"
        if known and anew:
            self.delete(name)
            self.version += 1
        node = Node(name, uid, str(self.version))
        self.objects[name] = Change(name, uid, str(self.version), node)
        self.history.append(self.objects[name])

    def delete(self, name: str) -> None:
        gone = self.objects.pop(name, None)
        if gone:
            self.version += 1
            self.history.append(Change(name, gone.uid, str(self.version), None, gone=True))

    def after(self, version: str) -> list[Change]:
        return [each for each in self.history if int(each.version) > int(version or 0)]

    def forget(self) -> None:
        self.oldest, self.history = self.version, []


class Reflection(RuleBasedStateMachine):
    """The reflector's rules against a server that fails in every way it may."""

    @initialize()
    def begin(self) -> None:
        self.server, self.mirror = Server(), Mirror(NODES, clock=lambda: 0)
        self.state, self.todo = State(), Next(List())
        self.pages: list[Change] = []
        self.snapshot: list[Change] = []
        self.snapshot_version = ""
        self.seen: dict[str, int] = {}
        self.dice = random.Random(1)
        self.most_pause = 0.0

    def feed(self, event: Event) -> None:
        self.state, self.todo = step(self.state, event, self.dice.random())
        if self.todo.page:
            self.pages += self.todo.changes
        if self.todo.whole:
            self.mirror.replace("Node", self.pages, 0)
            self.seen = {}  # a list is the truth, whatever came before
        elif self.todo.heard:
            self.mirror.apply("Node", self.todo.changes, 0)
        if isinstance(self.todo.ask, List) and not self.todo.ask.token:
            self.pages = []

    @rule(name=st.sampled_from(NAMES), anew=st.booleans())
    def put(self, name: str, anew: bool) -> None:
        self.server.put(name, anew=anew)

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        self.server.delete(name)

    @rule()
    def forget(self) -> None:
        self.server.forget()

    @rule()
    def answer(self) -> None:
        """The server does as it is asked, one thing at a time."""
        ask = self.todo.ask
        if isinstance(ask, List):
            self.list(ask.token)
        elif isinstance(ask, Open):
            lost = int(ask.version) < self.server.oldest
            self.feed(Failed(410, "Expired") if lost else Opened())
        else:
            new = self.server.after(self.state.version or "")
            if self.state.version and int(self.state.version) < self.server.oldest:
                self.feed(Failed(410, "Expired", "an ERROR event"))
            elif new:
                part = new[: self.dice.randrange(1, len(new) + 1)]
                self.dice.shuffle(part)  # late, but within the same stream
                self.feed(Heard(part))
            else:
                self.feed(Heard([Change("", "", str(self.server.version), None)]))

    def list(self, token: str) -> None:
        if not token:
            self.snapshot = list(self.server.objects.values())
            self.snapshot_version = str(self.server.version)
        at = int(token or 0)
        rest = at + PAGE < len(self.snapshot)
        self.feed(Page(self.snapshot[at : at + PAGE], self.snapshot_version, str(at + PAGE) if rest else ""))

    @rule(times=st.integers(1, 3))
    def repeat_old_events(self, times: int) -> None:
        """Duplicates and late events, in whatever order."""
        if isinstance(self.todo.ask, Read):
            known = [e for e in self.server.history if int(e.version) <= int(self.state.version or 0)]
            if known:
                self.feed(Heard([self.dice.choice(known) for _ in range(times)]))

    @rule(
        status=st.sampled_from([0, 0, 400, 401, 403, 410, 429, 500, 503, 504]),
        asked=st.sampled_from([0.0, 3.0]),
    )
    def fail(self, status: int, asked: float) -> None:
        self.feed(Failed(status, "", "", asked))
        assert asked <= self.todo.pause_s < CEILING_S + asked

    @rule(lasted=st.sampled_from([0.0, 20.0]))
    def end(self, lasted: float) -> None:
        if isinstance(self.todo.ask, Read):
            self.feed(Ended(lasted))

    @invariant()
    def never_goes_back(self) -> None:
        if not hasattr(self, "mirror"):
            return
        for name, node in self.mirror.inventory(0).nodes.items():
            assert int(node.version) >= self.seen.get(name, 0), "an older version replaced a newer one"
            self.seen[name] = int(node.version)

    def teardown(self) -> None:
        if not hasattr(self, "mirror"):
            return
        for _ in range(60):
            self.answer()
        held = {name: (node.uid, node.version) for name, node in self.mirror.inventory(0).nodes.items()}
        assert held == {name: (each.uid, each.version) for name, each in self.server.objects.items()}


Reflection.TestCase.settings = settings(max_examples=200, stateful_step_count=50)
TestReflection = Reflection.TestCase

HELD = Change("a", "u", "5", Node("a", "u", "5"))


def listed() -> State:
    state, todo = step(State(), Page([HELD], "5"), 0.5)
    assert todo == Next(Open("5"), changes=[HELD], page=True, whole=True)
    return step(state, Opened(), 0.5)[0]


def test_a_watch_begins_at_the_version_of_the_lists_first_page() -> None:
    state, todo = step(State(), Page([HELD], "5", "more"), 0.5)
    assert todo.ask == List("more")
    assert not todo.whole
    _, todo = step(state, Page([], "9"), 0.5)
    assert todo.ask == Open("5")
    assert todo.whole


def test_what_the_list_told_already_is_left_out() -> None:
    """A deleted object that the list has no more would come back by it."""
    told = [Change("gone", "w", "4", Node("gone", "w", "4")), Change("a", "u", "5", Node("a", "u", "5"))]
    state, todo = step(listed(), Heard(told), 0.5)
    assert (list(todo.changes), todo.heard, state.version) == ([], True, "5")
    state, _ = step(step(state, Heard([Change("", "", "9", None)]), 0.5)[0], Ended(20.0), 0.5)
    opaque = Change("b", "v", "x4", Node("b", "v", "x4"))  # cannot be compared: the stream is believed
    assert list(step(state, Heard([*told, opaque]), 0.5)[1].changes) == [opaque]


def test_the_stream_goes_on_from_the_newest_whatever_comes_late() -> None:
    late = [
        Change("b", "v", "10", Node("b", "v", "10")),
        Change("a", "u", "6", None),
        Change("", "", "7", None),
    ]
    state, todo = step(listed(), Heard(late), 0.5)
    assert (list(todo.changes), todo.heard, state.version) == (late[:2], True, "10")


@pytest.mark.parametrize(
    ("change", "held", "buried", "expected"),
    [
        (Change("k", "u", "5", "new"), None, False, True),
        (Change("k", "u", "5", "new"), None, True, False),  # late, of what was deleted meanwhile
        (Change("k", "u", "5", "new"), ("u", "4"), False, True),
        (Change("k", "u", "5", "new"), ("u", "5"), False, False),
        (Change("k", "u", "5", "new"), ("u", "10"), False, False),
        (Change("k", "new", "11", "new"), ("old", "10"), False, True),
        (Change("k", "old", "9", "new"), ("new", "10"), False, False),
        (Change("k", "u", "5", None, gone=True), ("u", "5"), False, True),  # nothing comes after a deletion
        (Change("k", "old", "12", None, gone=True), ("new", "10"), False, False),
        (Change("k", "u", "x2", "new"), ("u", "x1"), False, True),  # the stream is believed
    ],
)
def test_which_events_tell_something_new(
    change: Change, held: tuple[str, str] | None, buried: bool, expected: bool
) -> None:
    uid, version = held or ("", "")
    assert takes(change, uid, version, held=held is not None, buried=buried) is expected


def test_a_bookmark_moves_the_version_and_confirms() -> None:
    state, todo = step(listed(), Heard([Change("", "", "77", None)]), 0.5)
    assert (state.version, todo.changes, todo.heard) == ("77", [], True)
    assert step(state, Ended(15.0), 0.5)[1] == Next(Open("77"))


def test_a_watch_that_showed_nothing_at_all_is_followed_by_a_list() -> None:
    state, todo = step(listed(), Ended(15.0), 0.5)
    assert todo == Next(List(), FIRST_S / 2)
    assert state.failures == 0


@pytest.mark.parametrize(
    "failed", [Failed(410, "Expired"), Failed(410), Failed(400), Failed(504, "ResourceVersionTooLarge")]
)
def test_a_version_that_is_lost_is_listed_anew(failed: Failed) -> None:
    assert step(listed(), failed, 0.5)[1].ask == List()


@pytest.mark.parametrize("status", [0, 401, 403, 404, 429, 500, 503])
def test_other_failures_go_on_where_they_were(status: int) -> None:
    assert step(listed(), Failed(status), 0.5)[1].ask == Open("5")


def test_a_list_that_fails_between_two_pages_begins_anew() -> None:
    state, _ = step(State(), Page([HELD], "5", "more"), 0.5)
    state, todo = step(state, Failed(410, "Expired"), 0.5)
    assert todo.ask == List()
    assert state.listing is None


def test_pauses_double_with_full_jitter_to_a_ceiling_and_a_word_from_the_server_ends_them() -> None:
    state, pauses = listed(), []
    for _ in range(12):
        state, todo = step(state, Failed(503), 0.999)
        pauses.append(todo.pause_s)
    assert pauses[:3] == pytest.approx([0.4995, 0.999, 1.998])
    assert pauses[-1] < CEILING_S
    assert step(state, Failed(503), 0.0)[1].pause_s == 0.0
    assert step(state, Failed(429, retry_after_s=7), 0.0)[1].pause_s == 7.0
    assert step(state, Failed(429, retry_after_s=1e9), 0.0)[1].pause_s == CEILING_S
    state, _ = step(step(state, Opened(), 0.5)[0], Heard([Change("", "", "6", None)]), 0.5)
    assert step(state, Failed(503), 0.999)[1].pause_s == pytest.approx(0.4995)


def test_lists_that_are_lost_at_once_again_and_again_back_off() -> None:
    state, pauses = State(), []
    for _ in range(6):
        state, _ = step(state, Page([], "5"), 0.5)
        state, todo = step(state, Failed(410), 0.999)
        pauses.append(todo.pause_s)
    assert pauses == sorted(pauses)
    assert pauses[-1] > 10


@pytest.mark.parametrize(
    ("version", "than", "expected"),
    [("10", "9", True), ("9", "10", False), ("9", "9", False), ("1", "", True), ("x2", "x1", True),
     ("x1", "x1", False), ("010", "9", True), ("", "", True)],
)  # fmt: skip
def test_versions_are_compared_where_they_can_be(version: str, than: str, expected: bool) -> None:
    assert newer(version, than) is expected


def node(name: str, version: str, **more: Any) -> Change:
    uid = more.pop("uid", f"u-{name}")
    return Change(name, uid, version, Node(name, uid, version, **more))


def test_nothing_is_known_before_all_kinds_were_listed_and_age_is_that_of_the_oldest() -> None:
    now = 1000
    mirror = Mirror([each for each in WATCHED if each.kind in {"Node", "Lease"}], clock=lambda: now)
    mirror.replace("Node", [node("a", "1")], 400)
    assert mirror.age_ns() == NEVER_NS
    assert mirror.inventory(10**9).read_ns == 0
    mirror.replace("Lease", [], 700)
    assert mirror.age_ns() == 600
    assert mirror.inventory(10**9).read_ns == 10**9 - 600
    mirror.apply("Node", [], 900)
    assert mirror.age_ns() == 300
    mirror.apply("Lease", [], None)  # events of which more may wait say nothing about now
    assert mirror.age_ns() == 300


def test_a_snapshot_stays_as_it_was_and_is_made_anew_only_where_something_changed() -> None:
    mirror = Mirror(clock=lambda: 0)
    mirror.replace("Node", [node("a", "1")], 0)
    first = mirror.inventory(0)
    assert mirror.inventory(5).nodes is first.nodes
    mirror.apply("Node", [node("b", "2")], 0)
    second = mirror.inventory(0)
    assert (set(first.nodes), set(second.nodes)) == ({"a"}, {"a", "b"})
    assert second.pods is first.pods


def test_a_late_deletion_of_an_earlier_node_of_the_same_name_removes_nothing() -> None:
    mirror = Mirror(NODES, clock=lambda: 0)
    mirror.replace("Node", [node("a", "5", uid="new")], 0)
    mirror.apply("Node", [Change("a", "old", "6", None, gone=True)], 0)
    assert set(mirror.inventory(0).nodes) == {"a"}
    mirror.apply("Node", [Change("a", "new", "7", None, gone=True)], 0)
    assert not mirror.inventory(0).nodes
    mirror.apply("Node", [node("a", "6", uid="new")], 0)
    assert not mirror.inventory(0).nodes, "what was deleted comes back by no late event"


def test_the_graves_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeobs.kube.mirror._GRAVES", 3)
    mirror = Mirror(NODES, clock=lambda: 0)
    mirror.replace("Node", [], 0)
    for number in range(10):
        mirror.apply("Node", [Change("a", f"u{number}", str(number), None, gone=True)], 0)
    assert len(mirror._shelves["Node"].buried) == 3


def test_when_a_renewal_was_seen_is_kept_for_as_long_as_there_is_no_other() -> None:
    now = 100
    mirror = Mirror([each for each in WATCHED if each.kind in {"Node", "Lease"}], clock=lambda: now)

    def lease(version: str, renewed_ns: int) -> Change:
        return Change("a", "l", version, Beat("a", renewed_ns, version, "l"))

    def seen() -> tuple[int, int, int]:
        found = mirror.inventory(0)
        return found.nodes["a"].lease_ns, found.nodes["a"].lease_seen_ns, found.steady_ns

    mirror.replace("Node", [node("a", "1")], 0)
    assert seen() == (0, 0, 100)
    mirror.replace("Lease", [lease("2", 7)], 0)
    assert seen() == (7, 100, 100)
    now = 200
    mirror.apply("Lease", [lease("3", 7)], 0)  # touched, not renewed
    mirror.replace("Lease", [lease("3", 7)], 0)
    mirror.apply("Node", [node("a", "4")], 0)
    assert seen() == (7, 100, 200)
    mirror.apply("Lease", [lease("5", 8)], 0)
    assert seen() == (8, 200, 200)
    mirror.apply("Lease", [Change("a", "l", "6", None, gone=True)], 0)
    assert seen() == (0, 0, 200)


def test_the_lease_of_an_earlier_node_of_the_same_name_is_not_this_ones() -> None:
    mirror = Mirror([each for each in WATCHED if each.kind in {"Node", "Lease"}], clock=lambda: 100)
    old = Change("a", "l", "2", Beat("a", 7, "2", "l", owner="u-a"))
    mirror.replace("Lease", [old], 0)
    mirror.replace("Node", [node("a", "1")], 0)
    assert mirror.inventory(0).nodes["a"].lease_ns == 7
    mirror.apply("Node", [node("a", "3", uid="anew")], 0)
    assert mirror.inventory(0).nodes["a"].lease_ns == 0
    mirror.apply("Lease", [Change("a", "l", "4", Beat("a", 8, "4", "l", owner="u-a"))], 0)
    assert mirror.inventory(0).nodes["a"].lease_ns == 0
    mirror.apply("Lease", [Change("a", "m", "5", Beat("a", 9, "5", "m", owner="anew"))], 0)
    assert mirror.inventory(0).nodes["a"].lease_ns == 9
