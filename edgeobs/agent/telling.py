"""What the core is told: decided here, queued on disk. Called by the agent's one thread."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from edgeobs.agent.encode import summaries, window
from edgeobs.agent.recent import Recent
from edgeobs.agent.settings import AgentSettings
from edgeobs.agent.summary import Summaries
from edgeobs.agent.windows import Windows
from edgeobs.ingest.naming import source_of
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Batch, Counts, Incident, Int32s, Scores
from edgeobs.uplink.letters import of_incident, packed
from edgeobs.uplink.parcel import Letter
from edgeobs.uplink.queue import Queue, QueueError

CHUNK = 500
"""Series that one summary's request holds."""

_PLACE = ("k8s.cluster.name", "topology.kubernetes.io/zone", "k8s.node.name")
_SMALLEST = 32  # series that a request is worth its head for
_WINDOW_NS = 10 * SECOND  # between two looks at what is to be told raw
_RETRY_NS = 5 * SECOND  # until the disk is tried again
_HELD = 1000  # incidents in memory while the disk takes none


class Telling:
    """Incidents at once; raw windows around them, and summaries of every series, as far as the budget goes.

    Parameters
    ----------
    queue
        Where it waits; None: the core is told nothing.
    resource
        Who tells, as OpenTelemetry names it.

    """

    def __init__(
        self,
        table: SeriesTable,
        settings: AgentSettings,
        queue: Queue | None,
        resource: Mapping[str, str],
        counts: Counts,
    ) -> None:
        self.table, self.queue, self.counts = table, queue, counts
        self.problem = ""  # why nothing can be queued; empty while it can
        self._resource = dict(resource)
        # A workload that names no node is on this one, or it could not speak to its agent.
        self._place = source_of(list(resource.items())).resource.place()
        self._home = tuple((key, resource[key]) for key in _PLACE if resource.get(key))
        self._budget = int(settings.uplink.budget_mib_per_hour * (1 << 20))
        self._summaries = Summaries(table)
        self._recent = Recent(int(settings.recent_mib * (1 << 20)))
        self._windows = Windows(table, settings.window_before_s, settings.window_s)
        self._summary_ns = int(settings.summary_s * SECOND)
        self._next_summary_ns = self._next_window_ns = self._retry_ns = 0
        self._held: dict[str, Letter] = {}  # incidents that the disk has yet to take
        self.story: Callable[[Incident], Incident] = lambda incident: incident  # adds what was done for it

    def observe(self, batch: Batch, scores: Scores) -> None:
        """Add what was scored (`Pipeline.observer`)."""
        if self.queue is not None:
            self._summaries.observe(batch, scores)
            self._recent.append(batch)

    def news(self, incidents: Sequence[Incident], now_ns: int) -> None:
        """Tell of incidents that changed, whatever the budget says."""
        if self.queue is None or not incidents:
            return
        self._count("edgeobs_agent_windows_left_out_total", self._windows.news(incidents))
        for incident in incidents:
            here = incident if incident.place.node else replace(incident, place=self._place)
            self._held[incident.id] = of_incident(self.story(here), self._resource)
        while len(self._held) > _HELD:
            del self._held[next(iter(self._held))]
            self._count("edgeobs_agent_incidents_untold_total", 1)
        self._flush(now_ns)

    def tick(self, now_ns: int) -> None:
        """Let time pass: what is due is queued."""
        if self.queue is None:
            return
        if self._held and not 0 <= now_ns < self._retry_ns:
            self._flush(now_ns)
        if now_ns >= self._next_window_ns or self._next_window_ns - now_ns > _WINDOW_NS:
            self._next_window_ns = now_ns + _WINDOW_NS
            self._tell_windows(now_ns)
        if now_ns >= self._next_summary_ns or self._next_summary_ns - now_ns > self._summary_ns:
            # On the clock's own marks: the same for all nodes, so that a site's summaries are of one time.
            first = not self._next_summary_ns
            self._next_summary_ns = (now_ns // self._summary_ns + 1) * self._summary_ns
            if not first:
                self._tell_summaries(now_ns)

    def close(self, now_ns: int) -> None:
        """Queue what there is: the process ends."""
        if self.queue is not None:
            self._flush(now_ns)
            self._tell_windows(now_ns)
            self._tell_summaries(now_ns)
            self.queue.close()

    def _tell_windows(self, now_ns: int) -> None:
        if not len(self._windows):
            return
        samples = self._windows.due(self._recent, now_ns)
        if not len(samples.series):
            return
        letter = Letter("window", now_ns, packed(window(self.table, samples, self._home)))
        if not self._put(letter, now_ns):
            self._count("edgeobs_agent_windows_left_out_total", 1)

    def _tell_summaries(self, now_ns: int) -> None:
        """As many as the budget has room for; the others go on adding up, and are first the next time."""
        order, size = self._summaries.order(), CHUNK
        while len(order):
            ids: Int32s = order[:size]
            body = summaries(self.table, self._summaries.peek(ids), self._home)
            letter = Letter("summary", now_ns, packed(body))
            if self._put(letter, now_ns):
                self._summaries.told(ids)
                order = order[size:]
            elif size > _SMALLEST:
                size //= 4  # what is left of the budget may have room for fewer
            else:
                self._count("edgeobs_agent_summaries_put_off_total", len(order))
                return

    def _put(self, letter: Letter, now_ns: int) -> bool:
        """Queue what the budget must have room for; whether it did, and the disk too."""
        if self.queue is None:
            return False
        try:
            if self.queue.spent(now_ns) + len(letter.body) > self._budget:
                return False
            self.queue.put([letter], now_ns)
        except QueueError as error:
            self._failed(error, now_ns)
            return False
        return True

    def _flush(self, now_ns: int) -> None:
        if self.queue is None or not self._held:
            return
        try:
            self.queue.put(list(self._held.values()), now_ns)
        except QueueError as error:
            self._failed(error, now_ns)
            return
        self._held.clear()
        self.problem = ""

    def _failed(self, error: QueueError, now_ns: int) -> None:
        self._count("edgeobs_agent_queue_errors_total", 1)
        self.problem, self._retry_ns = str(error), now_ns + _RETRY_NS

    def _count(self, name: str, number: int) -> None:
        if number:
            self.counts[(name,)] += number
