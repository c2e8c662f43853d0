"""Every source read when it is due, each by its deadline; what is missing is told with its reason."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from edgeobs.node.derive import bound
from edgeobs.node.host import Host, MissingError
from edgeobs.node.readings import Reading
from edgeobs.node.sources.table import Source
from edgeobs.node.timely import Job, Lane, LateError

AGAIN_S = 60.0
"""Seconds after which what was missing is looked for again."""
_ROUNDS_KEPT = 3.0


class Answer(NamedTuple):
    """What a source gave the last time it was asked, and when (monotonic seconds)."""

    at_s: float
    readings: tuple[Reading, ...]
    reason: str  # empty: it is there
    detail: str = ""


class Rounds:
    """Reads sources in turn; those that are apart in threads of their own.

    Parameters
    ----------
    host
        What is read.
    sources
        By name, in order.
    lane
        Where those that are not apart are read.

    """

    def __init__(self, host: Host, sources: Mapping[str, Source], lane: Lane | None = None) -> None:
        self.host, self.sources = host, sources
        self.answers: dict[str, Answer] = {}
        self.failures: Counter[str] = Counter()
        self.left_out: dict[str, int] = {}
        self._jobs: dict[str, Job[tuple[list[Reading], int]]] = {}
        self._due: dict[str, float] = {}
        self._began: dict[str, float] = {}
        self._lane = lane or Lane("node-sources")
        self._lanes = {name: Lane(f"node-{name}") for name, source in sources.items() if source.apart}

    def read(self) -> list[Reading]:
        """What is new since the last round, in the order of the sources."""
        fresh: list[Reading] = []
        for name, source in self.sources.items():
            answer = self._apart(name, source) if source.apart else self._in_turn(name, source)
            if answer is not None:
                self.answers[name] = answer
                fresh += answer.readings
        return fresh

    def newest(self, interval_s: float) -> list[Reading]:
        """What each source said last, unless that is older than three times its own interval."""
        now = self.host.clock()
        return [
            reading
            for name, answer in self.answers.items()
            if now - answer.at_s <= _ROUNDS_KEPT * max(self.sources[name].every_s, interval_s)
            for reading in answer.readings
        ]

    def own(self) -> Iterator[Reading]:
        """Which sources are there, why the others are not, and what was left out."""
        for name, answer in self.answers.items():  # not of those that have begun and were not heard of yet
            labels = (("source", name), ("reason", answer.reason))
            yield Reading("edgeobs.node.source.up", "gauge", "", not answer.reason, labels)
        yield Reading("edgeobs.node.left_out", "gauge", "{thing}", sum(self.left_out.values()))
        for name, failed in sorted(self.failures.items()):
            yield Reading("edgeobs.node.read.failures", "counter", "{failure}", failed, (("source", name),))

    def _in_turn(self, name: str, source: Source) -> Answer | None:
        now = self.host.clock()
        if name in self._jobs:  # it was left behind; what it brings now is of another time
            if not self._jobs[name].done:
                return None
            del self._jobs[name]
        if now < self._due.get(name, now):
            return None
        job = self._lane.begin(lambda: self._bounded(source))
        within_s = self.host.settings.within_s if source.within_s is None else source.within_s
        if not job.wait(within_s):
            self._jobs[name] = job
            self._lane.leave()
        return self._taken(name, source, job, now)

    def _apart(self, name: str, source: Source) -> Answer | None:
        now = self.host.clock()
        job = self._jobs.get(name)
        if job is None:
            if now >= self._due.get(name, now):
                self._jobs[name] = self._lanes[name].begin(lambda: self._bounded(source))
                self._began[name] = now
            return None
        if job.done:
            del self._jobs[name]
            return self._taken(name, source, job, self._began[name])
        late = source.within_s is not None and now - self._began[name] > source.within_s
        known = name in self.answers and self.answers[name].reason == "slow"
        return self._taken(name, source, job, now) if late and not known else None

    def _bounded(self, source: Source) -> tuple[list[Reading], int]:
        settings = self.host.settings
        return bound(source.read(self.host), settings.at_most, settings.pods_at_most)

    def _taken(
        self, name: str, source: Source, job: Job[tuple[list[Reading], int]], began_s: float
    ) -> Answer:
        """What came of a job, and when the source is due again."""
        reason, detail = "", ""
        readings: list[Reading] = []
        try:
            readings, self.left_out[name] = job.result()
        except Exception as error:  # noqa: BLE001  a source that fails takes no other with it; it is counted and told
            reason, detail = _why(error), f"{type(error).__name__}: {error}"
        if reason in {"slow", "unreadable"}:
            self.failures[name] += 1
        wait_s = AGAIN_S if reason in {"absent", "denied"} else source.every_s
        self._due[name] = began_s + wait_s
        return Answer(self.host.clock(), tuple(readings), reason, detail)


def _why(error: Exception) -> str:
    if isinstance(error, LateError):
        return "slow"
    if isinstance(error, MissingError | FileNotFoundError | NotADirectoryError):
        return "absent"
    return "denied" if isinstance(error, PermissionError) else "unreadable"
