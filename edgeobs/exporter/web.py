"""What is measured of requests, ASGI and WSGI alike.

Names, attributes and buckets are those of OpenTelemetry's semantic conventions for HTTP metrics (stable).
"""

from http import HTTPMethod
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeobs.exporter.exporter import Exporter

_METHODS = frozenset(HTTPMethod)
_ATTRIBUTES = {
    "http_request_method": "http.request.method",
    "http_route": "http.route",
    "http_response_status_code": "http.response.status_code",
    "error_type": "error.type",
}


class Web:
    """The metrics of an HTTP server.

    The route is the template that a framework matched, never the path, which a client chooses; it is empty
    where nothing matched or the framework does not say.
    """

    def __init__(self, exporter: "Exporter") -> None:
        self.duration = exporter.histogram(
            "http_server_request_duration_seconds", "Requests, from the first byte in to the last byte out.",
            list(_ATTRIBUTES), otlp="http.server.request.duration", attributes=_ATTRIBUTES,
        )  # fmt: skip
        self.active = exporter.gauge(
            "http_server_active_requests", "Requests under way.", ["http_request_method"], across="sum",
            otlp="http.server.active_requests", attributes=_ATTRIBUTES,
        )  # fmt: skip

    def begin(self, method: str) -> float:
        """Begin a request; the answer is for `end`."""
        self.active.labels(known(method)).inc()
        return perf_counter()

    def end(self, began: float, method: str, route: str, status: int, error: str = "") -> None:
        """End it: with the ``status`` that was sent (0: none), ``error`` the class of what was raised."""
        self.active.labels(known(method)).dec()
        failed = error or (str(status) if status >= 500 else "")
        code = str(status) if status else ""
        self.duration.labels(known(method), route, code, failed).observe(perf_counter() - began)


def known(method: str) -> str:
    """An HTTP method that exists, or ``_OTHER``: a client may send any word."""
    return method if method in _METHODS else "_OTHER"


def web(exporter: "Exporter") -> Web:
    """Have the metrics of an exporter's HTTP servers, declared when first asked for."""
    return exporter.once("web", lambda: Web(exporter))
