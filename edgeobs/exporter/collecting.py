"""What is read when it is asked for: each source in a thread of its own, with a deadline and an age.

A scrape starts all sources at once and waits for each no longer than its deadline, counted from when the
source began. One that hangs costs one scrape that much, once: it is not started again while it runs, and
nobody waits for it beyond its deadline. What it last said is shown until it is stale.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from edgeobs.exporter.telling import warn

Read = Callable[[], list[Metric]]
Clock = Callable[[], float]


class Patience(NamedTuple):
    """How long a source may take, and how long what it said may be shown."""

    deadline_s: float = 3.0
    """A scrape waits this long for it, > 0; Prometheus itself gives up on a whole scrape after 10 s."""

    stale_s: float = 60.0
    """What was read longer ago is not shown, > 0."""

    every_s: float = 0.0
    """It is read in the background this often and no scrape waits for it; 0: it is read when scraped."""

    def checked(self) -> "Patience":
        """Give it back; raises ValueError when it means nothing."""
        if not self.deadline_s > 0 or not self.stale_s > 0 or not self.every_s >= 0:
            raise ValueError(f"deadline_s and stale_s are > 0, every_s is ≥ 0; found {self}")
        if self.every_s >= self.stale_s:
            raise ValueError(f"what is read every {self.every_s:g} s would be stale after {self.stale_s:g} s")
        return self


class State(NamedTuple):
    """What is known of a source."""

    families: tuple[Metric, ...] = ()
    read_at: float | None = None  # when that was read; None: never
    took_s: float = 0.0
    good: bool = False  # whether the last reading ended in time and without an error
    errors: int = 0
    late: int = 0


def shown(state: State, now: float, stale_s: float) -> tuple[Metric, ...]:
    """What may be shown of it now."""
    fresh = state.read_at is not None and now - state.read_at <= stale_s
    return state.families if fresh else ()


class Source:
    """One function that reads, and its thread, which starts when it is first asked.

    Parameters
    ----------
    name
        Of the collector, as the exporter's own metrics call it.
    read
        What reads; whatever it raises is counted, told in the log once, and no harm to others.
    patience
        How long for.
    clock
        Monotonic seconds.

    """

    def __init__(self, name: str, read: Read, patience: Patience, clock: Clock = time.monotonic) -> None:
        self.name, self.patience = name, patience
        self._read, self._clock = read, clock
        self.forked()

    def forked(self) -> None:
        """Begin anew in a process that has no threads yet."""
        self.state = State()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._began: float | None = None  # of the reading that runs or is asked for
        self._told_late = False
        self._stopping = False
        self._failing = False

    def ask(self) -> None:
        """Have it read, unless it does, or does so by itself."""
        with self._changed:
            if self._stopping:
                return
            if self._began is None and not (self.patience.every_s and self._thread):
                self._began = self._clock()
                self._changed.notify_all()
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=f"collect-{self.name}", daemon=True)
                try:
                    thread.start()
                    self._thread = thread
                except RuntimeError as error:  # the system has no more threads for us now
                    self._end(self._clock(), [], error)

    def wait(self) -> State:
        """What is known once it has ended, or its deadline is over; in the background: at once."""
        with self._changed:
            began = self._began
            first = self.state.read_at is None and not self.state.errors
            if began is not None:
                left = began + self.patience.deadline_s - self._clock()
                if first or not self.patience.every_s:
                    self._changed.wait_for(lambda: self._began != began, max(left, 0.0))
                    self._note_late(began)
                elif left <= 0:
                    self._note_late(began)
            return self.state

    def stop(self) -> None:
        """Read no more; a reading that runs is left to itself."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _note_late(self, began: float) -> None:
        if self._began == began and not self._told_late:
            self._told_late = True
            had = self.state
            self.state = State(had.families, had.read_at, had.took_s, False, had.errors, had.late + 1)
            warn("collector %s: not done within %g s", self.name, self.patience.deadline_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._due, self.patience.every_s or None)
                if self._stopping:
                    return
                self._began = began = self._clock() if self._began is None else self._began
            found, error = self._once()
            with self._changed:
                self._end(began, found, error)

    def _due(self) -> bool:
        return self._stopping or self._began is not None

    def _once(self) -> tuple[list[Metric], BaseException | None]:
        try:
            return self._read(), None
        except BaseException as error:  # noqa: BLE001  whatever a driver raises, SystemExit too, is its own affair
            return [], error

    def _end(self, began: float, found: list[Metric], error: BaseException | None) -> None:
        now, had = self._clock(), self.state
        took = now - began
        late = took > self.patience.deadline_s
        newly_late = late and not self._told_late
        if error is None:
            self.state = State(tuple(found), now, took, not late, had.errors, had.late + newly_late)
        else:
            self.state = State(had.families, had.read_at, took, False, had.errors + 1, had.late + newly_late)
            if not self._failing:
                warn("collector %s: %s: %s", self.name, type(error).__name__, error)
        self._failing, self._told_late, self._began = error is not None, False, None
        self._changed.notify_all()


