"""What `detectors` in the configuration can say of a model; nothing here imports River."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """One River model, as many times as there are series, nodes or workloads for it; docs/river.md."""

    model: Any
    """River's name for it, such as ``anomaly.HalfSpaceTrees``, or a list of steps that make a pipeline; a
    step is a name, or has keys ``model`` and ``parameters``."""

    parameters: dict[str, Any] = field(default_factory=dict)
    """What it is constructed with; an estimator among them has keys ``model`` and ``parameters`` again."""

    per: Literal["series", "node", "workload"] = "series"
    """Whose samples one model sees: a series', or all of a node's or a workload's together."""

    series: tuple[str, ...] = ("*",)
    """Metrics that it sees, by shell-style patterns of their names."""

    max_models: Annotated[int, Ge(1), Le(100_000)] = 100
    """Models that may live at once; who comes later has none until another is forgotten."""

    warmup: Annotated[int, Ge(0), Le(100_000)] | None = None
    """Samples (ticks of a node or workload) that a new model learns before it is asked; null: 10, or the
    window or grace period of the model where that is longer."""

    drift_score: Annotated[float, Ge(0), Le(20)] = 8.0
    """What a drift detector's alarm scores, decades."""

    pause_s: Annotated[float, Gt(0), Le(86_400)] = 300.0
    """Seconds (the samples' own time) before a model that failed is built anew."""
