"""The HTTP endpoints that senders speak to: OTLP, remote write, Alertmanager's webhook."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, NamedTuple

from fastapi import FastAPI
from starlette.routing import Route

from edgeobs.ingest import answers
from edgeobs.ingest.answers import JSON, PROTOBUF, Answer, NotUnderstood, Refusal, TooSlow
from edgeobs.ingest.auth import Auth
from edgeobs.ingest.delivery import (
    AnyFormat,
    Delivery,
    Encoding,
    Format,
    Overloaded,
    Receipt,
    Signal,
    Submit,
    TooLarge,
    Unavailable,
)
from edgeobs.ingest.settings import Settings
from edgeobs.signals import Counts, Principal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Head = dict[bytes, bytes]

_LINGER_S = 1.0  # how long to read on after refusing, so that the sender can read why
_RETRY_S = 1.0


class _Gone(Exception):
    """The sender hung up."""


class Wire(NamedTuple):
    """What a request's headers say of its body."""

    format: AnyFormat
    encoding: Encoding


class Protocol(NamedTuple):
    """One protocol over HTTP, as pure functions."""

    name: str  # as the counters have it
    understand: Callable[[Head], Wire]  # raises NotUnderstood
    done: Callable[[Head, Receipt], Answer]
    refused: Callable[[Head, Refusal], Answer]


def ingest_app(submit: Submit, auth: Auth, settings: Settings, counts: Counts) -> FastAPI:
    """The application of every ingestion endpoint; more routes may be added to it.

    The endpoints are plain ASGI below FastAPI's router: half the CPU time of a FastAPI endpoint.
    """
    app = FastAPI(title="edgeobs ingest", openapi_url=None, docs_url=None, redoc_url=None)
    for path, protocol in ROUTES.items():
        endpoint = Endpoint(protocol, submit, auth, settings, counts)
        app.router.routes.append(Route(path, endpoint, methods=["POST"]))
    return app


class Endpoint:
    """One path: check who and what, read the body, submit, answer."""

    def __init__(
        self, protocol: Protocol, submit: Submit, auth: Auth, settings: Settings, counts: Counts
    ) -> None:
        self._protocol = protocol
        self._submit = submit
        self._auth = auth
        self._settings = settings
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        head: Head = dict(scope["headers"])
        code = "500"
        body: bytes | None = None
        try:
            principal, wire = self._admit(scope, head)
            body = await self._read(receive)
            delivery = Delivery(wire.format, body, wire.encoding, principal, time.time_ns())
            answer = self._protocol.done(head, await self._submit(delivery))
            code = str(answer.status)
        except _Gone:
            code = "499"
            return
        except asyncio.CancelledError:
            answer = self._refuse(head, Unavailable("the server is stopping"))
            code = str(answer.status)
        except answers.EXPECTED as error:
            answer = self._refuse(head, error)
            code = str(answer.status)
        finally:
            self._counts["edgeobs_requests_total", self._protocol.name, code] += 1
        await _respond(receive, send, answer, unread=body is None)

    def _admit(self, scope: Scope, head: Head) -> tuple[Principal, Wire]:
        peer = scope["client"][0] if scope.get("client") else ""
        authorization = head.get(b"authorization", b"").decode("latin-1")
        name = scope.get("state", {}).get("common_name", "")
        principal = self._auth.identify(peer, authorization, name, time.monotonic())
        wire = self._protocol.understand(head)
        if int(head.get(b"content-length", b"0")) > self._settings.max_body_bytes:
            raise TooLarge(self._settings.max_body_bytes, "compressed")
        return principal, wire

    async def _read(self, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                event = await receive()
        except TimeoutError:
            raise TooSlow(f"the body took longer than {self._settings.body_timeout_s:g} s") from None
        if event["type"] != "http.request":
            raise _Gone
        body: bytes = event["body"]
        self._counts["edgeobs_request_bytes_total", self._protocol.name] += len(body)
        if len(body) > self._settings.max_body_bytes:
            raise TooLarge(self._settings.max_body_bytes, "compressed")
        if event["more_body"]:
            raise Overloaded(_RETRY_S)
        return body

    def _refuse(self, head: Head, error: Exception) -> Answer:
        if isinstance(error, Overloaded):
            self._counts["edgeobs_queue_shed_total", self._protocol.name] += 1
        return self._protocol.refused(head, answers.refusal(error))


async def _respond(receive: Receive, send: Send, answer: Answer, *, unread: bool) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers]
    if answer.content_type:
        headers.append((b"content-type", answer.content_type.encode()))
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    if unread:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": unread})
    if unread:
        # Closed with bytes unread, the connection would be reset and the answer lost.
        try:
            async with asyncio.timeout(_LINGER_S):
                while (await receive()).get("more_body"):
                    pass
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def media_type(head: Head) -> tuple[str, dict[str, str]]:
    """The content type, lower case, and its parameters."""
    kind, *parameters = head.get(b"content-type", b"").decode("latin-1").split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return kind.strip().lower(), {k.strip().lower(): v.strip().strip('"') for k, _, v in pairs}


