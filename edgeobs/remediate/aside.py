"""What is said to the cluster for people alone: nothing waits for it, and nothing is decided by it."""

from collections import deque
from collections.abc import Iterable

from edgeobs.calls import Api, Call
from edgeobs.signals import Counts

_MOST = 1000


class Aside:
    """Events and conditions that are still to be told; the oldest go first where there are too many."""

    def __init__(self, api: Api, counts: Counts) -> None:
        self._api, self._counts = api, counts
        self._calls: deque[Call] = deque(maxlen=_MOST)

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._calls)

    def add(self, calls: Iterable[Call]) -> None:
        """To be told when there is time."""
        self._calls.extend(calls)

    def tell(self) -> None:
        """One, once; what was told already is as good."""
        answer = self._api.call(self._calls.popleft())
        told = answer.ok or answer.status == 409
        self._counts["edgeobs_events_total", "told" if told else "failed"] += 1
