"""`Exporter`: metrics declared once, to be scraped, pushed, or both."""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from edgeobs.exporter.collecting import Patience, Sources
from edgeobs.exporter.declarations import Declarations
from edgeobs.exporter.metrics import CAP, Counter, Gauge, Histogram
from edgeobs.exporter.reading import Reader, family_of, read_by
from edgeobs.exporter.red import Red

if TYPE_CHECKING:
    from pathlib import Path

    from edgeobs.exporter.asgi import Asgi, AsgiApp
    from edgeobs.exporter.job import Job
    from edgeobs.exporter.running import Running
    from edgeobs.exporter.wsgi import Route, Wsgi, WsgiApp

SHARE = "EDGEOBS_EXPORTER_SHARE"
"""The environment's name for the folder that workers share."""

_R = TypeVar("_R", bound=Reader)
_T = TypeVar("_T")


class Exporter(Declarations):
    """The metrics of one service or device.

    Parameters
    ----------
    service
        Its name: ``service.name`` when pushed.
    cap
        Series that each metric may have, unless it says otherwise, ≥ 1.
    share
        The folder that all processes of this service share; without it EDGEOBS_EXPORTER_SHARE of the
        environment; without both each process speaks for itself.
    process
        Whether to tell the process's own CPU, memory and file descriptors.
    strict
        Whether a name or unit that breaks the rules of `naming` is an error at once; None: where pytest runs.

    """

    def __init__(
        self,
        service: str,
        *,
        cap: int = CAP,
        share: "Path | str | None" = None,
        process: bool = True,
        strict: bool | None = None,
    ) -> None:
        super().__init__(cap, strict)
        self.service = service
        self._once: dict[str, Any] = {}
        self._making = threading.RLock()
        self._inside = Sources()
        self._outside = Sources(tells_of=self._inside)
        self._own.append(self._inside)  # it has no names yet, and is registered with its first source
        self._folder = share or os.environ.get(SHARE)
        if process:
            self.add_own(ProcessCollector(registry=None))

    def collector(
        self, *metrics: Gauge | Counter, deadline_s: float = 3.0, stale_s: float | None = None,
        every_s: float = 0.0, per_worker: bool = False, name: str = "",
    ) -> Callable[[_R], _R]:  # fmt: skip
        """Decorate a function that reads ``metrics`` and yields `Reading`s: ``yield metric.reading(21.5)``.

        It is called in a thread of its own, when somebody asks or in the background. From then on only
        collectors say what these metrics are.

        Parameters
        ----------
        metrics
            All that it yields.
        deadline_s, stale_s, every_s
            See `Patience`; ``stale_s`` None: a minute, or three times ``every_s`` if that is more.
        per_worker
            Whether it tells of the process rather than of what is outside: then every worker's is shown.
            What is outside is read by the worker that is asked.
        name
            As the exporter's own metrics call it; the function's without one.

        """
        patience = Patience(
            deadline_s=deadline_s,
            every_s=every_s,
            stale_s=max(60.0, 3 * every_s) if stale_s is None else stale_s,
        ).checked()

        def take(function: _R) -> _R:
            called = name or getattr(function, "__name__", "collector")
            read = read_by(function, metrics, self.overflowed)
            for metric in metrics:
                self.let_go(metric)
            self._add_source(called, read, patience, [family_of(each) for each in metrics], per_worker)
            return function

        return take

    def register(
        self, collector: Collector, *, deadline_s: float = 3.0, stale_s: float = 60.0, every_s: float = 0.0,
        per_worker: bool = False, name: str = "",
    ) -> None:  # fmt: skip
        """Take a collector written for prometheus_client, with a deadline and an age; as `collector`.

        The names that it will use are asked of its ``describe`` where it has one.
        """
        patience = Patience(deadline_s, stale_s, every_s).checked()
        describe = getattr(collector, "describe", None)
        described = list(describe()) if describe else []
        called = name or type(collector).__name__
        self._add_source(called, lambda: list(collector.collect()), patience, described, per_worker)

    def once(self, what: str, make: Callable[[], _T]) -> _T:
        """What was made under that name before, or is made now: metrics that several parts share."""
        with self._making:
            if what not in self._once:
                self._once[what] = make()
            made: _T = self._once[what]
        return made

    def _add_source(
        self, name: str, read: Callable[[], list[Metric]], patience: Patience, described: Iterable[Metric],
        per_worker: bool,
    ) -> None:  # fmt: skip
        sources = self._inside if per_worker else self._outside
        if any(name in each.names for each in self.sources):
            raise ValueError(f"there is a collector {name!r} already; give this one another name")
        source = sources.add(name, read, patience, described)
        try:
            self._know()
        except ValueError:
            sources.drop(source)
            self._know()
            raise

    def _know(self) -> None:
        """Have the registry know the names of what is read, and refuse those that are taken."""
        for each in self.sources:
            if each.known:
                self.registry.unregister(each)
            each.known = False
        for each in self.sources:
            self.registry.register(each)
            each.known = True

    @property
    def running(self) -> "Running":
        """What it does once it runs; made, and its modules imported, when first asked for."""
        from edgeobs.exporter.running import Running  # noqa: PLC0415  as said

        return self.once("running", lambda: Running(self, self._folder or None))

    def outside(self) -> list[Metric]:
        """What is read of devices and the like, by whoever is asked."""
        return self._outside.collect() if self._outside.known else []

    @property
    def sources(self) -> tuple[Sources, Sources]:
        """What is read inside and outside of this process."""
        return self._inside, self._outside

    def red(
        self, name: str, text: str, labels: Sequence[str] = (), *, cap: int | None = None,
        buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS,
    ) -> Red:  # fmt: skip
        """Rate, errors and duration of a piece of work: see `Red`."""
        return Red(self, name, text, tuple(labels), cap, tuple(buckets))

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The page and its content type, in the best format that ``accept`` (the HTTP header) takes."""
        self.running.start()
        encode, content_type = choose_encoder(accept)
        return encode(self.running.exposed), content_type

    def serve(self, port: int, address: str = "0.0.0.0") -> None:  # noqa: S104  Prometheus is elsewhere
        """Answer scrapes on a port, in the background; of several workers one does.

        Raises
        ------
        OSError
            The port cannot be had. With workers it is tried again every second instead.

        """
        self.running.serve(port, address)

    def push(self, endpoint: str = "", **settings: Any) -> None:
        """Send everything by OTLP/HTTP, in the background; of several workers one does.

        Parameters
        ----------
        endpoint
            ``http://collector:4318``, or with a path of its own; without one what the environment says in
            OTEL_EXPORTER_OTLP_ENDPOINT.
        settings
            See `push.Settings`: ``every_s``, ``headers``, ``buffer`` (a folder), ``buffer_bytes`` and more.

        """
        self.running.push(endpoint, settings)

    def run(self) -> None:
        """Wait for SIGTERM or Ctrl-C, then `close`; call it last, in the main thread."""
        self.running.wait()

    def close(self, within_s: float = 5.0) -> None:
        """Push what there is, or keep it on disk; stop serving. Is called when the process ends."""
        self.running.close(within_s)

    def textfile(self, path: "Path | str") -> None:
        """Write everything into a file that ends in ``.prom``, for node_exporter's textfile collector.

        It is there whole or not at all, also after a loss of power. Raises OSError and ValueError.
        """
        from edgeobs.exporter.job import write_textfile  # noqa: PLC0415  only cron jobs pay for it

        write_textfile(path, self.registry)

    def job(self, path: "Path | str") -> "Job":
        """Measure a cron job with ``with exporter.job(path):``, and write the textfile however it ends."""
        from edgeobs.exporter.job import Job  # noqa: PLC0415  as above

        return Job(self, path)

    def asgi(self, app: "AsgiApp", *, path: str = "/metrics") -> "Asgi":
        """Measure an ASGI application and answer scrapes at ``path`` (empty: do not): see `Asgi`."""
        from edgeobs.exporter.asgi import Asgi  # noqa: PLC0415  only web servers pay for it

        return Asgi(self, app, path)

    def wsgi(self, app: "WsgiApp", *, path: str = "/metrics", route: "Route | None" = None) -> "Wsgi":
        """Measure a WSGI application and answer scrapes at ``path`` (empty: do not): see `Wsgi`."""
        from edgeobs.exporter.wsgi import Wsgi  # noqa: PLC0415  as above

        return Wsgi(self, app, path, route)

    def grpc(self) -> Any:
        """Make an interceptor for ``grpc.server(…, interceptors=[…])``; needs grpcio."""
        from edgeobs.exporter.rpc import interceptor  # noqa: PLC0415  as above

        return interceptor(self)

    def grpc_aio(self) -> Any:
        """Make an interceptor for ``grpc.aio.server(interceptors=[…])``; needs grpcio."""
        from edgeobs.exporter.rpc_aio import interceptor  # noqa: PLC0415  as above

        return interceptor(self)
