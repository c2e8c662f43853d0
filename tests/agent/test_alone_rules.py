"""Whatever happens: within the budget, cut off, on the list, on fresh evidence, one after the other."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edgeobs.agent.alone.deeds import OVER, Result, Wish
from edgeobs.agent.alone.journal import NAME, Journal
from edgeobs.agent.alone.rules import RULES, Known, consider
from edgeobs.agent.alone.settings import Settings
from edgeobs.agent.alone.wishes import fits, wishes
from edgeobs.remediate import Ledger
from edgeobs.remediate import Settings as GuardSettings
from edgeobs.signals import SECOND, Evidence, Incident, IncidentState, Resource
from edgeobs.uplink.pace import Silence
from tests.agent.alone_things import NODE, SETTINGS, T0, UP, Bench, Did, make_evidence, make_incident

WHOSE = st.sampled_from(
    [NODE._replace(namespace=n, pod=p) for n in ("shop", "bank") for p in ("web-1", "web-2", "")]
)
NAMES = st.sampled_from([UP, "queue", "edgeobs_node_service_up", "other"])
STATES: list[IncidentState] = ["ongoing", "open"]
LISTED = {"k3s-agent.service", "b.service", "shop/web-1", "shop/web-2"}


def evidence(at_ns: int) -> st.SearchStrategy[Evidence]:
    return st.builds(
        lambda name, value, score, whose, calm, late_s: make_evidence(
            at_ns - late_s * SECOND, name, value, score=score, whose=whose, calm=calm
        ),
        NAMES, st.sampled_from([0.0, 1.0, 9.0]), st.sampled_from([8.0, 12.0]), WHOSE, st.booleans(),
        st.sampled_from([0, 0, 0, 20, 60, -60]),
    )  # fmt: skip


class Cut(RuleBasedStateMachine):
    """The bench, and what it did beside what it was let to."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.bench = Bench(Path(self.folder.name))
        self.bench.settings = replace(SETTINGS, cooldown_s=300, per_s=1200)
        self.bench.restart()
        self.bench.hold = []
        self.bench.before = self.check
        self.stepped_s = -1e9  # when our clock was set last
        self.answered_s = 0.0
        self.ended_s: dict[int, float] = {}  # deeds → when they were seen to be over
        self.plain: dict[
            str, int
        ] = {}  # incidents that go on, each a clear case, and how late its news are, s

    def teardown(self) -> None:
        self.bench.alone.close()
        self.folder.cleanup()

    def check(self, did: Did) -> None:
        """Asked when anything is begun, by another reader of the same file."""
        bench, now_s = self.bench, self.bench.steady_s
        assert bench.silent_since_s is not None, "never while the core answers"
        assert now_s - bench.silent_since_s >= SETTINGS.after_s
        assert did.target in LISTED
        lately = [each for each in bench.begun if now_s - each.steady_s < 1200]
        assert len(lately) < SETTINGS.most
        assert all(now_s - each.steady_s >= 300 for each in bench.begun if each.target == did.target)
        assert now_s - self.stepped_s >= 300, "not after a step of the clock"
        journal = Journal(bench.folder / NAME)
        deeds, _ = journal.read()
        journal.close()
        under_way = [deed for deed in deeds if deed.state not in OVER]
        assert [(deed.target, deed.state) for deed in under_way] == [(did.target, "intended")]
        for deed in deeds[:-1]:
            same = deed.target == did.target or deed.incident.id == under_way[0].incident.id
            if same and deed.state != "helped":
                assert self.answered_s >= self.ended_s[deed.id], "no second try before the core is back"
        assert under_way[0].incident.place.node in {"", "edge-1"}
        now_ns = under_way[0].decision.decided_ns
        reasons = [each for each in under_way[0].incident.evidence if each.text == under_way[0].evidence]
        assert any(
            not each.calm
            and each.score >= SETTINGS.score
            and -5 * SECOND <= now_ns - each.last_ns <= 30 * SECOND
            for each in reasons
        ), "never calm, doubtful or late data"

    def step(self, seconds: float = 1.0) -> None:
        """Time goes on, and what is plainly ill stays so."""
        bench = self.bench
        at_ns = bench.now_ns + int(seconds * SECOND)
        for name in self.plain.keys() & bench.incidents.keys():
            signs = self.signs(name, at_ns - self.plain[name] * SECOND)
            bench.incidents[name] = make_incident(at_ns, *signs, name=name)
        if seconds > 600:
            self.stepped_s = bench.steady_s + seconds
        bench.step(seconds)

    @staticmethod
    def signs(name: str, at_ns: int) -> list[Evidence]:
        web = make_evidence(at_ns, "queue", 9.0, whose=NODE._replace(namespace="shop", pod="web-1"))
        unit = make_evidence(at_ns, "queue", 9.0)
        return {"inc-1": [make_evidence(at_ns)], "inc-2": [web], "inc-3": [unit]}[name]

    @initialize(for_s=st.sampled_from([0.0, 1000.0, 1000.0]))
    def begin(self, for_s: float) -> None:
        self.bench.cut(for_s)

    @rule(seconds=st.sampled_from([1.0, 30.0, 200.0, 400.0, 700.0]))
    def go_on(self, seconds: float) -> None:
        self.step(seconds)

    @rule(name=st.sampled_from(["inc-1", "inc-2", "inc-3"]), late_s=st.sampled_from([0, 0, 0, 31, 4000, -60]))
    def fall_plainly_ill(self, name: str, late_s: int) -> None:
        self.plain[name] = late_s
        self.bench.incidents[name] = make_incident(self.bench.now_ns, name=name)
        self.step()

    @rule(data=st.data(), node=st.sampled_from(["edge-1", "edge-1", "", "edge-2"]))
    def fall_ill(self, data: st.DataObject, node: str) -> None:
        found = data.draw(st.lists(evidence(self.bench.now_ns), min_size=1, max_size=3))
        name = data.draw(st.sampled_from(["inc-1", "inc-4", "inc-5"]))
        state: IncidentState = data.draw(st.sampled_from(STATES))
        place = NODE._replace(node=node)
        self.plain.pop(name, None)
        self.bench.incidents[name] = make_incident(
            self.bench.now_ns, *found, name=name, place=place, state=state
        )
        self.step()

    @rule(name=st.sampled_from(["inc-1", "inc-2", "inc-3", "inc-4", "inc-5"]))
    def get_well(self, name: str) -> None:
        self.plain.pop(name, None)
        if name in self.bench.incidents:
            self.bench.resolve(name)
        self.step()

    @rule(result=st.sampled_from([Result("done"), Result("done"), Result("failed", "x"), Result("unknown")]))
    def act(self, result: Result) -> None:
        """The thread comes to its turn."""
        self.bench.result = result
        if self.bench.hold:
            self.bench.hold.pop()()
            self.step()

    @rule(name=st.sampled_from(["inc-1", "inc-2", "inc-3"]))
    def be_helped(self, name: str) -> None:
        """All of it: ill, restarted where that is let, well."""
        self.fall_plainly_ill(name, 0)
        self.act(Result("done"))
        self.get_well(name)

    @rule(
        what=st.sampled_from(["back", "back and cut", "cut", "clock", "killed", "killed after"]),
        data=st.data(),
    )
    def trouble(self, what: str, data: st.DataObject) -> None:
        bench = self.bench
        if what.startswith("back"):
            bench.silent_since_s = None
            self.step()
            self.answered_s = bench.steady_s
        if what.endswith("cut"):
            bench.silent_since_s = bench.steady_s if bench.silent_since_s is None else bench.silent_since_s
        if what == "clock":
            bench.ahead_s += data.draw(st.sampled_from([-4000.0, -6.0, 6.0, 500.0, 4000.0]))
            self.stepped_s = bench.steady_s + 1
            self.step()
        if what.startswith("killed"):
            for work in (bench.hold or []) if what == "killed after" else []:
                work()  # and what came of it is never heard of
            bench.restart()

    @invariant()
    def it_runs(self) -> None:
        assert self.bench.problems == {}, self.bench.problems
        for deed in self.bench.deeds:
            if deed.state in OVER:
                self.ended_s.setdefault(deed.id, self.bench.steady_s)
        assert len(self.bench.hold or []) <= 1


WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # each example writes to a disk
Cut.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    phases=WITHOUT_SHRINKING,
    suppress_health_check=list(HealthCheck),
)
TestUnderAnySequenceOfEvents = Cut.TestCase

KNOWN = Known(SETTINGS, GuardSettings(), NODE, Silence(True, True, 100.0, 1.0), (), Ledger(), answered=True)


def wish() -> Wish:
    return wishes([make_incident(T0)], SETTINGS)[0]


def test_all_rules_together_let_it_be_done_and_say_why() -> None:
    decision = consider(wish(), KNOWN, T0)
    assert (decision.verdict, decision.rule) == ("allowed", "all")
    assert decision.action.patch == (("restart_unit", "k3s-agent.service"),)
    assert [check.rule for check in decision.checks] == list(RULES)
    assert decision.reason.startswith("cut off for 100 s; edgeobs_node_service_up (kubelet) at 0")


FORBIDDEN: dict[str, Callable[[Known], Known]] = {
    "journal": lambda known: known._replace(journal="the disk is full"),
    "enabled": lambda known: known._replace(settings=Settings()),
    "paused": lambda known: known._replace(guard=GuardSettings(pause=True)),
    "allow_list": lambda known: known._replace(settings=replace(SETTINGS, units=SETTINGS.units[1:])),
    "cut_off": lambda known: known._replace(silence=Silence(True, True, 59.0, 1.0)),
    "asked_now": lambda known: known._replace(silence=Silence(True, True, 100.0, 20.0)),
    "own_node": lambda known: known._replace(node=Resource("c1", "z1", "edge-2")),
    "budget": lambda known: known._replace(settings=replace(SETTINGS, most=0)),
}


def test_each_rule_alone_forbids_it() -> None:
    for name, change in FORBIDDEN.items():
        decision = consider(wish(), change(KNOWN), T0)
        assert decision.rule == name or name in {c.rule for c in decision.checks if c.verdict != "allowed"}, (
            name
        )
        assert decision.verdict != "allowed", name


def test_a_core_that_was_never_asked_or_has_never_answered_is_not_cut_off() -> None:
    decision = consider(wish(), KNOWN._replace(answered=False), T0)
    assert (decision.verdict, decision.rule) == ("held", "cut_off")
    decision = consider(wish(), KNOWN._replace(silence=Silence(False, False, 0.0, 0.0)), T0)
    assert (decision.verdict, decision.rule) == ("held", "cut_off")


@given(st.lists(evidence(T0), max_size=6))
def test_only_what_is_named_is_wished_for(found: list[Evidence]) -> None:
    incident: Incident = make_incident(T0, *found) if found else make_incident(T0)
    for each in wishes([incident], SETTINGS):
        assert each.target in LISTED
        assert each.evidence in incident.evidence
        assert not each.evidence.calm
        assert each.evidence.value != 1.0, "as it should be"


def test_a_bracket_in_a_pattern_stands_for_itself() -> None:
    named = ('queue{shard="[1]"}',)
    assert fits(replace(make_evidence(T0), name=named[0]), named, ())
    assert not fits(replace(make_evidence(T0), name='queue{shard="1"}'), named, ())
