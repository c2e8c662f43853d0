"""gRPC servers on asyncio, measured. Needs grpcio."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from edgeobs.exporter.rpc import Rpc, rebuilt, rpc

if TYPE_CHECKING:
    from edgeobs.exporter.exporter import Exporter


def interceptor(exporter: "Exporter") -> "Interceptor":
    """Make one for ``grpc.aio.server(interceptors=[…])``."""
    exporter.running.start()
    return Interceptor(rpc(exporter))


class Interceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpcio has no types
    """Measures every call that a handler takes."""

    def __init__(self, metrics: Rpc) -> None:
        self._metrics = metrics

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """Put the clock around a method's handler."""
        handler = await continuation(details)
        if handler is None:
            self._metrics.end(perf_counter(), "_OTHER", grpc.StatusCode.UNIMPLEMENTED)
            return None
        return rebuilt(handler, lambda behaviour: self._around(details.method.lstrip("/"), behaviour))

    def _around(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        def end(began: float, context: Any, error: BaseException | None) -> None:
            gone = isinstance(error, asyncio.CancelledError | GeneratorExit)
            self._metrics.end(began, method, context.code(), failed=error is not None, gone=gone)

        async def one(request: Any, context: Any) -> Any:
            began = perf_counter()
            try:
                found = await behaviour(request, context)
            except BaseException as error:
                end(began, context, error)
                raise
            end(began, context, None)
            return found

        async def many(request: Any, context: Any) -> AsyncIterator[Any]:
            began = perf_counter()
            try:
                async for answer in behaviour(request, context):
                    yield answer
            except BaseException as error:
                end(began, context, error)
                raise
            end(began, context, None)

        # A handler that streams either yields, or writes to the context and is awaited like any other.
        return many if inspect.isasyncgenfunction(behaviour) else one
