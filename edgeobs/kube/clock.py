"""The clock that ages are measured on, and whether this process has been running all along."""

import asyncio
import time
from collections.abc import Callable

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BEAT_S, _STILL_NS = 1.0, 5_000_000_000


def boot_ns() -> int:
    """Nanoseconds since the machine started; never goes back, and goes on while the machine sleeps."""
    return time.clock_gettime_ns(_CLOCK)


class Pulse:
    """Notices that an event loop stood still for 5 s: suspended, stopped, starved.

    What is read from a socket after that may have waited there all the time, so it says nothing about now.
    """

    def __init__(self, clock: Callable[[], int] = boot_ns) -> None:
        self._clock, self._beat_ns, self._gaps = clock, clock(), 0

    @property
    def gaps(self) -> int:
        """How often it did so far, this moment included."""
        return self._gaps + (self._clock() - self._beat_ns > _STILL_NS)

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._gaps, self._beat_ns = self.gaps, self._clock()
            await asyncio.sleep(_BEAT_S)
