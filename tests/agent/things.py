"""Incidents to try the way up with."""

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from edgeobs.signals import SECOND, Evidence, Incident, IncidentState, Point, Resource
from edgeobs.uplink.letters import packed

T0 = 1_700_000_000 * SECOND
PLACE = Resource("c1", "z1", "edge-1")


def make_incident(
    number: int = 1, state: IncidentState = "open", at_ns: int = T0, points: int = 3
) -> Incident:
    """An incident of edge-1 with one series that has ``points`` samples in its plot."""
    plot = tuple(Point(at_ns - i * SECOND, float(i), 0.0, 1.0, 7.0) for i in range(points, 0, -1))
    evidence = Evidence(
        source="series", text="disk_errors_total", name="disk_errors_total", labels=(("device", "sda"),),
        unit="1/s", onset_ns=at_ns, last_ns=at_ns, score=9.0, weight=1.0, value=50.0, expected=0.1, low=0.0,
        high=1.0, points=plot,
    )  # fmt: skip
    return Incident(
        id=f"inc-{number}", scope="node", place=PLACE, state=state, opened_ns=T0, updated_ns=at_ns,
        resolved_ns=at_ns if state == "resolved" else 0, score=9.0, title=f"trouble {number}",
        evidence=(evidence,),
    )  # fmt: skip


def make_window(at_ns: int, samples: int = 3) -> bytes:
    """The compressed body of a raw window that ends at a time, with a sample a second."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="x")
    for second in range(samples):
        metric.gauge.data_points.add(time_unix_nano=at_ns - second * SECOND, as_double=second)
    return packed(request.SerializeToString())
