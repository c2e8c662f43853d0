"""The routes of logs and spans: the service graph, and the lines that evidence is about."""

import asyncio
from typing import Annotated

from fastapi import FastAPI, HTTPException, Path, Query, Request, Response

from edgeobs.signals import SECOND, Evidence
from edgeobs.web import answers, models
from edgeobs.web.cached import as_json
from edgeobs.web.pace import Pace
from edgeobs.web.reader import Archive, Reader, Refused

BEFORE_NS, AFTER_NS = 60 * SECOND, 30 * SECOND
"""What is shown of the time around that in which evidence was abnormal."""

_BURST, _EVERY_S = 20, 0.5


def signal_routes(app: FastAPI, reader: Reader, archive: Archive | None) -> None:
    """Add them. Without an ``archive`` nobody can ask for lines."""
    pace = Pace(_BURST, _EVERY_S)

    @app.get("/api/v1/services", response_model=models.Services, tags=["services"])
    async def services(request: Request) -> Response:
        """Who calls whom, of late, as spans tell it; what is surprising comes first."""
        return as_json(request, answers.services(reader.published().calls))

    @app.get(
        "/api/v1/incidents/{incident_id}/lines",
        responses={status: {"model": models.Problem} for status in (404, 429, 502, 503)},
        tags=["incidents"],
    )
    async def lines(
        incident_id: Annotated[str, Path(description="An incident's id.", max_length=200)],
        text: Annotated[str, Query(description="The evidence, by its text.", max_length=4096)],
    ) -> models.Lines:
        """The lines of a log that a piece of evidence is about, from the log store."""
        found = _evidence(reader, incident_id, text)
        if archive is None:
            raise HTTPException(503, "no log store is configured (loki.url)")
        pace.take()
        first, last = found.onset_ns - BEFORE_NS, found.last_ns + AFTER_NS
        try:
            had = await asyncio.to_thread(archive.lines, found.query, first, last)
        except Refused as refused:
            raise HTTPException(refused.status, refused.reason) from None
        return answers.lines(found.query, had)


def _evidence(reader: Reader, incident_id: str, text: str) -> Evidence:
    for incident in reader.published().incidents:
        if incident.id == incident_id:
            for each in incident.evidence:
                if each.text == text and each.query:
                    return each
    raise HTTPException(404, "no such evidence of logs, or one too old to be kept here")
