"""Work that is waited for no longer than it may take, in threads, since a read that hangs cannot be ended.

The kernel answers some reads late or never: a filesystem whose server is gone, a driver whose device is. The
thread that reads such a thing is left behind with it, and the next work gets a new thread. So what hangs
costs one thread for as long as it hangs, and delays the others once, by its deadline.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


class LateError(Exception):
    """It took longer than it may."""


class Job(Generic[T_co]):
    """One piece of work, handed to a thread.

    ``began_s`` and ``ended_s`` (monotonic seconds) tell how long it took; ``ended_s`` is 0 before its end.
    """

    def __init__(self, work: Callable[[], T_co]) -> None:
        self.work = work
        self.began_s, self.ended_s = time.monotonic(), 0.0
        self._done = threading.Event()
        self._result: list[T_co] = []
        self._error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether it ended, well or not."""
        return self._done.is_set()

    def wait(self, within_s: float) -> bool:
        """Whether it ends by then."""
        return self._done.wait(within_s)

    def result(self) -> T_co:
        """What it returned, or raised; LateError before its end."""
        if self._error is not None:
            raise self._error
        if not self._result:
            raise LateError
        return self._result[0]

    def run(self) -> None:
        """Do it, here and now."""
        try:
            self._result.append(self.work())
        except Exception as error:  # noqa: BLE001  raised again where the result is asked for
            self._error = error
        self.ended_s = time.monotonic()
        self._done.set()


class Lane:
    """A thread that does one job after another, until one hangs: then that thread is left to it.

    Parameters
    ----------
    name
        Of its threads.

    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._jobs: queue.SimpleQueue[Job[object] | None] | None = None

    def begin(self, work: Callable[[], T_co]) -> Job[T_co]:
        """Hand over a job; it is done after those before it."""
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            threading.Thread(target=_serve, args=(self._jobs,), name=self.name, daemon=True).start()
        job = Job(work)
        self._jobs.put(job)
        return job

    def leave(self) -> None:
        """Leave the thread to what it is doing; it ends when that does. The next job gets another."""
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None


class Timely:
    """Named pieces of work, of which none is begun again while it still hangs.

    Parameters
    ----------
    lane
        Where they are done.
    within_s
        Seconds that each may take.

    """

    def __init__(self, lane: Lane, within_s: float) -> None:
        self.lane, self.within_s = lane, within_s
        self.hanging: dict[str, Job[object]] = {}

    def run(self, name: str, work: Callable[[], T_co]) -> T_co:
        """What ``work`` returns or raises; LateError if not in time, or if it still hangs from before."""
        if name in self.hanging:
            if not self.hanging[name].done:
                raise LateError(name)
            del self.hanging[name]
        job = self.lane.begin(work)
        if not job.wait(self.within_s):
            self.hanging[name] = job
            self.lane.leave()
            raise LateError(name)
        return job.result()


def _serve(jobs: "queue.SimpleQueue[Job[object] | None]") -> None:
    while (job := jobs.get()) is not None:
        job.run()
