"""Incidents that agents raised while cut off, told too late to act upon: models, answers, routes."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, TypeVar

from fastapi import FastAPI, HTTPException, Path, Query, Request, Response

from edgeobs.signals import NOWHERE, Identity, IncidentState, Kind, Labels, Source
from edgeobs.told import Ended, Late, Peak
from edgeobs.web import answers
from edgeobs.web.cached import as_json
from edgeobs.web.models import Evidence, Model, Number, Place, Problem, Seconds
from edgeobs.web.pace import Pace
from edgeobs.web.reader import NodesTold, Refused

_BURST, _EVERY_S = 20, 0.1
_NONSENSE = (TypeError, ValueError, OverflowError)
_NOBODY = Source((), NOWHERE)
_T = TypeVar("_T")


class LateIncident(Model):
    """An incident that an agent raised while it was cut off, without its evidence. It was delivered too late
    to act upon, and nothing did: it is a record, and says nothing of now."""

    id: str
    """Of its node's own; two nodes may have the same."""
    agent: str
    """The node whose agent raised it."""
    place: Place
    raised_s: Seconds
    """When the agent raised it, on its clock."""
    delivered_s: Seconds
    """When it reached this core."""
    changed_s: Seconds
    """Its last change that was told, on the agent's clock."""
    resolved_s: Seconds
    """When it ended, on the agent's clock; null: no end was told, and nobody here knows whether it holds."""
    last_state: IncidentState
    """As the agent last told; not as it is now."""
    score: Number
    """Surprise of the strongest evidence, in decades."""
    title: str
    evidence_count: int
    simulated: bool


class LateIncidents(Model):
    """Some of these incidents, the newest by their delivery first."""

    total: int
    """How many there are that were asked for."""
    nodes: dict[str, int]
    """Node → how many its agent told, all states; bounded."""
    incidents: tuple[LateIncident, ...]


class Summed(Model):
    """What an agent's summary says of a series that was surprising in its time."""

    text: str
    """The series as PromQL would select it."""
    unit: str
    since_s: Seconds
    until_s: Seconds
    samples: int
    """That it is of."""
    mean: Number
    largest: Number
    score: Number
    """Of the most surprising sample, in decades."""
    named: bool
    """Whether the series is evidence of the incident."""


class LateIncidentDetail(LateIncident):
    """One with its evidence, whose plots reach as far as the raw windows that were told."""

    evidence: tuple[Evidence, ...]
    """Likeliest cause first. A sample without range and score was told raw."""
    summaries: tuple[Summed, ...]
    """The most surprising series of its time first, bounded."""


def late_routes(app: FastAPI, told: NodesTold | None) -> None:
    """Add them. Where nobody can tell anything there are none of these incidents."""
    pace = Pace(_BURST, _EVERY_S)

    @app.get(
        "/api/v1/late-incidents",
        response_model=LateIncidents,
        responses={503: {"model": Problem}},
        tags=["incidents"],
    )
    async def late_incidents(
        request: Request,
        node: Annotated[str | None, Query(description="Of this node's agent alone.", max_length=253)] = None,
        ended: Annotated[
            Ended | None,
            Query(description="Those whose end was told, or those of which nobody knows whether they hold."),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.")] = 100,
        offset: Annotated[int, Query(ge=0, le=1_000_000, description="Without the first so many.")] = 0,
    ) -> Response:
        """What agents raised while they were cut off, told too late to act upon; newest delivery first."""
        if told is None:
            return as_json(request, LateIncidents(total=0, nodes={}, incidents=()))
        total, found, nodes = await _asked(lambda: told.late(node, ended, limit, offset))
        return as_json(request, _listed(total, found, nodes))

    @app.get(
        "/api/v1/late-incidents/{incident_id}",
        response_model=LateIncidentDetail,
        responses={status: {"model": Problem} for status in (404, 429, 503)},
        tags=["incidents"],
    )
    async def late_incident(
        request: Request,
        incident_id: Annotated[str, Path(description="An incident's id.", max_length=200)],
        node: Annotated[str, Query(description="Whose agent told it.", max_length=253)],
    ) -> Response:
        """One of them with its evidence, the raw samples around it, and what summaries say of its time."""
        pace.take()
        try:
            found = None if told is None else await _asked(lambda: told.late_one(node, incident_id))
            if found is None:
                raise HTTPException(404, "no such incident, or one too old to be kept here")
            return as_json(request, _detail(*found))
        except _NONSENSE:
            raise HTTPException(404, "its agent filled it with something else") from None


async def _asked(what: Callable[[], _T]) -> _T:
    try:
        return await asyncio.to_thread(what)
    except Refused as refused:
        raise HTTPException(refused.status, refused.reason) from None


def _listed(total: int, found: Sequence[Late], nodes: Mapping[str, int]) -> LateIncidents:
    return LateIncidents(total=total, nodes=dict(nodes), incidents=tuple(_readable(found)))


def _readable(found: Sequence[Late]) -> Iterator[LateIncident]:
    """Without those that an agent filled with something else: one of them must not hide the others."""
    for each in found:
        try:
            answer = _answer(each)
            answer.model_dump_json()  # text may be none to UTF-8
        except _NONSENSE:
            continue
        yield answer


def _detail(found: Late, peaks: Sequence[Peak]) -> LateIncidentDetail:
    evidence = found.incident.evidence
    known = {(each.name, each.labels) for each in evidence if each.source == "series"}
    return LateIncidentDetail(
        **dict(_answer(found)),
        evidence=tuple(answers.evidence(each) for each in evidence),
        summaries=tuple(_summed(each, known) for each in peaks),
    )


def _answer(found: Late) -> LateIncident:
    incident = found.incident
    return LateIncident(
        id=incident.id,
        agent=found.node,
        place=answers.place(incident.place),
        raised_s=answers.seconds(incident.opened_ns),
        delivered_s=answers.seconds(found.delivered_ns),
        changed_s=answers.seconds(incident.updated_ns),
        resolved_s=answers.seconds(incident.resolved_ns),
        last_state=incident.state,
        score=incident.score,
        title=incident.title,
        evidence_count=len(incident.evidence),
        simulated=incident.simulated,
    )


def _summed(peak: Peak, known: set[tuple[str, Labels]]) -> Summed:
    counter = peak.name.removesuffix(":rate")
    return Summed(
        text=Identity(_NOBODY, peak.name, peak.labels, Kind.GAUGE).text(),
        unit=peak.unit,
        since_s=answers.seconds(peak.since_ns),
        until_s=answers.seconds(peak.until_ns),
        samples=peak.samples,
        mean=peak.mean,
        largest=peak.largest,
        score=peak.score,
        named=bool({(peak.name, peak.labels), (counter, peak.labels)} & known),
    )
