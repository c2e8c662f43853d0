"""WSGI applications."""

from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from edgeobs.exporter import Exporter


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    made = Exporter("shop", process=False)
    yield made
    made.close()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answers by path, and says which route it was as Flask does."""
    path = environ["PATH_INFO"]
    environ["werkzeug.request"] = SimpleNamespace(url_rule=SimpleNamespace(rule="/things/<int:n>"))
    if path == "/raises":
        raise RuntimeError("broken")
    if path == "/nothing":
        environ["werkzeug.request"] = SimpleNamespace(url_rule=None)
        start_response("404 NOT FOUND", [("Content-Type", "text/plain")])
        return [b""]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return parts() if path == "/breaks" else [b"a", b"b"]


def parts() -> Iterator[bytes]:
    yield b"a"
    raise RuntimeError("in the middle")


def call(app: Any, path: str, method: str = "GET", read: int = 100) -> tuple[str, bytes]:
    """As a server does, which closes what it was given."""
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ.update(PATH_INFO=path, REQUEST_METHOD=method, QUERY_STRING="")
    status: list[str] = []

    def start(line: str, *_: Any) -> Callable[[bytes], None]:
        status.append(line)
        return lambda _: None

    found = validator(app)(environ, start)
    body = b""
    try:
        for number, part in enumerate(found):
            body += part
            if number + 1 >= read:
                break
    finally:
        found.close()  # type: ignore[attr-defined]
    return status[0], body


def count(exporter: Exporter, route: str, code: str, error: str = "", method: str = "GET") -> float | None:
    return exporter.registry.get_sample_value(
        "http_server_request_duration_seconds_count",
        {
            "http_request_method": method, "http_route": route, "http_response_status_code": code,
            "error_type": error,
        },
    )  # fmt: skip


def test_requests_are_measured_until_the_body_is_out(exporter: Exporter) -> None:
    measured = exporter.wsgi(app)
    assert call(measured, "/things/1") == ("200 OK", b"ab")
    assert call(measured, "/things/2", read=1) == ("200 OK", b"a")  # a client that goes early
    call(measured, "/nothing")
    with pytest.raises(RuntimeError):
        call(measured, "/raises", "POST")
    with pytest.raises(RuntimeError):
        call(measured, "/breaks")
    assert count(exporter, "/things/<int:n>", "200") == 2
    assert count(exporter, "", "404") == 1
    assert count(exporter, "/things/<int:n>", "500", "RuntimeError", "POST") == 1
    assert count(exporter, "/things/<int:n>", "200", "RuntimeError") == 1
    active = exporter.registry.get_sample_value("http_server_active_requests", {"http_request_method": "GET"})
    assert active == 0


def test_scrapes_are_answered_and_not_measured(exporter: Exporter) -> None:
    measured = exporter.wsgi(app)
    call(measured, "/things/1")
    status, page = call(measured, "/metrics")
    assert status == "200 OK"
    assert b'http_route="/things/<int:n>"' in page
    assert b"/metrics" not in page


def test_a_route_of_ones_own(exporter: Exporter) -> None:
    measured = exporter.wsgi(app, path="", route=lambda environ: environ["PATH_INFO"][:4])
    call(measured, "/metrics")
    assert count(exporter, "/met", "200") == 1
