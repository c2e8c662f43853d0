"""Who is who: dense integer ids for series and nodes, bounded, with idle expiry."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from edgeobs.index import Index
from edgeobs.signals import Bools, Identity, Int32s, Int64s, Kind, Labels, Resource, Source

_START = 1024
_NOWHERE = Source((), Resource())  # in the place of a node that was forgotten


class TableState(NamedTuple):
    """A copy of a table, cheap to take: identities are immutable and shared."""

    identities: list[Identity | None]  # by series id; None where the id is free
    owner: Int32s
    seen_ns: Int64s
    nodes: list[Source]  # by node id


class SeriesTable:
    """Series and node identities by id.

    An id is an index into every per-series state array of the pipeline; ids of expired series are used again,
    so whoever holds state by id resets it for what `expire` returns. Columns grow by an eighth when they are
    full: size state arrays by ``capacity``.

    Parameters
    ----------
    limit
        How many series may live at once, ≥ 1.
    max_nodes
        How many nodes may be known at once; None: as many as series.

    """

    def __init__(self, limit: int, max_nodes: int | None = None) -> None:
        self.limit = limit
        self.max_nodes = limit if max_nodes is None else max_nodes
        self.capacity = min(_START, limit)
        self.epoch = 0  # rises when ids were freed: anything keyed by bytes or labels must look again
        self.kind = np.zeros(self.capacity, np.int8)
        self.node = np.full(self.capacity, -1, np.int32)
        self.owner = np.full(self.capacity, -1, np.int32)
        self.born = np.zeros(self.capacity, np.int32)  # the epoch in which the id was given
        self.seen_ns = np.zeros(self.capacity, np.int64)  # last arrival, our clock
        self.identities: list[Identity | None] = []
        self.owned: Counter[int] = Counter()  # principal id → live series
        self.nodes: list[Source] = []  # by node id: the source that introduced the node
        self.by_place: dict[Resource, int] = {}
        self._index = Index()
        self._free: list[int] = []
        self._free_nodes: list[int] = []
        self._sources: dict[Source, Source] = {}
        self._labels: dict[Labels, Labels] = {}
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}
        self._words: dict[str, str] = {}  # names and units

    def __len__(self) -> int:
        return len(self.identities) - len(self._free)

    def find(self, identity: Identity) -> int | None:
        """The id of a series that is known."""
        for number in self._index.find(hash(identity)):
            if self.identities[number] == identity:
                return number
        return None

    def ids(self) -> dict[Identity, int]:
        """All that are known; made for this call."""
        return {identity: number for number, identity in enumerate(self.identities) if identity is not None}

    def source(self, attributes: Labels, resource: Resource) -> Source:
        """The one Source object of these attributes, so that its memory is shared by its series."""
        source = Source(attributes, resource)
        return self._sources.setdefault(source, source)

    def intern(self, identity: Identity, owner: int, now_ns: int) -> int | None:
        """The id of a series, new or known; None when it is new and the table, or that of nodes, is full."""
        known = self.find(identity)
        if known is not None:
            return known
        if len(self) >= self.limit or not self._has_room_for(identity.source.resource.place()):
            return None
        number = self._free.pop() if self._free else self._append()
        self._place(number, identity, owner, now_ns)
        return number

    def derive(self, parent: int, stat: str, kind: Kind, unit: str, now_ns: int) -> int | None:
        """The id of what `features` computes from a series, ``parent:stat``; None when the table is full."""
        identity = self[parent]
        derived = identity._replace(name=f"{identity.name}:{stat}", kind=kind, unit=unit)
        return self.intern(derived, int(self.owner[parent]), now_ns)

    def __getitem__(self, number: int) -> Identity:
        """The identity of a live id; KeyError for any other."""
        identity = self.identities[number] if 0 <= number < len(self.identities) else None
        if identity is None:
            raise KeyError(number)
        return identity

    def node_of(self, source: Source) -> int:
        """The id of the node a source sits on; −1 when its resource names none."""
        place = source.resource.place()
        if not place.node:
            return -1
        known = self.by_place.get(place)
        if known is None:
            known = self.by_place[place] = self._free_nodes.pop() if self._free_nodes else len(self.nodes)
            self.nodes[known : known + 1] = [source]
        return known

    def drop_nodes(self, numbers: Iterable[int]) -> None:
        """Forget nodes that no live series names; their ids may be used again at once."""
        for number in numbers:
            del self.by_place[self.nodes[number].resource.place()]
            self.nodes[number] = _NOWHERE
            self._free_nodes.append(number)

    def expire(self, before_ns: int) -> Int32s:
        """Forget the series not heard since ``before_ns``; their ids, returned, may be used again at once."""
        old = np.flatnonzero((self.seen_ns[: len(self.identities)] < before_ns) & self._alive())
        self.drop(old.tolist())
        return old.astype(np.int32)

    def drop(self, numbers: Iterable[int]) -> None:
        """Forget series by id; ids that are not alive are ignored."""
        dropped = False
        for number in numbers:
            identity = self.identities[number]
            if identity is None:
                continue
            self._index.remove(hash(identity), number)
            self.identities[number] = None
            self.owned[int(self.owner[number])] -= 1
            self.node[number] = self.owner[number] = -1
            self._free.append(number)
            dropped = True
        if dropped:
            self.epoch += 1
            self._share_again()

    def state(self) -> TableState:
        """What `restore` takes."""
        used = len(self.identities)
        return TableState(
            list(self.identities), self.owner[:used].copy(), self.seen_ns[:used].copy(), list(self.nodes)
        )

    def restore(self, state: TableState, owners: Sequence[int]) -> None:
        """Fill an empty table, keeping every id; ``owners`` maps a stored principal id to today's.

        Raises ValueError when the table is not empty or too small; it is then unchanged.
        """
        if self.identities:
            raise ValueError("only an empty table can be restored")
        if len(state.identities) > self.limit:
            raise ValueError(f"{len(state.identities)} series in the snapshot, the limit is {self.limit}")
        for number, source in enumerate(state.nodes):
            self.nodes.append(source)
            if source == _NOWHERE:
                self._free_nodes.append(number)
            else:
                self.by_place[source.resource.place()] = number
        for number, identity in enumerate(state.identities):
            self._append()
            if identity is None:
                self._free.append(number)
            else:
                self._place(number, identity, owners[state.owner[number]], int(state.seen_ns[number]))

    def _place(self, number: int, identity: Identity, owner: int, now_ns: int) -> None:
        identity = identity._replace(
            source=self.source(*identity.source),
            name=self._words.setdefault(identity.name, identity.name),
            labels=self._shared(identity.labels),
            unit=self._words.setdefault(identity.unit, identity.unit),
        )
        self._index.add(hash(identity), number)
        self.identities[number] = identity
        self.kind[number] = identity.kind
        self.node[number] = self.node_of(identity.source)
        self.owner[number] = owner
        self.born[number] = self.epoch
        self.seen_ns[number] = now_ns
        self.owned[owner] += 1

    def _shared(self, labels: Labels) -> Labels:
        """The one tuple of these labels: many metrics, and the same metric of many nodes, have them."""
        known = self._labels.get(labels)
        if known is None:
            known = tuple(self._pairs.setdefault(pair, pair) for pair in labels)
            self._labels[known] = known
        return known

    def _has_room_for(self, place: Resource) -> bool:
        return not place.node or place in self.by_place or len(self.by_place) < self.max_nodes

    def _alive(self) -> Bools:
        return self.owner[: len(self.identities)] >= 0

    def _append(self) -> int:
        number = len(self.identities)
        if number == self.capacity:
            self.capacity = min(self.capacity + self.capacity // 8 + 64, self.limit)
            more = self.capacity - number
            self.kind = np.concatenate([self.kind, np.zeros(more, np.int8)])
            self.node = np.concatenate([self.node, np.full(more, -1, np.int32)])
            self.owner = np.concatenate([self.owner, np.full(more, -1, np.int32)])
            self.born = np.concatenate([self.born, np.zeros(more, np.int32)])
            self.seen_ns = np.concatenate([self.seen_ns, np.zeros(more, np.int64)])
        self.identities.append(None)
        return number

    def _share_again(self) -> None:
        """Let go of sources, labels and words that no live series uses."""
        live = [identity for identity in self.identities if identity is not None]
        self._sources = {i.source: i.source for i in live}
        self._labels = {i.labels: i.labels for i in live}
        self._pairs = {pair: pair for labels in self._labels for pair in labels}
        self._words = {word: word for i in live for word in (i.name, i.unit)}
