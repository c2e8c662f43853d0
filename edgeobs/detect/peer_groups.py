"""Which series are of one kind: the same metric on nodes of the same model and role."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from edgeobs.columns import grown
from edgeobs.detect.contract import State
from edgeobs.series import SeriesTable
from edgeobs.signals import Identity, Int32s, Int64s, Kind, Labels, Resource, Source

NONE = -1
_NODE_LABEL = "k8s.node.label."
_PENDING = 1024  # series that joined and are looked for one by one, before all are put in order again
Key = tuple[tuple[str, ...], str, Labels, int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """Who is compared with whom, and when a member is unlike the others."""

    by: tuple[str, ...] = (
        "cluster", "namespace", "workload", "node.kubernetes.io/instance-type", "kubernetes.io/arch",
        "host.arch", "host.type", "device.model.identifier", "node-role.kubernetes.io/", "edgeobs.io/role",
    )  # fmt: skip
    """What peers have in common besides the metric: ``cluster``, ``zone``, ``namespace``, ``workload``, or a
    resource attribute (also as OpenTelemetry's node label); one that ends in ``/`` is every attribute that
    begins so. No zone: a site of three nodes would have hardly any peers, and offsets are each node's own."""

    own_labels: tuple[str, ...] = (
        "instance", "node", "nodename", "host", "hostname", "host_name", "host_id", "k8s_node_name",
        "k8s_node_uid", "pod", "pod_name", "pod_ip", "k8s_pod_name", "k8s_pod_uid", "uid", "id",
        "container_id", "server_id", "otel_scope_version",
    )  # fmt: skip
    """Labels that say which one it is, and so part no peers."""

    least: Annotated[int, Ge(3), Le(100)] = 3
    """Members that must have spoken lately for any of them to be judged: of two nobody knows which is odd."""

    most: Annotated[int, Ge(8), Le(4096)] = 256
    """Members of a group; a larger one is parted. The median of so many is as good as that of all, and one
    look stays cheap."""

    stale: Annotated[int, Ge(4), Le(200)] = 12
    """Looks for which a member that says nothing still counts; there are one or two in its usual interval."""

    every_s: Annotated[float, Ge(0), Le(3600)] = 5.0
    """Seconds (the samples' own time) between two looks at a group, at the least: what looking may cost."""

    warm: Annotated[int, Ge(2), Le(1000)] = 30
    """Samples of a member (what its peers lent it at birth included) before it is judged."""

    lend: Annotated[int, Ge(0), Le(100)] = 30
    """Samples that a group in which all are alike is worth to a new member; fewer where they are not."""

    memory: Annotated[float, Ge(20), Le(1000)] = 200.0
    """Looks that a member's offset to its group, and the spread of it, remember."""

    long: Annotated[float, Ge(100), Le(20_000)] = 2000.0
    """Looks that a member's own mean and scale remember."""

    floor: Annotated[float, Gt(0), Le(1)] = 0.03
    """Least spread around the group, in standard deviations of the member itself."""

    relearn: Annotated[int, Ge(2), Le(255)] = 120
    """Looks at which a member was unlike, without a break, after which it is so for good: its offset moves
    there, and the group is trusted less to tell where it will be."""

    divided: Annotated[float, Gt(0), Le(0.5)] = 0.4
    """Share of members unlike the rest at once from which a group is divided and accuses none, in (0, ½]."""


class PeerGroups:
    """Series by kind: 8 bytes a series, and a key for each group.

    A series joins at its first sample. Groups of more than ``most`` members are parted as they join.
    """

    def __init__(self, table: SeriesTable, settings: PeerSettings) -> None:
        self.table, self.settings = table, settings
        self.of = np.full(table.capacity, NONE, np.int32)  # by series
        self.size = np.zeros(0, np.int64)  # by group
        self.keys: list[Key | None] = []  # by group; None: free
        self._open: dict[Key, int] = {}  # the part of a kind that has room
        self._free: list[int] = []
        self._kinds: dict[Source, tuple[str, ...]] = {}
        self._own = frozenset(settings.own_labels)
        self._sorted, self._first = np.zeros(0, np.int32), np.zeros(1, np.int64)
        self._joined: list[int] = []  # since the last sorting
        self._dirty = False

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, series: Int32s) -> Int32s:
        """The group of each series."""
        self.of = grown(self.of, max(self.table.capacity, int(series.max(initial=-1)) + 1), NONE)
        found = self.of.take(series)
        if (found == NONE).any():
            unknown, at = np.unique(series[found == NONE], return_index=True)
            for number in unknown[np.argsort(at)].tolist():  # in the order in which they spoke
                self._join(number)
            found = self.of.take(series)
        return found

    def members(self, groups: Int64s) -> tuple[Int64s, Int64s]:
        """All members of these groups, in no order, and for each the place of its group among them."""
        if self._dirty or len(self._joined) > max(_PENDING, len(self._sorted) // 8):
            self._sort()
        place = np.full(len(self.keys) + 1, NONE, np.int64)
        place[groups] = np.arange(len(groups))
        known = groups < len(self._first) - 1
        first = np.where(known, self._first[np.where(known, groups, 0)], 0)
        count = np.where(known, self._first[np.where(known, groups + 1, 0)], 0) - first
        ids = self._sorted[ranges(first, count)].astype(np.int64)
        row = np.repeat(np.arange(len(groups)), count)
        if self._joined:
            new = np.array(self._joined, np.int64)
            at = place[self.of[new]]
            ids, row = np.append(ids, new[at >= 0]), np.append(row, at[at >= 0])
        return ids, row

    def text(self, group: int) -> str:
        """For people: ``node_load1{cpu="0"} of demo, arm64``."""
        key = self.keys[group]
        if key is None:
            return ""
        kind, name, labels, of, unit = key
        series = Identity(Source((), Resource()), name, labels, Kind(of), unit).text()
        return f"{series} of {', '.join(word for word in kind if word) or 'all'}"

    def forget(self, ids: Int32s) -> Int64s:
        """Let go of series; the groups that are empty now, whose numbers may be given to others."""
        ids = ids[ids < len(self.of)]
        before = self.of[ids]
        ids, before = ids[before >= 0], before[before >= 0]
        if not len(ids):
            return np.zeros(0, np.int64)
        self.of[ids] = NONE
        self._kinds = {}
        self._dirty = True
        np.subtract.at(self.size, before, 1)
        touched = np.unique(before)
        empty = touched[self.size[touched] == 0].astype(np.int64)
        for group in empty.tolist():
            key = self.keys[group]
            self.keys[group] = None
            self._free.append(group)
            if key is not None and self._open.get(key) == group:
                del self._open[key]
        freed: Int64s = empty.astype(np.int64)
        return freed

    def state(self) -> State:
        """The column alone: keys are read again from the table."""
        return {"group": self.of[: len(self.table.identities)].copy()}

    def load(self, of: Int32s) -> None:
        """Take up the column of another run over the same table, group by group; the series must be alive."""
        self.of = grown(self.of, len(of), NONE)
        self.keys = [None] * (int(of.max(initial=NONE)) + 1)
        self.size = np.bincount(of[of >= 0], minlength=len(self.keys)).astype(np.int64)
        live, first = np.unique(of, return_index=True)
        for group, number in zip(live.tolist(), first.tolist(), strict=True):
            if group >= 0:
                self.keys[group] = key = self._key(self.table[number])
                if self.size[group] < self.settings.most:
                    self._open[key] = group
        self._free = [group for group, key in enumerate(self.keys) if key is None]
        self.of[: len(of)] = of
        self._dirty = True

    def _join(self, number: int) -> None:
        key = self._key(self.table[number])
        group = self._open.get(key, NONE)
        if group == NONE or self.size[group] >= self.settings.most:
            group = self._open[key] = self._free.pop() if self._free else len(self.keys)
            self.keys[group : group + 1] = [key]
            self.size = grown(self.size, len(self.keys), 0)
            self.size[group] = 0
        self.of[number] = group
        self.size[group] += 1
        self._joined.append(number)

    def _key(self, identity: Identity) -> Key:
        source = identity.source
        kind = self._kinds.get(source)
        if kind is None:
            kind = self._kinds[source] = kind_of(source, self.settings.by)
        labels = tuple(pair for pair in identity.labels if pair[0] not in self._own)
        return kind, identity.name, labels, int(identity.kind), identity.unit

    def _sort(self) -> None:
        ids = np.flatnonzero(self.of >= 0).astype(np.int32)
        of = self.of[ids]
        self._sorted = ids[np.argsort(of, kind="stable")]
        self._first = np.r_[0, np.cumsum(np.bincount(of, minlength=len(self.keys)))]
        self._joined, self._dirty = [], False


def kind_of(source: Source, by: Sequence[str]) -> tuple[str, ...]:
    """What a source has of each, empty where it has nothing; of one that ends in ``/``, keys with values."""
    place = source.resource._asdict()
    found = {key.removeprefix(_NODE_LABEL): value for key, value in source.attributes}
    return tuple(
        ";".join(f"{key}={value}" for key, value in found.items() if key.startswith(each))
        if each.endswith("/")
        else place.get(each) or found.get(each, "")
        for each in by
    )


def ranges(first: Int64s, count: Int64s) -> Int64s:
    """first₀ … first₀+count₀−1, first₁ …: the indexes of many runs, one after the other."""
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(first - ends + count, count) + np.arange(total)
