"""Who should speak and does not: a node, a zone, all of them, or one exporter of a node that speaks."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from edgeobs.columns import room
from edgeobs.detect.clocks import BEAT, BEATS, HEARD, INTERVAL, LONGEST, STREAK, Clocks
from edgeobs.detect.contract import State
from edgeobs.detect.groups import Groups, Work
from edgeobs.detect.settings import Settings
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Absence, Bools, Heartbeat, HeartState, Int32s, Int64s, Resource, Source

_SCHEMA = 1
_SILENT = "the node sends nothing"
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
        self._places: list[Resource] = []  # by node
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
        states = self._states()
        self._learn_places(len(states))
        rows = self._nodes.rows[: len(states)]
        known = np.flatnonzero(rows[:, BEATS] > 0)
        heard, interval = rows[known][:, [HEARD, INTERVAL]].astype(np.int64).T.tolist()
        places = [self._places[node] for node in known.tolist()]
        spoken = [_STATES[state] for state in states[known].tolist()]
        return list(map(Heartbeat, places, spoken, heard, interval))

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
        self._places, self._zone_of, self._zones = [], np.zeros(0, np.int64), {}

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
        if len(nodes) > room(len(self.table.nodes), 0) or group.ndim != 1 or len(group) > self.table.capacity:
            raise ValueError(f"heartbeats: {len(nodes)} nodes and {len(group)} series are not this table's")
        if clock.shape != (2,) or (len(group) and int(group.max()) >= max(len(exporters), 1)):
            raise ValueError("heartbeats: groups and clocks do not belong together")
        self._nodes.rows = nodes
        before, now = self._groups.load(group)
        self._exporters.rows = np.zeros((len(self._groups.names), width))
        known = before < len(exporters)
        self._exporters.rows[now[known]] = exporters[before[known]]
        self._last_ns, self._running_ns = clock.tolist()

    @property
    def last_ns(self) -> int:
        """Our clock when something was last asked; 0: never."""
        return self._last_ns

    @property
    def running_ns(self) -> int:
        """How long we have looked on, in all runs: our clock without steps, pauses and time we were down."""
        return self._running_ns

    def _advance(self, now_ns: int) -> None:
        gone = now_ns - self._last_ns
        if self._running_ns == 0:
            self._running_ns = SECOND  # 0 is never
        elif 0 < gone <= self.settings.pause_s * SECOND:
            self._running_ns += gone
        self._last_ns = now_ns

    def _states(self) -> Int64s:
        s, rows = self.settings, self._nodes.rows[: len(self.table.nodes)]  # it has room to spare
        quiet = self._running_ns - rows[:, BEAT]
        limit = np.maximum(s.silent_intervals * rows[:, INTERVAL], s.silent_s * SECOND)
        state = np.select([quiet > limit, quiet > _LATE * limit], [SILENT, LATE], ALIVE)
        state = np.where(rows[:, BEATS] < _GROWN_UP, YOUNG, state)
        return np.where((quiet > s.retired_s * SECOND) | (rows[:, BEATS] == 0), RETIRED, state)

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
        for group in self._unreplaced(named[gone]):
            if sizes[group]:
                by_source.setdefault(self._groups.sources[group], []).append(group)
        return [self._exporter(source, groups, sizes) for source, groups in by_source.items()]

    def _unreplaced(self, gone: Int64s) -> list[int]:
        """Those in whose place nobody has begun since: after a rollout another sender does the same work."""
        node, rows = self._groups.nodes(), self._exporters.rows
        overlap = self.settings.rollout_s * SECOND
        here = np.isin(node[: len(rows)], node[gone])
        new = here & (rows[: len(node), STREAK] > rows[gone, BEAT].min() - overlap)
        began = dict[Work, list[int]]()
        for group in np.flatnonzero(new).tolist():
            began.setdefault(self._groups.work(group), []).append(group)

        def replaced(group: int) -> bool:
            last = rows[group, BEAT]
            others = began.get(self._groups.work(group), ())
            return any(rows[each, BEAT] > last and rows[each, STREAK] > last - overlap for each in others)

        return [group for group in gone.tolist() if not replaced(group)]

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
        found = self._zones_absent(zone_of, alive, lost, missing) if lost.any() else []
        nodes = np.flatnonzero(silent & ~lost[zone_of])
        since = self._nodes.rows[nodes, HEARD].astype(np.int64).tolist()
        places = [self._places[node] for node in nodes.tolist()]
        found += [Absence("node", place, at, _SILENT) for place, at in zip(places, since, strict=True)]
        return found

    def _zones_absent(self, zone_of: Int64s, alive: Int64s, lost: Bools, missing: Bools) -> list[Absence]:
        """Dark zones, or the cluster in place of its own when most of them are, or the nameless one."""
        zones = dict[str, list[int]]()
        for (cluster, _), zone in self._zones.items():
            if alive[zone]:
                zones.setdefault(cluster, []).append(zone)
        names = [name for _, name in self._zones]
        members = self._missing_by_zone(zone_of, missing)
        wide, narrow = list[Absence](), list[Absence]()
        for cluster, known in zones.items():
            gone = [zone for zone in known if lost[zone]]
            cut_off = len(gone) >= 2 and 2 * len(gone) > len(known)
            if cut_off or any(not names[zone] for zone in gone):
                nodes = np.concatenate([members[zone] for zone in gone])
                wide.append(self._dark("cluster", Resource(cluster), nodes, int(alive[gone].sum())))
                continue
            for zone in gone:
                place = Resource(cluster, names[zone])
                narrow.append(self._dark("zone", place, members[zone], int(alive[zone])))
        return wide + narrow

    def _missing_by_zone(self, zone_of: Int64s, missing: Bools) -> list[Int64s]:
        nodes = np.flatnonzero(missing)
        nodes = nodes[np.argsort(zone_of[nodes], kind="stable")]
        return np.split(nodes, np.searchsorted(zone_of[nodes], np.arange(1, len(self._zones))))

    def _dark(
        self, scope: Literal["zone", "cluster"], place: Resource, missing: Int64s, alive: int
    ) -> Absence:
        heard = np.sort(self._nodes.rows[missing, HEARD])
        enough = int(np.ceil(self.settings.zone_share * alive))
        since = int(heard[min(max(enough, 2), len(heard)) - 1])  # when enough of them had fallen silent
        return Absence(scope, place, since, f"{len(heard)} of {alive} nodes silent")

    def _zones_of(self, nodes: int) -> Int64s:
        self._learn_places(nodes)
        new = [(place.cluster, place.zone) for place in self._places[len(self._zone_of) : nodes]]
        if new:
            numbers = [self._zones.setdefault(zone, len(self._zones)) for zone in new]
            self._zone_of = np.append(self._zone_of, np.array(numbers, np.int64))
        return self._zone_of[:nodes]

    def _learn_places(self, nodes: int) -> None:
        new = self.table.nodes[len(self._places) : nodes]
        self._places += [source.resource.place() for source in new]
