"""What the stage of traces can be told."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times of intervals, and every bound."""

    interval_s: Annotated[float, Ge(1), Le(3600)] = 10.0
    """Seconds of an interval: each series has at most one sample of it."""

    wait_s: Annotated[float, Gt(0), Le(600)] = 10.0
    """Seconds a span waits for its parent, and an interval that is over for stragglers. Exporters and
    Collectors hold spans back for about 5 s each."""

    spans: Annotated[int, Ge(1024), Le(10_000_000)] = 262_144
    """Spans remembered so that their children find them, and as many that wait (some 400 bytes for both).
    Where more come within the wait, parents are forgotten earlier and their children count as orphans."""

    services: Annotated[int, Ge(1), Le(100_000)] = 1000
    """Sources (a service in a pod) of one sender; beyond it they count as service ``other`` of their node."""

    operations: Annotated[int, Ge(1), Le(10_000)] = 100
    """Operations of one source; beyond it they count as operation ``other``: a service that puts identifiers
    into its spans' names spends its own budget alone."""

    edges: Annotated[int, Ge(1), Le(1_000_000)] = 5000
    """Edges (who calls whom) whose callees are of one sender; beyond it their caller counts as ``other``."""

    most: Annotated[int, Ge(16), Le(1_000_000)] = 20_000
    """Sources, operations and edges, of each so many in all; beyond it spans are counted as ``limit``."""

    quiet_s: Annotated[float, Ge(0), Le(86_400)] = 600.0
    """Seconds for which a service, operation or edge that fell silent is told as 0 calls, while its sender
    still sends spans."""

    forget_s: Annotated[float, Ge(60), Le(2_592_000)] = 7200.0
    """Seconds without a span after which a source, operation or edge is forgotten."""

    future_s: Annotated[float, Ge(0), Le(3600)] = 60.0
    """Seconds a span may end ahead of our clock; further ahead it is dropped as ``future``."""

    too_old_s: Annotated[float, Gt(0), Le(31_536_000)] = 3600.0
    """Seconds a span may have ended ago; older it is dropped as ``too_old``."""

    skew_s: Annotated[float, Ge(0), Le(3600)] = 300.0
    """Seconds by which the clocks of two nodes may differ; pairs that seem further apart are not believed."""

    exemplars: Annotated[int, Ge(0), Le(100_000)] = 1000
    """Services, operations and edges for which trace ids of surprising intervals are kept, three of each."""
