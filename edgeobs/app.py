"""The composition root of a core: everything is wired here, once, in a straight line. asyncio starts here."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import structlog
from fastapi import FastAPI
from rich.console import Console
from rich.progress import Progress
from starlette.routing import Route

from edgeobs.archive import archive
from edgeobs.compose import build
from edgeobs.config import Config
from edgeobs.control import Control, actor, control, heard
from edgeobs.desk import Desk, words
from edgeobs.engine import Engine
from edgeobs.incidents.alertmanager import AlertSender
from edgeobs.ingest import alertmanager_webhook
from edgeobs.ingest.allocator import keep_freed
from edgeobs.ingest.auth import Auth
from edgeobs.ingest.body import plain
from edgeobs.ingest.decoders import Decoders
from edgeobs.ingest.delivery import Delivery, Format, LogFormat, SpanFormat
from edgeobs.ingest.serve import HttpServer, listen
from edgeobs.ingest.server import ingest_app
from edgeobs.ingest.settings import Settings as ServerSettings
from edgeobs.ingest.settings import Tls
from edgeobs.keep import Keeper
from edgeobs.nodes_told import told
from edgeobs.people import People
from edgeobs.publish import Board
from edgeobs.replay import read, steps
from edgeobs.signals import (
    SECOND,
    Counts,
    Decision,
    ExternalAlert,
    Incident,
    LogBatch,
    Points,
    SpanBatch,
)
from edgeobs.telemetry import logging_setup, tracer
from edgeobs.warm import warm
from edgeobs.web.api import web_app

log = structlog.get_logger("edgeobs")

_CHECK_S = 60.0
STOP_S = 1.5
"""How long what waits may take to be processed when the core ends."""


async def serve(config: Config) -> None:
    """Run the core until SIGTERM or SIGINT. Raises OSError and ValueError for what cannot be served."""
    keep_freed()
    logging_setup(config.telemetry.log_level, config.telemetry.log_format)
    sys.setswitchinterval(
        0.001
    )  # the event loop waits for the engine's thread at most so long, and it for it
    loop = asyncio.get_running_loop()
    found, people = heard(config, control(config))
    core = build(config, found.view, found.switches)
    auth = Auth(config.server, config.limits)
    decoders = Decoders(core.interner)
    server_counts, sender_counts, actor_counts, uplink_counts = Counts(), Counts(), Counts(), Counts()
    traces = tracer(config.telemetry.traces_endpoint, config.telemetry.traces_ratio)
    keeper = Keeper(
        config.engine.data_dir,
        config.incidents,
        [auth.loopback.name, *(principal.name for principal in auth.principals)],
        int(config.engine.snapshot_interval_s * SECOND),
        core.counts,
    )
    board = Board(
        core.pipeline,
        keeper,
        [core.counts, server_counts, sender_counts, actor_counts, uplink_counts],
        decoder=decoders.name,
        dry_run=config.remediate.dry_run,
        paused=config.remediate.pause,
        open_score=config.incidents.open_score,
    )
    sender = AlertSender(config.alertmanager, sender_counts)

    def tell(incidents: Sequence[Incident], decisions: Sequence[Decision]) -> None:
        loop.call_soon_threadsafe(sender.offer, incidents, decisions)

    def parse_alerts(delivery: Delivery) -> tuple[list[ExternalAlert], int]:
        return alertmanager_webhook.parse(plain(delivery, config.server), delivery.principal)

    acts = actor(config, found, actor_counts)
    engine = Engine(
        core.pipeline,
        keeper,
        partial(_decode, decoders, config.server),
        parse_alerts,
        queue_bytes=config.server.queue_bytes,
        tick_ns=int(config.engine.tick_s * SECOND),
        counts=core.counts,
        publish=board.publish,
        on_news=tell,
        tracer=traces.tracer,
        actor=acts,
    )
    agents = told(
        engine.submit, auth, config.server, config.engine.data_dir, uplink_counts, config.features.late_s
    )
    desk = _desk(people, engine, board, config, agents.notices)
    stopping = asyncio.Event()
    ingest_http = HttpServer(
        _senders(engine, auth, config, server_counts, agents.routes),
        listen(config.server.host, config.server.http_port),
        config.server,
        server_counts,
    )
    # The page is served as its own section says, by the same server code and with the same time limits.
    page = HttpServer(
        web_app(board, config.web, stopping.is_set, desk, archive(config.loki), agents.late),
        listen(config.web.host, config.web.port),
        replace(config.server, tls=Tls()),
        Counts(),
    )
    grpc = _grpc(engine, auth, config, server_counts)
    warm()  # no request waits for a compiler, nor for the compiled to be loaded
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    found.start()
    if acts is not None:
        acts.start()
    engine.start()
    async with contextlib.AsyncExitStack() as stack:
        for server in (ingest_http, page, *grpc):
            await server.start()
            stack.push_async_callback(server.stop)
        board.receivers = tuple(_receivers(config, ingest_http, grpc))
        log.info("ready", page=f"http://{config.web.host}:{page.port}/", **dict(board.receivers))
        beside = [asyncio.create_task(sender.run()), asyncio.create_task(_checking(found))]
        await stopping.wait()
        log.info("stopping")
        for task in beside:
            task.cancel()
        await asyncio.gather(*(server.stop() for server in (ingest_http, page, *grpc)))
    ended = await asyncio.to_thread(engine.stop, STOP_S)
    if acts is not None:
        ended &= await asyncio.to_thread(acts.stop, STOP_S)
    await asyncio.to_thread(found.stop)
    traces.close()
    log.info("stopped", saved=ended)


def _decode(
    decoders: Decoders, settings: ServerSettings, delivery: Delivery, now_ns: int
) -> Points | LogBatch | SpanBatch:
    """What a delivery holds; alerts take another way. Raises what `Submit` may raise."""
    body = cast("bytes", plain(delivery, settings))  # a bytearray is as good: nothing is copied
    if delivery.format.startswith(("logs_", "spans_")):
        streamed = cast("LogFormat | SpanFormat", delivery.format)
        return decoders.stream(streamed, body, delivery.principal, now_ns)
    return decoders.decode(cast("Format", delivery.format), body, delivery.principal, now_ns)


async def _checking(found: Control) -> None:
    """Ask every minute whether the cluster can be acted upon at all."""
    while True:
        await asyncio.to_thread(found.check)
        await asyncio.sleep(_CHECK_S)


def _senders(engine: Engine, auth: Auth, config: Config, counts: Counts, more: Sequence[Route]) -> FastAPI:
    """Every endpoint that is sent to, and more."""
    app = ingest_app(engine.submit, auth, config.server, counts)
    app.router.routes.extend(more)
    return app


def _desk(people: People, engine: Engine, board: Board, config: Config, notices: tuple[str, ...]) -> Desk:
    """Where people speak, and the page that shows what they said."""
    desk = Desk(people, engine, config.remediate, board.published, config.engine.data_dir)
    board.engine, board.words, board.notices = engine, partial(words, people), lambda: notices + desk.notices

    def publish() -> None:
        desk.look()
        board.publish()

    engine.publish = publish
    return desk


def _grpc(engine: Engine, auth: Auth, config: Config, counts: Counts) -> list[Any]:
    """OTLP/gRPC where it is wanted and grpcio is installed (it has no wheel for some machines)."""
    if config.server.grpc_port is None:
        return []
    try:
        from edgeobs.ingest.grpc_server import GrpcServer  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        log.warning("no_otlp_grpc", reason=f"{error.name} is not installed: pip install 'edgeobs[grpc]'")
        return []
    return [GrpcServer(engine.submit, auth, config.server, counts)]


def _receivers(config: Config, http: HttpServer, grpc: list[Any]) -> list[tuple[str, str]]:
    scheme = "https" if config.server.tls.cert_file else "http"
    base = f"{scheme}://{config.server.host}:{http.port}"
    return [
        ("otlp_http", f"{base}/v1/metrics"),
        ("otlp_http_logs", f"{base}/v1/logs"),
        ("otlp_http_traces", f"{base}/v1/traces"),
        *(("otlp_grpc", f"{config.server.host}:{server.port}") for server in grpc),
        ("remote_write", f"{base}/api/v1/write"),
        ("alertmanager", f"{base}/api/v1/alerts/webhook"),
    ]


def replay(file: Path, config: Config, *, progress: bool) -> None:
    """Feed a recording through the pipeline, print what comes of it. Raises RecordingError, OSError."""
    recording = read(file)
    core = build(config)
    pipeline = core.pipeline
    console = Console(highlight=False, soft_wrap=True)
    shown: set[str] = set()
    scored = refused = decided = 0
    with Progress(console=Console(stderr=True), disable=not progress, transient=True) as bar:
        task = bar.add_task(file.name, total=len(recording.series))
        for now_ns, points in steps(recording, pipeline.table, int(config.engine.tick_s * SECOND)):
            outputs = pipeline.step(points, now_ns)
            scored += outputs.scored
            refused += sum(points.rejected.values())
            for incident in outputs.incidents:
                if incident.id not in shown:
                    shown.add(incident.id)
                    console.print(f"{_time(now_ns)}  incident  {incident.title}", markup=False)
                elif incident.state == "resolved":
                    console.print(f"{_time(now_ns)}  resolved  {incident.title}", markup=False)
            for decision in outputs.decisions:
                decided += 1
                console.print(f"{_time(now_ns)}  decision  {decision.text()}", markup=False)
            bar.advance(task, len(points.series))
    series = len(recording.identities)
    left_out = {key[1]: n for key, n in core.counts.items() if key[0] == "edgeobs_points_dropped_total"}
    left_out |= {"over the limit of series": refused} if refused else {}
    if left_out:
        reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(left_out.items()))
        console.print(f"left out: {reasons}", markup=False)
    console.print(
        f"{scored} samples of {series} series: {len(shown)} incidents, {decided} decisions", markup=False
    )


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")
