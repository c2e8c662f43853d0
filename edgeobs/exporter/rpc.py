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

    def end(self, began: float, method: str, code: Any, error: BaseException | None) -> None:
        """Take a call that ended: its status as the context has it, and what was raised."""
        number = getattr(code, "value", (code,))[0] or 0
        if error is not None and not number:
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
            self._metrics.end(perf_counter(), "_OTHER", grpc.StatusCode.UNIMPLEMENTED, None)
            return None
        return rebuilt(
            handler, lambda behaviour: self._around(details.method.lstrip("/"), handler, behaviour)
        )

    def _around(self, method: str, handler: Any, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        def one(request: Any, context: Any) -> Any:
            began, error = perf_counter(), None
            try:
                return behaviour(request, context)
            except BaseException as raised:
                error = raised
                raise
            finally:
                self._metrics.end(began, method, context.code(), error)

        def many(request: Any, context: Any) -> Iterator[Any]:
            began, error = perf_counter(), None
            try:
                yield from behaviour(request, context)
            except GeneratorExit:  # the client has gone; the context says so
                raise
            except BaseException as raised:
                error = raised
                raise
            finally:
                self._metrics.end(began, method, context.code(), error)

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
