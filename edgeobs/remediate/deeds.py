"""What was really done, as it was told, and what of it is to be taken back. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from edgeobs.remediate.fleet import FleetView
from edgeobs.remediate.operation import Operation
from edgeobs.remediate.settings import Settings
from edgeobs.remediate.undo import orphans, undo
from edgeobs.signals import SECOND, Action, Decision, Incident

_KEPT = 1000
_ORPHANS_NS = 60 * SECOND


class Deeds:
    """Operations by id, and since when what they were for is over; bounded."""

    def __init__(self, settings: Settings) -> None:
        self.operations: dict[str, Operation] = {}  # oldest first
        self._settings = settings
        self._over_ns: dict[str, int] = {}  # incident of an operation → when it was first known to be over
        self._well_ns: dict[tuple[str, str], int] = {}  # (cluster, node) → when its last incident was over
        self._orphaned: dict[str, Action] = {}
        self._orphans_ns = 0  # when other replicas' marks were last looked at

    def told(self, operation: Operation) -> None:
        """What has become of an operation."""
        known = self.operations
        known.pop(operation.id, None)
        known[operation.id] = operation
        if len(known) > _KEPT:
            gone = next((each.id for each in known.values() if each.over and not each.standing), operation.id)
            del known[gone]

    def resolved(self, incident: Incident, now_ns: int) -> None:
        """An incident is over."""
        self._over_ns[incident.id] = now_ns
        place = incident.place.cluster, incident.place.node
        self._well_ns.pop(place, None)
        self._well_ns[place] = now_ns
        if len(self._well_ns) > _KEPT:
            del self._well_ns[next(iter(self._well_ns))]

    def undo(
        self, active: Sequence[Incident], fleet: Callable[[], FleetView], now_ns: int
    ) -> dict[str, Action]:
        """What is to be taken back now, by the operation that is undone; nothing where all is dry."""
        if self._settings.dry_run or not self._settings.live:
            return {}
        alive = {incident.id: incident for incident in active}
        known = list(self.operations.values())
        concerned = {operation.action.incident for operation in known}
        self._over_ns = {
            name: self._over_ns.get(name, now_ns) for name in sorted(concerned) if name not in alive
        }
        found = undo(known, alive, self._over_ns, self._settings, now_ns)
        if not 0 <= now_ns - self._orphans_ns < _ORPHANS_NS:
            self._orphans_ns = now_ns
            self._orphaned = orphans(fleet(), known, alive, self._well_ns, self._settings, now_ns)
        return found | self._orphaned

    def named(self, decision: Decision, undone: Mapping[str, Action]) -> Decision:
        """With the operation that it undoes, where it undoes one."""
        names = [name for name, action in undone.items() if action == decision.action]
        if not names:
            return decision
        if decision.verdict == "allowed":
            self._orphaned.pop(names[0], None)  # looked at anew in a while
        return replace(decision, undoes=names[0])
