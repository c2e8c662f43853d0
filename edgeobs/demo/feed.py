"""The simulated site, live: a step a second, a sender a zone, over the socket like any other."""

import threading
import time
from collections.abc import Sequence

from edgeobs.demo.faults import Fault
from edgeobs.demo.site import ZONES, Site
from edgeobs.node.send import Sender
from edgeobs.node.settings import Sending


class Feed:
    """Runs a `Site` on a thread of its own until stopped.

    Parameters
    ----------
    seed
        Which site.
    url
        The core's OTLP/HTTP metrics path.

    """

    def __init__(self, seed: int, url: str) -> None:
        self.senders = {zone: Sender(Sending(url=url)) for zone in ZONES}
        self.afflict(())
        self._site = Site(seed, time.time())
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
        for zone, sender in self.senders.items():
            if sender.counts["refused"] or sender.counts["dropped"]:
                counts = ", ".join(f"{name} {count}" for name, count in sorted(sender.counts.items()))
                return f"zone {zone}: {counts}; {sender.last_error}"
        return ""

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(due - time.monotonic(), 0.0)):
            for report in self._site.step(time.time(), self._faults):
                self.senders[report.zone].put(report.body)
            due = max(due + 1.0, time.monotonic())
