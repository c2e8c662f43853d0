"""The simulated site, live: a step a second, a sender a zone and signal, over the socket like any other."""

import threading
import time
from collections.abc import Sequence

from edgeobs.demo.edge import Edge
from edgeobs.demo.faults import Fault
from edgeobs.demo.site import ZONES, Site
from edgeobs.demo.talk import Talking
from edgeobs.node.send import Sender
from edgeobs.node.settings import Sending

SIGNALS = ("metrics", "logs", "traces")


class Feed:
    """Runs a `Site` on a thread of its own until stopped.

    Parameters
    ----------
    seed
        Which site.
    url
        The core's OTLP/HTTP base URL.
    edge
        The node that tells its agent, and not the core.

    """

    def __init__(self, seed: int, url: str, edge: Edge) -> None:
        self._edge = edge
        urls = dict.fromkeys(ZONES, url) | {edge.node: edge.url}
        self.senders = {
            (place, signal): Sender(Sending(url=f"{to}/v1/{signal}"))
            for place, to in urls.items()
            for signal in SIGNALS
        }
        self.afflict(())
        self._site = Site(seed, time.time())
        self._talking = Talking(self._site, seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated-site", daemon=True)

    def afflict(self, faults: Sequence[Fault]) -> None:
        """Replace the schedule, whole: the thread always sees one."""
        self._faults = faults

    def start(self) -> None:
        """Begin to send."""
        for sender in self.senders.values():
            sender.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop, without waiting for it; what has not been sent yet is left."""
        self._stop.set()
        for sender in self.senders.values():
            sender.stop(within_s=0)

    def trouble(self) -> str:
        """What keeps a sender from sending; empty when nothing was refused or dropped."""
        for (place, signal), sender in self.senders.items():
            if sender.counts["refused"] or sender.counts["dropped"]:
                counts = ", ".join(f"{name} {count}" for name, count in sorted(sender.counts.items()))
                return f"{signal} of {place}: {counts}; {sender.last_error}"
        return ""

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(due - time.monotonic(), 0.0)):
            now = time.time()
            for report in self._site.step(now, self._faults):
                self._put(report.node, report.zone, "metrics", report.body)
            for talk in self._talking.step(now, self._faults):
                self._put(talk.node, talk.zone, "logs", talk.logs)
                self._put(talk.node, talk.zone, "traces", talk.spans)
            due = max(due + 1.0, time.monotonic())

    def _put(self, node: str, zone: str, signal: str, body: bytes) -> None:
        if node == self._edge.node:
            self._edge.give(body)
        self.senders[node if node == self._edge.node else zone, signal].put(body)
