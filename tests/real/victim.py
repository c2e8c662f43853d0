"""An edgeobs that kills or stops itself at a chosen step; ``python -m tests.real.victim`` makes them.

Steps are counted from 1: a write to the journal that is durable, and a change that the API server answered.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeobs.calls import Answer, Call
from edgeobs.control import Elected, Mirrored
from edgeobs.incidents.codec import read_decision
from edgeobs.kube.cluster import Cluster
from edgeobs.remediate import Operation, Switches, fleet_view
from edgeobs.remediate.conductor import Conductor
from edgeobs.remediate.journal import NAME, Journal
from edgeobs.remediate.reading import Seen
from edgeobs.signals import SECOND, UNDOING, Counts, Heartbeat, Incident, Resource
from tests.real.trial import SETTINGS, errors, kubernetes

LONGEST_S = 150.0


@dataclass(frozen=True, slots=True)
class Fate:
    """What is to be done, and when it ends."""

    kubeconfig: str
    folder: str
    decision: str  # as `edgeobs.incidents.codec` writes it
    step: int  # after which it ends; 0: before the first; negative: never
    number: int = signal.SIGKILL
    elected: bool = False  # whether it waits until it leads


def text(fate: Fate) -> str:
    """For its standard input."""
    return json.dumps(asdict(fate))


class Steps:
    """Counts, and ends this process at its step."""

    def __init__(self, fate: Fate) -> None:
        self.fate, self.done = fate, 0

    def step(self) -> None:
        """One more is done."""
        self.done += 1
        self.look()

    def look(self) -> None:
        """End, if it is time to."""
        if self.done == self.fate.step:
            os.kill(os.getpid(), self.fate.number)


class Watched(Journal):
    """A journal whose writes are steps."""

    steps: Steps

    def begin(self, *given: Any) -> None:
        super().begin(*given)
        self.steps.step()

    def call(self, *given: Any) -> int:
        number = super().call(*given)
        self.steps.step()
        return number

    def answer(self, *given: Any) -> None:
        super().answer(*given)
        self.steps.step()

    def move(self, operation: Operation, *given: Any) -> None:
        super().move(operation, *given)
        if given[-1] != "wait":  # how often it waits is chance
            self.steps.step()


class Acting:
    """The cluster, whose changes are steps; what is only told is none."""

    def __init__(self, live: Any, steps: Steps) -> None:
        self._live, self._steps = live, steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._live, name)

    def call(self, call: Call) -> Answer:
        """As the live one."""
        if call.ref.kind == "Event" or call.subresource:
            answer: Answer = self._live.call(call)
            return answer
        answer = self._live.call(call)
        self._steps.step()
        return answer


def run(fate: Fate) -> None:
    """Until the decision is carried out, or this process ends."""
    steps = Steps(fate)
    steps.look()
    cluster = Cluster(kubernetes(Path(fate.kubeconfig)))
    says = Elected(cluster)
    says.check()
    cluster.start()
    view, made = Mirrored(cluster), read_decision(fate.decision)
    journal = Watched(Path(fate.folder) / NAME, SETTINGS)
    journal.steps = steps
    conductor = Conductor(
        Acting(cluster.live, steps), view, journal, SETTINGS, Counts(), clock=time.time_ns, dice=lambda: 0.0,
        switches=says if fate.elected else Switches, me="victim",
    )  # fmt: skip
    _until("it knows the node", lambda: made.action.target.node in view.inventory(time.time_ns()).nodes)
    if fate.elected:
        _until("it leads", lambda: not says().leader)
    conductor.take([made])
    action = made.action
    wrong = {} if action.verb in UNDOING else {action.incident: errors(action.incident, action.target)}

    def over() -> bool:
        conductor.work(_seen(view, wrong))
        return not conductor.busy

    _until("it is done", over)


def _seen(view: Mirrored, wrong: dict[str, Incident]) -> Seen:
    now = time.time_ns()
    nodes = view.inventory(now).nodes.values()
    places = [Resource(each.cluster, each.labels.get(SETTINGS.zone_label, ""), each.name) for each in nodes]
    beats = [Heartbeat(place, "alive", now, SECOND) for place in places]
    return Seen(now, fleet_view(beats, nodes, SETTINGS), wrong)


def _until(what: str, look: Callable[[], bool]) -> None:
    """Here and not the harness's, which must not be imported twice as long as a step takes."""
    until = time.monotonic() + LONGEST_S
    while not look():
        if time.monotonic() > until:
            raise TimeoutError(what)
        time.sleep(0.002)


def main() -> None:
    """A process for each `Fate` on standard input: on standard output its id, and how it ended."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what it logs is not what is asked
            try:
                run(Fate(**json.loads(line)))
                os._exit(0)  # as it is: nothing is let go of
            finally:
                os._exit(1)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
