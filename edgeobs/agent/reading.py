"""This machine's own readings as `Points`, with no protocol between: the same series that OTLP would make."""

from collections.abc import Iterable, Mapping

import numpy as np

from edgeobs.ingest import naming
from edgeobs.ingest.intern import REASONS, Interner
from edgeobs.node.readings import Distribution, Reading
from edgeobs.signals import Distributions, Identity, Kind, Labels, Points, Principal

_KINDS = {"gauge": Kind.GAUGE, "counter": Kind.COUNTER, "updown": Kind.UPDOWN}
_Key = tuple[str, Labels]


class Readings:
    """Readings of one resource, one collection after the other.

    Parameters
    ----------
    resource
        Who is read, as OpenTelemetry names it.
    scope
        Who reads: a label of each series.
    start_ns
        Since when cumulative ones have been counted.

    """

    def __init__(
        self,
        resource: Mapping[str, str | bool],
        scope: str,
        start_ns: int,
        interner: Interner,
        principal: Principal,
    ) -> None:
        self.source = naming.source_of([(key, _text(value)) for key, value in resource.items()])
        self.interner, self.principal, self.start_ns = interner, principal, start_ns
        self._scope = naming.scope_labels(scope, "", ())
        self._known: dict[_Key, int] = {}
        self._epoch = -1

    def points(self, readings: Iterable[Reading | Distribution], now_ns: int) -> Points:
        """All of them, at one time."""
        if self._epoch != self.interner.table.epoch:
            self._known.clear()
        rejected: dict[str, int] = {}
        numbers: list[tuple[int, int, float]] = []
        shapes: list[tuple[int, Distribution]] = []
        for reading in readings:
            number = self._known.get(reading[:1] + reading[-1:])
            if number is None:
                number = self._meet(reading, now_ns)
            if number < 0:
                rejected[REASONS[number]] = rejected.get(REASONS[number], 0) + 1
            elif isinstance(reading, Distribution):
                shapes.append((number, reading))
            else:
                start = 0 if reading.kind == "gauge" else self.start_ns
                numbers.append((number, start, reading.value))
        self._epoch = self.interner.table.epoch
        ids, starts, values = zip(*numbers, strict=True) if numbers else ((), (), ())
        n = len(ids)
        return Points(
            np.array(ids, np.int32), np.full(n, now_ns), np.array(starts, np.int64),
            np.array(values, np.float64), self._distributions(shapes, now_ns), rejected,
        )  # fmt: skip

    def _meet(self, reading: Reading | Distribution, now_ns: int) -> int:
        kind = Kind.HISTOGRAM if isinstance(reading, Distribution) else _KINDS[reading.kind]
        name = naming.metric_name(reading.name, reading.unit, kind)
        labels = naming.labels(reading.attributes, self._scope, self.source)
        number = self.interner.admit(
            self.principal, Identity(self.source, name, labels, kind, reading.unit), now_ns
        )
        self._known[reading.name, reading.attributes] = number
        return number

    def _distributions(self, shapes: list[tuple[int, Distribution]], now_ns: int) -> Distributions:
        if not shapes:
            return Distributions.none()
        found = [shape for _, shape in shapes]
        n = len(found)
        return Distributions(
            np.array([number for number, _ in shapes], np.int32),
            np.full(n, now_ns),
            np.full(n, self.start_ns),
            np.array([float(sum(shape.counts)) for shape in found]),
            np.array([shape.total for shape in found]),
            np.cumsum([0, *(len(shape.counts) for shape in found)]).astype(np.int64),
            np.array([edge for shape in found for edge in (*shape.bounds, np.inf)]),
            np.array([float(count) for shape in found for count in shape.counts]),
        )


def _text(value: str | bool) -> str:
    """As OTLP's attributes become text."""
    return str(value).lower() if isinstance(value, bool) else value
