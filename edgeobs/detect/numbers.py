"""Small whole numbers in place of things that columns cannot hold."""

from typing import Generic, TypeVar

import numpy as np

from edgeobs.signals import Bools, Int32s

_T = TypeVar("_T")


class Numbers(Generic[_T]):
    """Small whole numbers for things, given again when few are in use."""

    def __init__(self) -> None:
        self.items: list[_T] = []
        self.by_item: dict[_T, int] = {}

    def of(self, item: _T) -> int:
        """The number of a thing; a new one when it has none."""
        number = self.by_item.setdefault(item, len(self.items))
        if number == len(self.items):
            self.items.append(item)
        return number

    def kept(self, column: Int32s, live: Bools) -> Int32s:
        """The column after those that no live row has were let go; what it says of rows that are not is 0."""
        used = np.union1d(column[live], [0]).astype(np.int64)
        if 2 * len(used) + 64 > len(self.items):
            return column
        again = np.zeros(len(self.items), np.int32)
        again[used] = np.arange(len(used))
        self.items = [self.items[number] for number in used.tolist()]
        self.by_item = {item: number for number, item in enumerate(self.items)}
        return np.where(live, again[column], 0).astype(np.int32)
