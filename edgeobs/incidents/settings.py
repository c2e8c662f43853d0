"""When surprise becomes an incident, and when it is over."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Thresholds in decades of tail probability, times in seconds, and every bound."""

    open_score: Annotated[float, Gt(0), Le(20)] = 6.0
    """A sample at or above this counts towards evidence, decades. 6 promises a false one in a million seconds
    of a series, 0.09 a day; a series with seconds between its samples needs log₁₀ of them less."""

    close_score: Annotated[float, Gt(0), Le(20)] = 3.0
    """A sample at or above this keeps evidence that there is alive, decades; at most ``open_score``."""

    persist_hits: Annotated[int, Ge(1), Le(32)] = 3
    """So many of a series' last ``persist_samples`` samples must count before the series is evidence."""

    persist_samples: Annotated[int, Ge(1), Le(32)] = 5
    """How far back persistence looks, samples."""

    persist_s: Annotated[float, Gt(0)] = 10.0
    """Persistence is asked of series that speak more often than this, one sample of the others, seconds."""

    min_names: Annotated[int, Ge(1)] = 2
    """Metrics of different name that together open an incident of a node."""

    join_s: Annotated[float, Gt(0)] = 30.0
    """Evidence must have been abnormal within this time of each other to open an incident, seconds."""

    alone_a_day: Annotated[float, Gt(0), Le(1000)] = 0.1
    """False incidents a day that all series of the core together may promise, each alone: the more there are,
    and the more often they speak, the higher one must score (`promise.alone`); from that score on, one series
    alone opens an incident …"""

    alone_score: Annotated[float, Gt(0), Le(20)] = 12.0
    """… and a node as a whole alone does from this score on, decades, less log₁₀ of the seconds between its
    samples …"""

    alone_s: Annotated[float, Ge(0)] = 30.0
    """… when it has lasted this long, seconds; one sample is enough of what speaks less often."""

    hold_s: Annotated[float, Gt(0)] = 60.0
    """Evidence is calm after this long without anything abnormal, and five of its intervals at the least; an
    incident whose evidence is all calm is resolved, seconds."""

    ongoing_s: Annotated[float, Ge(0)] = 30.0
    """An open incident is called ongoing after this long, seconds."""

    alert_expiry_s: Annotated[float, Gt(0)] = 86_400.0
    """A foreign alert that never resolves is let go after this long, seconds."""

    zone_nodes: Annotated[int, Ge(2)] = 3
    """Nodes of one zone whose incidents begin together before they are one incident of the zone …"""

    zone_share: Annotated[float, Gt(0), Le(1)] = 0.5
    """… and the share of the zone's known nodes that they must be as well, in (0, 1]."""

    zone_window_s: Annotated[float, Gt(0)] = 60.0
    """How close together *together* is, seconds."""

    half_life_s: Annotated[float, Gt(0)] = 15.0
    """Evidence that began this much after the first weighs half in the ranking of causes, seconds."""

    max_active: Annotated[int, Ge(1)] = 200
    """Incidents of one scope that may be open at once; further ones are counted and not opened."""

    max_recent: Annotated[int, Ge(0)] = 50
    """Resolved incidents kept in memory for the page."""

    max_evidence: Annotated[int, Ge(1), Le(64)] = 16
    """Evidence kept per incident, the strongest."""

    max_points: Annotated[int, Ge(16), Le(240)] = 240
    """Samples kept per evidence; a fuller plot is thinned to half, peaks kept."""

    max_points_in_all: Annotated[int, Ge(1000)] = 100_000
    """Samples kept over all evidence: with more evidence each plot is coarser. About 220 bytes each."""

    max_watched: Annotated[int, Ge(1)] = 4096
    """Series whose persistence is followed at once."""

    max_watched_per_node: Annotated[int, Ge(1)] = 128
    """The same for one node, so that none blinds us to the others."""

    max_samples_per_step: Annotated[int, Ge(1)] = 1024
    """Samples of one batch that are looked at one by one, the most surprising first."""

    history_mib: Annotated[float, Ge(0.1), Le(4096)] = 32.0
    """Recent samples of every series, so that a plot can show the time before the onset, MiB."""

    history_s: Annotated[float, Gt(0)] = 600.0
    """How far back a plot reaches at most, seconds."""

    keep_incidents: Annotated[int, Ge(1)] = 1000
    """Resolved incidents, with their decisions, that the store keeps."""

    keep_days: Annotated[float, Gt(0)] = 30.0
    """How long the store keeps resolved incidents and their decisions, days."""

    def __post_init__(self) -> None:
        """Together they must make sense: else nothing would ever be evidence, or none would end."""
        if self.persist_hits > self.persist_samples:
            raise ValueError("persist_hits at most persist_samples")
        if self.close_score > self.open_score:
            raise ValueError("close_score at most open_score")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerSettings:
    """Which Alertmanagers are told of incidents, and how."""

    urls: tuple[str, ...] = ()
    """Base URL of every replica, ``http://host:9093``; every one is told."""

    refresh_s: Annotated[float, Gt(0)] = 30.0
    """How often an alert that still holds is sent again, seconds."""

    lifetime_s: Annotated[float, Gt(0)] = 180.0
    """An alert ends by itself this long after it was last sent, seconds; several times the refresh."""

    timeout_s: Annotated[float, Gt(0)] = 5.0
    """How long a replica may take to answer, seconds."""

    retry_s: Annotated[float, Gt(0)] = 1.0
    """First pause after a failure, seconds; doubles up to ``refresh_s``, with jitter."""

    queue: Annotated[int, Ge(1)] = 1000
    """Alerts held at once; past it new ones are counted and not sent."""

    page_url: str = ""
    """Where people reach the page: the link in an alert. Empty sends none."""
