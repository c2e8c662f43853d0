"""Which series come from which exporter of which node."""

from typing import NamedTuple

import numpy as np

from edgeobs.columns import grown
from edgeobs.series import SeriesTable
from edgeobs.signals import Identity, Int32s, Int64s, Source

_NONE = -1
_SCOPE = "otel_scope_name"


def exporter_of(identity: Identity) -> str:
    """The part of a sender that a series comes from: its instrumentation scope, and the family of its name.

    ``node_hwmon_temp_celsius`` is of ``node_hwmon``: exporters fail by collector, and a collector's metrics
    share the first two words of their names.
    """
    family = "_".join(identity.name.split(":", 1)[0].split("_", 2)[:2])
    scope = dict(identity.labels).get(_SCOPE, "")
    return f"{scope} {family}".strip()


class Work(NamedTuple):
    """What an exporter does and where, whichever pod or version of it."""

    node: int
    namespace: str
    workload: str
    service: str
    exporter: str


class Groups:
    """Series by (source, exporter): 4 bytes a series, and a little for each group."""

    def __init__(self, table: SeriesTable) -> None:
        self.table = table
        self.of = np.full(table.capacity, _NONE, np.int32)  # by series
        self.names: list[str] = []  # by group
        self.sources: list[Source] = []
        self._by_key: dict[tuple[Source, str], int] = {}
        self._nodes: list[int] = []
        self._node_column = np.zeros(0, np.int32)

    def find(self, series: Int32s) -> Int32s:
        """The group of each series."""
        self.of = grown(self.of, self.table.capacity, _NONE)
        found = self.of.take(series)
        if (found == _NONE).any():
            for number in np.unique(series[found == _NONE]).tolist():
                self._join(number)
            found = self.of.take(series)
        return found

    def nodes(self) -> Int32s:
        """The node of each group, −1 unknown."""
        if len(self._node_column) != len(self._nodes):
            self._node_column = np.array(self._nodes, np.int32)
        return self._node_column

    def work(self, group: int) -> Work:
        """What a group does: the same for all that take each other's place."""
        source = self.sources[group]
        place, service = source.resource, dict(source.attributes).get("service.name", "")
        return Work(self._nodes[group], place.namespace, place.workload, service, self.names[group])

    def sizes(self) -> Int64s:
        """How many series are in each group."""
        return np.bincount(self.of[self.of >= 0], minlength=len(self.names)).astype(np.int64)

    def forget(self, ids: Int32s) -> Int64s | None:
        """Let go of series. When that leaves many groups empty, the others close ranks: their old numbers."""
        self.of[ids[ids < len(self.of)]] = _NONE
        kept = np.flatnonzero(self.sizes())
        if 2 * len(kept) + 64 > len(self.names):
            return None
        number = np.full(len(self.names) + 1, _NONE, np.int32)  # its last stays −1, which is where −1 looks
        number[kept] = np.arange(len(kept))
        self.of = number[self.of]
        self._by_key = {key: int(number[g]) for key, g in self._by_key.items() if number[g] >= 0}
        self.names = [self.names[g] for g in kept.tolist()]
        self.sources = [self.sources[g] for g in kept.tolist()]
        self._nodes = [self._nodes[g] for g in kept.tolist()]
        self._node_column = np.array(self._nodes, np.int32)
        return kept

    def load(self, of: Int32s) -> tuple[Int64s, Int64s]:
        """Take up the column of another run over the same table: its groups' numbers, and ours."""
        self.of = grown(self.of, len(of), _NONE)
        live = np.flatnonzero((of >= 0) & (self.table.owner[: len(of)] >= 0))
        before, first, which = np.unique(of[live], return_index=True, return_inverse=True)
        for number in live[first].tolist():
            self._join(number)
        now = self.of[live[first]].astype(np.int64)
        self.of[live] = now[which]
        return before.astype(np.int64), now

    def _join(self, number: int) -> None:
        identity = self.table[number]
        name = exporter_of(identity)
        group = self._by_key.setdefault((identity.source, name), len(self.names))
        if group == len(self.names):
            self.names.append(name)
            self.sources.append(identity.source)
            self._nodes.append(int(self.table.node[number]))
        self.of[number] = group
