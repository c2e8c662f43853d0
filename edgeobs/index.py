"""Numbers found again by the hash of what they stand for, in 12 to 16 bytes each."""

from array import array
from collections.abc import Iterator

import numpy as np

_LOW = 0xFFFF_FFFF
_GONE = _LOW  # in the place of a number that was removed
_START = 64


class Index:
    """Open addressing with linear probing; 32 bits of each hash, and a number in [0, 2³² − 2), are kept.

    Different things may have one hash: whoever asks compares. A dictionary would hold its keys, and an object
    for each number, in six times the memory.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _START))  # hash << 32 | number + 1; 0 is free
        self._used = 0  # slots that are not free

    def find(self, hash_: int) -> Iterator[int]:
        """The numbers that may be meant."""
        slots, size, low = self._slots, len(self._slots), hash_ & _LOW
        at = low % size
        while slot := slots[at]:
            if slot >> 32 == low and slot & _LOW != _GONE:
                yield (slot & _LOW) - 1
            at = at + 1 if at + 1 < size else 0

    def add(self, hash_: int, number: int) -> None:
        """Let a number be found."""
        if 3 * (self._used + 1) > 2 * len(self._slots):
            self._spread()
        self._put((hash_ & _LOW) << 32 | number + 1)

    def remove(self, hash_: int, number: int) -> None:
        """Let it not be found any more; KeyError when it was not there."""
        slots, size, low = self._slots, len(self._slots), hash_ & _LOW
        wanted, at = low << 32 | number + 1, low % size
        while slot := slots[at]:
            if slot == wanted:
                slots[at] = slot | _GONE
                return
            at = at + 1 if at + 1 < size else 0
        raise KeyError(number)

    def _put(self, slot: int) -> None:
        slots, size = self._slots, len(self._slots)
        at = (slot >> 32) % size
        while slots[at]:
            at = at + 1 if at + 1 < size else 0
        slots[at] = slot
        self._used += 1

    def _spread(self) -> None:
        """Into twice as many slots as there are numbers, in order of where they belong."""
        old = np.frombuffer(self._slots, np.uint64)
        live = old[(old != 0) & (old & np.uint64(_LOW) != _GONE)]
        size = max(2 * len(live), _START)
        home = (live >> np.uint64(32)).astype(np.int64) % size
        order = np.argsort(home)
        place = np.maximum.accumulate(home[order] - np.arange(len(live))) + np.arange(len(live))
        inside, made = place < size, np.zeros(size, np.uint64)
        made[place[inside]] = live[order[inside]]
        self._slots, self._used = array("Q", made.tobytes()), int(inside.sum())
        for slot in live[order[~inside]].tolist():  # past the end, where it goes on at the beginning
            self._put(slot)
