"""Both servers, on free ports of a loop of their own, before a submit that a test scripts."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

from edgeobs.ingest.auth import Auth
from edgeobs.ingest.delivery import Delivery, Receipt
from edgeobs.ingest.grpc_server import GrpcServer
from edgeobs.ingest.serve import HttpServer, listen
from edgeobs.ingest.server import ingest_app
from edgeobs.ingest.settings import Limits, Settings
from edgeobs.signals import Counts


@dataclass
class Edge:
    """Running servers and what reached `submit`."""

    settings: Settings
    deliveries: list[Delivery] = field(default_factory=list)
    outcome: Callable[[Delivery], Receipt] = field(default=lambda _: Receipt(1))  # may raise
    delay_s: float = 0.0
    counts: Counts = field(default_factory=Counter)
    http_port: int = 0
    grpc_port: int = 0
    stop: Callable[[], None] = field(default=lambda: None)

    async def submit(self, delivery: Delivery) -> Receipt:
        self.deliveries.append(delivery)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        return self.outcome(delivery)

    def requests(self, protocol: str) -> dict[str, int]:
        """HTTP status or gRPC code → how often it was answered."""
        found = dict(self.counts)
        return {k[2]: n for k, n in found.items() if k[:2] == ("edgeobs_requests_total", protocol)}


@contextmanager
def _running(edge: Edge) -> Iterator[Edge]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def call(coroutine: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)

    auth = Auth(edge.settings, Limits())
    app = ingest_app(edge.submit, auth, edge.settings, edge.counts)
    http = HttpServer(app, listen("127.0.0.1", 0), edge.settings, edge.counts)
    grpc = GrpcServer(edge.submit, auth, edge.settings, edge.counts)

    async def start() -> None:
        await http.start()
        await grpc.start()

    async def stop() -> None:
        await asyncio.gather(http.stop(), grpc.stop())

    call(start())
    edge.http_port, edge.grpc_port = http.port, grpc.port
    edge.stop = lambda: call(stop())
    try:
        yield edge
    finally:
        call(stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Edge]]:
    """``start(**settings)`` runs the servers until the test is over."""
    with ExitStack() as stack:

        def begin(**settings: object) -> Edge:
            values: dict[str, object] = {"http_port": 0, "grpc_port": 0, "stop_timeout_s": 0.5, **settings}
            return stack.enter_context(_running(Edge(Settings(**values))))  # type: ignore[arg-type] # by name

        yield begin


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    """Servers with the defaults, shared by a file's tests."""
    with _running(Edge(Settings(http_port=0, grpc_port=0, stop_timeout_s=0.5))) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    if "edge" in request.fixturenames:
        shared: Edge = request.getfixturevalue("edge")
        shared.deliveries.clear()
        shared.counts.clear()
        shared.delay_s = 0.0
        shared.outcome = lambda _: Receipt(1)
