"""uvicorn's HTTP connection with what it lacks: time limits for slow senders, caps, and few copies."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from edgeobs.ingest.settings import Settings
from edgeobs.signals import Counts

if TYPE_CHECKING:
    from asyncio import TimerHandle

_HEADER_BYTES = 65_536
_PIPELINED = 8
_GRACE_S = 2.0  # for the application to answer a slow sender itself, in the sender's protocol

_WORDS = {
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


@dataclass(slots=True)
class Gate:
    """What all connections of a server share."""

    settings: Settings
    counts: Counts
    held: int = 0  # bytes of bodies received and not yet answered


class EdgeProtocol(HttpToolsProtocol):
    """One connection.

    A body is gathered and handed to the application whole, in one ``http.request`` event, where uvicorn would
    pause and wake it every 64 KiB: a third of the CPU time for bodies of 1 MB. It is handed over early, with
    ``more_body``, only when it grows past ``max_body_bytes`` or all bodies together past ``receive_bytes``;
    what comes after the application has begun to answer is thrown away as it comes.
    """

    def __init__(self, config: Config, server_state: ServerState, gate: Gate) -> None:
        super().__init__(config, server_state, {})
        self._gate = gate
        self._chunks: list[bytes] = []
        self._gathered = 0
        self._held = 0
        self._header_bytes = 0
        self._in_headers = True
        self._deadline: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Refuse at once what is over the cap; otherwise the headers' clock starts."""
        super().connection_made(transport)
        self.app_state = {"common_name": common_name(transport.get_extra_info("peercert"))}
        if len(self.connections) > self._gate.settings.max_connections:
            self._refuse(503, ("retry-after: 1",))
            return
        self._expect(self._gate.settings.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self._clear()
        self._release()
        self._chunks = []
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and hold headers to their size and time."""
        if self.parser is None or self.transport.is_closing():
            return
        if self._in_headers:
            self._header_bytes += len(data)
            if self._deadline is None:
                self._expect(self._gate.settings.header_timeout_s)
        super().data_received(data)
        if self._in_headers and self._header_bytes > _HEADER_BYTES:
            self._refuse(431)

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._in_headers = True
        if self._deadline is None:
            self._expect(self._gate.settings.header_timeout_s)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The application starts; the body's clock too."""
        self._in_headers = False
        self._header_bytes = 0
        self._chunks = []
        self._gathered = 0
        super().on_headers_complete()
        if len(self.pipeline) > _PIPELINED:
            self._refuse(503)
            return
        self._expect(self._gate.settings.body_timeout_s + _GRACE_S)

    def on_body(self, body: bytes) -> None:
        """Gather."""
        if self.cycle.response_started:
            return
        self._chunks.append(body)
        self._gathered += len(body)
        self._held += len(body)
        self._gate.held += len(body)
        settings = self._gate.settings
        if self._gathered > settings.max_body_bytes or self._gate.held > settings.receive_bytes:
            self._hand_over(more=True)

    def on_message_complete(self) -> None:
        """The whole body is here."""
        self._clear()
        self._in_headers = True
        self._hand_over(more=False)

    def on_response_complete(self) -> None:
        """Give the bytes back."""
        self._release()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Not HTTP."""
        self._gate.counts["edgeobs_requests_total", "http", "400"] += 1
        super().send_400_response(msg)

    def _hand_over(self, *, more: bool) -> None:
        cycle = self.cycle
        # uvicorn only ever takes bytes(...) of this, which does not copy bytes.
        whole: Any = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        cycle.body = cycle.body + whole if cycle.body else whole
        cycle.more_body = more
        cycle.message_event.set()
        self._chunks = []
        self._gathered = 0

    def _release(self) -> None:
        self._gate.held -= self._held
        self._held = 0

    def _expect(self, within_s: float) -> None:
        self._clear()
        self._deadline = self.loop.call_later(within_s, self._late)

    def _clear(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self.cycle is None or (self._in_headers and self.cycle.response_complete):
            # Nothing was asked on this connection, or half a request.
            self._refuse(408)
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, code: int, headers: tuple[str, ...] = ()) -> None:
        """Answer without the application, and close."""
        if self.transport.is_closing():
            return
        self._clear()
        self._gate.counts["edgeobs_requests_total", "http", str(code)] += 1
        lines = (f"HTTP/1.1 {code} {_WORDS[code]}", "content-length: 0", "connection: close", *headers)
        self.transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.transport.close()


def common_name(certificate: dict[str, Any] | None) -> str:
    """The subject's common name of a peer's verified certificate, as `ssl` gives it; or empty."""
    for part in (certificate or {}).get("subject", ()):
        for name, value in part:
            if name == "commonName":
                return str(value)
    return ""
