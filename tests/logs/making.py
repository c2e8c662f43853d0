"""Batches of log lines, and a stage with a table of its own."""

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np

from edgeobs.logs import Logs, Settings
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Counts, Identity, LogBatch, Principal, Resource, Source

T0 = 1_790_000_000 * SECOND
WHO = Principal(0, "site", None, 100_000)


def source(workload: str = "cart", node: str = "edge-1", pod: str = "") -> Source:
    return Source((), Resource("", "north", node, "shop", workload, pod or f"{workload}-0"))


def batch(
    lines: Sequence[str | bytes],
    *,
    of: Source | None = None,
    severity: int = 3,
    time_ns: int = 0,
    trace: tuple[int, int] = (0, 0),
    who: Principal = WHO,
) -> LogBatch:
    """All of one source, severity and time."""
    raw = [line.encode() if isinstance(line, str) else line for line in lines]
    n = len(raw)
    return LogBatch(
        who, (of or source(),), np.zeros(n, np.int32), np.full(n, time_ns, np.int64),
        np.full(n, severity, np.int8), b"".join(raw), np.array([0, *accumulate(map(len, raw))], np.int64),
        np.tile(np.array(trace, np.uint64), (n, 1)),
    )  # fmt: skip


class Site:
    """A stage, its counts, and a clock that is moved by hand."""

    def __init__(
        self,
        settings: Settings | None = None,
        heard: Callable[[Resource], bool] | None = None,
        limit: int = 1000,
    ) -> None:
        self.counts: Counts = Counts()
        self.admitted: dict[Identity, int] = {}
        self.limit = limit
        self.settings = settings or Settings()
        self.now_ns = T0
        self.logs = Logs(SeriesTable(10), self.settings, self.counts, self.admit, heard)

    def admit(self, _who: Principal, identity: Identity, _now_ns: int) -> int:
        if identity not in self.admitted and len(self.admitted) >= self.limit:
            return -1
        return self.admitted.setdefault(identity, len(self.admitted))

    def series(self, number: int) -> dict[str, str]:
        """Labels of a series."""
        return dict(next(identity for identity, known in self.admitted.items() if known == number).labels)

    def take(self, *batches: LogBatch) -> None:
        for each in batches:
            self.logs.take(each, self.now_ns)
