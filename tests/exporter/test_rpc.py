"""gRPC servers, threaded and on asyncio: every kind of call, and how it ends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from edgeobs.exporter import Exporter
from tests.waiting import wait

grpc = pytest.importorskip("grpc", reason="needs grpcio")


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    made = Exporter("shop", process=False)
    yield made
    made.close()


def count(exporter: Exporter, method: str, code: str) -> float | None:
    labels = {"rpc_method": method, "rpc_response_status_code": code, "rpc_system_name": "grpc"}
    return exporter.registry.get_sample_value("rpc_server_call_duration_seconds_count", labels)


def one(request: Any, context: Any) -> bytes:
    """The last of what was sent; ``abort`` and ``raise`` do so."""
    got = request if isinstance(request, bytes) else b"".join(request)
    if got == b"abort":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    if got == b"raise":
        raise RuntimeError("broken")
    return got


def many(request: Any, context: Any) -> Iterator[bytes]:
    """The same twice."""
    yield one(request, context)
    yield b"again"


async def one_later(request: Any, context: Any) -> bytes:
    got = request if isinstance(request, bytes) else b"".join([part async for part in request])
    if got == b"abort":
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    if got == b"raise":
        raise RuntimeError("broken")
    return got


async def many_later(request: Any, context: Any) -> AsyncIterator[bytes]:
    yield await one_later(request, context)
    yield b"again"


def handlers(one: Callable[..., Any], many: Callable[..., Any], endless: Callable[..., Any]) -> Any:
    return grpc.method_handlers_generic_handler(
        "shop.Shop",
        {
            "UnaryUnary": grpc.unary_unary_rpc_method_handler(one),
            "UnaryStream": grpc.unary_stream_rpc_method_handler(many),
            "StreamUnary": grpc.stream_unary_rpc_method_handler(one),
            "StreamStream": grpc.stream_stream_rpc_method_handler(many),
            "Endless": grpc.unary_stream_rpc_method_handler(endless),
        },
    )


KINDS = {
    "UnaryUnary": "unary_unary", "UnaryStream": "unary_stream", "StreamUnary": "stream_unary",
    "StreamStream": "stream_stream",
}  # fmt: skip


def calls(port: int) -> list[str]:
    """Call everything in every way; what came of each."""
    ends: list[str] = []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for body in (b"tea", b"abort", b"raise"):
            for name, kind in KINDS.items():
                method = getattr(channel, kind)(f"/shop.Shop/{name}")
                try:
                    answer = method(iter([body]) if name.startswith("Stream") else body, timeout=30)
                    ends.append(str(list(answer) if name.endswith("Stream") else answer))
                except grpc.RpcError as error:
                    ends.append(error.code().name)
        with pytest.raises(grpc.RpcError):
            channel.unary_unary("/shop.Shop/Unknown")(b"", timeout=30)
    return ends


ENDS = ["b'tea'", "[b'tea', b'again']"] * 2 + ["NOT_FOUND"] * 4 + ["UNKNOWN"] * 4


def told(exporter: Exporter) -> None:
    """Wait until every call is counted: a client knows the end before the server's handler has returned."""
    wanted = [(f"shop.Shop/{name}", code) for name in KINDS for code in ("OK", "NOT_FOUND", "UNKNOWN")]
    wanted += [("_OTHER", "UNIMPLEMENTED"), ("shop.Shop/Endless", "CANCELLED")]
    wait(lambda: all(count(exporter, *each) == 1 for each in wanted), "not every call was counted, once")


def cancelled(port: int) -> None:
    """Take the first answer of an endless stream, then go."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_stream("/shop.Shop/Endless")(b"", timeout=60)
        assert next(call) == b"more"
        call.cancel()


def endless(_: bytes, context: Any) -> Iterator[bytes]:
    while context.is_active():
        yield b"more"


async def endless_later(_: bytes, __: Any) -> AsyncIterator[bytes]:
    while True:
        yield b"more"
        await asyncio.sleep(0.01)


def test_threads(exporter: Exporter) -> None:
    server = grpc.server(ThreadPoolExecutor(2), interceptors=[exporter.grpc()])
    server.add_generic_rpc_handlers((handlers(one, many, endless),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert calls(port) == ENDS
        cancelled(port)
        told(exporter)
    finally:
        server.stop(None).wait(10)


def test_asyncio(exporter: Exporter) -> None:
    async def serve() -> None:
        server = grpc.aio.server(interceptors=[exporter.grpc_aio()])
        server.add_generic_rpc_handlers((handlers(one_later, many_later, endless_later),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            assert await asyncio.to_thread(calls, port) == ENDS
            await asyncio.to_thread(cancelled, port)
            await asyncio.to_thread(told, exporter)
        finally:
            await server.stop(None)

    asyncio.run(serve())
