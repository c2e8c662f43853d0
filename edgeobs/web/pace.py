"""How often something may be asked for."""

import time
from collections.abc import Callable
from math import inf

from fastapi import HTTPException


class Pace:
    """A bound on how often something is done."""

    def __init__(self, burst: int, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._every_s, self._clock, self._free_s = burst, every_s, clock, -inf

    def wait_s(self) -> float:
        """Take a place; 0, or how long until there is one."""
        now = self._clock()
        begun = max(self._free_s, now - self._burst * self._every_s)
        if begun + self._every_s > now:
            return begun + self._every_s - now
        self._free_s = begun + self._every_s
        return 0.0

    def take(self) -> None:
        """Take a place; HTTPException where there is none."""
        if wait_s := self.wait_s():
            raise HTTPException(429, "too many at once", {"Retry-After": str(int(wait_s) + 1)})
