"""Never two who may act: electors with wrong clocks over a Lease that people meddle with."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgeobs.calls import Answer, Call
from edgeobs.kube.election import RELEASED, Fence, Seat, Terms, ask, release, seen, told
from edgeobs.objects import Ref

S = 1_000_000_000
LEASE = Ref("Lease", "edgeobs", "edgeobs")


def terms(identity: str, lease_s: int = 15, renew_s: float = 9.0) -> Terms:
    return Terms(identity, LEASE, lease_s, renew_s)


class Store:
    """One Lease, as an API server keeps it."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0

    def put(self, body: Any) -> Answer:
        self.version += 1
        uid = self.lease["metadata"]["uid"] if self.lease else f"l{self.version}"
        meta = dict(body.get("metadata") or {}) | {"resourceVersion": str(self.version), "uid": uid}
        self.lease = {"metadata": meta, "spec": dict(body["spec"])}
        return Answer(200, version=str(self.version))

    def call(self, call: Call) -> Answer:
        if call.verb == "create":
            return Answer(409, "AlreadyExists") if self.lease else self.put(call.body)
        if self.lease is None:  # an update creates, unless it names another UID than none
            return Answer(409, "Conflict") if call.ref.uid else self.put(call.body)
        if call.version != self.lease["metadata"]["resourceVersion"]:
            return Answer(409, "Conflict")
        return self.put(call.body)


@dataclass
class Candidate:
    """An elector whose clock is wrong by an offset and runs at a rate of its own."""

    terms: Terms
    offset: int
    rate: float
    seat: Seat = field(default_factory=Seat)
    sent: tuple[Call, int] | None = None
    answer: Answer | None = None

    def now(self, real: int) -> int:
        return self.offset + int(real * self.rate)

    def acts(self, real: int) -> bool:
        return self.seat.fence is not None and self.seat.fence.holds(self.now(real))


class Elections(RuleBasedStateMachine):
    """Time passes, requests are late or lost, processes die, people delete and edit the Lease."""

    @initialize(
        clocks=st.lists(st.tuples(st.integers(0, 10**6), st.floats(0.9, 1.1)), min_size=3, max_size=3)
    )
    def begin(self, clocks: tuple[tuple[int, float], ...]) -> None:
        self.store, self.real, self.born = Store(), 0, 0
        self.clocks = clocks
        self.late: list[Call] = []  # sent, given up, not carried out yet
        self.all = [self._new(at) for at in range(3)]

    def _new(self, at: int) -> Candidate:
        offset, rate = self.clocks[at]
        self.born += 1
        return Candidate(terms(f"c{at}-{self.born}"), offset * S, rate)

    @rule(seconds=st.sampled_from([0.1, 1, 2, 5, 8, 9, 14, 16, 40]))
    def time_passes(self, seconds: float) -> None:
        self.real += int(seconds * S)

    @rule(at=st.integers(0, 2))
    def send(self, at: int) -> None:
        each = self.all[at]
        if each.sent is None:
            now = each.now(self.real)
            if each.seat.waits(each.terms):
                each.seat = seen(each.seat, self.store.lease, each.terms, now)
            each.seat, call = ask(each.seat, each.terms, now, self.real)
            each.sent, each.answer = (call, now) if call else None, None

    @rule(at=st.integers(0, 2))
    def carry_out(self, at: int) -> None:
        each = self.all[at]
        if each.sent is not None and each.answer is None:
            each.answer = self.store.call(each.sent[0])

    @rule(at=st.integers(0, 2))
    def answer(self, at: int) -> None:
        each = self.all[at]
        if each.sent is None:
            return
        if each.answer is None:
            self.late.append(each.sent[0])
        answer = each.answer or Answer(0)
        call, sent_ns = each.sent
        each.seat = told(each.seat, call, answer, each.terms, sent_ns, each.now(self.real))
        each.sent = each.answer = None

    @rule(at=st.integers(0, 2))
    def work(self, at: int) -> None:
        """All of a step at once, so that long histories with a leader occur."""
        self.send(at)
        self.carry_out(at)
        self.answer(at)

    @rule(at=st.integers(0, 2))
    def answer_is_lost(self, at: int) -> None:
        each = self.all[at]
        if each.sent is not None and each.answer is not None:
            each.answer = Answer(0)
            self.answer(at)

    @precondition(lambda self: self.late)
    @rule()
    def late_request_arrives(self) -> None:
        self.store.call(self.late.pop(0))

    @rule(at=st.integers(0, 2))
    def stop(self, at: int) -> None:
        each = self.all[at]
        if each.sent is None:
            each.seat, call = release(each.seat, each.terms, each.now(self.real), self.real)
            if call:
                self.store.call(call)
            self.all[at] = self._new(at)

    @rule(at=st.integers(0, 2))
    def killed(self, at: int) -> None:
        self.all[at] = self._new(at)

    @rule()
    def person_deletes_it(self) -> None:
        self.store.lease = None

    @precondition(lambda self: self.store.lease)
    @rule(at=st.integers(-1, 2))
    def person_edits_the_holder(self, at: int) -> None:
        assert self.store.lease
        holder = self.all[at].terms.identity if at >= 0 else ""
        self.store.put({**self.store.lease, "spec": {**self.store.lease["spec"], "holderIdentity": holder}})

    @invariant()
    def one_at_most(self) -> None:
        if hasattr(self, "all"):
            acting = [each.terms.identity for each in self.all if each.acts(self.real)]
            assert len(acting) <= 1, acting


