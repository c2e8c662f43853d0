"""Logs and spans behind the page: the service graph, and the lines that evidence is about."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Annotated

from fastapi import FastAPI, HTTPException, Path, Query, Request, Response

from edgeobs.signals import SECOND, Evidence
from edgeobs.web import reader
from edgeobs.web.answers import seconds
from edgeobs.web.cached import as_json
from edgeobs.web.layout import placed
from edgeobs.web.models import Model, Number, Problem, Seconds
from edgeobs.web.pace import Pace
from edgeobs.web.reader import Archive, Reader, Refused

BEFORE_NS, AFTER_NS = 60 * SECOND, 30 * SECOND
"""What is shown of the time around that in which evidence was abnormal."""

_BURST, _EVERY_S = 20, 0.5


class Call(Model):
    """Who calls whom, of late."""

    caller: str
    """``outside``: requests that nobody we know sent."""
    callee: str
    rate: float
    """Calls a second."""
    error_ratio: float
    """Share that failed, 0 to 1."""
    p50_s: Number
    """Median duration, seconds; null: not known."""
    p99_s: Number
    score: Number
    """Surprise of its most surprising series within the last minute, in decades."""
    anomalous: bool
    traces: tuple[str, ...]
    """Ids of a few traces."""


class Service(Model):
    """A service, and where it is drawn."""

    name: str
    rate: float
    """Calls a second that reach it."""
    error_ratio: float
    """Share of these that failed, 0 to 1."""
    anomalous: bool
    """Whether a call that leads to it is."""
    column: int
    """From 0: callers stand to the left of those they call."""
    row: int
    """From 0."""


class Services(Model):
    """The service graph, as spans tell it, bounded."""

    services: tuple[Service, ...]
    calls: tuple[Call, ...]
    """The most surprising first."""


class Line(Model):
    """A line of a log."""

    time_s: Seconds
    text: str


class Lines(Model):
    """What the log store has of a piece of evidence."""

    query: str
    lines: tuple[Line, ...]
    """Newest first, bounded."""


def signal_routes(app: FastAPI, read: Reader, archive: Archive | None) -> None:
    """Add them. Without an ``archive`` nobody can ask for lines."""
    pace = Pace(_BURST, _EVERY_S)

    @app.get("/api/v1/services", response_model=Services, tags=["services"])
    async def services(request: Request) -> Response:
        """Who calls whom, of late, as spans tell it; what is surprising comes first."""
        return as_json(request, drawn(read.published().calls))

    @app.get(
        "/api/v1/incidents/{incident_id}/lines",
        responses={status: {"model": Problem} for status in (404, 429, 502, 503)},
        tags=["incidents"],
    )
    async def lines(
        incident_id: Annotated[str, Path(description="An incident's id.", max_length=200)],
        text: Annotated[str, Query(description="The evidence, by its text.", max_length=4096)],
    ) -> Lines:
        """The lines of a log that a piece of evidence is about, from the log store."""
        found = _evidence(read, incident_id, text)
        if archive is None:
            raise HTTPException(503, "no log store is configured (loki.url)")
        pace.take()
        first, last = found.onset_ns - BEFORE_NS, found.last_ns + AFTER_NS
        try:
            had = await asyncio.to_thread(archive.lines, found.query, first, last)
        except Refused as refused:
            raise HTTPException(refused.status, refused.reason) from None
        return told(found.query, had)


def _evidence(read: Reader, incident_id: str, text: str) -> Evidence:
    for incident in read.published().incidents:
        if incident.id == incident_id:
            for each in incident.evidence:
                if each.text == text and each.query:
                    return each
    raise HTTPException(404, "no such evidence of logs, or one too old to be kept here")


def drawn(calls: Iterable[reader.Call]) -> Services:
    """The service graph with a place for each service."""
    known = tuple(calls)
    places = placed((each.caller, each.callee) for each in known)
    into: dict[str, list[reader.Call]] = {name: [] for name in places}
    for each in known:
        into[each.callee].append(each)
    return Services(
        services=tuple(_service(name, into[name], *places[name]) for name in sorted(places)),
        calls=tuple(Call(**each._asdict()) for each in known),
    )


def _service(name: str, calls: Sequence[reader.Call], column: int, row: int) -> Service:
    rate = sum(each.rate for each in calls)
    failing = sum(each.rate * each.error_ratio for each in calls)
    return Service(
        name=name,
        rate=rate,
        error_ratio=failing / rate if rate else 0.0,
        anomalous=any(each.anomalous for each in calls),
        column=column,
        row=row,
    )


def told(query: str, had: Iterable[reader.Line]) -> Lines:
    """Lines of a log."""
    found = tuple(Line(time_s=seconds(each.time_ns), text=each.text) for each in had)
    return Lines(query=query, lines=found)
