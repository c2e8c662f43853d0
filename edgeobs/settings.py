"""Everything that can be set, and its defaults; `edgeobs.config` reads it from a file.

Apart from that reader, for who has settings need not have what checks them (pydantic and YAML, 6 MiB).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from edgeobs.detect import Settings as DetectSettings
from edgeobs.detect.change_signs import ChangeSettings
from edgeobs.detect.feedback import FeedbackSettings
from edgeobs.detect.models import ModelSettings
from edgeobs.detect.peer_groups import PeerSettings
from edgeobs.detect.shifts import ShiftSettings
from edgeobs.features import Settings as FeatureSettings
from edgeobs.incidents import AlertmanagerSettings
from edgeobs.incidents import Settings as IncidentSettings
from edgeobs.ingest.settings import Limits
from edgeobs.ingest.settings import Settings as ServerSettings
from edgeobs.kube.settings import KubernetesSettings
from edgeobs.logs.settings import LokiSettings
from edgeobs.logs.settings import Settings as LogSettings
from edgeobs.remediate import Settings as RemediateSettings
from edgeobs.traces.settings import Settings as TraceSettings
from edgeobs.web import Settings as WebSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The thread that owns the state, and what it keeps on disk."""

    data_dir: Path = Path("edgeobs-data")
    """Folder of the incident store and the snapshot; made when missing."""
    snapshot_interval_s: Annotated[float, Gt(0), Le(3600)] = 15.0
    """Seconds between two snapshots of what was learned: what a crash may lose."""
    tick_s: Annotated[float, Ge(0.05), Le(10)] = 0.25
    """Seconds between two steps when nothing arrives, and between two looks at who is silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """What stands for the cluster that is acted upon."""

    kind: Literal["memory", "kubernetes"] = "memory"
    """``memory``: a twin in memory that lists the nodes that are heard; nothing real is ever touched.
    ``kubernetes``: the API server that ``kubernetes`` names; needs the extra ``kube``."""
    opted_in: bool = False
    """Whether nodes of the ``memory`` kind have opted in to remediation."""
    kubernetes: KubernetesSettings = field(default_factory=KubernetesSettings)
    """Which API server, as whom, how fresh, how often; for the ``kubernetes`` kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """How edgeobs speaks of itself."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe line that is logged."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """``auto``: console on a terminal, JSON lines elsewhere."""
    traces_endpoint: str = ""
    """OTLP/HTTP endpoint for the pipeline's own traces, such as ``http://127.0.0.1:4318``; empty: none."""
    traces_ratio: Annotated[float, Ge(0), Le(1)] = 0.01
    """Share of requests that are traced, in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that can be set. Every key has a default, so an empty file is a working core."""

    server: ServerSettings = field(default_factory=ServerSettings)
    limits: Limits = field(default_factory=Limits)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    logs: LogSettings = field(default_factory=LogSettings)
    loki: LokiSettings = field(default_factory=LokiSettings)
    traces: TraceSettings = field(default_factory=TraceSettings)
    detect: DetectSettings = field(default_factory=DetectSettings)
    peers: PeerSettings = field(default_factory=PeerSettings)
    changes: ChangeSettings = field(default_factory=ChangeSettings)
    shifts: ShiftSettings = field(default_factory=ShiftSettings)
    feedback: FeedbackSettings = field(default_factory=FeedbackSettings)
    detectors: dict[str, ModelSettings] = field(default_factory=dict)
    incidents: IncidentSettings = field(default_factory=IncidentSettings)
    alertmanager: AlertmanagerSettings = field(default_factory=AlertmanagerSettings)
    remediate: RemediateSettings = field(default_factory=RemediateSettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    web: WebSettings = field(default_factory=WebSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
