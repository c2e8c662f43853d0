"""The core's end of the way up: parcels of nodes, each taken once, answered with what need not come again.

What a parcel brings goes where such things go. Summaries are OTLP metrics and go to the engine as any
sender's. An incident that is fresh becomes a foreign alert, evidence for what the core makes of a node and
its zone; one that is old is kept and shown, and nothing acts on it (`late`). Windows are kept for whoever
looks, and so is what summaries of a node that was cut off say of what was surprising.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edgeobs.ingest import answers
from edgeobs.ingest.auth import Auth
from edgeobs.ingest.body import decompress
from edgeobs.ingest.delivery import Delivery, Forbidden, Overloaded, Submit, TooLarge, Unavailable
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.settings import Settings
from edgeobs.signals import Counts, Incident, Principal
from edgeobs.uplink.alert import in_time, webhook
from edgeobs.uplink.inbox import Inbox, InboxError, Taken
from edgeobs.uplink.letters import incidents, span
from edgeobs.uplink.parcel import KIND, LAST, PARCEL, PATHS, Kind, Label, read_kind, read_label
from edgeobs.uplink.samples import peaks
from edgeobs.uplink.sound import sound

log = structlog.get_logger("edgeobs.uplink")

_T = TypeVar("_T")

BASE = "/api/v1/uplink"
_MOST_AT_ONCE = 64  # nodes whose parcels are in work; others are told to come back
_RETRY_S = 2.0


class Receiver:
    """Takes parcels; to be mounted beside the endpoints of `ingest.server` (`routes`).

    Parameters
    ----------
    submit
        The engine's. Raises what `ingest.delivery.Submit` may.
    auth, settings
        Of the server that it is mounted in: who speaks, for which nodes, and how large a body may be.
    inbox
        Where it is written down what was taken.
    late_s
        An incident whose last change is longer ago is kept and shown, and nothing acts on it.
    on_incidents
        Called in the event loop with what was taken: the page, Alertmanager.

    """

    def __init__(
        self,
        submit: Submit,
        auth: Auth,
        settings: Settings,
        inbox: Inbox,
        counts: Counts,
        *,
        late_s: float = 30.0,
        on_incidents: Callable[[Sequence[Incident]], None] = lambda _: None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.inbox, self.counts = inbox, counts
        self._submit, self._auth, self._settings = submit, auth, settings
        self._late_s, self._on_incidents, self._clock = late_s, on_incidents, clock
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()

    def routes(self) -> list[Route]:
        """``POST …/v1/metrics`` and ``…/v1/logs`` as OTLP/HTTP has them below `BASE`, and ``GET`` `BASE`."""
        paths = sorted(set(PATHS.values()))
        posts = [Route(BASE + path, self._post, methods=["POST"]) for path in paths]
        return [*posts, Route(BASE, self._get, methods=["GET"])]

    async def take(self, principal: Principal, label: Label, kind: Kind, body: bytes) -> int:
        """Take a parcel; the sequence up to which nothing of its lane need be sent again.

        Raises
        ------
        Malformed, TooLarge, Forbidden
            The parcel will never be taken.
        Overloaded, Unavailable
            Not now.

        """
        if principal.nodes is not None and label.node not in principal.nodes:
            raise Forbidden(f"{principal.name} may not speak for {label.node!r:.100}")
        async with self._one_at_a_time(label.node):
            try:
                last = await asyncio.to_thread(self.inbox.last, label)
                if label.sequence <= last:
                    self.counts["edgeobs_uplink_known_total", kind] += 1
                    return last
                return await self._take(principal, label, kind, body)
            except InboxError as error:
                raise Unavailable(str(error)) from error

    async def _take(self, principal: Principal, label: Label, kind: Kind, body: bytes) -> int:
        now = self._clock()
        plain = decompress(body, "gzip", self._settings.max_decoded_bytes)
        if kind == "window":
            window = (*_understood(span, plain), body)
            return (await asyncio.to_thread(self.inbox.take, label, kind, now, (), window)).last
        if kind == "summary":
            # Taken once by the engine, then noted: killed in between, the engine has forgotten it too, or
            # knows each series' last time and drops what it has.
            await self._submit(Delivery("otlp_proto", plain, "identity", principal, now))
            return (await asyncio.to_thread(self._keep_summary, label, plain, now)).last
        found = _incidents(plain, principal)
        timely = frozenset(each.id for each in found if in_time(each, now, self._late_s))
        # An end is always told: nothing acts on it, and what was told before it must not go on for ever.
        fresh = [each for each in found if each.id in timely or each.state == "resolved"]
        if fresh:
            await self._submit(Delivery("alertmanager", webhook(fresh), "identity", principal, now))
        taken = await asyncio.to_thread(self.inbox.take, label, kind, now, found, timely=timely)
        self._on_incidents(found)
        return taken.last

    def _keep_summary(self, label: Label, plain: bytes | bytearray, now_ns: int) -> Taken:
        """Note a summary, and where the node was cut off what it says of what was surprising then."""
        found = peaks(plain) if self.inbox.has_late(label.node) else ()
        return self.inbox.take(label, "summary", now_ns, peaks=found)

    async def _post(self, request: Request) -> Response:
        code, last = 200, ""
        try:
            last = str(await self._read_and_take(request))
            answer = answers.Answer(200, answers.PROTOBUF, b"")
        except answers.EXPECTED as error:
            answer = answers.otlp_refusal(answers.refusal(error), answers.PROTOBUF)
            code = answer.status
            log.warning("parcel_not_taken", code=code, reason=str(error))
        self.counts["edgeobs_requests_total", "uplink", str(code)] += 1
        headers = {**dict(answer.headers), **({LAST: last} if last else {})}
        return Response(answer.body, answer.status, headers, answer.content_type)

    async def _read_and_take(self, request: Request) -> int:
        head = request.headers
        peer = request.client.host if request.client else ""
        common_name = request.scope.get("state", {}).get("common_name", "")
        principal = self._auth.identify(peer, head.get("authorization", ""), common_name, time.monotonic())
        try:
            label = read_label(head.get(PARCEL, ""))
            kind = read_kind(head.get(KIND, ""), label.lane)
        except ValueError as error:
            raise Malformed(str(error)) from None
        if not request.url.path.endswith(PATHS[kind]):
            raise Malformed(f"{KIND}: {kind} belongs to {BASE}{PATHS[kind]}")
        if head.get("content-encoding", "") != "gzip":
            raise Malformed("content-encoding: expected gzip")
        body = await self._body(request)
        self.counts["edgeobs_request_bytes_total", "uplink"] += len(body)
        return await self.take(principal, label, kind, body)

    async def _body(self, request: Request) -> bytes:
        """The whole body: the server gives it at once, or not at all (`ingest.protocol`)."""
        cap = self._settings.max_body_bytes
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                async for part in request.stream():
                    parts.append(part)
                    size += len(part)
                    if size > cap:
                        raise TooLarge(cap, "compressed")
        except TimeoutError:
            limit = self._settings.body_timeout_s
            raise answers.TooSlow(f"the body took longer than {limit:g} s") from None
        return b"".join(parts)

    async def _get(self, request: Request) -> Response:
        peer = request.client.host if request.client else ""
        try:
            self._auth.identify(peer, request.headers.get("authorization", ""), "", time.monotonic())
            heard = await asyncio.to_thread(self.inbox.heard)
        except answers.EXPECTED as error:
            refused = answers.refusal(error)
            return JSONResponse({"error": refused.message}, refused.status)
        except InboxError as error:
            return JSONResponse({"error": str(error)}, 503)
        return JSONResponse({"lanes": [each._asdict() for each in heard]})

    @asynccontextmanager
    async def _one_at_a_time(self, node: str) -> AsyncIterator[None]:
        """A node's parcels one after the other: one may be sent again while the first is in work."""
        if node not in self._locks and len(self._locks) >= _MOST_AT_ONCE:
            raise Overloaded(_RETRY_S)
        lock = self._locks.setdefault(node, asyncio.Lock())
        self._users[node] += 1
        try:
            async with lock:
                yield
        finally:
            self._users[node] -= 1
            if not self._users[node]:
                del self._users[node], self._locks[node]


def _understood(read: Callable[[bytes | bytearray], _T], plain: bytes | bytearray) -> _T:
    try:
        return read(plain)
    except ValueError as error:
        raise Malformed(str(error)) from None


def _incidents(plain: bytes | bytearray, principal: Principal) -> list[Incident]:
    """Those of a parcel; Malformed, for good: it is none, or its sender may not speak of it."""
    found = _understood(incidents, plain)
    for incident in found:
        if not sound(incident):
            raise Malformed("an incident whose times, numbers or texts are none")
        if principal.nodes is not None and incident.place.node not in principal.nodes:
            raise Malformed(f"{principal.name} may not speak of {incident.place.node!r:.100}")
    return found
