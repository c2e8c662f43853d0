"""One thread a target: fetch, hand over, wait. What a target does costs the others nothing."""

import threading
import time
import zlib
from typing import NamedTuple

from edgeobs.agent.fetch import FetchError, fetch
from edgeobs.agent.settings import Target


class Fetched(NamedTuple):
    """What became of one scrape."""

    at_ns: int  # when it began
    took_s: float
    body: bytes | None  # None: it failed
    error: str = ""


class Scraper:
    """Scrapes one target; holds the newest body until it is taken, no more than one."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._newest: Fetched | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"scrape {target.url}", daemon=True)

    def start(self) -> None:
        """Begin to scrape."""
        self._thread.start()

    def stop(self) -> None:
        """Scrape no more; a scrape under way ends by itself."""
        self._stopping.set()

    def take(self) -> Fetched | None:
        """The newest scrape, once."""
        found, self._newest = self._newest, None
        return found

    def once(self) -> Fetched:
        """One scrape now."""
        at_ns, began = time.time_ns(), time.monotonic()
        try:
            body = fetch(self.target)
        except FetchError as error:
            return Fetched(at_ns, time.monotonic() - began, None, str(error))
        return Fetched(at_ns, time.monotonic() - began, body)

    def _run(self) -> None:
        # Targets are scraped at times of their own, the same after every restart.
        interval = self.target.interval_s
        offset = zlib.crc32(self.target.url.encode()) / 2**32 * min(interval, 5.0)
        due = time.monotonic() + offset
        while not self._stopping.wait(max(due - time.monotonic(), 0.0)):
            self._newest = self.once()
            due = max(due + interval, time.monotonic())
