"""Dense numbers for what is measured: sources, operations and edges, each bounded, forgotten when silent."""

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

import numpy as np

from edgeobs.columns import grown
from edgeobs.signals import Int32s, Int64s

K = TypeVar("K", bound=Hashable)

FULL = -1


class Register(Generic[K]):
    """Numbers by key.

    Parameters
    ----------
    limit
        Numbers in all.
    share
        Numbers of one owner.

    """

    def __init__(self, limit: int, share: int) -> None:
        self.limit, self.share = limit, share
        self.keys: list[K | None] = []
        self.owner: list[int] = []
        self.heard_ns: Int64s = np.zeros(0, np.int64)  # arrival of the last span, our clock
        self.first_ns: Int64s = np.zeros(0, np.int64)
        self._numbers: dict[K, int] = {}
        self._free: list[int] = []
        self._owned: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> K:
        key = self.keys[number]
        if key is None:
            raise KeyError(number)
        return key

    def number(self, key: K, owner: int, now_ns: int, other: K | None) -> tuple[int, bool]:
        """The number of a key, and whether it stands for ``other`` because its owner has too many.

        `FULL` where there is no room for either.
        """
        known = self._numbers.get(key)
        if known is not None:
            return known, False
        if len(self) >= self.limit:
            return FULL, False
        if other is None or self._owned[owner] < self.share:
            return self._add(key, owner, now_ns), False
        return self.number(other, owner, now_ns, None)[0], True

    def own(self, number: int, owner: int) -> None:
        """It is this one's from now on."""
        self._owned[self.owner[number]] -= 1
        self._owned[owner] += 1
        self.owner[number] = owner

    def heard(self, numbers: Int32s, now_ns: int) -> None:
        """They were spoken of."""
        self.heard_ns[numbers] = now_ns

    def forget(self, numbers: Iterable[int]) -> None:
        """Their numbers may be given to others from now on."""
        for number in numbers:
            key = self[number]
            del self._numbers[key]
            self.keys[number] = None
            self._owned[self.owner[number]] -= 1
            self._free.append(number)

    def silent(self, since_ns: int) -> list[int]:
        """Those not heard since then."""
        old = np.flatnonzero(self.heard_ns[: len(self.keys)] < since_ns).tolist()
        return [number for number in old if self.keys[number] is not None]

    def load(self, keys: Iterable[K | None], owner: list[int], heard_ns: Int64s, first_ns: Int64s) -> None:
        """Take up what another register held, numbers and all."""
        for number, key in enumerate(keys):
            self.keys.append(key)
            if key is None:
                self._free.append(number)
            else:
                self._numbers[key] = number
                self._owned[owner[number]] += 1
        self.owner = list(owner)
        self.heard_ns, self.first_ns = heard_ns.copy(), first_ns.copy()

    def _add(self, key: K, owner: int, now_ns: int) -> int:
        number = self._free.pop() if self._free else len(self.keys)
        self.keys[number : number + 1] = [key]
        self.owner[number : number + 1] = [owner]
        self.heard_ns = grown(self.heard_ns, number + 1, 0)
        self.first_ns = grown(self.first_ns, number + 1, 0)
        self.heard_ns[number] = self.first_ns[number] = now_ns
        self._numbers[key] = number
        self._owned[owner] += 1
        return number
