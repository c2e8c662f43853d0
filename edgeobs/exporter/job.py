"""Cron jobs: a textfile for node_exporter's textfile collector."""

import re
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from prometheus_client import CollectorRegistry, generate_latest

from edgeobs.exporter.files import replace
from edgeobs.exporter.metrics import Gauge

if TYPE_CHECKING:
    from edgeobs.exporter.exporter import Exporter


def write_textfile(path: Path | str, registry: CollectorRegistry) -> None:
    """Write a registry's page, whole or not at all; raises OSError and ValueError.

    The file must end in ``.prom``: node_exporter reads no other. It is readable for everybody, because
    node_exporter is most likely another user.
    """
    if Path(path).suffix != ".prom":
        raise ValueError(f"{path}: expected a name that ends in .prom; node_exporter reads no other")
    replace(Path(path), generate_latest(registry), durable=True, mode=0o644)


class Job:
    """A run of a job as a context: how long it took and whether it went well goes into its textfile.

    The metrics are ``NAME_last_run_timestamp_seconds``, ``NAME_last_run_took_seconds`` and
    ``NAME_last_run_success`` (1 or 0), NAME being the exporter's service. What the job raised goes on.
    """

    def __init__(self, exporter: "Exporter", path: Path | str) -> None:
        self._exporter, self._path = exporter, path
        self._ran, self._took, self._success = exporter.once("job", lambda: _gauges(exporter))

    def __enter__(self) -> Self:
        """Begin."""
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End and write; ``SystemExit`` with 0 or nothing is success."""
        well = kind is None or (isinstance(error, SystemExit) and not error.code)
        self._ran.set(time.time())
        self._took.set(time.monotonic() - self._began)
        self._success.set(float(well))
        self._exporter.textfile(self._path)


def _gauges(exporter: "Exporter") -> tuple[Gauge, Gauge, Gauge]:
    name = "_".join(re.findall(r"[a-z0-9]+", exporter.service.lower()))
    return (
        exporter.gauge(f"{name}_last_run_timestamp_seconds", "When it last ended, Unix time."),
        exporter.gauge(f"{name}_last_run_took_seconds", "How long that took."),
        exporter.gauge(f"{name}_last_run_success", "Whether it went well."),
    )
