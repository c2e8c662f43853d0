"""WSGI applications, measured: Flask, Django, Bottle…"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import make_wsgi_app

from edgeobs.exporter.web import Web, web

if TYPE_CHECKING:
    from edgeobs.exporter.exporter import Exporter

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Route = Callable[[Environ], str]


def matched(environ: Environ) -> str:
    """The route that Flask and others on Werkzeug matched; empty where there is none."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return str(getattr(rule, "rule", ""))


class Wsgi:
    """An application around another: it measures requests and answers scrapes.

    Parameters
    ----------
    exporter
        Whose metrics.
    app
        What is measured.
    path
        Where scrapes are answered, without counting them; empty: nowhere.
    route
        Tells the route's template once the application was called; None: `matched`.

    """

    def __init__(self, exporter: "Exporter", app: WsgiApp, path: str, route: Route | None) -> None:
        self._app, self._path, self._route = app, path, route or matched
        self._web = web(exporter)
        exporter.running.start()
        self._page = make_wsgi_app(exporter.running.exposed)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        if self._path and environ.get("PATH_INFO") == self._path:
            page: Iterable[bytes] = self._page(environ, start_response)
            return page
        request = _Request(self._web, environ, self._route)

        def noting(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            request.status = int(status[:3])
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        try:
            return _Body(self._app(environ, noting), request)
        except BaseException as error:
            request.end(error)
            raise


class _Request:
    def __init__(self, web: Web, environ: Environ, route: Route) -> None:
        self._web, self._environ, self._route = web, environ, route
        self._method = environ.get("REQUEST_METHOD", "")
        self._began: float | None = web.begin(self._method)
        self.status = 0

    def end(self, error: BaseException | None = None) -> None:
        """End it, once."""
        began, self._began = self._began, None
        if began is None:
            return
        status = self.status or (500 if isinstance(error, Exception) else 0)
        what = "" if error is None else type(error).__name__
        self._web.end(began, self._method, self._route(self._environ), status, what)


class _Body:
    """What the application answers; the request ends when the server has it all, and closes it."""

    def __init__(self, parts: Iterable[bytes], request: _Request) -> None:
        self._parts, self._request = parts, request

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._parts
        except Exception as error:
            self._request.end(error)
            raise

    def close(self) -> None:
        """Close what the application gave; PEP 3333 has every server do it."""
        try:
            close = getattr(self._parts, "close", None)
            if close is not None:
                close()
        finally:
            self._request.end()
