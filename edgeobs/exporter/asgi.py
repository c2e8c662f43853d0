"""ASGI applications, measured: Starlette, FastAPI, Django, Quart, Litestar…"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from edgeobs.exporter.web import web

if TYPE_CHECKING:
    from edgeobs.exporter.exporter import Exporter

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

SMALL = 1400
"""Pages below this many bytes, a packet's, are not compressed."""


class Asgi:
    """An application around another: it measures HTTP requests and answers scrapes.

    Use it as ``app = exporter.asgi(app)``, or ``app.add_middleware(exporter.asgi)`` with Starlette and
    FastAPI, whose route templates it knows. WebSockets pass unmeasured. When the application shuts down, what
    was counted is pushed.

    Parameters
    ----------
    exporter
        Whose metrics.
    app
        What is measured.
    path
        Where scrapes are answered, without counting them; empty: nowhere.

    """

    def __init__(self, exporter: "Exporter", app: AsgiApp, path: str) -> None:
        self._exporter, self._app, self._path = exporter, app, path
        self._web = web(exporter)
        exporter.running.start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._closing(send))
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._path and scope["path"] in {self._path, scope.get("root_path", "") + self._path}:
            await self._scrape(scope, send)
        else:
            await self._measure(scope, receive, send)

    async def _measure(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, error, method = 0, "", scope["method"]

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = self._web.begin(method)
        try:
            await self._app(scope, receive, noting)
        except BaseException as raised:
            error = type(raised).__name__
            status = status or (500 if isinstance(raised, Exception) else 0)
            raise
        finally:
            route = getattr(scope.get("route"), "path", "")
            self._web.end(began, method, route, status, error)

    async def _scrape(self, scope: Scope, send: Send) -> None:
        asked = {name: value.decode("latin-1") for name, value in scope["headers"]}
        # In a thread: a collector may take until its deadline, and the loop has others to serve.
        loop = asyncio.get_running_loop()
        page, kind = await loop.run_in_executor(None, self._exporter.render, asked.get(b"accept", ""))
        headers = [(b"content-type", kind.encode())]
        if "gzip" in asked.get(b"accept-encoding", "") and len(page) > SMALL:
            page = gzip.compress(page, 3)
            headers.append((b"content-encoding", b"gzip"))
        headers.append((b"content-length", str(len(page)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": page})

    def _closing(self, send: Send) -> Send:
        async def closing(message: Message) -> None:
            if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                await asyncio.get_running_loop().run_in_executor(None, self._exporter.close)
            await send(message)

        return closing
