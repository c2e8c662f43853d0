"""Settings of the page and API."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the page is served, to whom, and how often it is told of changes."""

    host: str = "127.0.0.1"
    """Address to bind."""

    port: Annotated[int, Ge(0), Le(65535)] = 9464
    """TCP port; 0 takes any free one."""

    token_file: Path | None = None
    """A file with the token that every reader must give: as a bearer token, or as the password of HTTP basic
    authentication with any user name, which is taken for who speaks. Without it only this machine is served,
    and nobody can pause, approve or veto over it."""

    allowed_hosts: tuple[str, ...] = ()
    """Names, besides ``localhost`` and the loopback addresses, under which the page may be asked for while
    there is no token. The list keeps a foreign site from reading the page through a visitor's browser."""

    max_streams: Annotated[int, Ge(1), Le(1000)] = 32
    """Live pages at once; more are told to come back (503)."""

    stream_interval_s: Annotated[float, Gt(0), Le(1)] = 0.4
    """Seconds between two updates of a live page, at least. Also how long a page may hold up a shutdown."""

    heartbeat_s: Annotated[float, Gt(0), Le(10)] = 5.0
    """Seconds after which a live page on which nothing changed is told that the connection stands."""

    stall_s: Annotated[float, Gt(0), Le(600)] = 20.0
    """Seconds after which a live page that takes nothing off the wire is cut off."""
