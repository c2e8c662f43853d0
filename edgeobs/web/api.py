"""The routes: page, read-only API, live updates, health, metrics."""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Annotated, Literal

from fastapi import FastAPI, HTTPException, Path, Query, Request, Response

from edgeobs import __version__
from edgeobs.signals import IncidentState
from edgeobs.web import answers, models
from edgeobs.web.cached import as_json, cached
from edgeobs.web.keep import keep_routes
from edgeobs.web.late import late_routes
from edgeobs.web.protect import Protect, read_token
from edgeobs.web.reader import Archive, Desk, NodesTold, Reader
from edgeobs.web.settings import Settings
from edgeobs.web.signals import signal_routes
from edgeobs.web.speaking import speaking
from edgeobs.web.stream import EventStream, Streams

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
ABOUT = """What edgeobs sees and decides; people pause, approve and veto here. Times are Unix seconds. Numbers
that are not finite are null. Scores are in decades: −log₁₀ of the probability of something as surprising
by chance."""


def web_app(
    reader: Reader,
    settings: Settings | None = None,
    stopping: Callable[[], bool] = lambda: False,
    desk: Desk | None = None,
    archive: Archive | None = None,
    told: NodesTold | None = None,
) -> FastAPI:
    """The web application of a reader; ValueError when there is no token in the token file.

    Without a ``desk`` nobody can say or ask anything; without an ``archive`` nobody can see lines of logs;
    without what nodes ``told`` there are no incidents raised while cut off.

    Live pages end within a second of ``stopping()`` being true, which lets a server shut down.
    """
    settings = settings or Settings()
    token = read_token(settings.token_file) if settings.token_file else ""
    app = FastAPI(
        title="edgeobs",
        version=__version__,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.add_middleware(Protect, token=token, allowed_hosts=settings.allowed_hosts)
    _api(app, reader)
    signal_routes(app, reader, archive)
    keep_routes(app, reader)
    late_routes(app, told)
    speaking(app, reader, desk, token)
    _live(app, Streams(reader, settings, stopping))
    _machines(app, reader)
    _page(app)
    return app


def _api(app: FastAPI, reader: Reader) -> None:
    @app.get("/api/v1/fleet", response_model=models.Fleet, tags=["fleet"])
    async def fleet(request: Request) -> Response:
        """Every node by zone."""
        return as_json(request, answers.fleet(reader.published()))

    @app.get("/api/v1/incidents", response_model=list[models.Incident], tags=["incidents"])
    async def incidents(
        request: Request,
        state: Annotated[
            Literal["active"] | IncidentState | None, Query(description="Only these; active: not resolved.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.")] = 100,
    ) -> Response:
        """Incidents, newest first, without their evidence."""
        return as_json(request, answers.chosen(reader.published().incidents, state, limit))

    @app.get(
        "/api/v1/incidents/{incident_id}",
        response_model=models.IncidentDetail,
        responses={404: {"model": models.Problem}},
        tags=["incidents"],
    )
    async def incident(
        request: Request, incident_id: Annotated[str, Path(description="An incident's id.")]
    ) -> Response:
        """One incident with its evidence and plots."""
        for each in reader.published().incidents:
            if each.id == incident_id:
                return as_json(request, answers.incident_detail(each))
        raise HTTPException(404, "no such incident, or one too old to be kept here")

    @app.get("/api/v1/decisions", response_model=list[models.Decision], tags=["decisions"])
    async def decisions(
        request: Request, limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.")] = 100
    ) -> Response:
        """What the guard made of proposed actions, newest first."""
        return as_json(request, [answers.decision(each) for each in reader.published().decisions[:limit]])

    @app.get("/api/v1/operations", response_model=list[models.Operation], tags=["decisions"])
    async def operations(
        request: Request, limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.")] = 100
    ) -> Response:
        """What is being done to the cluster, or was, newest first."""
        return as_json(request, [answers.operation(each) for each in reader.published().operations[:limit]])

    @app.get("/api/v1/status", response_model=models.Status, tags=["status"])
    async def status(request: Request) -> Response:
        """How edgeobs itself is."""
        return as_json(request, answers.status(reader.published().status))


def _live(app: FastAPI, streams: Streams) -> None:
    @app.get(
        "/api/v1/stream",
        tags=["live"],
        response_class=EventStream,
        responses={
            200: {"model": models.Change, "content": {"text/event-stream": {}}},
            503: {"model": models.Problem},
        },
    )
    async def stream() -> Response:
        """Server-Sent Events, each the JSON of a Change: `all` first, `change` from then on; `beat` when
        nothing changed for a while. A live node has no `heard_s` here, and its score is rounded."""
        if streams.full():
            raise HTTPException(503, "too many live pages (web.max_streams)", {"Retry-After": "10"})
        return streams.response()


def _machines(app: FastAPI, reader: Reader) -> None:
    @app.get("/healthz", tags=["health"])
    async def healthz() -> models.Liveness:
        """The process lives and answers."""
        return models.Liveness()

    @app.get(
        "/readyz",
        response_model=models.Readiness,
        responses={503: {"model": models.Readiness, "description": "Not ready, and why"}},
        tags=["health"],
    )
    async def readyz() -> Response:
        """Whether senders would be served, check by check."""
        ready, checks = reader.ready()
        body = models.Readiness(ready=ready, checks=checks).model_dump_json()
        return Response(body, 200 if ready else 503, {"Cache-Control": "no-store"}, "application/json")

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}, "application/openmetrics-text": {}}}},
        tags=["metrics"],
    )
    async def metrics(request: Request) -> Response:
        """edgeobs' own metrics: OpenMetrics or Prometheus' text format, as Accept prefers."""
        body, content_type = reader.metrics(request.headers.get("accept", ""))
        return Response(
            body, headers={"Content-Type": content_type, "Cache-Control": "no-store", "Vary": "Accept"}
        )


def _page(app: FastAPI) -> None:
    assets = {
        each.name: (each.read_bytes(), TYPES[suffix])
        for each in (files("edgeobs.web") / "static").iterdir()
        if (suffix := each.name[each.name.rfind(".") :]) in TYPES
    }

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return cached(request, *assets["index.html"])

    @app.get("/static/{name}", include_in_schema=False)
    async def asset(request: Request, name: str) -> Response:
        if name not in assets:
            raise HTTPException(404, "no such file")
        return cached(request, *assets[name])

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        return cached(request, json.dumps(app.openapi(), ensure_ascii=False).encode(), "application/json")
