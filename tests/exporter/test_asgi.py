"""ASGI applications: what is measured, by which route, and how scrapes are answered."""

import asyncio
import gzip
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse

from edgeobs.exporter import Exporter, Reading

DURATION = "http_server_request_duration_seconds_count"


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    made = Exporter("shop", process=False)
    yield made
    made.close()


def count(exporter: Exporter, method: str, route: str, code: str, error: str = "") -> float | None:
    labels = {
        "http_request_method": method, "http_route": route, "http_response_status_code": code,
        "error_type": error,
    }  # fmt: skip
    return exporter.registry.get_sample_value(DURATION, labels)


def shop() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{number}")
    async def item(number: int) -> int:
        return number

    @app.post("/broken")
    async def broken() -> None:
        raise RuntimeError("broken")

    @app.get("/missing")
    async def missing() -> None:
        raise HTTPException(404)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> Any:
            yield b"a"
            raise RuntimeError("in the middle")

        return StreamingResponse(parts())

    return app


def call(app: Any, *requests: tuple[str, str], **headers: str) -> list[httpx.Response]:
    async def all_of_them() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop", headers=headers) as client:
            return [await client.request(method, path) for method, path in requests]

    return asyncio.run(all_of_them())


def test_routes_statuses_and_errors(exporter: Exporter) -> None:
    app = exporter.asgi(shop())
    call(app, ("GET", "/items/1"), ("GET", "/items/2"), ("POST", "/broken"), ("GET", "/missing"),
         ("GET", "/wp-admin.php"), ("PROPFIND", "/items/1"), ("GET", "/stream"))  # fmt: skip
    assert count(exporter, "GET", "/items/{number}", "200") == 2
    assert count(exporter, "POST", "/broken", "500", "RuntimeError") == 1
    assert count(exporter, "GET", "/missing", "404") == 1
    assert (
        count(exporter, "GET", "", "404") == 1
    )  # no route: the path is the client's to choose, and no label
    assert count(exporter, "_OTHER", "", "405") or count(exporter, "_OTHER", "/items/{number}", "405")
    assert count(exporter, "GET", "/stream", "200", "RuntimeError") == 1
    active = exporter.registry.get_sample_value("http_server_active_requests", {"http_request_method": "GET"})
    assert active == 0


def test_as_a_middleware_of_starlette(exporter: Exporter) -> None:
    app = shop()
    app.add_middleware(exporter.asgi)
    [_, scraped] = call(app, ("GET", "/items/1"), ("GET", "/metrics"))
    assert count(exporter, "GET", "/items/{number}", "200") == 1
    assert 'http_route="/items/{number}"' in scraped.text
    assert "/metrics" not in scraped.text  # a scrape is not measured


def test_scrapes_get_what_they_accept(exporter: Exporter) -> None:
    app = exporter.asgi(shop())
    for number in range(40):
        exporter.counter(f"shop_thing{number}_total", "Things.").inc()
    [plain] = call(app, ("GET", "/metrics"), **{"accept-encoding": "identity"})
    [packed] = call(app, ("GET", "/metrics"), **{"accept-encoding": "gzip"})
    [om] = call(app, ("GET", "/metrics"), accept="application/openmetrics-text; version=1.0.0")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert plain.text == packed.text
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert len(gzip.compress(plain.content)) > 100
    assert om.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert om.text.endswith("# EOF\n")


def test_a_scrape_does_not_stop_the_loop(exporter: Exporter) -> None:
    """While a device hangs, other requests are served."""
    gate = threading.Event()
    warm = exporter.gauge("dev_warm_celsius", "Warm.")

    @exporter.collector(warm, deadline_s=60)
    def read() -> Reading:
        gate.wait(60)
        return warm.reading(1)

    app = exporter.asgi(shop())

    async def both() -> str:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            scrape = asyncio.create_task(client.get("/metrics"))
            assert (await client.get("/items/3")).json() == 3
            assert not scrape.done()
            gate.set()
            return (await scrape).text

    assert "dev_warm_celsius 1.0" in asyncio.run(both())


def test_another_path_or_none(exporter: Exporter) -> None:
    [here, not_here] = call(exporter.asgi(shop(), path="/own"), ("GET", "/own"), ("GET", "/metrics"))
    assert (here.status_code, not_here.status_code) == (200, 404)
    [none] = call(exporter.asgi(shop(), path=""), ("GET", "/metrics"))
    assert none.status_code == 404


def test_when_the_application_shuts_down_the_exporter_does(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        assert scope["type"] in {"lifespan", "websocket"}
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        raise AssertionError

    closed: list[bool] = []
    monkeypatch.setattr(exporter, "close", lambda: closed.append(True))
    measured = exporter.asgi(app)
    asyncio.run(measured({"type": "websocket"}, receive, send))
    assert not closed
    asyncio.run(measured({"type": "lifespan"}, receive, send))
    assert closed == [True]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
