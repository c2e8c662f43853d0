"""The pipeline of a configuration, wired in a straight line; no server, nothing that speaks or keeps.

What is imported here is all that a node pays for that detects on its own (docs/operating.md).
"""

from collections.abc import Callable
from dataclasses import dataclass

from edgeobs import remediate
from edgeobs.detect import Detection, Detector
from edgeobs.detect.absence import Heartbeats
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.changes import Changes
from edgeobs.detect.feedback import Feedback
from edgeobs.detect.node import NodeBank
from edgeobs.detect.parts import Parts
from edgeobs.detect.peers import Peers
from edgeobs.detect.roles import Roles
from edgeobs.detect.shifts import Shifts
from edgeobs.features import Features
from edgeobs.incidents import Incidents
from edgeobs.ingest.intern import Interner
from edgeobs.logs import Logs
from edgeobs.pipeline import Pipeline
from edgeobs.remediate import ClusterView, Switches
from edgeobs.series import SeriesTable
from edgeobs.settings import Config
from edgeobs.signals import SECOND, Counts
from edgeobs.streams import Streams
from edgeobs.traces import Traces


@dataclass(frozen=True, slots=True)
class Core:
    """What is there before any server runs."""

    pipeline: Pipeline
    interner: Interner
    counts: Counts


def build(
    config: Config, cluster: ClusterView | None = None, switches: Callable[[], Switches] = Switches
) -> Core:
    """The pipeline of a configuration. Nothing is read, written or started.

    Parameters
    ----------
    cluster
        What stands for the cluster; None: a twin in memory.
    switches
        What people and the election say now.

    """
    counts = Counts()
    table = SeriesTable(config.limits.max_series, config.limits.max_nodes)
    interner = Interner(table)
    detection = _detection(config, table, counts)
    streams = _streams(config, interner, detection.parts, counts)
    pipeline = Pipeline(
        table=table,
        features=Features(table, config.features, counts),
        detection=detection,
        heartbeats=Heartbeats(table, config.detect),
        incidents=Incidents(table, config.incidents, counts, streams.lore),
        remediation=remediate.Remediation(config.remediate, counts),
        cluster=cluster or remediate.MemoryCluster(config.remediate, config.limits.max_nodes),
        switches=switches,
        counts=counts,
        look_ns=int(config.engine.tick_s * SECOND),
        idle_ns=int(config.limits.idle_expiry_s * SECOND),
        opted_in=config.cluster.opted_in,
        streams=streams,
    )
    return Core(pipeline, interner, counts)


def _detection(config: Config, table: SeriesTable, counts: Counts) -> Detection:
    detect = config.detect
    return Detection(
        table,
        {
            "series": SeriesBank(detect, home=lambda number: table[number].source.resource),
            **({"peers": Peers(table, config.peers)} if detect.peers else {}),
            **_models(config, table, counts),
        },
        NodeBank(lambda: table.node, compiled=detect.compiled) if detect.nodes else None,
        Changes(table, config.changes),
        Feedback(table, config.feedback),
        counts,
        Shifts(config.shifts) if detect.shifts else None,
        Roles(table, detect.roles) if detect.roles else None,
    )


def _streams(config: Config, interner: Interner, parts: Parts, counts: Counts) -> Streams:
    """The stages of logs and spans; whether a node is heard at all tells if a silent log means something."""
    streams = Streams(None, None, parts)
    table, alive = interner.table, streams.hearing.alive
    streams.logs = Logs(table, config.logs, counts, interner.admit, alive)
    streams.traces = Traces(table, config.traces, counts, interner.admit, alive)
    return streams


def _models(config: Config, table: SeriesTable, counts: Counts) -> dict[str, Detector]:
    """River's, where the configuration names some; without any, River is not imported."""
    if not config.detectors:
        return {}
    from edgeobs.detect.river import ModelDetector  # noqa: PLC0415  an extra, and slow to import

    names = config.detectors.items()
    return {f"river.{name}": ModelDetector(model, table, counts, f"river.{name}") for name, model in names}
