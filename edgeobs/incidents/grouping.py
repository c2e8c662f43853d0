"""Scores, absences and foreign alerts → incidents of nodes, zones and clusters.

A resolved incident is final: what returns is a new one. Flapping is what the hold time is for.
"""

from collections.abc import Iterable, Sequence

from edgeobs.incidents.cases import Cases
from edgeobs.incidents.intake import Intake, Lore
from edgeobs.incidents.restoring import restore
from edgeobs.incidents.settings import Settings
from edgeobs.incidents.watch import Watch
from edgeobs.series import SeriesTable
from edgeobs.signals import (
    SECOND,
    Absence,
    Batch,
    Counts,
    ExternalAlert,
    Incident,
    Joint,
    Resource,
    Scores,
    Sign,
    Suspect,
    Told,
)

_SWEEP_NS = SECOND // 2


class Incidents:
    """All incidents, and all that may become one. Not safe to share between threads.

    Parameters
    ----------
    table
        Who the series are. Places with the resource attribute ``edgeobs.simulated`` are marked as simulated.
    settings, counts
        Thresholds and bounds; what was dropped at a bound is counted by reason.
    lore
        What else is to be told of evidence of logs or spans.

    """

    def __init__(
        self,
        table: SeriesTable,
        settings: Settings,
        counts: Counts,
        lore: Lore = lambda _source, _labels, _series: Told(),
    ) -> None:
        self.settings = settings
        self.cases = Cases(table, settings, counts)
        self._intake = Intake(self.cases, counts, lore)
        self._swept_ns = 0

    @property
    def wholes(self) -> dict[Resource, Watch]:
        """Nodes that are followed as a whole."""
        return self._intake.wholes

    def step(
        self,
        batch: Batch,
        scores: Scores,
        absences: Sequence[Absence],
        alerts: Sequence[ExternalAlert],
        now_ns: int,
        joint: Sequence[Joint] = (),
        signs: Sequence[Sign] = (),
    ) -> list[Incident]:
        """Take in what is new; the incidents that changed in more than their plots.

        Parameters
        ----------
        batch, scores
            Samples with their scores, row by row.
        absences
            All that hold now.
        alerts
            Those not seen before.
        joint
            How surprising nodes are as a whole, in order of time.
        signs
            What the stages of logs and spans found by themselves, none of it late.

        """
        self.cases.begin()
        self.cases.history.append(batch, scores)
        self._intake.samples(batch, scores, now_ns)
        for each in joint:
            self._intake.joint(each, now_ns)
        self._intake.signs(signs, now_ns)
        self._intake.absences(absences, now_ns)
        ended = [self._intake.alert(alert, now_ns) for alert in alerts]
        if any(ended) or not 0 <= now_ns - self._swept_ns < _SWEEP_NS:
            self._swept_ns = now_ns
            self._intake.sweep(now_ns)
            self.cases.sweep(now_ns)
        return self.cases.changed(now_ns)

    def active(self) -> list[Incident]:
        """Those that are not resolved, with their plots as they are now; the oldest first."""
        return self.cases.active()

    def suspect(self, place: Resource, suspects: tuple[Suspect, ...]) -> None:
        """What is likely to have caused the incident of a place: told from now on."""
        case = self.cases.by_place.get(place)
        if case is not None and case.id and case.suspects != suspects:
            case.suspects, case.shown = suspects, None

    def recent(self) -> list[Incident]:
        """The last resolved ones, oldest first, with coarse plots."""
        return list(self.cases.recent)

    def fill(self, now_ns: int) -> list[Incident]:
        """Complete a few plots with what came before their onset; those completed.

        Nothing depends on it: call it when what was decided is safe.
        """
        return self.cases.fill(now_ns)

    def restore_incidents(self, incidents: Iterable[Incident], now_ns: int = 0) -> None:
        """Take up what the store kept; after the series table was restored, so that evidence goes on.

        ``now_ns`` (default: each incident's last change) is when calm begins to be counted again.
        """
        restore(self.cases, self._intake.watcher, incidents, now_ns)
