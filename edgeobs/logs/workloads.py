"""Whose lines are whose: a miner for each workload, and what is known of it as a whole."""

from collections.abc import Callable, Iterable

import numpy as np

from edgeobs.columns import grown
from edgeobs.logs.book import Book
from edgeobs.logs.mask import Words
from edgeobs.logs.miner import Miner
from edgeobs.logs.settings import Settings
from edgeobs.logs.words import Levels
from edgeobs.signals import Int64s, Principal, Source

NOBODY = -1

Key = tuple[str, str, str]
"""Principal's name, namespace, and the workload, service or node: no sender speaks in another's workload."""

_IDLE_TICKS = 360


def key_of(principal: Principal, source: Source) -> Key:
    """A workload on all its nodes and pods; what has none is its service, or else its node."""
    place = source.resource
    return principal.name, place.namespace, place.workload or source.service() or f"node {place.node}"


class Workloads:
    """Miners by number. Bounded by ``settings.workloads``: past it the one longest unheard, if for an hour of
    intervals, makes room.

    Columns by number: ``heard`` (tick of the last line), ``clock`` (ticks in which it could have been
    heard), ``spoken`` (ticks in which it was), ``lines`` that were mined in this tick, and ``sampled``,
    ``source`` of the last line.

    Parameters
    ----------
    forgotten, left
        Called with numbers of templates, of a workload, that will be given to others.

    """

    def __init__(
        self, settings: Settings, forgotten: Callable[[list[int]], None], left: Callable[[int], None]
    ) -> None:
        self.settings, self.book = settings, Book(settings.templates)
        self.numbers: dict[Key, int] = {}
        self.miners: dict[int, Miner] = {}
        self.source: dict[int, Source] = {}
        self.heard = np.zeros(0, np.int64)
        self.clock = np.zeros(0, np.int64)
        self.spoken = np.zeros(0, np.int64)
        self.lines = np.zeros(0, np.int64)
        self.sampled = np.zeros(0, np.int64)
        self.evicted = 0  # templates, since start
        self._words, self._levels = Words(), Levels()
        self._forgotten, self._left = forgotten, left
        self._free: list[int] = []
        self._given = 0

    def number(self, key: Key, tick: int) -> int:
        """The workload's number; `NOBODY` where there is no room for another."""
        known = self.numbers.get(key)
        if known is not None:
            return known
        if len(self.numbers) >= self.settings.workloads and not self._make_room(tick):
            return NOBODY
        return self.add(key, tick)

    def add(self, key: Key, tick: int) -> int:
        """A new workload, without asking whether there is room."""
        if not self._free:
            self._free.append(self._given)
            self._given += 1
        number = self._free.pop()
        for name in ("heard", "clock", "spoken", "lines", "sampled"):
            setattr(self, name, grown(getattr(self, name), number + 1, 0))
            getattr(self, name)[number] = 0
        self.heard[number] = tick - 1  # until it is
        self.numbers[key] = number
        self.miners[number] = Miner(
            number, self.book, self._words, self._levels, self.settings, self.drop_templates
        )
        return number

    def drop_templates(self, numbers: list[int]) -> None:
        """Forget templates everywhere."""
        self.evicted += len(numbers)
        self._forgotten(numbers)
        owners = self.book.owner[numbers]
        for owner in set(owners.tolist()):
            self.miners[owner].drop([n for n, whose in zip(numbers, owners, strict=True) if whose == owner])
        self.book.drop(numbers)

    def drop(self, keys: Iterable[Key]) -> None:
        """Forget workloads."""
        for key in list(keys):
            number = self.numbers[key]
            self.drop_templates(self.book.of(number).tolist())
            self._left(number)
            del self.numbers[key], self.miners[number]
            self.source.pop(number, None)
            self._free.append(number)

    def uncache(self) -> None:
        """Forget the lines whose template is remembered, where they are too many of all workloads."""
        if sum(len(miner.cache) for miner in self.miners.values()) > self.settings.cached_lines:
            for miner in self.miners.values():
                miner.cache.clear()

    def renew(self) -> None:
        """A new interval: everyone's share of the work is whole again."""
        self.lines[:] = self.sampled[:] = 0
        for number, miner in self.miners.items():
            young = self.spoken[number] < 10
            miner.renew(self.settings.workload_templates if young else self.settings.births)

    def owners(self) -> Int64s:
        """Numbers of those that are known."""
        return np.array(sorted(self.miners), np.int64)

    def _make_room(self, tick: int) -> bool:
        oldest = min(self.numbers, key=lambda key: self.heard[self.numbers[key]])
        if tick - self.heard[self.numbers[oldest]] < _IDLE_TICKS:
            return False
        self.drop([oldest])
        return True
