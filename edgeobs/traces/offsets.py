"""Series of how far the clocks of two nodes are apart, by their names."""

from edgeobs.signals import SECOND, Admit, Identity, Kind, Principal, Source
from edgeobs.traces.clocks import Clocks
from edgeobs.traces.units import Units

_NAME = "span_clock_offset_seconds"


class Offsets:
    """One series a pair that was heard; each belongs to the callee's node."""

    def __init__(self, units: Units, clocks: Clocks, admit: Admit) -> None:
        self.units, self.clocks, self.admit = units, clocks, admit
        self._ids: dict[tuple[int, int], int] = {}  # pair of nodes → series, or a refusal
        self._given_ns = 0

    def samples(self, since_ns: int, end_ns: int, now_ns: int) -> list[tuple[int, float]]:
        """Series and seconds of the pairs with calls since then; none where ``end_ns`` was told before."""
        if end_ns <= self._given_ns:
            return []
        self._given_ns = end_ns
        made = [
            (self._series(each.caller, each.callee, now_ns), each.ahead_ns / SECOND)
            for each in self.clocks.all(now_ns)
            if self.clocks.heard_ns(each.caller, each.callee) >= since_ns
        ]
        return [(series, value) for series, value in made if series >= 0]

    def forget(self, ids: set[int]) -> None:
        """Series that are no more; where there was no room, there may be now."""
        self._ids = {pair: number for pair, number in self._ids.items() if number >= 0 and number not in ids}

    def drop(self, nodes: set[int]) -> None:
        """Nodes whose numbers may become others'."""
        self._ids = {pair: number for pair, number in self._ids.items() if nodes.isdisjoint(pair)}

    def _series(self, caller: int, callee: int, now_ns: int) -> int:
        known = self._ids.get((caller, callee))
        if known is None:
            principal = self.units.speaker.get(callee)
            if principal is None:
                return -1
            known = self._ids[caller, callee] = self._make(caller, callee, principal, now_ns)
        return known

    def _make(self, caller: int, callee: int, principal: Principal, now_ns: int) -> int:
        by, place = self.units.nodes[caller], self.units.nodes[callee]
        said = (
            ("caller_cluster", by.cluster if by.cluster != place.cluster else ""),
            ("caller_node", by.node),
            ("caller_zone", by.zone if by.zone != place.zone else ""),
        )
        labels = tuple((key, value) for key, value in said if value)
        source = Source((("k8s.node.name", place.node),), place)
        return self.admit(principal, Identity(source, _NAME, labels, Kind.GAUGE, "s"), now_ns)
