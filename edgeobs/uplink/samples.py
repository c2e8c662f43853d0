"""What summaries and raw windows hold of single series, and a plot made of evidence and a window. Pure."""

import json
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from heapq import nlargest
from math import isfinite, nan
from operator import attrgetter

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

from edgeobs.signals import Evidence, Labels, Point
from edgeobs.told import Peak

MATTERS = 3.0
"""A score from which a summary explains something, decades: what keeps evidence alive."""

MOST_PEAKS = 200
"""Of one summary, the most surprising: a few are ever shown of a time."""

MOST_POINTS = 1500
"""Of one plot; of a longer window every second sample is shown, or every third."""

_MAX_NS, _MOST_SAMPLES, _LONGEST_NAME = (1 << 63) - 1, 1 << 31, 4096
_RATE, _SCOPE = ":rate", "edgeobs.otel_scope_"
Key = tuple[str, Labels]


def peaks(body: bytes | bytearray, least: float = MATTERS) -> list[Peak]:
    """Those series of a summary that were surprising, the most so first; none where it is no summary."""
    found = []
    for name, unit, point in _points(body):
        exemplar = next(iter(point.exemplars), None)
        if exemplar is None:
            continue
        told = {each.key: each.value for each in exemplar.filtered_attributes}
        score = told["edgeobs.score"].double_value if "edgeobs.score" in told else nan
        if score >= least:
            count = told["edgeobs.count"].int_value if "edgeobs.count" in told else 0
            count = min(max(count, 0), _MOST_SAMPLES)
            times = min(point.start_time_unix_nano, _MAX_NS), min(point.time_unix_nano, _MAX_NS)
            labels = _labels(point.attributes)
            if len(name) + len(unit) + sum(len(key) + len(text) for key, text in labels) <= _LONGEST_NAME:
                values = point.as_double, exemplar.as_double
                found.append(Peak(name, labels, unit, *times, count, *values, score))
    return nlargest(MOST_PEAKS, found, key=attrgetter("score"))


def samples(body: bytes | bytearray, wanted: Container[Key]) -> Iterator[tuple[Key, int, float]]:
    """Series, time and value of the samples of some series of a window; a rate is of its counter."""
    for name, _, point in _points(body):
        labels = _labels(point.attributes)
        for key in ((name, labels), (name.removesuffix(_RATE), labels)):
            if key in wanted:
                yield key, point.time_unix_nano, point.as_double
                break


def joined(evidence: Evidence, raw: Iterable[tuple[int, float]]) -> Evidence:
    """Evidence whose plot goes as far as a window reaches: what is known raw alone has no range and no score.

    ``raw`` is time and value, in any order; what the evidence itself has of a time is believed.
    """
    known = evidence.points
    first, last = (known[0].time_ns, known[-1].time_ns) if known else (0, -1)
    around = dict(each for each in raw if not first <= each[0] <= last)
    more = [Point(time_ns, value, nan, nan, nan) for time_ns, value in sorted(around.items())]
    more = more[:: -(-len(more) // MOST_POINTS) or 1]
    before = tuple(point for point in more if point.time_ns < first)
    after = tuple(point for point in more if point.time_ns >= first)
    return replace(evidence, points=(*before, *known, *after))


def peak_row(node: str, peak: Peak) -> tuple[str | int | float | None, ...]:
    """As the inbox keeps it."""
    mean, largest = (value if isfinite(value) else None for value in (peak.mean, peak.largest))
    return (
        node, peak.name, json.dumps(peak.labels), peak.unit, peak.since_ns, peak.until_ns, peak.samples, mean,
        largest, peak.score,
    )  # fmt: skip


def read_peak(row: Sequence[object]) -> Peak:
    """The inverse, of a row without the node. Raises ValueError or TypeError for a row that is none."""
    name, labels, unit, since, until, count, mean, largest, score = row
    pairs = tuple((key, value) for key, value in json.loads(str(labels)))
    numbers = (nan if value is None else float(str(value)) for value in (mean, largest, score))
    return Peak(str(name), pairs, str(unit), int(str(since)), int(str(until)), int(str(count)), *numbers)


def _points(body: bytes | bytearray) -> Iterator[tuple[str, str, NumberDataPoint]]:
    """Name and unit of the metric, and every gauge point; none of what cannot be read."""
    try:
        request = ExportMetricsServiceRequest.FromString(bytes(body))
    except DecodeError:
        return
    for metric in (m for rm in request.resource_metrics for sm in rm.scope_metrics for m in sm.metrics):
        for point in metric.gauge.data_points:
            yield metric.name, metric.unit, point


def _labels(attributes: Iterable[KeyValue]) -> Labels:
    """Of a series as its agent knows it: the scope that stands in an attribute is its own again."""
    pairs = ((each.key, each.value.string_value) for each in attributes)
    return tuple(
        sorted((key.removeprefix("edgeobs.") if key.startswith(_SCOPE) else key, v) for key, v in pairs)
    )
