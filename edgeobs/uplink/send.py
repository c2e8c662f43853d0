"""Empties the queue towards the core from one thread: incidents first, each parcel until it is taken."""

import http.client
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from edgeobs.node.retry import seconds
from edgeobs.signals import Counts
from edgeobs.uplink.pace import Link, Silence, after, judge, pace, silence
from edgeobs.uplink.parcel import KIND, LAST, PARCEL, PATHS, Label, Lane, Parcel
from edgeobs.uplink.queue import Queue, QueueError
from edgeobs.uplink.settings import Settings

log = logging.getLogger("edgeobs.uplink")

_LANES: tuple[Lane, ...] = ("first", "rest")
_IDLE_S = 30.0  # looks at the queue so often though nobody said that there is anything


class Answer(NamedTuple):
    """What came back: a status (0: nothing), and what two headers said."""

    status: int
    last: str = ""
    retry_after: str = ""
    error: str = ""  # why there was no answer
    cut: bool = False  # and that is the network's or the core's matter: no file of ours, no certificate


class Sender:
    """One parcel at a time: order holds within a lane, and a lost answer costs one repetition.

    Parameters
    ----------
    queue
        What waits.
    node
        Whose it is, as the core knows it.
    post
        ``(path, headers, body) → Answer``; None: over HTTP, as the settings say.
    clock, chance
        Seconds that only rise; numbers in [0, 1).

    """

    def __init__(
        self,
        queue: Queue,
        node: str,
        settings: Settings,
        counts: Counts,
        post: Callable[[str, Mapping[str, str], bytes], Answer] | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.queue, self.node, self.settings, self.counts = queue, node, settings, counts
        self.link = Link()
        self.problem = ""  # why nothing arrives; empty while it does
        self._post = post or Wire(settings).post
        self._clock, self._chance = clock, chance
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgeobs-uplink", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def notify(self) -> None:
        """There may be something in the queue."""
        if self.queue.bytes:
            self._wake.set()

    def silence(self) -> Silence:
        """Whether the core answers; any thread may ask."""
        return silence(self.link, self._clock())

    def stop(self, within_s: float = 1.0) -> None:
        """Stop, in the middle of the queue if need be: what waits is on disk."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(within_s)

    def step(self) -> float:
        """Send what may go now, one parcel at most; seconds until there is more to do.

        Raises QueueError when the queue cannot be read or what was taken cannot be let go of: then the same
        parcel is sent again, and the core knows it.
        """
        soonest = _IDLE_S
        for lane in _LANES:
            pause = pace(self.link, lane, self._clock(), self.settings)
            if pause.seconds > 0:
                soonest = min(soonest, pause.seconds)
                continue
            parcel = self.queue.head(lane)
            if parcel is not None:
                self._deliver(lane, parcel)
                return 0.0
        return soonest

    def _deliver(self, lane: Lane, parcel: Parcel) -> None:
        label = Label(self.node, self.queue.id, lane, parcel.sequence)
        headers = {PARCEL: label.text(), KIND: parcel.kind}
        answer = self._post(PATHS[parcel.kind], headers, parcel.body)
        size = len(parcel.body)
        self.link = after(
            self.link, lane, size, answer.status, seconds(answer.retry_after, time.time()), self._clock(),
            self._chance(), self.settings, cut=answer.cut,
        )  # fmt: skip
        verdict = judge(answer.status)
        self.counts["edgeobs_uplink_requests_total", str(answer.status)] += 1
        if verdict == "again":
            self.problem = f"HTTP {answer.status}" if answer.status else answer.error or "no answer"
        elif verdict == "refused":
            self.problem = f"HTTP {answer.status} for {parcel.kind} {parcel.sequence}: it is left out"
            self.queue.refused(lane, parcel)
        else:
            self.problem = ""
            self._taken(lane, parcel, answer.last)
            self.counts["edgeobs_uplink_sent_total", parcel.kind] += 1
            self.counts[("edgeobs_uplink_sent_bytes_total",)] += size

    def _taken(self, lane: Lane, parcel: Parcel, said: str) -> None:
        # A receiver that says nothing of sequences is a plain OTLP one: it has what it answered 200 to.
        last = int(said) if said.isascii() and said.isdigit() and len(said) < 20 else parcel.sequence
        if last >= self.queue.next(lane):
            self.queue.renew()  # this file is an old copy: what it calls new, the core calls known
            return
        self.queue.taken(lane, max(last, parcel.sequence))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                wait_s = self.step()
            except QueueError as error:
                self.problem, wait_s = str(error), 5.0
            except Exception as error:  # the thread must outlive whatever one moment brings
                log.exception("a parcel was not sent")
                self.problem, wait_s = f"{type(error).__name__}: {error}", 5.0
            if wait_s > 0:
                self._wake.wait(wait_s)


class Wire:
    """HTTP/1.1 with one connection that is kept; used by one thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one request; status 0 when no whole answer came in time.

        A cut is when there was none at all. That a connection was closed which had been kept is none.
        """
        kept, response = self._connection is not None, None
        try:
            connection = self._connection = self._connection or self._connect()
            headers = {**self._headers(), **headers}
        except (OSError, ValueError) as error:
            return Answer(0, error=f"{type(error).__name__}: {error}")
        try:
            whole = urlsplit(self.settings.url).path.rstrip("/") + path
            with suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read all
                connection.request("POST", whole, body, headers)
            response = connection.getresponse()
            response.read(65_536)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._close()
            network = isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
            cut = network and not kept and response is None
            return Answer(0, error=f"{type(error).__name__}: {error}", cut=cut)
        found = response.headers
        if not response.isclosed():  # more than we read: the connection cannot carry another request
            self._close()
        return Answer(response.status, found.get(LAST, ""), found.get("Retry-After", ""))

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
        headers["User-Agent"] = "edgeobs-agent"
        if self.settings.token_file:
            token = Path(self.settings.token_file).read_text(encoding="utf-8").strip()
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _connect(self) -> http.client.HTTPConnection:
        url, timeout = urlsplit(self.settings.url), self.settings.timeout_s
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=self.settings.ca_file or None)
            return http.client.HTTPSConnection(url.hostname or "", url.port, timeout=timeout, context=context)
        return http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
