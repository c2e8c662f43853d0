"""Stories in, incidents and decisions out: every file of `scenarios/`, word for word.

Before ``---`` the story, one line each; after it what must come of it:

    nodes a1 a2 b1 b2              who there is; the letter is the zone; ``-`` in front: has not opted in
    10-40 b1 METRIC 9              in those seconds (the last excluded) each sample of METRIC scores 9;
                                   its value is above what is expected, for a negative score below
    10-40 silent node b1           an absence; of a zone or cluster its nodes are silent too
    10-40 paused                   an operator's switch
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgeobs.remediate import MemoryCluster, Remediation, Settings, fleet_view
from edgeobs.signals import SECOND, Absence, Counts, Decision, Heartbeat, Incident, Resource

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


class Line(NamedTuple):
    start: int
    end: int
    words: list[str]


class Story:
    """A scenario, second by second."""

    def __init__(self, text: str, world: Any) -> None:
        lines = [line.split("#")[0].split() for line in text.splitlines()]
        self.nodes = [w for words in lines if words and words[0] == "nodes" for w in words[1:]]
        self.lines = [
            Line(int(words[0].split("-")[0]), int(words[0].split("-")[1]), words[1:])
            for words in lines
            if words and words[0] != "nodes"
        ]
        self.world = world
        self.remediation = Remediation(Settings(), Counts())
        self.cluster = MemoryCluster(Settings())
        names = [each.lstrip("-") for each in self.nodes]
        self.places = {name: world.place(name) for name in names}
        self.cluster.learn(self.beats(set()), opted_in=True)
        for node in self.cluster.nodes():
            if f"-{node.name}" in self.nodes:
                self.cluster.put(replace(node, annotations={}))
        for name in names:
            world.series(name, "up")

    def tell(self) -> list[str]:
        told: list[str] = []
        states: dict[str, str] = {}
        for second in range(max(line.end for line in self.lines)):
            now = [line.words for line in self.lines if line.start <= second < line.end]
            told += self.second(second, now, states)
        return told

    def second(self, second: int, now: list[list[str]], states: dict[str, str]) -> list[str]:
        scores = {(w[0], w[1]): float(w[2]) for w in now if w[0] in self.places}
        absences, silent = self.absences([w[1:] for w in now if w[0] == "silent"], second)
        guard = self.remediation.guard
        guard.settings = replace(guard.settings, pause=["paused"] in now)
        changed: list[Incident] = self.world.step(scores, absences)
        self.world.incidents.fill(self.world.now_ns)
        decisions = self.remediation.step(
            self.world.incidents.active,
            changed,
            lambda: fleet_view(self.beats(silent), self.cluster.nodes(), guard.settings),
            self.world.now_ns,
        )
        told = [
            f"{second} {incident.state} {incident.scope} {incident.place.node or incident.place.zone}"
            for incident in changed
            if states.get(incident.id) != incident.state
        ]
        states |= {incident.id: incident.state for incident in changed}
        return told + [f"{second} {self.word(each)}" for each in decisions]

    def word(self, decision: Decision) -> str:
        target = decision.action.target.node or f"zone {decision.action.target.zone}"
        verdict = "would" if decision.verdict == "allowed" and decision.dry_run else decision.verdict
        why = "" if decision.rule == "all" else f": {decision.rule}"
        return f"{verdict} {decision.action.verb} {target}{why}"

    def absences(self, said: list[list[str]], second: int) -> tuple[list[Absence], set[str]]:
        absences: list[Absence] = []
        silent: set[str] = set()
        for scope, *names in said:
            for name in names:
                begun = min(line.start for line in self.lines if line.words[1:] == [scope, *names])
                place = self.places.get(name, Resource("site", name))
                ago = second - begun
                absences.append(
                    self.world.absence(scope, place if scope != "cluster" else Resource(name), ago)
                )
                silent |= {n for n in self.places if scope == "cluster" or n.startswith(name)}
        return absences, silent

    def beats(self, silent: set[str]) -> list[Heartbeat]:
        now: int = self.world.now_ns
        return [
            Heartbeat(
                place,
                "silent" if name in silent else "alive",
                now - (10**11 if name in silent else 0),
                SECOND,
            )
            for name, place in self.places.items()
        ]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario(path: Path, world: Any) -> None:
    story, _, expected = path.read_text().partition("\n---\n")
    told = Story(story, world).tell()
    assert "\n".join(told) == expected.strip()


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 8