class Sources:
    """Sources of an exporter, as one collector of prometheus_client's registry.

    Parameters
    ----------
    tells_of
        Other sources. Who has some tells how these and its own do; None: nothing of that.
    clock
        Monotonic seconds.

    """

    def __init__(self, tells_of: "Sources | None" = None, clock: Clock = time.monotonic) -> None:
        self.known = False  # to a registry
        self._tells_of, self._clock = tells_of, clock
        self._sources: list[Source] = []
        self._described: dict[Source, list[Metric]] = {}

    @property
    def names(self) -> list[str]:
        """Of all sources."""
        return [each.name for each in self._sources]

    def add(self, name: str, read: Read, patience: Patience, described: Iterable[Metric]) -> Source:
        """Have one more."""
        source = Source(name, read, patience, self._clock)
        self._sources.append(source)
        self._described[source] = list(described)
        return source

    def drop(self, source: Source) -> None:
        """Have one less."""
        self._sources.remove(source)
        del self._described[source]

    def describe(self) -> list[Metric]:
        """What they may yield: names that nothing else may have."""
        own = [] if self._tells_of is None else _told([], 0.0)
        told = [each for described in self._described.values() for each in described]
        return [*{each.name: each for each in told}.values(), *own]

    def collect(self) -> list[Metric]:
        """What all say now, and how they do."""
        for source in self._sources:
            source.ask()
        states = [(source, source.wait()) for source in self._sources]
        now = self._clock()
        said = [each for source, state in states for each in shown(state, now, source.patience.stale_s)]
        if self._tells_of is None:
            return _joined(said)
        others = [(each, each.state) for each in self._tells_of._sources]
        return [*_joined(said), *_told([*others, *states], now)]

    def forked(self) -> None:
        """Begin anew in a process that has no threads yet."""
        for source in self._sources:
            source.forked()

    def stop(self) -> None:
        """Read no more."""
        for source in self._sources:
            source.stop()


def _joined(families: Sequence[Metric]) -> list[Metric]:
    """One family a name; of series that two sources tell, the first one's."""
    made: dict[str, Metric] = {}
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for family in families:
        into = made.setdefault(
            family.name, Metric(family.name, family.documentation, family.type, family.unit)
        )
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            if key not in seen and family.type == into.type:
                seen.add(key)
                into.samples.append(sample)
    return list(made.values())


def _told(states: Sequence[tuple[Source, State]], now: float) -> list[Metric]:
    up = GaugeMetricFamily(
        "edgeobs_exporter_collector_up",
        "Whether a collector's last reading ended within its deadline and without an error.",
        labels=["collector"],
    )
    took = GaugeMetricFamily(
        "edgeobs_exporter_collector_took_seconds", "How long its last reading took.", labels=["collector"]
    )
    age = GaugeMetricFamily(
        "edgeobs_exporter_collector_age_seconds", "How old what it last read is.", labels=["collector"]
    )
    failures = CounterMetricFamily(
        "edgeobs_exporter_collector_failures",
        "Readings that raised (error), or were not done in time (late).",
        labels=["collector", "reason"],
    )
    for source, state in states:
        up.add_metric([source.name], float(state.good))
        took.add_metric([source.name], state.took_s)
        if state.read_at is not None:
            age.add_metric([source.name], now - state.read_at)
        failures.add_metric([source.name, "error"], state.errors)
        failures.add_metric([source.name, "late"], state.late)
    return [up, took, age, failures]
