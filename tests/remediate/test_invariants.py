"""No sequence of faults, silences, returns, restarts and switches ever makes the guard break a promise."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgeobs.incidents import Settings as Kept
from edgeobs.incidents.store import Store
from edgeobs.objects import Node
from edgeobs.remediate import FleetView, MemoryCluster, Remediation, Settings, fleet_view
from edgeobs.signals import (
    SECOND,
    Action,
    Counts,
    Decision,
    Heartbeat,
    Incident,
    Resource,
    Verb,
)

ZONES = ("a", "b", "c", "")  # the last: no label
VERBS: tuple[Verb, ...] = ("cordon", "taint", "release")
HOUR = 3600 * SECOND
PLACES = [Resource("site", zone, f"{zone or 'x'}{i}") for zone in ZONES for i in range(3)]


def wish(incident: Incident, now_ns: int) -> list[Action]:
    """A policy that wants everything at once, whatever is known."""
    assert now_ns > 0
    verbs: tuple[Verb, ...] = ("failover",) if incident.scope == "zone" else VERBS
    return [
        Action(verb, incident.place, (("/spec/unschedulable", "true"),), "so be it", "wish", incident.id)
        for verb in verbs
    ]


budgets = st.builds(
    Settings,
    dry_run=st.booleans(),
    live=st.sampled_from([(), ("cordon",), ("cordon", "taint", "release")]),
    nodes_per_zone=st.sampled_from([1, 1, 2, 1, 2, 0, None]),
    cluster_share=st.sampled_from([0.5, 0.2, 0.1, 0.5, 0.2, 0.0, None]),
    per_hour=st.sampled_from([1, 2, 6, 1, 2, 0, None]),
    cooldown_s=st.sampled_from([0.0, 600.0, 7200.0, 0.0, 600.0, None]),
    recheck_s=st.just(0.0),
)
places = st.sampled_from(PLACES)


class Guarded(RuleBasedStateMachine):
    """Plays the world, the store and a second bookkeeper that believes nobody."""

    @initialize(settings=budgets, out=st.sets(places, max_size=3))
    def begin(self, settings: Settings, out: set[Resource]) -> None:
        self.real_ns = 1_700_000_000 * SECOND  # nobody but the bookkeeper knows it
        self.set_ns = 0  # how far our clock was set ahead of it
        self.settings = settings
        self.folder = TemporaryDirectory()
        self.store = self.opened()
        self.cluster = MemoryCluster(settings)
        self.opted = {place for place in PLACES if place not in out}
        for place in PLACES:
            labels = {settings.zone_label: place.zone} if place.zone else {}
            notes = {settings.opt_in: "enabled"} if place in self.opted else {}
            self.cluster.put(
                Node(place.node, f"uid-{place.node}", "1", labels, notes, ready="True", cluster="site")
            )
        self.silent: set[Resource] = set()
        self.journal = ""
        self.incidents: dict[str, Incident] = {}
        self.rows: list[Decision] = []  # all there ever were
        self.real: dict[str, int] = {}  # when each was made
        self.made = 0
        self.remediation = Remediation(settings, Counts(), {"wish": wish})

    @property
    def now_ns(self) -> int:
        return self.real_ns + self.set_ns

    def opened(self) -> Store:
        store = Store(Path(self.folder.name) / "edgeobs.sqlite", Kept(keep_incidents=1))
        store._db.execute("PRAGMA synchronous = OFF")  # the power stays on
        return store

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    def save(self, incidents: Iterable[Incident] = (), decisions: Iterable[Decision] = ()) -> None:
        self.store._saves = 99  # so that all that may go does
        self.store.save(incidents, decisions)

    # -- the world

    @rule(hit=st.sets(places, min_size=1, max_size=6))
    def faults(self, hit: set[Resource]) -> None:
        """Several at once, as it goes; decided in any order."""
        for place in sorted(hit):
            self.fault(place)
        self.step(list(self.incidents.values()))

    @rule(zone=st.sampled_from(ZONES[:3]))
    def zone_fault(self, zone: str) -> None:
        self.fault(Resource("site", zone))

    def fault(self, place: Resource) -> None:
        if any(i.place == place for i in self.incidents.values()):
            return
        self.made += 1
        name = f"inc-{self.made}"
        self.incidents[name] = Incident(
            name, "node" if place.node else "zone", place, "open", self.now_ns, self.now_ns, 0, 9.0, "x", ()
        )
        self.save([self.incidents[name]])

    @rule(changed=st.booleans())
    def decide(self, changed: bool) -> None:
        """One step of the engine, then the store."""
        self.step(list(self.incidents.values()) if changed else [])

    def step(self, changed: list[Incident]) -> None:
        self.real_ns += 1
        before = self.view()
        active = list(self.incidents.values())
        for decision in self.remediation.step(lambda: active, changed, self.view, self.now_ns):
            self.check(decision, before)
            self.rows.append(decision)
            self.real[decision.id] = self.real_ns
            self.save([], [decision])
            if decision.verdict == "allowed" and not decision.dry_run:
                self.act(decision)

    def act(self, decision: Decision) -> None:
        for node in self.cluster.nodes():
            if node.name == decision.action.target.node:
                self.cluster.put(replace(node, unschedulable=True))

    @rule(place=places)
    def over(self, place: Resource) -> None:
        for incident in [i for i in self.incidents.values() if i.place in {place, place._replace(node="")}]:
            del self.incidents[incident.id]
            resolved = replace(incident, state="resolved", updated_ns=self.now_ns, resolved_ns=self.now_ns)
            self.save([resolved])
            self.step([resolved])

    @rule(gone=st.sets(places))
    def silence(self, gone: set[Resource]) -> None:
        self.silent = gone

    @rule(zone=st.sampled_from(ZONES), back=st.booleans())
    def zone_silence(self, zone: str, back: bool) -> None:
        members = {p for p in PLACES if p.zone == zone}
        self.silent = self.silent - members if back else self.silent | members

    @rule(seconds=st.sampled_from([1, 60, 700, 3599, 3601, 8000]))
    def time_passes(self, seconds: int) -> None:
        """With a look every ten minutes at least."""
        whole, rest = divmod(seconds, 590)
        for part in [*[590] * whole, rest]:
            self.real_ns += part * SECOND
            self.step([])

    @rule(seconds=st.sampled_from([300, 700, 100_000]))
    def stand_still(self, seconds: int) -> None:
        """Suspended: nobody looks."""
        self.real_ns += seconds * SECOND
        self.step([])

    @rule(seconds=st.sampled_from([-100_000, -3601, -1, 601, 3601, 100_000]))
    def clock_is_set(self, seconds: int) -> None:
        self.set_ns += seconds * SECOND
        self.step([])

    @rule(first=places, then=places, seconds=st.sampled_from([-3601, 3601, 8000]), down=st.booleans())
    def clock_is_set_between_faults(self, first: Resource, then: Resource, seconds: int, down: bool) -> None:
        """And has settled before the second; with a restart or without."""
        self.switch(pause=False, works=True)
        self.silent = set()
        self.faults({first})
        self.over(first)
        if down:
            self.restart(0, seconds, kept=False)
        else:
            self.clock_is_set(seconds)
        self.time_passes(60)
        self.stand_still(300)
        self.faults({then})

    @rule(pause=st.booleans(), works=st.booleans())
    def switch(self, pause: bool, works: bool) -> None:
        self.settings = replace(self.settings, pause=pause)
        self.remediation.guard.settings = self.settings
        self.journal = "" if works else "the disk is full"

    @rule(
        down=st.sampled_from([0, 0, 300, 7000]),
        ahead=st.sampled_from([0, 0, -5000, 5000]),
        kept=st.booleans(),
    )
    def restart(self, down: int, ahead: int, kept: bool) -> None:
        """kill -9: the store, the cluster and perhaps a snapshot are all there is; our clock may be set."""
        self.store.close()
        self.store = self.opened()
        before = self.remediation.guard.ledger
        last_ns, steady_ns = (before.last_ns, before.steady_ns) if kept else (0, 0)
        self.real_ns += down * SECOND
        self.set_ns += ahead * SECOND
        active = self.store.incidents(active=True)
        assert {i.id for i in active} == set(self.incidents)
        self.remediation = Remediation(self.settings, Counts(), {"wish": wish})
        self.remediation.restore(self.store.ledger(), active, self.now_ns, last_ns, steady_ns)

    # -- the bookkeeper

    def view(self) -> FleetView:
        beats = [
            Heartbeat(p, "silent", self.now_ns - HOUR, SECOND)
            if p in self.silent
            else Heartbeat(p, "alive", self.now_ns, SECOND)
            for p in PLACES
        ]
        return fleet_view(beats, self.cluster.nodes(), self.settings, self.journal)

    def flying(self) -> set[Resource]:
        """Recomputed from rows and incidents alone."""
        return {
            d.action.target
            for d in self.rows
            if d.verdict == "allowed" and d.action.incident in self.incidents
        }

    def check(self, decision: Decision, fleet: FleetView) -> None:
        """What must hold of a decision, before it is written down."""
        assert decision.reason
        if decision.verdict != "allowed":
            return
        target = decision.action.target
        members = [p for p in PLACES if p == target or (not target.node and p.zone == target.zone)]
        limits = self.settings
        assert members
        assert not limits.pause
        assert not self.journal
        assert target.zone
        assert all(p in self.opted for p in members)
        assert decision.dry_run == (limits.dry_run or decision.action.verb not in limits.live)
        if decision.action.verb in {"release", "failover"}:
            assert all(p in self.silent for p in members), "it still sends"
        dark = {z for z in ZONES if self.is_dark(z)}
        assert target.zone not in dark
        assert len(dark) <= limits.self_doubt_share * len(ZONES)
        in_flight = self.flying() | set(members)
        cordoned = {n.name for n in fleet.nodes.values() if n.cordoned}
        in_zone = {p.node for p in in_flight if p.zone == target.zone} | {
            p.node for p in PLACES if p.zone == target.zone and p.node in cordoned
        }
        assert limits.nodes_per_zone is not None
        assert len(in_zone) <= limits.nodes_per_zone
        assert limits.cluster_share is not None
        share = -(-round(limits.cluster_share * len(PLACES) * 1000) // 1000)  # rounded up
        assert len({p.node for p in in_flight} | cordoned) <= share
        lately = [d for d in self.rows if d.verdict == "allowed" and self.real[d.id] > self.real_ns - HOUR]
        assert limits.per_hour is not None
        assert len(lately) + 1 <= limits.per_hour
        assert limits.cooldown_s is not None
        for row in self.rows:
            if row.verdict == "allowed" and row.action.target == target:
                same = row.action.incident == decision.action.incident
                assert same or self.real[row.id] <= self.real_ns - limits.cooldown_s * SECOND

    def is_dark(self, zone: str) -> bool:
        members = [p for p in PLACES if p.zone == zone]
        return sum(p in self.silent for p in members) >= self.settings.zone_hold_share * len(members)

    @invariant()
    def at_most_one_decision_per_proposal_is_allowed(self) -> None:
        if not hasattr(self, "rows"):
            return
        made = Counter((d.action.incident, d.action.verb) for d in self.rows if d.verdict == "allowed")
        assert not made or max(made.values()) == 1

    @invariant()
    def no_decision_is_made_twice(self) -> None:
        if hasattr(self, "rows"):
            assert len({row.id for row in self.rows}) == len(self.rows)

    @precondition(lambda self: self.settings.dry_run)
    @rule()
    def dry_run_touches_nothing(self) -> None:
        assert not any(node.unschedulable or node.taints for node in self.cluster.nodes())


GuardedTest: Any = Guarded.TestCase
GuardedTest.settings = settings(
    max_examples=250, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_something_can_be_allowed() -> None:
    """The promises above are not kept by doing nothing."""
    world = Guarded()
    world.begin(Settings(recheck_s=0.0, per_hour=6, cluster_share=0.5), set())
    for place in (PLACES[0], PLACES[3], PLACES[6]):
        world.fault(place)
    world.decide(True)
    world.teardown()
    assert {(d.action.target.node, d.action.verb) for d in world.rows if d.verdict == "allowed"} == {
        (node, verb) for node in ("a0", "b0", "c0") for verb in ("cordon", "taint")
    }


def test_budgets_come_back_after_a_step_of_the_clock_and_a_restart() -> None:
    """The promises are not kept by holding for ever either."""
    world = Guarded()
    world.begin(Settings(recheck_s=0.0, per_hour=2, cluster_share=0.5), set())
    for place in (PLACES[0], PLACES[3]):
        world.fault(place)
    world.decide(True)
    world.clock_is_set(7200)
    world.restart(300, 5000, kept=True)
    world.time_passes(3599)
    assert sum(d.verdict == "allowed" for d in world.rows) == 2
    world.time_passes(60)
    world.teardown()
    assert sum(d.verdict == "allowed" for d in world.rows) == 4