_OTLP_FORMATS: dict[Signal, dict[str, AnyFormat]] = {
    "metrics": {PROTOBUF: "otlp_proto", JSON: "otlp_json"},
    "logs": {PROTOBUF: "logs_proto", JSON: "logs_json"},
    "traces": {PROTOBUF: "spans_proto", JSON: "spans_json"},
}
_OTLP_ENCODINGS: dict[str, Encoding] = {
    "": "identity",
    "identity": "identity",
    "gzip": "gzip",
    "zstd": "zstd",
}
_WRITE_FORMATS: dict[str, Format] = {
    "": "remote_write_1",
    "prometheus.WriteRequest": "remote_write_1",
    "io.prometheus.write.v2.Request": "remote_write_2",
}


def _encoding(head: Head) -> str:
    return head.get(b"content-encoding", b"").decode("latin-1").strip().lower()


def _plain_encoding(head: Head) -> Encoding:
    encoding = _OTLP_ENCODINGS.get(_encoding(head))
    if encoding is None:
        raise NotUnderstood(f"content-encoding {_encoding(head)!r:.60}: expected gzip, zstd or none")
    return encoding


def _otlp(signal: Signal, head: Head) -> Wire:
    kind, _ = media_type(head)
    formats = _OTLP_FORMATS[signal]
    if kind not in formats:
        raise NotUnderstood(f"content-type {kind!r:.60}: expected {PROTOBUF} or {JSON}")
    return Wire(formats[kind], _plain_encoding(head))


def _write(head: Head) -> Wire:
    kind, parameters = media_type(head)
    found = _WRITE_FORMATS.get(parameters.get("proto", ""))
    if kind != PROTOBUF or found is None:
        given = head.get(b"content-type", b"").decode("latin-1")
        raise NotUnderstood(
            f"content-type {given!r:.100}: expected {PROTOBUF}, with proto= one of "
            + ", ".join(name for name in _WRITE_FORMATS if name)
        )
    if _encoding(head) not in ("", "snappy"):
        raise NotUnderstood(f"content-encoding {_encoding(head)!r:.60}: expected snappy")
    return Wire(found, "snappy")


def _webhook(head: Head) -> Wire:
    kind, _ = media_type(head)
    if kind != JSON:
        raise NotUnderstood(f"content-type {kind!r:.60}: expected {JSON}")
    return Wire("alertmanager", _plain_encoding(head))


def _v2(head: Head) -> bool:
    return _WRITE_FORMATS.get(media_type(head)[1].get("proto", "")) == "remote_write_2"


def _otlp_protocol(name: str, signal: Signal) -> Protocol:
    return Protocol(
        name,
        partial(_otlp, signal),
        lambda head, receipt: answers.otlp_answer(receipt, media_type(head)[0], signal),
        lambda head, refused: answers.otlp_refusal(refused, media_type(head)[0]),
    )


ROUTES: dict[str, Protocol] = {
    "/v1/metrics": _otlp_protocol("otlp_http", "metrics"),
    "/v1/logs": _otlp_protocol("otlp_http_logs", "logs"),
    "/v1/traces": _otlp_protocol("otlp_http_traces", "traces"),
    "/api/v1/write": Protocol(
        "remote_write",
        _write,
        lambda head, receipt: answers.write_answer(receipt, v2=_v2(head)),
        lambda head, refused: answers.write_refusal(refused, v2=_v2(head)),
    ),
    "/api/v1/alerts/webhook": Protocol(
        "alertmanager",
        _webhook,
        lambda _, receipt: answers.webhook_answer(receipt),
        lambda _, refused: answers.webhook_refusal(refused),
    ),
}
