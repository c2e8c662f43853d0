"""Live updates to pages: Server-Sent Events, at a bounded rate, to a bounded number of clients.

Events, as the WHATWG's HTML standard frames them (section 9.2): ``all`` (a whole `models.Change`, first on
every connection), ``change`` (what became different) and ``beat`` (nothing did; the connection stands).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from edgeobs.web.reader import Reader
from edgeobs.web.settings import Settings
from edgeobs.web.view import View, change, view


class Streams:
    """All live pages of one app. They share each view; a slow one skips what it could not take in time."""

    def __init__(self, reader: Reader, settings: Settings, stopping: Callable[[], bool]) -> None:
        self._reader = reader
        self._settings = settings
        self._stopping = stopping
        self._view: View | None = None
        self.live = 0

    def full(self) -> bool:
        """Whether no further page can be served."""
        return self.live >= self._settings.max_streams

    def response(self) -> "EventStream":
        """A response that tells one page of every change until it goes away or the server stops."""
        return EventStream(self)

    async def events(self) -> AsyncIterator[bytes]:
        """The events of one page."""
        loop = asyncio.get_running_loop()
        known: View | None = None
        told_s = loop.time()
        yield b"retry: 1000\n\n"
        while not self._stopping():
            newest = self._newest()
            if known is None or newest.version != known.version:
                yield _event("change" if known else "all", change(known, newest))
                known, told_s = newest, loop.time()
            elif loop.time() - told_s >= self._settings.heartbeat_s:
                yield _event("beat", json.dumps({"version": known.version}))
                told_s = loop.time()
            await asyncio.sleep(self._settings.stream_interval_s)

    def _newest(self) -> View:
        published = self._reader.published()
        if self._view is None or self._view.version != published.version:
            self._view = view(published, self._view)
        return self._view

    async def serve(self, receive: Receive, send: Send) -> None:
        """Send events until the client is gone, takes nothing for ``stall_s``, or the server stops."""
        self.live += 1
        gone = asyncio.ensure_future(_disconnected(receive))
        events = self.events()
        try:
            async for event in events:
                if gone.done():
                    return
                async with asyncio.timeout(self._settings.stall_s):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            return
        finally:
            self.live -= 1
            gone.cancel()


class EventStream(Response):
    """An endless answer: no length, never cached, not buffered by proxies."""

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, status_code: int = 200) -> None:
        super().__init__(
            status_code=status_code, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        del self.headers["content-length"]
        self._streams = streams

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the client is gone or the server stops."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await self._streams.serve(receive, send)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()
