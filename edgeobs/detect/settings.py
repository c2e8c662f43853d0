"""What `detect` can be told."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, get_args

from annotated_types import Ge, Gt, Le, MaxLen

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    """A site whose days are not those of the rest; what is null is as everywhere."""

    timezone: str | None = None
    """Where its days begin: an IANA name."""

    rest_days: tuple[Weekday, ...] | None = None
    """Weekdays on which people rest."""

    holidays: Annotated[tuple[date, ...], MaxLen(10_000)] | None = None
    """Dates that are days of rest too, such as ``2026-12-25``, by local time."""

    holidays_file: Path | None = None
    """A file of more of them, one a line; what follows a ``#`` is a comment."""


Role = Literal["ignore", "quiet", "watch", "strict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSettings:
    """What some series are to people."""

    match: str
    """Which: a shell-style pattern of names, or of ``name{label="value"}``."""

    role: Role
    """``ignore``: never score; ``quiet``: a hundredth of the false alarms, 2 decades less; ``watch``: as all
    others; ``strict``: ten times as many, a decade more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a series' normal is learned, and when silence counts."""

    nodes: bool = True
    """Whether nodes are also looked at as a whole, their series given one another: up to 40 series a node."""

    compiled: bool = True
    """Whether Numba compiles what is scored, where it is installed. Off: some 60 MiB less, for a node of its
    own, by the machine code that ``python -m edgeobs.warm`` made; where there is none, in NumPy columns, the
    same and six times slower."""

    peers: bool = False
    """Whether series are also compared with those of their kind on other nodes, and new ones begin with what
    these know. Off: on public sets, whose machines are not of a kind, it adds nothing (docs/detection.md),
    and it costs as much as the rest."""

    shifts: bool = False
    """Whether a series whose level moved unannounced is learned anew at once (some 50 samples), rather than
    after 240 abnormal ones. Off: a fault that lasts is such a shift too."""

    timezone: str = "UTC"
    """Where days begin: an IANA name such as ``Europe/Berlin``; what is usual at a time of day follows it."""

    rest_days: tuple[Weekday, ...] = ("saturday", "sunday")
    """Weekdays on which people rest: how these differ from the others is learned where they do."""

    holidays: Annotated[tuple[date, ...], MaxLen(10_000)] = ()
    """Dates that are days of rest too, such as ``2026-12-25``, by local time."""

    holidays_file: Path | None = None
    """A file of more of them, one a line; what follows a ``#`` is a comment. Read when the core starts."""

    sites: Annotated[dict[str, SiteSettings], MaxLen(100)] = field(default_factory=dict)
    """Sites whose days are others, by a shell-style pattern of names of zones or of nodes; of several that
    fit a node, the first."""

    roles: Annotated[tuple[RoleSettings, ...], MaxLen(1000)] = ()
    """Roles of series; of several that fit one, the first. The others are watched."""

    memory: Annotated[float, Ge(2)] = 200.0
    """Of the detector ``ew``: samples that mean and variance remember; infinite is all of them alike."""

    ramp: bool = True
    """Of the detector ``ew``: while young, average plainly until the memory is reached. Off: weight
    1/memory from the second on."""

    silent_intervals: Annotated[float, Ge(2), Le(1000)] = 5.0
    """Usual intervals without a word after which a node, or an exporter, is silent."""

    silent_s: Annotated[float, Gt(0), Le(86_400)] = 5.0
    """Seconds after which a node is silent at the earliest."""

    exporter_silent_s: Annotated[float, Gt(0), Le(86_400)] = 15.0
    """Seconds after which an exporter of a node that speaks is silent at the earliest."""

    rollout_s: Annotated[float, Ge(0), Le(86_400)] = 300.0
    """Seconds for which an exporter and the one that takes its place may overlap: what began no longer before
    another of the same workload, node and name fell silent has replaced it, and nobody is missed."""

    zone_share: Annotated[float, Gt(0), Le(1)] = 0.5
    """Part of a zone's nodes (at least two) that must be silent for the zone to be dark."""

    retired_s: Annotated[float, Gt(0)] = 86_400.0
    """Seconds of silence after which a node is taken to be gone for good."""

    pause_s: Annotated[float, Gt(0), Le(3600)] = 5.0
    """Seconds between two looks at the heartbeats from which it was us who stood still, not the senders."""
