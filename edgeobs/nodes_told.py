"""Where agents of nodes tell a core what they found: the receiver of `uplink`, beside what senders use."""

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
from edgeobs.uplink.inbox import Inbox, InboxError
from edgeobs.uplink.receive import BASE, Receiver

log = structlog.get_logger("edgeobs")

NAME = "uplink.sqlite"
"""Of the file, in a core's data directory."""

_AGAIN_S = "30"


class Told(NamedTuple):
    """The routes, and what an operator should know."""

    routes: list[Route]
    notices: tuple[str, ...] = ()


def told(submit: Submit, auth: Auth, settings: Settings, folder: Path, counts: Counts, late_s: float) -> Told:
    """The receiver. Where its file cannot be used agents are told to come back, and all else goes on."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        inbox = Inbox(folder / NAME, counts)
    except (InboxError, OSError) as error:
        log.error("agents_not_heard", reason=str(error))
        return Told(_refusing(str(error)), (f"what nodes' agents tell is not taken: {error}",))
    return Told(Receiver(submit, auth, settings, inbox, counts, late_s=late_s).routes())


def _refusing(reason: str) -> list[Route]:
    async def refuse(_: Request) -> Response:
        return JSONResponse({"error": reason}, 503, {"Retry-After": _AGAIN_S})

    return [Route(path, refuse, methods=["GET", "POST"]) for path in (BASE, f"{BASE}/{{rest:path}}")]
