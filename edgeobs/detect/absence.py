"""Who should speak and does not: a node, a zone, all of them, or one exporter of a node that speaks."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from edgeobs.detect.clocks import BEAT, BEATS, HEARD, INTERVAL, LONGEST, STREAK, Clocks
from edgeobs.detect.contract import State
from edgeobs.detect.groups import Groups
from edgeobs.detect.settings import Settings
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Absence, Bools, Heartbeat, HeartState, Int32s, Int64s, Resource, Source

_SCHEMA = 1
_LATE = 0.4  # of the time after which something is silent
_GROWN_UP = 3  # beats after which a node's silence means something
_EXPORTER_GROWN_UP = 10  # an exporter's: counters that only speak when they change are no heartbeat
YOUNG, ALIVE, LATE, SILENT, RETIRED = range(5)
_STATES: tuple[HeartState, ...] = ("young", "alive", "late", "silent", "retired")


class Heartbeats:
    """Arrivals on our own clock; what senders say of the time plays no part.

    Whenever nothing was asked of it for longer than ``pause_s`` (we were suspended, restarted, or busy with
    one thing), that time counts for nobody: call `heard` or `absences` at least every second or so.
    """

    def __init__(self, table: SeriesTable, settings: Settings) -> None:
        self.table, self.settings = table, settings
        self._nodes, self._exporters = Clocks(), Clocks()
        self._groups = Groups(table)
        self._last_ns, self._running_ns = 0, 0
        self._zone_of = np.zeros(0, np.int64)  # by node
        self._zones: dict[tuple[str, str], int] = {}

    def heard(self, series: Int32s, now_ns: int) -> None:
        """Points of these series have arrived, whatever their values."""
        self._advance(now_ns)
        if not len(series):
            return
        groups = self._groups.find(series)
        spoke = np.zeros(len(self._groups.names), np.bool_)
        spoke[groups] = True
        found = np.flatnonzero(spoke)
        self._exporters.hear(found, now_ns, self._running_ns)
        nodes = np.unique(self._groups.nodes()[found]).astype(np.int64)
        self._nodes.hear(nodes[nodes >= 0], now_ns, self._running_ns)

    def beats(self, now_ns: int) -> list[Heartbeat]:
        """One a node, in order of their ids."""
        self._advance(now_ns)
        rows, states = self._nodes.rows, self._states()
        return [
            Heartbeat(self._place(node), _STATES[state], int(rows[node, HEARD]), int(rows[node, INTERVAL]))
            for node, state in enumerate(states.tolist())
            if rows[node, BEATS] > 0
        ]

    def absences(self, now_ns: int) -> list[Absence]:
        """All that hold now.

        A dark zone stands for its nodes, dark zones for the cluster (it is we who are cut off), a node for
        its exporters.
        """
        self._advance(now_ns)
        states = self._states()
        found = self._exporters_absent(states)
        if (states == SILENT).any():
            found = self._nodes_absent(states) + found
        return found

    def forget(self, ids: Int32s) -> None:
        """Series that are retired: no exporter is missed for want of them."""
        kept = self._groups.forget(ids)
        if kept is not None:
            self._exporters.rows = self._exporters.rows[kept[kept < len(self._exporters.rows)]]

    def forget_nodes(self, nodes: Sequence[int]) -> None:
        """Nodes that are retired, and whose ids may be given to others."""
        self._nodes.rows[list(nodes)] = 0.0
        self._zone_of = np.zeros(0, np.int32)
        self._zones = {}

    def state(self) -> State:
        """A copy of all that was learned, and when."""
        return {
            "schema": np.array([_SCHEMA]),
            "nodes": self._nodes.rows.copy(),
            "exporters": self._exporters.rows.copy(),
            "group": self._groups.of[: len(self.table.identities)].copy(),
            "clock": np.array([self._last_ns, self._running_ns]),
        }

    def restore(self, state: State) -> None:
        """Take up a `state`, after the table was; the time in which we were down counts for nobody.

        ValueError with the reason, and nothing changed, when it does not fit.
        """
        fresh = Heartbeats(self.table, self.settings)
        fresh._load(state)
        self.__dict__.update(fresh.__dict__)

    def _load(self, state: State) -> None:
        try:
            if state["schema"].tolist() != [_SCHEMA]:
                raise ValueError(f"heartbeats: schema {state['schema'].tolist()}, expected [{_SCHEMA}]")
            nodes, exporters = state["nodes"].astype(np.float64), state["exporters"].astype(np.float64)
            group = state["group"].astype(np.int32, casting="same_kind")
            clock = state["clock"].astype(np.int64, casting="same_kind")
        except (KeyError, TypeError) as wrong:
            raise ValueError(f"heartbeats: missing or of another type: {wrong}") from wrong
        width = self._nodes.rows.shape[1]
        for name, rows in (("nodes", nodes), ("exporters", exporters)):
            if rows.ndim != 2 or rows.shape[1] != width or not np.isfinite(rows).all():
                raise ValueError(f"heartbeats: {name} {rows.shape}, expected finite rows of {width}")
        if len(nodes) > 2 * len(self.table.nodes) + 1 or group.ndim != 1 or len(group) > self.table.capacity:
            raise ValueError(f"heartbeats: {len(nodes)} nodes and {len(group)} series are not this table's")
        if clock.shape != (2,) or (len(group) and int(group.max()) >= max(len(exporters), 1)):
            raise ValueError("heartbeats: groups and clocks do not belong together")
        self._nodes.rows = nodes
        before, now = self._groups.load(group)
        self._exporters.rows = np.zeros((len(self._groups.names), width))
        known = before < len(exporters)
        self._exporters.rows[now[known]] = exporters[before[known]]
        self._last_ns, self._running_ns = clock.tolist()

    def _advance(self, now_ns: int) -> None:
        gone = now_ns - self._last_ns
        if self._running_ns == 0:
            self._running_ns = SECOND  # 0 is never
        elif 0 < gone <= self.settings.pause_s * SECOND:
            self._running_ns += gone
        self._last_ns = now_ns

    def _states(self) -> Int64s:
        s, rows = self.settings, self._nodes.rows[: len(self.table.nodes)]  # it grows by doubling
        quiet = self._running_ns - rows[:, BEAT]
        limit = np.maximum(s.silent_intervals * rows[:, INTERVAL], s.silent_s * SECOND)
        state = np.select([quiet > limit, quiet > _LATE * limit], [SILENT, LATE], ALIVE)
        state = np.where(rows[:, BEATS] < _GROWN_UP, YOUNG, state)
        return np.where((quiet > s.retired_s * SECOND) | (rows[:, BEATS] == 0), RETIRED, state)

    def _place(self, node: int) -> Resource:
        return self.table.nodes[node].resource.place()

    def _exporters_absent(self, states: Int64s) -> list[Absence]:
        """By source, so that a program that stopped is one absence however much it exported."""
        s, node = self.settings, self._groups.nodes()
        rows, node = self._exporters.rows[: len(node)], node[: len(self._exporters.rows)]
        named = np.flatnonzero((node >= 0) & (rows[:, BEATS] >= _EXPORTER_GROWN_UP))
        speaks = self._nodes.rows[node[named]]
        # What a node's own silence took with it is given as long again once the node is back.
        quiet = self._running_ns - np.maximum(rows[named, BEAT], speaks[:, STREAK])
        limit = np.maximum(s.silent_intervals * rows[named, INTERVAL], 2 * rows[named, LONGEST])
        limit = np.maximum(limit, s.exporter_silent_s * SECOND)
        gone = (quiet > limit) & (quiet < s.retired_s * SECOND) & (states[node[named]] == ALIVE)
        if not gone.any():
            return []
        sizes, by_source = self._groups.sizes(), dict[Source, list[int]]()
        for group in named[gone].tolist():
            if sizes[group]:
                by_source.setdefault(self._groups.sources[group], []).append(group)
        return [self._exporter(source, groups, sizes) for source, groups in by_source.items()]

    def _exporter(self, source: Source, groups: list[int], sizes: Int64s) -> Absence:
        since = int(self._exporters.rows[groups, HEARD].max())
        names = [self._groups.names[group] for group in groups]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        series = int(sizes[groups].sum())
        text = f"{', '.join(names[:3])}{more} ({series} series) of a node that otherwise speaks"
        return Absence("exporter", source.resource.place(), since, text)

    def _nodes_absent(self, states: Int64s) -> list[Absence]:
        live, silent = (states >= ALIVE) & (states <= SILENT), states == SILENT
        missing = live & (states >= LATE)
        zone_of = self._zones_of(len(states))
        count = len(self._zones)
        alive, dark = (np.bincount(zone_of[which], minlength=count) for which in (live, missing))
        need = np.maximum(2, np.ceil(self.settings.zone_share * alive))
        # The first of a zone to be silent for long enough finds the others late already: they go together.
        lost = (dark >= need) & (np.bincount(zone_of[silent], minlength=count) > 0)
        found, cut_off = [], set[str]()
        clusters = {cluster for cluster, _ in self._zones}
        for cluster in sorted(clusters):
            zones = [z for (c, _), z in self._zones.items() if c == cluster and alive[z]]
            gone = [z for z in zones if lost[z]]
            nameless = self._zones.get((cluster, ""), -1)
            if (len(gone) >= 2 and 2 * len(gone) > len(zones)) or nameless in gone:
                cut_off.add(cluster)
                which = np.isin(zone_of, gone)
                found.append(self._dark("cluster", Resource(cluster), which & live, which & missing))
        for (cluster, zone), z in self._zones.items():
            if lost[z] and cluster not in cut_off:
                which = zone_of == z
                found.append(self._dark("zone", Resource(cluster, zone), which & live, which & missing))
        for node in np.flatnonzero(silent & ~lost[zone_of]).tolist():
            heard = int(self._nodes.rows[node, HEARD])
            found.append(Absence("node", self._place(node), heard, "the node sends nothing"))
        return found

    def _dark(
        self, scope: Literal["zone", "cluster"], place: Resource, live: Bools, missing: Bools
    ) -> Absence:
        heard = np.sort(self._nodes.rows[np.flatnonzero(missing), HEARD])
        enough = int(np.ceil(self.settings.zone_share * np.count_nonzero(live)))
        since = int(heard[min(max(enough, 2), len(heard)) - 1])  # when enough of them had fallen silent
        text = f"{len(heard)} of {np.count_nonzero(live)} nodes silent"
        return Absence(scope, place, since, text)

    def _zones_of(self, nodes: int) -> Int64s:
        for node in range(len(self._zone_of), nodes):
            place = self._place(node)
            self._zones.setdefault((place.cluster, place.zone), len(self._zones))
            self._zone_of = np.append(self._zone_of, self._zones[place.cluster, place.zone])
        return self._zone_of[:nodes]
