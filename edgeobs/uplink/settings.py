"""What can be set about the way up to the core."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the core is, how much it is told, and what becomes of it while it cannot be reached."""

    url: str = ""
    """The core's receiver, ``http://core:4318/api/v1/uplink``; OTLP's ``/v1/…`` is added. Empty: nothing is
    sent, and nothing queued."""

    token_file: str = ""
    """Path of a file that holds the bearer token; read at every connect. Empty: none is sent."""

    ca_file: str = ""
    """Authorities that sign the core's certificate, PEM. Empty: the system's."""

    timeout_s: Annotated[float, Gt(0), Le(300)] = 10.0
    """Seconds without progress after which a request is given up: connecting, writing or reading."""

    budget_mib_per_hour: Annotated[float, Gt(0), Le(100_000)] = 4.0
    """Compressed bytes an hour for all that is told, MiB. Incidents count, and go even when it is spent."""

    queue_mib: Annotated[float, Ge(0.1), Le(100_000)] = 64.0
    """Bytes that may wait on disk, MiB; past it the oldest summaries go first, then the oldest windows."""

    rate_kib_per_s: Annotated[float, Gt(0), Le(1_000_000)] = 64.0
    """How fast what has waited is sent once the core is back, KiB a second; incidents do not wait for it."""

    spread_s: Annotated[float, Ge(0), Le(3600)] = 30.0
    """After a cut each node waits a random part of this before it sends what has waited, seconds."""

    first_pause_s: Annotated[float, Gt(0), Le(60)] = 0.5
    """Seconds before the first repetition; doubles each time, with jitter."""

    longest_pause_s: Annotated[float, Gt(0), Le(3600)] = 60.0
    """Seconds that no pause exceeds, whatever the core asks for."""
