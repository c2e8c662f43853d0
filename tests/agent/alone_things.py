"""An agent that acts alone, in simulated time: what it would have done is on a list."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from edgeobs.agent.alone.alone import Alone
from edgeobs.agent.alone.deeds import Deed, Result
from edgeobs.agent.alone.settings import Pods, Settings, Unit
from edgeobs.remediate import Settings as GuardSettings
from edgeobs.signals import SECOND, Counts, Evidence, Incident, IncidentState, Resource
from edgeobs.uplink.pace import Silence

T0 = 1_700_000_000 * SECOND
NODE = Resource("c1", "z1", "edge-1")
UP = 'edgeobs_node_service_up{service_name="kubelet"}'
UNITS = (
    Unit(unit="k3s-agent.service", low=("edgeobs_node_service_up{*kubelet*}",)),
    Unit(unit="b.service", high=("queue",)),
)
SETTINGS = Settings(
    enabled=True, after_s=60, most=2, per_s=3600, cooldown_s=1800, verify_s=120, units=UNITS,
    pods=(Pods(namespace="shop", high=("queue",)),), metaserver_url="http://127.0.0.1:10550",
)  # fmt: skip


def make_evidence(
    at_ns: int,
    text: str = UP,
    value: float = 0.0,
    *,
    score: float = 12.0,
    whose: Resource = NODE,
    calm: bool = False,
) -> Evidence:
    """A series that should be about 1."""
    labels = (("service_name", "kubelet"),) if text == UP else ()
    return Evidence(
        source="series", text=text, name=text.partition("{")[0], labels=labels, unit="", onset_ns=at_ns,
        last_ns=at_ns, score=score, weight=1.0, value=value, expected=1.0, low=0.5, high=1.5, resource=whose,
        calm=calm,
    )  # fmt: skip


def make_incident(
    at_ns: int,
    *evidence: Evidence,
    name: str = "inc-1",
    place: Resource = NODE,
    state: IncidentState = "ongoing",
) -> Incident:
    """By default of a kubelet that does not answer."""
    return Incident(
        id=name, scope="node", place=place, state=state, opened_ns=T0, updated_ns=at_ns,
        resolved_ns=at_ns if state == "resolved" else 0, score=12.0, title="the kubelet does not answer",
        evidence=evidence or (make_evidence(at_ns),),
    )  # fmt: skip


class Did(NamedTuple):
    """What was begun, or asked of the hands."""

    kind: str
    target: str
    steady_s: float


class Bench:
    """`Alone` with clocks, a link and hands of a test. ``restart`` is kill -9 and a new process."""

    def __init__(self, folder: Path, settings: Settings = SETTINGS) -> None:
        self.folder, self.settings = folder, settings
        self.steady_s, self.ahead_s = 1000.0, 0.0  # a clock nobody can set, and how far ours is ahead of it
        self.silent_since_s: float | None = None
        self.asked = True
        self.incidents: dict[str, Incident] = {}
        self.over: list[Incident] = []
        self.result = Result("done")
        self.begun: list[Did] = []
        self.did: list[Did] = []
        self.told: list[Incident] = []
        self.before: Callable[[Did], None] = lambda _: None
        self.hold: list[Callable[[], None]] | None = None  # work that waits; None: it is done at once
        self.start()
        self.step()  # and the core answers

    @property
    def now_ns(self) -> int:
        """Our clock."""
        return T0 + int((self.steady_s + self.ahead_s) * SECOND)

    def start(self) -> None:
        self.counts, self.problems = Counts(), dict[str, str]()
        self.alone = Alone(
            self.settings, GuardSettings(), self.folder, NODE, lambda: list(self.incidents.values()),
            lambda: self.over, self.silence, lambda incidents, _: self.hear(*incidents), self.do, self.counts,
            self.problems, lambda: int(self.steady_s * SECOND), self.run,
        )  # fmt: skip
        self.alone.open(self.now_ns)

    def restart(self) -> None:
        self.alone.close()
        self.hold = [] if self.hold is not None else None
        if self.silent_since_s is not None:
            self.silent_since_s = self.steady_s
        self.start()

    def silence(self) -> Silence:
        since_s = self.silent_since_s
        return Silence(
            self.asked, since_s is not None, 0.0 if since_s is None else self.steady_s - since_s, 1.0
        )

    def hear(self, *incidents: Incident) -> None:
        self.told += [self.alone.story(incident) for incident in incidents]

    def do(self, kind: str, target: str) -> Result:
        self.did.append(Did(kind, target, self.steady_s))
        return self.result

    def run(self, work: Callable[[], None]) -> None:
        begun = Did(self.deeds[-1].kind, self.deeds[-1].target, self.steady_s)
        self.before(begun)
        self.begun.append(begun)
        if self.hold is None:
            work()
        else:
            self.hold.append(work)

    def cut(self, for_s: float = 100.0) -> None:
        self.silent_since_s = self.steady_s - for_s

    def step(self, seconds: float = 1.0) -> None:
        self.steady_s += seconds
        self.alone(self.now_ns)

    def ill(self, *evidence: Evidence, name: str = "inc-1") -> None:
        """It is so now."""
        self.incidents[name] = make_incident(self.now_ns, *evidence, name=name)

    def resolve(self, name: str = "inc-1") -> None:
        over = make_incident(self.now_ns, name=name, state="resolved")
        self.incidents.pop(name, None)
        self.over.append(over)
        self.hear(over)

    @property
    def deeds(self) -> list[Deed]:
        return list(self.alone.record.deeds.values())

    @property
    def states(self) -> list[str]:
        return [deed.state for deed in self.deeds]

    def rules(self) -> set[str]:
        """Which forbade anything."""
        return {key[2] for key in self.counts if key[0] == "edgeobs_agent_refusals_total"}