Elections.TestCase.settings = settings(max_examples=150, stateful_step_count=60)
TestElections = Elections.TestCase


def elected(identity: str, store: Store, now: int, seat: Seat | None = None) -> Seat:
    """A step of somebody whose requests take no time."""
    own = terms(identity)
    seat = seat or Seat()
    if seat.waits(own):
        seat = seen(seat, store.lease, own, now)
    seat, call = ask(seat, own, now, now)
    return told(seat, call, store.call(call), own, now, now) if call else seat


def test_the_first_ever_takes_the_seat_at_once_and_acts_once_any_other_would_have_stopped() -> None:
    store = Store()
    seat = elected("a", store, 100 * S)
    assert store.lease
    assert store.lease["spec"]["holderIdentity"] == "a"
    assert seat.fence == Fence("a", 0, 115 * S, 109 * S)
    assert not seat.fence.holds(108 * S)
    for second in range(102, 118, 2):
        seat = elected("a", store, second * S, seat)
    assert seat.fence
    assert seat.fence.holds(116 * S)
    assert not seat.fence.holds(116 * S, for_s=9.0)


def test_a_dead_holders_seat_is_taken_by_its_time_and_acted_from_at_once() -> None:
    store = Store()
    elected("a", store, 0)
    seat = elected("b", store, 1000 * S)
    assert seat.fence is None
    assert elected("b", store, 1014 * S, seat).fence is None
    seat = elected("b", store, 1015 * S, seat)
    assert seat.fence == Fence("b", 1, 1015 * S, 1024 * S)


def test_who_renews_is_left_alone_however_wrong_its_clock() -> None:
    store, b = Store(), Seat()
    a = Seat()
    for second in range(0, 100, 2):
        a = elected("a", store, (10**9 + second) * S, a)  # thirty years ahead of b
        b = elected("b", store, second * S, b)
        assert b.fence is None


def test_a_marked_release_lets_the_next_act_at_once() -> None:
    store = Store()
    seat = Seat()
    for second in range(0, 20, 2):
        seat = elected("a", store, second * S, seat)
    seat, call = release(seat, terms("a"), 18 * S, 0)
    assert call is not None
    assert store.call(call).ok
    assert seat.fence is None
    assert store.lease
    assert store.lease["metadata"]["annotations"] == {RELEASED: "0"}
    taken = elected("b", store, 500 * S)
    assert taken.fence
    assert taken.fence.holds(500 * S)
    assert "annotations" not in store.lease["metadata"]


def test_who_cannot_act_yet_does_not_vouch_for_the_seat() -> None:
    store = Store()
    seat = elected("a", store, 0)
    _, call = release(seat, terms("a"), 5 * S, 0)
    assert call is not None
    assert call.body["metadata"]["annotations"] == {}


