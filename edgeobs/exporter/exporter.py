"""`Exporter`: metrics declared once, to be scraped, pushed, or both."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import prometheus_client as prometheus
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from edgeobs.exporter import naming
from edgeobs.exporter.collecting import Patience, Sources
from edgeobs.exporter.metrics import ACROSS, CAP, Capped, Counter, Gauge, Histogram, Summary
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

_M = TypeVar("_M", bound=Capped)
_R = TypeVar("_R", bound=Reader)
_T = TypeVar("_T")


class Declared(NamedTuple):
    """A metric as it was declared."""

    kind: str
    name: str
    help: str
    labels: tuple[str, ...]
    otlp: str  # its name when pushed
    attributes: dict[str, str]  # label names → attribute names when pushed


class Exporter:
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
        self.service, self.cap = service, _positive(cap, "cap")
        self.strict = "pytest" in sys.modules if strict is None else strict
        self.registry = CollectorRegistry()
        self.declared: dict[str, Declared] = {}  # by the family's name
        self._across: dict[str, str] = {}
        self._once: dict[str, Any] = {}
        self._caps: dict[str, int] = {}
        self._own: list[Collector] = []  # what each process tells of itself
        self._inside, self._outside = Sources(own=False), Sources(own=True)
        self._overflow = prometheus.Counter(
            "edgeobs_exporter_overflow_total",
            "Lookups and readings of series beyond a metric's cap, which went to its overflow series.",
            ["metric"], registry=self.registry,
        )  # fmt: skip
        self._own += [self._inside, self._overflow]
        self._folder = share or os.environ.get(SHARE)
        if process:
            self.add_own(ProcessCollector(registry=None))

    def counter(
        self, name: str, text: str, labels: Sequence[str] = (), *, cap: int | None = None,
        otlp: str = "", attributes: dict[str, str] | None = None,
    ) -> Counter:  # fmt: skip
        """Declare what is counted: ``name`` ends in the unit, if it has one, and ``_total``.

        Parameters
        ----------
        name, text, labels
            As Prometheus shows them: the whole name, the help, the names of labels.
        cap
            Series that it may have, ≥ 1; None: the exporter's.
        otlp, attributes
            Its name and, by label name, those of its attributes when pushed, where they are to differ.

        Raises
        ------
        ValueError
            A name that is taken, or not allowed; where `strict`, also one against the rules of `naming`.

        """
        return self._declare(Counter, "counter", name, text, labels, cap, otlp, attributes)

    def gauge(
        self, name: str, text: str, labels: Sequence[str] = (), *, cap: int | None = None,
        across: str = "each", otlp: str = "", attributes: dict[str, str] | None = None,
    ) -> Gauge:  # fmt: skip
        """Declare what goes up and down; as `counter`.

        ``across`` says what several workers show: ``each`` its own with a label ``worker``, or the ``sum``,
        ``min``, ``max``, or what the ``newest`` snapshot has.
        """
        if across not in ACROSS:
            raise ValueError(f"{name}: across is one of {', '.join(ACROSS)}; found {across!r}")
        made = self._declare(Gauge, "gauge", name, text, labels, cap, otlp, attributes)
        self._across[made.base_name] = across
        return made

    def histogram(
        self, name: str, text: str, labels: Sequence[str] = (), *, cap: int | None = None,
        buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS, otlp: str = "",
        attributes: dict[str, str] | None = None,
    ) -> Histogram:  # fmt: skip
        """Declare what is spread over ``buckets``, ascending upper bounds; as `counter`."""
        return self._declare(
            Histogram, "histogram", name, text, labels, cap, otlp, attributes, buckets=tuple(buckets)
        )

    def summary(
        self, name: str, text: str, labels: Sequence[str] = (), *, cap: int | None = None,
        otlp: str = "", attributes: dict[str, str] | None = None,
    ) -> Summary:  # fmt: skip
        """Declare what has a count and a sum; as `counter`."""
        return self._declare(Summary, "summary", name, text, labels, cap, otlp, attributes)

    def _declare(
        self, kind: type[_M], word: str, name: str, text: str, labels: Sequence[str], cap: int | None,
        otlp: str, attributes: dict[str, str] | None, **more: Any,
    ) -> _M:  # fmt: skip
        names = tuple(labels)
        if self.strict and (wrong := naming.problems(word, name, text, names)):
            raise ValueError("; ".join(wrong))
        made = kind(name, text, names, unit=naming.unit_of(name), registry=self.registry, **more)
        base = family_of(made).name
        limit = self.cap if cap is None else _positive(cap, f"{name}: cap")
        made.bound(base, names, limit, lambda: self._overflowed(made))
        self.declared[base] = Declared(word, name, text, names, otlp or base, attributes or {})
        self._caps[base] = limit
        self._own.append(made)
        return made

    def _overflowed(self, metric: Capped) -> None:
        self._overflow.labels(metric.base_name).inc()

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
        )

        def take(function: _R) -> _R:
            called = name or getattr(function, "__name__", "collector")
            read = read_by(function, metrics, self._overflowed)
            for metric in metrics:
                self._let_go(metric)
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
        patience = Patience(deadline_s=deadline_s, stale_s=stale_s, every_s=every_s)
        describe = getattr(collector, "describe", None)
        described = list(describe()) if describe else []
        called = name or type(collector).__name__
        self._add_source(called, lambda: list(collector.collect()), patience, described, per_worker)

    def add_own(self, collector: Collector) -> None:
        """Have a collector that tells of this process, and takes no time."""
        self.registry.register(collector)
        self._own.append(collector)

    def once(self, what: str, make: Callable[[], _T]) -> _T:
        """What was made under that name before, or is made now: metrics that several parts share."""
        if what not in self._once:
            self._once[what] = make()
        made: _T = self._once[what]
        return made

    def _let_go(self, metric: Capped) -> None:
        if metric in self._own:
            self.registry.unregister(metric)
            self._own.remove(metric)

    def _add_source(
        self, name: str, read: Callable[[], list[Metric]], patience: Patience, described: Iterable[Metric],
        per_worker: bool,
    ) -> None:  # fmt: skip
        sources = self._inside if per_worker else self._outside
        known = len(sources) > 0
        source = sources.add(name, read, patience, described)
        if known:
            self.registry.unregister(sources)
        try:
            self.registry.register(sources)  # anew: so that it knows the new names, and refuses those taken
        except ValueError:
            sources.drop(source)
            if known:
                self.registry.register(sources)
            raise

    @property
    def running(self) -> "Running":
        """What it does once it runs; made, and its modules imported, when first asked for."""
        from edgeobs.exporter.running import Running  # noqa: PLC0415  as said

        return self.once("running", lambda: Running(self, self._folder or None))

    def own(self) -> list[Metric]:
        """What this process tells of itself: what several workers are merged from."""
        return [family for each in list(self._own) for family in each.collect()]

    def copied(self) -> list[Metric]:
        """What of it a process that is forked off has too: what is counted in memory, not what is read."""
        mine = [each for each in self._own if isinstance(each, MetricWrapperBase)]
        return [family for each in mine for family in each.collect()]

    def outside(self) -> list[Metric]:
        """What is read of devices and the like, by whoever is asked."""
        return self._outside.collect() if len(self._outside) else []

    @property
    def caps(self) -> dict[str, int]:
        """How many series each family may have."""
        return self._caps

    @property
    def across(self) -> dict[str, str]:
        """How gauges are joined across workers."""
        return self._across

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

    def check(self) -> list[str]:
        """What is wrong with names, units and labels of what was declared; empty: nothing."""
        return [
            problem
            for each in self.declared.values()
            for problem in naming.problems(each.kind, each.name, each.help, each.labels)
        ]

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


def _positive(number: int, what: str) -> int:
    if number < 1:
        raise ValueError(f"{what}: expected at least 1; found {number}")
    return number
