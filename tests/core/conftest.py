"""A pipeline with its keeper and engine in this process, fed by hand."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeobs.compose import Core, build
from edgeobs.config import Config, parse
from edgeobs.engine import Engine
from edgeobs.ingest.delivery import Delivery
from edgeobs.keep import Keeper
from edgeobs.signals import SECOND, ExternalAlert, Identity, Kind, Points, Principal, Resource, Source

START = 1_700_000_000 * SECOND
OPTED_IN = "cluster: {opted_in: true}\nremediate: {cluster_share: 1.0}\nengine: {snapshot_interval_s: 3600}\n"
EVERY = -2  # of the nodes, fails


@dataclass
class Site:
    """Nodes ``n0`` … in zones of their own, each with the latency and the errors of one disk."""

    core: Core
    keeper: Keeper
    nodes: int = 4
    now_ns: int = START
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def __post_init__(self) -> None:
        self.errors = np.zeros(self.nodes)
        self.pipeline = self.core.pipeline
        self.opened = False  # here, and not by an engine

    def clock(self) -> int:
        return self.now_ns

    def open(self) -> None:
        self.opened = True
        self.keeper.open(self.pipeline, self.now_ns)

    def points(self, failing: int = -1) -> Points:
        rows = []
        for node in range(self.nodes):
            bad = failing in (node, EVERY)
            self.errors[node] += 50 if bad else float(self.random.random() < 0.05)
            rows.append((node, "system_linux_disk_latency_seconds", Kind.GAUGE, 0.5 if bad else 0.002))
            rows.append((node, "system_disk_errors_total", Kind.COUNTER, self.errors[node]))
        ids = [self.series(node, name, kind) for node, name, kind, _ in rows]
        value = np.array([value for *_, value in rows])
        value[::2] *= self.random.normal(1, 0.05, self.nodes)
        n = len(rows)
        return Points(np.array(ids, np.int32), np.full(n, self.now_ns), np.zeros(n, np.int64), value)

    def series(self, node: int, name: str, kind: Kind = Kind.GAUGE, owner: int = 0) -> int:
        place = Resource("", f"z{node}", f"n{node}")
        source = Source((("host.name", f"n{node}"),), place)
        number = self.pipeline.table.intern(Identity(source, name, (), kind), owner, self.now_ns)
        assert number is not None
        return number

    def second(self, failing: int = -1, alerts: Sequence[ExternalAlert] = ()) -> list[Any]:
        """One second: a step with a sample of everything, committed, and a tick; the decisions on record."""
        self.now_ns += SECOND
        outputs = self.pipeline.step(self.points(failing), self.now_ns, alerts=alerts)
        made: list[Any] = self.keeper.commit(self.pipeline, outputs, self.clock)
        self.keeper.tick(self.pipeline, self.now_ns)
        return made

    def seconds(self, number: int, failing: int = -1) -> list[Any]:
        return [decision for _ in range(number) for decision in self.second(failing)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make a site whose keeper lives in ``tmp_path/data``; closed with the test."""
    with ExitStack() as stack:

        def make(text: str = OPTED_IN, principals: Sequence[str] = ("loopback",), **more: Any) -> Site:
            config: Config = parse(text)
            core = build(config)
            interval = int(config.engine.snapshot_interval_s * SECOND)
            keeper = Keeper(tmp_path / "data", config.incidents, principals, interval, core.counts)
            made = Site(core, keeper, **more)
            stack.callback(_let_go, made)
            return made

        yield make


def _let_go(site: Site) -> None:
    if site.opened and site.keeper._store is not None:
        site.keeper._store.close()


@pytest.fixture
def start(site: Callable[..., Site]) -> Iterator[Callable[..., Engine]]:
    """Start an engine over a site; ended with the test."""
    with ExitStack() as stack:

        def begin(decode: Callable[[Delivery, int], Points], **more: Any) -> Engine:
            made = site()
            engine = Engine(
                made.pipeline,
                made.keeper,
                decode,
                more.pop("parse_alerts", lambda _: ([], 0)),
                queue_bytes=more.pop("queue_bytes", 1000),
                tick_ns=SECOND // 50,
                counts=made.core.counts,
                **more,
            )
            engine.start()
            stack.callback(engine.stop, 10)
            return engine

        yield begin


@pytest.fixture
def delivery() -> Callable[..., Delivery]:
    """A delivery of so many bytes."""

    def make(size: int = 10, form: Any = "otlp_proto", received_ns: int = 0) -> Delivery:
        return Delivery(form, b"x" * size, "identity", Principal(0, "loopback", None, 1000), received_ns)

    return make
