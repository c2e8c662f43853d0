"""gRPC servers, measured; for `grpc.aio` see `rpc_aio`. Needs grpcio.

Names and attributes are those of OpenTelemetry's semantic conventions for RPC metrics (in development).
"""

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from edgeobs.exporter.exporter import Exporter

_ATTRIBUTES = {
    "rpc_method": "rpc.method",
    "rpc_response_status_code": "rpc.response.status_code",
    "rpc_system_name": "rpc.system.name",
}
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class Rpc:
    """The metrics of a gRPC server; a method that the server does not have is ``_OTHER``."""

    def __init__(self, exporter: "Exporter") -> None:
        self.duration = exporter.histogram(
            "rpc_server_call_duration_seconds", "Calls, from their start to their status.",
            list(_ATTRIBUTES), otlp="rpc.server.call.duration", attributes=_ATTRIBUTES,
        )  # fmt: skip

    def end(self, began: float, method: str, code: Any, *, failed: bool = False, gone: bool = False) -> None:
        """Take a call that ended.

        Parameters
        ----------
        began, method
            When, and of which method.
        code
            The status that the context has: a `grpc.StatusCode`, its number, or nothing yet.
        failed, gone
            Whether an exception came out, and whether the client was gone before the end.

        """
        number = getattr(code, "value", (code,))[0] or 0
        if not number and gone:
            number = grpc.StatusCode.CANCELLED.value[0]
        elif not number and failed:
            number = grpc.StatusCode.UNKNOWN.value[0]  # what a client is told of any exception
        self.duration.labels(method, _CODES.get(number, str(number)), "grpc").observe(perf_counter() - began)


def rpc(exporter: "Exporter") -> Rpc:
    """Have the metrics of an exporter's gRPC servers, declared when first asked for."""
    return exporter.once("rpc", lambda: Rpc(exporter))


def interceptor(exporter: "Exporter") -> "Interceptor":
    """Make one for ``grpc.server(…, interceptors=[…])``."""
    exporter.running.start()
    return Interceptor(rpc(exporter))


class Interceptor(grpc.ServerInterceptor):  # type: ignore[misc]  # grpcio has no types
    """Measures every call that a handler takes."""

    def __init__(self, metrics: Rpc) -> None:
        self._metrics = metrics

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Put the clock around a method's handler."""
        handler = continuation(details)
        if handler is None:
            self._metrics.end(perf_counter(), "_OTHER", grpc.StatusCode.UNIMPLEMENTED)
            return None
        return rebuilt(
            handler, lambda behaviour: self._around(details.method.lstrip("/"), handler, behaviour)
        )

    def _around(self, method: str, handler: Any, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        def one(request: Any, context: Any) -> Any:
            began, failed = perf_counter(), True
            try:
                found = behaviour(request, context)
                failed = False
                return found
            finally:
                gone = not context.is_active()
                self._metrics.end(began, method, context.code(), failed=failed, gone=gone)

        def many(request: Any, context: Any) -> Iterator[Any]:
            began, failed = perf_counter(), True
            try:
                yield from behaviour(request, context)
                failed = False
            finally:
                gone = not context.is_active()
                self._metrics.end(began, method, context.code(), failed=failed, gone=gone)

        return many if handler.response_streaming else one


def rebuilt(handler: Any, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Any:
    """Make a handler of the same kind, around the same behaviour."""
    name = f"{_WORD[handler.request_streaming]}_{_WORD[handler.response_streaming]}"
    make = getattr(grpc, f"{name}_rpc_method_handler")
    return make(
        around(getattr(handler, name)),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


_WORD = {False: "unary", True: "stream"}
