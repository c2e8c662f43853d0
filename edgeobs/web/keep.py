"""The routes of what is worth keeping of traces now: for people, and for whoever samples at the tail."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request, Response

from edgeobs.web.answers import seconds
from edgeobs.web.cached import as_json
from edgeobs.web.models import Model, Seconds
from edgeobs.web.reader import Hint, Reader

MOST_SERVICES = 100
"""Named to who samples, those of the newest hints first."""

NOBODY = "edgeobs: nothing is surprising now"
"""Stands where no service does: an empty list would be none of the Collector's settings."""


class KeptTrace(Model):
    """A trace worth keeping."""

    trace: str
    """Its id, 32 hex digits."""
    reason: str
    """``failed`` or ``slow`` in an interval that was surprising, or of a ``new edge``."""
    what: str
    """The service, the operation, or the edge."""
    service: str
    """Of an edge: who is called."""
    operation: str
    """Empty: of a service or an edge."""
    seen_s: Seconds
    """End of the interval in which it was seen."""
    score: float
    """Surprise of that interval, in decades; 0: of a new edge."""


class KeptOperation(Model):
    """An operation, or a service, of which more is worth keeping while this lasts."""

    service: str
    operation: str
    """Empty: any of the service."""
    reasons: tuple[str, ...]
    traces: int
    """Of those told."""
    seen_s: Seconds
    """When last."""


class Keep(Model):
    """What was worth keeping of traces within the last ten minutes."""

    operations: tuple[KeptOperation, ...]
    """The newest first, bounded."""
    traces: tuple[KeptTrace, ...]
    """The newest first, bounded."""


class StringAttribute(Model):
    """Which traces a policy keeps: those of these services."""

    key: Literal["service.name"] = "service.name"
    values: tuple[str, ...]


class Policy(Model):
    """A policy of the Collector's ``tail_sampling`` processor, as its configuration has it."""

    name: Literal["edgeobs"] = "edgeobs"
    type: Literal["string_attribute"] = "string_attribute"
    string_attribute: StringAttribute


def keep_routes(app: FastAPI, reader: Reader) -> None:
    """Add them."""

    @app.get("/api/v1/traces/keep", response_model=Keep, tags=["services"])
    async def keep(
        request: Request, limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.")] = 100
    ) -> Response:
        """Traces worth keeping, and of which services and operations: what was surprising of late."""
        return as_json(request, kept(reader.published().hints[:limit]))

    @app.get("/api/v1/traces/keep/policy", response_model=Policy, tags=["services"])
    async def keep_policy(request: Request) -> Response:
        """The same as one policy for a Collector that samples at the tail: every trace of these services."""
        return as_json(request, policy(reader.published().hints))


def kept(hints: Sequence[Hint]) -> Keep:
    """Hints, and by operation."""
    by_operation: dict[tuple[str, str], list[Hint]] = {}
    for hint in hints:
        by_operation.setdefault((hint.service, hint.operation), []).append(hint)
    operations = (
        KeptOperation(
            service=service,
            operation=operation,
            reasons=tuple(sorted({each.reason for each in found})),
            traces=len(found),
            seen_s=seconds(max(each.time_ns for each in found)),
        )
        for (service, operation), found in by_operation.items()
    )
    traces = (
        KeptTrace(
            trace=each.trace,
            reason=each.reason,
            what=each.what,
            service=each.service,
            operation=each.operation,
            seen_s=seconds(each.time_ns),
            score=each.score,
        )
        for each in hints
    )
    return Keep(operations=tuple(operations), traces=tuple(traces))


def policy(hints: Sequence[Hint]) -> Policy:
    """Every trace of the services that hints are of; in an order that is the same for the same services.

    Senders choose names. Left out are those with a dollar, for a Collector would fetch what ``${…}`` names,
    and those with characters that YAML has not, for it could read none of the file.
    """
    named = dict.fromkeys(each.service for each in hints if _plain(each.service))
    newest = list(named)[:MOST_SERVICES]
    return Policy(string_attribute=StringAttribute(values=tuple(sorted(newest)) or (NOBODY,)))


def _plain(name: str) -> bool:
    return "$" not in name and name.isprintable()
