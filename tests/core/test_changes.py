"""A change that is announced is no incident; the same unannounced is one. Through the whole pipeline."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgeobs.signals import SECOND, Identity, Incident, Kind, Labels, Points, Resource, Source

WARM_S, AFTER_S = 300, 240
MOVING = ("node_load", "node_temperature", "container_cpu", "container_memory", "requests")
NODE = Resource("c", "a", "n1")
AGENT = Source((("service.name", "agent"),), NODE)
WEB: Labels = (("deployment", "web"), ("k8s_node_name", "n1"), ("namespace", "shop"))


def web(version: str) -> Source:
    attributes = (("service.name", "web"), ("service.version", version))
    return Source(attributes, Resource("c", "a", "n1", "shop", "web", f"web-{version}"))


class World:
    """An agent on a node, what it says of a workload there, and that workload; a sample a second of each."""

    def __init__(self, pipeline: Any, now_ns: int) -> None:
        self.pipeline, self.now_ns, self.rng = pipeline, now_ns, np.random.default_rng(5)
        self.level = dict.fromkeys(MOVING, 50.0)
        self.boot, self.generation, self.version = 1e9, 4.0, "1"
        self.start_ns = now_ns - 3600 * SECOND
        self.count = 0.0

    def series(self, source: Source, name: str, labels: Labels = (), kind: Kind = Kind.GAUGE) -> int:
        found: int = self.pipeline.table.intern(Identity(source, name, labels, kind), 0, self.now_ns)
        return found

    def second(self) -> tuple[Incident, ...]:
        self.now_ns += SECOND
        self.count += 7.0
        rows = [
            (self.series(AGENT, "node_boot_time_seconds"), self.boot, 0),
            (self.series(AGENT, "node_load"), self.value("node_load"), 0),
            (self.series(AGENT, "node_temperature"), self.value("node_temperature"), 0),
            (self.series(AGENT, "container_cpu", WEB), self.value("container_cpu"), 0),
            (self.series(AGENT, "container_memory", WEB), self.value("container_memory"), 0),
            (self.series(AGENT, "kube_deployment_metadata_generation", WEB), self.generation, 0),
            (self.series(AGENT, "node_reads_total", (), Kind.COUNTER), self.count, self.start_ns),
            (self.series(AGENT, "node_writes_total", (), Kind.COUNTER), 2 * self.count, self.start_ns),
            (self.series(web(self.version), "requests"), self.value("requests"), 0),
        ]
        ids, value, start = zip(*rows, strict=True)
        n = len(rows)
        points = Points(
            np.array(ids, np.int32), np.full(n, self.now_ns), np.array(start, np.int64), np.array(value)
        )
        incidents: tuple[Incident, ...] = self.pipeline.step(points, self.now_ns).incidents
        return incidents

    def value(self, name: str) -> float:
        return float(self.rng.normal(self.level[name], 1.0))


def reboots(world: World) -> None:
    world.boot += 3600.0


def is_rolled_out(world: World) -> None:
    world.version = "2"


def is_configured(world: World) -> None:
    world.generation += 1.0


def counts_anew(world: World) -> None:
    """As an OpenTelemetry sender tells that it began anew."""
    world.start_ns, world.count = world.now_ns, 0.0


def nothing(_: World) -> None:
    """The change is there and nobody says so."""


# What is announced, and which of the series that move are about it.
CHANGES: dict[str, tuple[Callable[[World], None], tuple[str, ...]]] = {
    "a node reboots": (reboots, MOVING),
    "the agent restarts": (counts_anew, MOVING[:4]),
    "a version is rolled out": (is_rolled_out, MOVING[2:4]),
    "a workload is configured": (is_configured, MOVING[2:]),
}


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("case", CHANGES)
def test_what_was_announced_is_no_incident(site: Any, case: str, announced: bool) -> None:
    change, about = CHANGES[case]
    made = site()
    world = World(made.pipeline, made.now_ns)
    assert not [incident for _ in range(WARM_S) for incident in world.second()]
    (change if announced else nothing)(world)
    world.level |= dict.fromkeys(about, 80.0)
    incidents = [incident for _ in range(AFTER_S) for incident in world.second()]
    assert bool(incidents) != announced, [incident.title for incident in incidents]
    assert (made.core.counts["edgeobs_series_relearned_total",] >= len(about)) == announced
