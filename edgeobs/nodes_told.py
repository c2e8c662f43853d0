"""Where agents of nodes tell a core what they found: the receiver of `uplink`, beside what senders use.

And where people see of it what nothing could act upon (`web.NodesTold`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edgeobs.ingest.auth import Auth
from edgeobs.ingest.delivery import Submit
from edgeobs.ingest.settings import Settings
from edgeobs.signals import Counts
from edgeobs.told import Ended, Late, Peak
from edgeobs.uplink import late
from edgeobs.uplink.inbox import Inbox, InboxError
from edgeobs.uplink.receive import BASE, Receiver
from edgeobs.web import NodesTold, Refused

log = structlog.get_logger("edgeobs")

NAME = "uplink.sqlite"
"""Of the file, in a core's data directory."""

_AGAIN_S = "30"


class Told(NamedTuple):
    """The routes, what an operator should know, and what the page shows; None: nothing can be read."""

    routes: list[Route]
    notices: tuple[str, ...] = ()
    late: NodesTold | None = None


class _Read:
    """An inbox as the page reads it."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def late(
        self, node: str | None, ended: Ended | None, limit: int, offset: int
    ) -> tuple[int, Sequence[Late], Mapping[str, int]]:
        """See `uplink.late.late`."""
        try:
            total, found, nodes = late.late(self._inbox, node, ended, limit, offset)
        except InboxError as error:
            raise Refused(503, str(error)) from error
        return total, found, nodes

    def late_one(self, node: str, incident: str) -> tuple[Late, Sequence[Peak]] | None:
        """See `uplink.late.one`."""
        try:
            found = late.one(self._inbox, node, incident)
        except InboxError as error:
            raise Refused(503, str(error)) from error
        return found


def told(submit: Submit, auth: Auth, settings: Settings, folder: Path, counts: Counts, late_s: float) -> Told:
    """The receiver. Where its file cannot be used agents are told to come back, and all else goes on."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        inbox = Inbox(folder / NAME, counts)
    except (InboxError, OSError) as error:
        log.error("agents_not_heard", reason=str(error))
        return Told(_refusing(str(error)), (f"what nodes' agents tell is not taken: {error}",))
    receiver = Receiver(submit, auth, settings, inbox, counts, late_s=late_s)
    return Told(receiver.routes(), late=_Read(inbox))


def _refusing(reason: str) -> list[Route]:
    async def refuse(_: Request) -> Response:
        return JSONResponse({"error": reason}, 503, {"Retry-After": _AGAIN_S})

    return [Route(path, refuse, methods=["GET", "POST"]) for path in (BASE, f"{BASE}/{{rest:path}}")]