def test_an_emptied_or_deleted_seat_waits_for_its_old_holder_to_stop() -> None:
    for meddle in ("delete", "empty", "name"):
        store, a, b = Store(), Seat(), Seat()
        for second in range(0, 30, 2):
            a = elected("a", store, second * S, a)
            b = elected("b", store, second * S, b)
        assert a.fence
        assert a.fence.holds(30 * S)
        assert store.lease
        if meddle == "delete":
            store.lease = None
        else:
            holder = "b" if meddle == "name" else ""
            store.put({"spec": {**store.lease["spec"], "holderIdentity": holder}})
        b = elected("b", store, 30 * S, b)
        assert b.fence, meddle
        assert not b.fence.holds(36 * S), meddle
        a = elected("a", store, 33 * S, elected("a", store, 32 * S, a))
        assert a.fence is None, meddle
        for second in range(32, 47, 2):
            b = elected("b", store, second * S, b)
        assert b.fence
        assert b.fence.holds(46 * S), meddle


@pytest.mark.parametrize("status", [0, 403, 429, 500])
def test_without_renewal_leave_to_act_runs_out_and_comes_back_where_nobody_took_the_seat(status: int) -> None:
    store, seat = Store(), Seat()
    for second in range(0, 20, 2):
        seat = elected("a", store, second * S, seat)
    seat, call = ask(seat, terms("a"), 20 * S, 0)
    assert call
    seat = told(seat, call, Answer(status), terms("a"), 20 * S, 21 * S)
    assert seat.fence
    assert seat.fence.holds(26 * S)
    assert not seat.fence.holds(27 * S)
    seat = elected("a", store, 60 * S, seat)
    assert seat.fence
    assert seat.fence.holds(60 * S)


@pytest.mark.parametrize("lease_s", [None, "x", -1, 10**9, True])
def test_a_lease_that_makes_no_sense_holds_for_our_own_time(lease_s: object) -> None:
    store = Store()
    store.put({"spec": {"holderIdentity": "z", "leaseDurationSeconds": lease_s, "leaseTransitions": lease_s}})
    seat = elected("a", store, 0)
    assert seat.fence is None
    seat = elected("a", store, 15 * S, seat)
    assert seat.fence
    assert seat.fence.holds(15 * S)


def test_another_holders_longer_time_is_respected() -> None:
    store = Store()
    store.put({"spec": {"holderIdentity": "z", "leaseDurationSeconds": 60}})
    seat = elected("a", store, 0)
    seat = elected("a", store, 59 * S, seat)
    assert seat.fence is None
    assert elected("a", store, 60 * S, seat).fence


def test_acquire_time_stays_while_it_is_renewed() -> None:
    store = Store()
    seat = elected("a", store, 0)
    assert store.lease
    begun = store.lease["spec"]["acquireTime"]
    seat = elected("a", store, 2 * S, seat)
    assert store.lease["spec"]["acquireTime"] == begun
    assert store.lease["spec"]["renewTime"] > begun
    elected("a", store, 4 * S, replace(seat, looked=False))
    assert store.lease["spec"]["acquireTime"] == begun


def test_leave_to_act_counts_from_when_the_request_was_sent() -> None:
    store, seat = Store(), Seat()
    for second in range(0, 20, 2):
        seat = elected("a", store, second * S, seat)
    seat, call = ask(seat, terms("a"), 20 * S, 0)
    assert call
    seat = told(seat, call, store.call(call), terms("a"), 20 * S, 28 * S)
    assert seat.fence
    assert seat.fence.holds(28 * S)
    assert not seat.fence.holds(29 * S)


def test_a_seat_that_was_lost_and_came_back_by_somebodys_hand_is_not_acted_from_at_once() -> None:
    store, seat = Store(), Seat()
    for second in range(0, 30, 2):
        seat = elected("a", store, second * S, seat)
    assert store.lease
    for holder in ("z", "a"):
        store.put({"spec": {**store.lease["spec"], "holderIdentity": holder}})
        for _ in range(2):
            seat = elected("a", store, 30 * S, seat)
    assert seat.fence
    assert not seat.fence.holds(38 * S)


def test_a_lease_that_was_deleted_twice_is_not_brought_back_by_an_old_holders_renewal() -> None:
    store, a, b = Store(), Seat(), Seat()
    for second in range(0, 20, 2):
        a = elected("a", store, second * S, a)
    store.lease = None
    for second in range(20, 50, 2):
        b = elected("b", store, second * S, b)
    assert b.fence
    assert b.fence.holds(49 * S)
    store.lease = None
    a = elected("a", store, 49 * S, a)
    assert a.fence is None or not a.fence.holds(49 * S)
