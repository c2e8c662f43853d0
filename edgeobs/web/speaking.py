"""The routes by which people speak and ask: pause, approve, veto; what would be done, what was done."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

from fastapi import Depends, FastAPI, Header, HTTPException, Path, Query, Request

from edgeobs.web import answers, models
from edgeobs.web.pace import Pace
from edgeobs.web.protect import MARK, given, mute
from edgeobs.web.reader import Desk, Reader, Refused

T = TypeVar("T")
What = Literal["pause", "resume", "approve", "veto"]

BURST, EVERY_S = 20, 2.0
"""Words that may come at once, and seconds until there is room for one more."""

QUESTIONS, QUESTION_S = 40, 0.25
"""The same of questions, which the engine's thread or the disk must answer."""

_REFUSALS = {
    401: "no token, or another", 403: "not meant by a person, or nobody may speak here",
    404: "no such incident", 409: "it is over, or another replica leads", 411: "no Content-Length",
    413: "too large", 415: "no JSON", 429: "too many words", 503: "it cannot be written down",
}  # fmt: skip
_PROBLEMS: dict[int | str, dict[str, object]] = {
    status: {"model": models.Problem, "description": text} for status, text in _REFUSALS.items()
}
IncidentId = Annotated[str, Path(description="An incident's id.", max_length=200)]


async def _marked(
    mark: Annotated[str, Header(alias=MARK, description="Any value: no form of another site can send it.")],
) -> None:
    """Only for the description: `protect` has looked already."""


_MARKED = [Depends(_marked)]


def speaking(app: FastAPI, reader: Reader, desk: Desk | None, token: str) -> None:
    """Add the routes. Whoever comes here with a POST has shown the token (`protect`)."""
    words, questions = Pace(BURST, EVERY_S), Pace(QUESTIONS, QUESTION_S)

    async def say(request: Request, what: What, why: str, incident: str = "", verb: str = "") -> models.Heard:
        words.take()
        by = given(request.headers.get("authorization", ""))[0] or "the holder of the token"
        note = await _asked(desk, lambda at: at.say(what, by, why, incident, verb))
        return models.Heard(by=by, note=note)

    @app.get("/api/v1/remediation", tags=["remediation"])
    async def remediation() -> models.Control:
        """What people said that is in force, and whether more can be said here."""
        return answers.control(reader.published(), mute(token if desk else ""))

    @app.post("/api/v1/remediation/pause", dependencies=_MARKED, responses=_PROBLEMS, tags=["remediation"])
    async def pause(request: Request, word: models.Why) -> models.Heard:
        """Hold every action until resumed; what is under way stops before its next call."""
        return await say(request, "pause", word.why)

    @app.post("/api/v1/remediation/resume", dependencies=_MARKED, responses=_PROBLEMS, tags=["remediation"])
    async def resume(request: Request, word: models.Why) -> models.Heard:
        """Take a pause back."""
        return await say(request, "resume", word.why)

    @app.post(
        "/api/v1/incidents/{incident_id}/approve",
        dependencies=_MARKED,
        responses=_PROBLEMS,
        tags=["remediation"],
    )
    async def approve(request: Request, incident_id: IncidentId, word: models.Approval) -> models.Heard:
        """Let what waits for a person be done about an incident, for `remediate.approve_s`; a veto is taken
        back."""
        return await say(request, "approve", word.why, incident_id, word.verb or "")

    @app.post(
        "/api/v1/incidents/{incident_id}/veto",
        dependencies=_MARKED,
        responses=_PROBLEMS,
        tags=["remediation"],
    )
    async def veto(request: Request, incident_id: IncidentId, word: models.Why) -> models.Heard:
        """Forbid whatever is about an incident until it is over."""
        return await say(request, "veto", word.why, incident_id)

    @app.get("/api/v1/operations/{operation_id}/steps", responses=_only(404, 429, 503), tags=["decisions"])
    async def steps(
        operation_id: Annotated[str, Path(description="Of the decision.", max_length=200)],
    ) -> models.Story:
        """What was done of an operation, from the journal."""
        questions.take()
        return answers.story(await _asked(desk, lambda at: at.steps(operation_id)))

    @app.get("/api/v1/nodes/{name}/explain", responses=_only(404, 429, 503), tags=["decisions"])
    async def explain(
        name: Annotated[str, Path(description="As the cluster has it.", max_length=253)],
        cluster: Annotated[
            str | None, Query(description="Its cluster, where several have one of this name.")
        ] = None,
    ) -> models.Explanation:
        """What would be done about a node now, and what every rule of the guard says."""
        questions.take()
        return answers.explanation(await _asked(desk, lambda at: at.explain(name, cluster)))


def _only(*statuses: int) -> dict[int | str, dict[str, object]]:
    return {status: {"model": models.Problem} for status in statuses}


async def _asked(desk: Desk | None, question: Callable[[Desk], T]) -> T:
    if desk is None:
        raise HTTPException(503, "nobody is there to answer")
    try:
        return await asyncio.to_thread(question, desk)
    except Refused as refused:
        raise HTTPException(refused.status, refused.reason) from None
