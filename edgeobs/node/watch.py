"""Looks after a node's health: readings → facts → verdicts, every few seconds. Remembers what checks need."""

from collections.abc import Callable, Iterable, Mapping

from edgeobs.node.forecast import Trail, trails
from edgeobs.node.health import CHECKS, Check, Facts, Verdict, judged, latest
from edgeobs.node.kmsg import KernelLog
from edgeobs.node.readings import Labels, Reading
from edgeobs.node.settings import Health
from edgeobs.node.settle import Settled, settled

Tell = Callable[[dict[str, Verdict]], None]


class Watch:
    """The checks of one node, and what they said last.

    Parameters
    ----------
    settings
        When something is a problem.
    kernel
        The kernel's log, read by its source.
    tell
        Gets the verdicts each time they were made.
    checks
        Condition type → check.

    """

    def __init__(
        self,
        settings: Health,
        kernel: KernelLog,
        tell: Tell | None = None,
        checks: Mapping[str, Check] = CHECKS,
    ) -> None:
        self.settings, self.kernel, self.tell, self.checks = settings, kernel, tell, checks
        self.verdicts: dict[str, Verdict] = {}
        self._settled: dict[str, Settled] = {}
        self._free: dict[str, Trail] = {}
        self._before: dict[str, dict[Labels, float]] = {}
        self._due_s: float | None = None

    def look(self, readings: Callable[[], Iterable[Reading]], now_s: float) -> bool:
        """Judge, if it is time to; whether it was.

        Parameters
        ----------
        readings
            Gives the newest of every source.
        now_s
            Seconds since the machine was started, as the kernel's log counts them.

        """
        if self._due_s is not None and now_s < self._due_s:
            return False
        self._due_s = now_s + self.settings.every_s
        known = latest(readings())
        free = [
            (dict(labels)["system.filesystem.mountpoint"], value)
            for labels, value in known.get("system.filesystem.usage", {}).items()
            if ("system.filesystem.state", "free") in labels
        ]
        self._free = trails(self._free, free, now_s)
        facts = Facts(known, self._free, tuple(self.kernel.events), self._before)
        self._before = known
        found = judged(facts, self.settings, now_s, self.checks)
        self._settled = settled(self._settled, found, self.settings, now_s)
        self.verdicts = {kind: each.told for kind, each in self._settled.items()}
        if self.tell is not None:
            self.tell(self.verdicts)
        return True
