"""Where people speak and ask (`web.Desk`): checks what they say, and finds the answers where they are."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from edgeobs.engine import Engine
from edgeobs.people import NotKept, People
from edgeobs.remediate import NodeView, Settings, asked
from edgeobs.remediate.journal import NAME, Entry, Journal, JournalError
from edgeobs.remediate.operation import OVER
from edgeobs.remediate.unmatched import unmatched
from edgeobs.remediate.words import Here, What, Word, short
from edgeobs.signals import SECOND, Resource
from edgeobs.web import Explained, Published, Refused, Said, Step

log = structlog.get_logger("edgeobs.desk")

WAIT_S = 5.0
"""How long the engine's thread may take to answer."""

_LOOK_NS = SECOND
_UNMATCHED_NS = 30 * SECOND
_SETTLED_NS = 15 * SECOND  # after a start not all incidents and operations are known yet
_STEPS = 500


class Desk:
    """Of one core.

    Parameters
    ----------
    people
        Who keeps what is said.
    engine
        Its thread answers what only it knows.
    published
        The newest of what the page shows.
    folder
        Where the journal lives.

    """

    def __init__(
        self,
        people: People,
        engine: Engine,
        settings: Settings,
        published: Callable[[], Published],
        folder: Path,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.notices: tuple[str, ...] = ()  # names in the settings that nothing has
        self._people, self._engine, self._settings, self._clock = people, engine, settings, clock
        self._published, self._journal = published, folder / NAME
        self._looked_ns = self._compared_ns = 0
        self._since_ns = 0

    def say(self, what: What, by: str, why: str, incident: str, verb: str) -> str:
        """Put a word in force."""
        now, late, place = self._clock(), False, Resource()
        if what in {"approve", "veto"}:
            late, place = self._about(incident)
            self._leads(what)
        elif what == "resume":
            self._paused()
        until = now + int(self._settings.approve_s * SECOND) if what == "approve" else 0
        late &= what == "veto"
        word = Word(what, short(by), short(why), now, incident, verb, until, "", late, place[:3])
        try:
            note = self._people.say(word)
        except NotKept as error:
            raise Refused(503, str(error)) from error
        return "; ".join(filter(None, (note, self._beside(what, verb))))

    def steps(self, operation: str) -> list[Step]:
        """From the journal, read beside whoever writes it."""
        try:
            journal = Journal(self._journal, read_only=True)
            try:
                entries = journal.story(operation)
            finally:
                journal.close()
        except JournalError as error:
            if self._journal.exists():
                raise Refused(503, str(error)) from error
            entries = []
        if not entries:
            raise Refused(404, "no such operation in the journal")
        return [Step(entry.at_ns, entry.kind, _told(entry)) for entry in entries[-_STEPS:]]

    def explain(self, node: str, cluster: str | None) -> Explained:
        """As the engine's thread sees it."""
        try:
            return self._engine.ask(lambda: self._explain(node, cluster), WAIT_S)
        except TimeoutError:
            raise Refused(503, f"the core did not answer within {WAIT_S:g} s") from None

    def look(self) -> None:
        """Take up annotations, let go of what is over, find names that nothing has; the engine's thread."""
        now = self._clock()
        if not self._engine.keeper.opened or 0 <= now - self._looked_ns < _LOOK_NS:
            return
        self._looked_ns, self._since_ns = now, self._since_ns or now
        pipeline = self._engine.pipeline
        nodes = pipeline.cluster.inventory(now).nodes.values()
        active = {each.id: Here(each.place[:3], each.opened_ns) for each in pipeline.incidents.active()}
        operations = pipeline.remediation.operations.values()
        standing = {each.action.incident for each in operations if not each.over or each.standing}
        if now - self._since_ns < _SETTLED_NS:
            unsure = {word.incident for word in self._people.words.all()} - active.keys()
            active |= {name: Here(("", "", ""), 0) for name in unsure}
        self._people.look(nodes, active, standing)
        if now - self._compared_ns >= _UNMATCHED_NS:
            self._compared_ns = now
            self._compare(now)

    def _compare(self, now: int) -> None:
        pipeline = self._engine.pipeline
        fleet = pipeline.fleet(now)
        found = unmatched(self._settings, fleet) if fleet.age_ns <= fleet.stale_ns else self.notices
        for text in found:
            if text not in self.notices:
                log.warning("nothing_matches", reason=text)
        self.notices = tuple(found)

    def _about(self, incident: str) -> tuple[bool, Resource]:
        """Whether an incident is over, and where it is; refuses one of which there is nothing to say."""
        published = self._published()
        found = next((each for each in published.incidents if each.id == incident), None)
        if found is not None and found.state != "resolved":
            return False, found.place
        for each in published.operations:
            if each.incident == incident and (each.standing or each.state not in OVER):
                return True, each.place
        if found is None:
            raise Refused(404, "no such incident, or one too old to be kept here")
        raise Refused(409, "the incident is over, and nothing that was done for it stands")

    def _leads(self, what: What) -> None:
        leader = self._people().leader
        if leader and what == "approve" and not self._people.shares:
            raise Refused(409, f"{leader}; approve it there")

    def _paused(self) -> None:
        if self._settings.pause:
            raise Refused(409, "paused in the configuration (remediate.pause)")
        if not self._people().paused:
            raise Refused(409, "nothing is paused")

    def _beside(self, what: What, verb: str) -> str:
        switches = self._people()
        if what == "resume" and switches.paused:
            return f"still held: {switches.paused}"
        if what == "veto" and switches.leader and not self._people.shares:
            return f"told to this replica alone, and {switches.leader}"
        if what == "approve" and verb and verb not in self._settings.approve:
            return f"{verb} needs no approval"
        return ""

    def _explain(self, node: str, cluster: str | None) -> Explained:
        now, pipeline = self._clock(), self._engine.pipeline
        fleet = pipeline.fleet(now)
        found = [
            each for each in fleet.nodes.values() if each.name == node and cluster in {None, each.cluster}
        ]
        if len(found) > 1:
            names = ", ".join(sorted(each.cluster or "(unnamed)" for each in found))
            raise Refused(404, f"several clusters have a node {node}: say which, of {names}")
        if not found:
            raise Refused(404, f"neither telemetry nor the cluster knows a node {node}")
        view: NodeView = found[0]
        answer = asked.asked(pipeline.remediation, view, pipeline.incidents.active(), fleet, now)
        return Explained(asked.facts(view), answer.proposed, answer.verbs)


def words(people: People) -> tuple[Said, ...]:
    """Words on incidents, for the page."""
    found = people.standing()
    said = [*found.vetoes.values(), *found.approvals.values()]
    return tuple(
        Said("veto" if w.what == "veto" else "approve", w.by, w.why, w.at_ns, w.incident, w.verb, w.until_ns)
        for w in said
    )


def _told(entry: Entry) -> str:
    body: dict[str, Any] = entry.body
    match entry.kind:
        case "intent":
            return f"{body['action']['verb']}: {body['action']['reason']}"
        case "call":
            kind, namespace, name = body["ref"][:3]
            of = "/".join(part for part in (kind.lower(), namespace, name) if part)
            says = f": {body['says']}" if body.get("says") else ""
            return f"{body['verb']} {of}{says}"
        case "answer":
            rest = " ".join(part for part in (body.get("reason", ""), body.get("text", "")) if part)
            return ": ".join(part for part in (str(body["status"] or "no answer"), rest) if part)
        case _:
            return f"{body['state']}: {body['reason']}" if body.get("reason") else str(body["state"])
