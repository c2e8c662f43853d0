"""What the watches have shown of a cluster, and how old it may be. Thread-safe."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from edgeobs.kube.clock import boot_ns
from edgeobs.kube.resources import WATCHED, WORKLOADS, Watched
from edgeobs.kube.trim import Beat
from edgeobs.kube.watching import Change, takes
from edgeobs.objects import Claim, Inventory, Node

_GRAVES = 4096  # deleted objects per kind whose late events are known for what they are
NEVER_NS = 1 << 62
"""The age of what was never seen."""


@dataclass(slots=True)
class Shelf:
    """All objects of a kind, and what became of its last requests."""

    objects: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)  # of what does not carry its own
    buried: dict[str, None] = field(default_factory=dict)  # UIDs of the last that were deleted
    confirmed_ns: int | None = None  # when it was last known to be so, on the mirror's clock
    problem: str = ""  # why it is not being confirmed; empty: it is
    changed: bool = True  # since the last snapshot
    lists: int = 0
    watches: int = 0
    events: int = 0
    late: int = 0  # events that told nothing new


class Mirror:
    """One writer per kind, any number of readers; a snapshot is made anew only from what changed.

    Parameters
    ----------
    watched
        The kinds; all must have been listed before anything counts as known.
    clock
        Nanoseconds that never go back.

    """

    def __init__(self, watched: Sequence[Watched] = WATCHED, clock: Callable[[], int] = boot_ns) -> None:
        self._clock, self._lock = clock, Lock()
        self._shelves = {each.kind: Shelf() for each in watched}
        self._inventory = Inventory()

    def replace(self, kind: str, changes: Sequence[Change], as_of_ns: int) -> None:
        """A list is whole: nothing else of its kind exists. ``as_of_ns``: when it was asked for."""
        with self._lock:
            shelf = self._shelves[kind]
            known, shelf.objects, shelf.versions = shelf.objects, {}, {}
            for change in changes:
                self._put(kind, shelf, change, known)
            if kind == "Lease" and "Node" in self._shelves:
                self._beat_all()
            shelf.changed, shelf.confirmed_ns, shelf.problem = True, as_of_ns, ""
            shelf.lists += 1

    def apply(self, kind: str, changes: Sequence[Change], as_of_ns: int | None) -> None:
        """Events of a watch. ``as_of_ns``: when its stream held no more; None: it may hold more."""
        with self._lock:
            shelf = self._shelves[kind]
            for change in changes:
                held = shelf.objects.get(change.key)
                buried = change.uid in shelf.buried
                uid, version = getattr(held, "uid", change.uid), _version(shelf, change.key)
                if not takes(change, uid, version, held=held is not None, buried=buried):
                    shelf.late += 1
                elif change.item is not None:
                    self._put(kind, shelf, change, shelf.objects)
                else:
                    self._drop(shelf, change.key)
                if change.gone and change.uid:
                    _bury(shelf.buried, change.uid)
            shelf.changed = shelf.changed or bool(changes)
            shelf.events += len(changes)
            shelf.problem = ""
            if as_of_ns is not None:
                shelf.confirmed_ns = as_of_ns

    def trouble(self, kind: str, problem: str) -> None:
        """Why a kind cannot be read now."""
        with self._lock:
            self._shelves[kind].problem = problem

    def watching(self, kind: str) -> None:
        """A watch was opened; it is counted."""
        with self._lock:
            self._shelves[kind].watches += 1

    def age_ns(self) -> int:
        """How long ago the least fresh kind was last confirmed; ``NEVER_NS`` before all were listed."""
        with self._lock:
            return self._age_ns()

    def problems(self) -> dict[str, str]:
        """Kind → why it cannot be read now."""
        with self._lock:
            return {kind: shelf.problem for kind, shelf in self._shelves.items() if shelf.problem}

    def shelves(self) -> Mapping[str, tuple[int, int, int, int, int]]:
        """Kind → objects held, lists, watches, events and late events so far."""
        with self._lock:
            return {
                kind: (len(s.objects), s.lists, s.watches, s.events, s.late)
                for kind, s in self._shelves.items()
            }

    def notes(self) -> Mapping[str, str]:
        """The data of the ConfigMap that is watched; none where there is none."""
        with self._lock:
            shelf = self._shelves.get("ConfigMap")
            return next(iter(shelf.objects.values()), {}) if shelf else {}

    def inventory(self, now_ns: int) -> Inventory:
        """The cluster as held now; its ``read_ns`` is ``now_ns`` less its age, 0 before all was listed."""
        with self._lock:
            age = self._age_ns()
            self._inventory = replace(
                self._inventory,
                steady_ns=self._clock(),
                read_ns=0 if age == NEVER_NS else max(now_ns - age, 0),
                **self._changed_parts(),
            )
            return self._inventory

    def _age_ns(self) -> int:
        seen = [shelf.confirmed_ns for shelf in self._shelves.values()]
        oldest = min((each for each in seen if each is not None), default=None)
        return NEVER_NS if oldest is None or None in seen else max(self._clock() - oldest, 0)

    def _changed_parts(self) -> dict[str, Any]:
        """What is not as it was in the last snapshot; it stays as it is for whoever holds that."""
        shelves = self._shelves
        dirty = {kind for kind, shelf in shelves.items() if shelf.changed}
        for kind in dirty:
            shelves[kind].changed = False
        parts: dict[str, Any] = {}
        if "Node" in dirty:
            parts["nodes"] = dict(shelves["Node"].objects)
        for kind, part in _LISTS.items():
            if kind in dirty:
                parts[part] = tuple(shelves[kind].objects.values())
        if not dirty.isdisjoint(WORKLOADS):
            kinds = [kind for kind in WORKLOADS if kind in shelves]
            parts["workloads"] = tuple(each for kind in kinds for each in shelves[kind].objects.values())
        if not dirty.isdisjoint(_STORAGE) and shelves.keys() >= _STORAGE:
            parts["claims"] = tuple(map(self._bound, shelves["PersistentVolumeClaim"].objects.values()))
        return parts

    def _bound(self, claim: Claim) -> Claim:
        """A claim with its volume's node affinity; an unknown volume is reachable from nowhere."""
        if not claim.volume:
            return claim
        volume = self._shelves["PersistentVolume"].objects.get(claim.volume)
        return replace(claim, node_affinity=((),) if volume is None else volume.node_affinity)

    def _put(self, kind: str, shelf: Shelf, change: Change, known: Mapping[str, Any]) -> None:
        item = change.item
        if kind == "Node":
            item = self._with_beat(item)
        elif kind == "Lease":
            before = known.get(change.key)
            seen = before is not None and before.renewed_ns == item.renewed_ns
            item = item._replace(seen_ns=before.seen_ns if before and seen else self._clock())
            self._beat(item)
        elif kind == "Pod":
            held = known.get(change.key)
            item = held if held is not None and held.version == item.version != "" else item
        if item is not None:
            shelf.objects[change.key] = item
            if not hasattr(item, "version"):
                shelf.versions[change.key] = change.version

    def _drop(self, shelf: Shelf, key: str) -> None:
        gone = shelf.objects.pop(key, None)
        shelf.versions.pop(key, None)
        if isinstance(gone, Beat):
            self._beat(gone._replace(renewed_ns=0, seen_ns=0))

    def _with_beat(self, node: Node) -> Node:
        leases = self._shelves.get("Lease")
        beat = leases.objects.get(node.name) if leases else None
        return _renewed(node, beat) if beat and beat.of(node) else node

    def _beat(self, beat: Beat) -> None:
        nodes = self._shelves.get("Node")
        node = nodes.objects.get(beat.node) if nodes else None
        if nodes and node is not None and beat.of(node) and node.lease_ns != beat.renewed_ns:
            nodes.objects[beat.node] = _renewed(node, beat)
            nodes.changed = True

    def _beat_all(self) -> None:
        """Nodes whose Lease is gone have none."""
        beats, nodes = self._shelves["Lease"].objects, self._shelves["Node"]
        for name, node in nodes.objects.items():
            if name not in beats and node.lease_ns:
                nodes.objects[name] = replace(node, lease_ns=0, lease_seen_ns=0)
                nodes.changed = True


_LISTS = {"Pod": "pods", "PodDisruptionBudget": "budgets", "ResourceQuota": "quotas"}
_STORAGE = frozenset({"PersistentVolumeClaim", "PersistentVolume"})


def _renewed(node: Node, beat: Beat) -> Node:
    return replace(node, lease_ns=beat.renewed_ns, lease_seen_ns=beat.seen_ns)


def _version(shelf: Shelf, key: str) -> str:
    """Of what is held under a key; empty: unknown."""
    version: str | None = getattr(shelf.objects.get(key), "version", None)
    return shelf.versions.get(key, "") if version is None else version


def _bury(buried: dict[str, None], uid: str) -> None:
    if len(buried) >= _GRAVES:
        del buried[next(iter(buried))]
    buried[uid] = None
