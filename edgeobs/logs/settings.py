"""What `logs` can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How lines become templates and series, and what that may cost.

    What tells lines apart (depth, likeness) is one configuration for every log; it is that of the
    evaluation in docs/logs.md.
    """

    interval_s: Annotated[float, Ge(1), Le(3600)] = 10.0
    """Seconds over which lines are counted: every series of logs has at most one sample an interval."""

    grace_s: Annotated[float, Ge(0), Le(600)] = 5.0
    """Seconds after its end for which an interval waits for lines that are on their way."""

    future_s: Annotated[float, Ge(0), Le(3600)] = 60.0
    """Seconds a line may be ahead of our clock; a line further ahead counts at the time of its arrival."""

    too_old_s: Annotated[float, Gt(0), Le(31_536_000)] = 3600.0
    """Seconds a line may be behind our clock; an older one is learned from, and counted in no series."""

    line_bytes: Annotated[int, Ge(64), Le(16_384)] = 1024
    """Bytes of a body's first line that are looked at; templates are made of what comes before."""

    tokens: Annotated[int, Ge(8), Le(1024)] = 128
    """Words of a line that are looked at."""

    depth: Annotated[int, Ge(0), Le(8)] = 2
    """Leading words that must be the same in all lines of a template, unless they hold a parameter."""

    likeness: Annotated[float, Gt(0), Le(1)] = 0.4
    """Share of a line's words that must be those of a template for the line to join it."""

    children: Annotated[int, Ge(2), Le(10_000)] = 100
    """Words that may follow one another in the tree; further ones share a branch."""

    leaf: Annotated[int, Ge(2), Le(1000)] = 32
    """Templates with one length and the same leading words; past it the one longest unheard makes room."""

    templates: Annotated[int, Ge(16), Le(1_000_000)] = 8192
    """Templates remembered of all workloads together, about 2 KB each."""

    workload_templates: Annotated[int, Ge(8), Le(100_000)] = 2048
    """Templates of one workload; past it those longest unheard make room."""

    births: Annotated[int, Ge(1), Le(100_000)] = 256
    """New templates of a workload in one interval, once it has been heard in ten; further lines that fit no
    template count as ``other``."""

    workload_lines: Annotated[int, Ge(1), Le(100_000_000)] = 30_000
    """Lines of one workload in an interval that are sorted into templates: its share of the work. Further
    ones are counted by severity alone."""

    workloads: Annotated[int, Ge(1), Le(1_000_000)] = 1000
    """Workloads whose templates are known at once; lines of further ones are counted by severity alone."""

    sources: Annotated[int, Ge(1), Le(1_000_000)] = 10_000
    """Pods (or other senders) counted at once; lines of further ones are dropped."""

    source_series: Annotated[int, Ge(0), Le(100_000)] = 64
    """Series by template that one pod may have; lines of further templates count as ``other``. A template
    gets a series in the second interval in which it is heard."""

    quiet_s: Annotated[float, Gt(0), Le(604_800)] = 3600.0
    """Seconds for which a series that is no longer heard goes on to give zeros, while its pod speaks."""

    cached_lines: Annotated[int, Ge(0), Le(10_000_000)] = 16_384
    """Lines, by their words without parameters, whose template is remembered; about 400 bytes each."""

    returns: Annotated[int, Ge(10), Le(1_000_000)] = 300
    """How often a template (or a workload) must have come back before its silence is a sign."""

    silent_s: Annotated[float, Gt(0), Le(604_800)] = 3600.0
    """Seconds after which a silence is no longer told: what does not come back has ended."""

    least: Annotated[float, Ge(0), Le(20)] = 2.0
    """Decades below which signs are not told."""

    signs: Annotated[int, Ge(1), Le(1000)] = 8
    """Signs told of one workload and interval, the most surprising first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LokiSettings:
    """Where the lines are that edgeobs does not keep."""

    url: str = ""
    """Base URL of Loki, such as ``http://loki:3100``; empty: lines are not fetched."""

    tenant: str = ""
    """Sent as ``X-Scope-OrgID``; empty: none, as a Loki without tenants wants it."""

    token_file: Path | None = None
    """File with a bearer token, read for every request."""

    timeout_s: Annotated[float, Gt(0), Le(300)] = 5.0
    """Seconds for connecting, for the first byte of an answer, and for all of it."""

    lines: Annotated[int, Ge(1), Le(5000)] = 100
    """Lines of one answer at most."""

    answer_bytes: Annotated[int, Ge(1024), Le(100_000_000)] = 4_000_000
    """Bytes of one answer at most; a longer one is an error."""

    line_characters: Annotated[int, Ge(16), Le(100_000)] = 2000
    """Characters of a line that are kept."""
